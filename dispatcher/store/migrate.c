/*
 * migrate - brings a database to the schema that this program needs.
 *
 * The whole run holds one advisory lock of its session, so a second migrate
 * waits and then finds nothing to do. A file runs as one simple query inside
 * one transaction, with its row in schema_version: it is there whole or not
 * at all. A short lock_timeout keeps a migration from queueing behind a long
 * report and everybody else behind the migration; it is tried again instead.
 */
#include "store/migrate.h"

#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "store/migrations.h"

enum {
    OLDEST_SERVER = 130000, /* xid8 and pg_current_snapshot() */
    LOCK_TRIES = 20,
};

/* Any number will do, as long as it stays: "postbtch" in ASCII. */
#define MIGRATE_LOCK "8101821198368007016"

#define LOCK_NOT_AVAILABLE "55P03"
#define DEADLOCK_DETECTED  "40P01"

/* ---- talking to the database ------------------------------------------- */

static PGconn *open_database(const char *conninfo, FILE *err)
{
    PGconn *conn = PQconnectdb(conninfo);
    PGresult *result = NULL;

    if (PQstatus(conn) != CONNECTION_OK) {
        fprintf(err, "postbatch: cannot reach the database: %s",
                PQerrorMessage(conn));
    } else if (PQserverVersion(conn) < OLDEST_SERVER) {
        fprintf(err,
                "postbatch: the server is PostgreSQL %d; Postbatch needs 13 "
                "or newer\n",
                PQserverVersion(conn) / 10000);
    } else {
        /* Files name every schema; nothing of the user's may interfere. */
        result = PQexec(conn, "SET search_path = pg_catalog; "
                              "SET default_transaction_isolation = "
                              "'read committed'; SET statement_timeout = 0");
        PQclear(result);
        return conn;
    }
    PQfinish(conn);
    return NULL;
}

static bool run(PGconn *conn, const char *sql, FILE *err)
{
    PGresult *result = migrations_query(conn, sql, err);

    PQclear(result);
    return result != NULL;
}

/* ---- applying ---------------------------------------------------------- */

/* File names and hashes are our own: no quote can be in them. */
static char *note(const struct migration *item)
{
    return mem_printf("INSERT INTO postbatch.schema_version (version, name, "
                      "sha256) VALUES (%d, '%s', '%s')",
                      item->version, item->file->path, item->sha256);
}

static void print(const struct migration *item, FILE *out)
{
    char *noted = note(item);

    fprintf(out, "BEGIN;\n%s\n%s;\nCOMMIT;\n\n", item->file->data, noted);
    mem_free(noted);
}

/* Line of the file, from 1, at which the server found the error; 0 where it
 * does not say. */
static int error_line(const PGresult *result, const char *text)
{
    const char *position =
        PQresultErrorField(result, PG_DIAG_STATEMENT_POSITION);
    int line = 1;

    if (position == NULL) {
        return 0;
    }
    /* Positions count characters; the files are ASCII. */
    for (long i = 0, n = atol(position) - 1; i < n && text[i]; i++) {
        line += text[i] == '\n';
    }
    return line;
}

enum attempt { ATTEMPT_DONE, ATTEMPT_LOCKED, ATTEMPT_FAILED };

static enum attempt judge(PGconn *conn, const PGresult *result,
                          const struct migration *item, FILE *err)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    int line = error_line(result, item->file->data);

    if (state != NULL && (strcmp(state, LOCK_NOT_AVAILABLE) == 0 ||
                          strcmp(state, DEADLOCK_DETECTED) == 0)) {
        return ATTEMPT_LOCKED;
    }
    fprintf(err, "postbatch: sql/%s", item->file->path);
    if (line > 0) {
        fprintf(err, ":%d", line);
    }
    fprintf(err, ": %sNothing of this file was kept.\n", PQerrorMessage(conn));
    return ATTEMPT_FAILED;
}

/* The file and its row in schema_version, in one transaction. */
static enum attempt try_once(PGconn *conn, const struct migration *item,
                             FILE *err)
{
    char *noted = note(item);
    const char *steps[] = {"BEGIN", "SET LOCAL lock_timeout = '2s'",
                           item->file->data, noted, "COMMIT"};
    enum attempt attempt = ATTEMPT_DONE;

    for (size_t i = 0; i < 5 && attempt == ATTEMPT_DONE; i++) {
        PGresult *result = PQexec(conn, steps[i]);

        if (PQresultStatus(result) != PGRES_COMMAND_OK &&
            PQresultStatus(result) != PGRES_TUPLES_OK) {
            attempt = judge(conn, result, item, err);
        }
        PQclear(result);
    }
    if (attempt != ATTEMPT_DONE) {
        PQclear(PQexec(conn, "ROLLBACK"));
    }
    mem_free(noted);
    return attempt;
}

/* Half a second to one and a half: not in step with whoever holds the lock. */
static void rest(void)
{
    struct timespec now;
    struct timespec pause;

    clock_gettime(CLOCK_MONOTONIC, &now);
    pause.tv_sec = now.tv_nsec % 2;
    pause.tv_nsec = 500000000;
    nanosleep(&pause, NULL);
}

static bool apply(PGconn *conn, const struct migration *item, FILE *out,
                  FILE *err)
{
    for (int i = 0; i < LOCK_TRIES; i++) {
        switch (try_once(conn, item, err)) {
        case ATTEMPT_DONE:
            fprintf(out, "applied %s\n", item->file->path);
            return true;
        case ATTEMPT_FAILED: return false;
        case ATTEMPT_LOCKED: break;
        }
        fprintf(out, "%s waits for a lock; trying again\n", item->file->path);
        fflush(out);
        rest();
    }
    fprintf(err,
            "postbatch: sql/%s: somebody holds a lock on the tables all the "
            "time. Look for long\ntransactions in pg_stat_activity and try "
            "again.\n",
            item->file->path);
    return false;
}

/* Waits until no other migrate is at work. */
static bool take_turn(PGconn *conn, FILE *err)
{
    PGresult *result = migrations_query(
        conn, "SELECT pg_try_advisory_lock(" MIGRATE_LOCK ")", err);
    bool has_lock = result != NULL && PQgetvalue(result, 0, 0)[0] == 't';
    bool is_sound = result != NULL;

    PQclear(result);
    if (!is_sound || has_lock) {
        return is_sound;
    }
    fprintf(err, "postbatch: another migrate is at work; waiting for it\n");
    return run(conn, "SELECT pg_advisory_lock(" MIGRATE_LOCK ")", err);
}

static bool migrate(PGconn *conn, struct migrations *m, int to_version,
                    bool print_only, FILE *out, FILE *err)
{
    bool is_sound = true;

    if (to_version > m->newest) {
        fprintf(err, "postbatch: there is no migration %d; the last is %d\n",
                to_version, m->newest);
        return false;
    }
    if (to_version > 0 && to_version < m->newest_applied) {
        fprintf(err,
                "postbatch: the database is at version %d already; migrations "
                "only go forward\n",
                m->newest_applied);
        return false;
    }
    for (size_t i = 0; i < m->count && is_sound; i++) {
        struct migration *item = &m->items[i];

        if (item->is_applied ||
            (to_version > 0 && item->version > to_version)) {
            continue;
        }
        if (print_only) {
            print(item, out);
        } else {
            is_sound = apply(conn, item, out, err);
        }
        m->newest_applied = item->version;
    }
    if (is_sound && !print_only) {
        fprintf(out, "the schema is at version %d\n", m->newest_applied);
    }
    return is_sound;
}

bool migrate_run(const char *conninfo, int to_version, bool print_only,
                 FILE *out, FILE *err)
{
    struct migrations m;
    PGconn *conn = open_database(conninfo, err);
    bool is_sound = false;

    if (conn == NULL) {
        return false;
    }
    migrations_init(&m);
    is_sound = (print_only || take_turn(conn, err)) &&
               migrations_read(&m, conn, err) &&
               migrate(conn, &m, to_version, print_only, out, err);
    migrations_release(&m);
    PQfinish(conn); /* lets go of the advisory lock, too */
    return is_sound;
}

bool migrate_check(const char *conninfo, FILE *err)
{
    struct migrations m;
    PGconn *conn = open_database(conninfo, err);
    bool is_sound = false;

    if (conn == NULL) {
        return false;
    }
    migrations_init(&m);
    is_sound = migrations_read(&m, conn, err);
    if (is_sound && m.newest_applied < m.newest) {
        if (m.newest_applied == 0) {
            fprintf(err, "postbatch: the database has no Postbatch schema");
        } else {
            fprintf(err,
                    "postbatch: the schema is at version %d; this program "
                    "needs %d",
                    m.newest_applied, m.newest);
        }
        fprintf(err, ". Run \"postbatch migrate\" as its owner.\n");
        is_sound = false;
    }
    migrations_release(&m);
    PQfinish(conn);
    return is_sound;
}
