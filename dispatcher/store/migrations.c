/*
 * migrations - the migrations that are built in, and which of them a database
 * has.
 *
 * A file is a migration when its name begins with four digits and an
 * underscore. postbatch.schema_version is the memory of the database; where
 * it is not there yet, nothing was applied.
 */
#include "store/migrations.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* ---- what is built in -------------------------------------------------- */

static void hash(const struct embed_file *file, char hex[SHA256_HEX_MAX])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;

    if (EVP_Digest(file->data, file->size, digest, &size, EVP_sha256(), NULL) !=
        1) {
        size = 0;
    }
    for (unsigned int i = 0; i < size; i++) {
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    }
    hex[2 * size] = '\0';
}

/* "0002_functions.sql": four digits and an underscore. */
static bool is_migration(const char *path)
{
    size_t digits = 0;

    while (isdigit((unsigned char)path[digits])) {
        digits++;
    }
    return digits == 4 && path[digits] == '_';
}

void migrations_init(struct migrations *m)
{
    const struct embed_file *file = NULL;

    *m = (struct migrations){0};
    while ((file = embed_next("", file)) != NULL) {
        struct migration *item = NULL;

        if (!is_migration(file->path)) {
            continue;
        }
        m->items = mem_realloc(m->items, (m->count + 1) * sizeof(*m->items));
        item = &m->items[m->count++];
        *item = (struct migration){0};
        item->version = atoi(file->path);
        item->file = file;
        hash(file, item->sha256);
        m->newest = item->version;
    }
}

void migrations_release(struct migrations *m)
{
    mem_free(m->items);
}

static struct migration *find(struct migrations *m, int version)
{
    for (size_t i = 0; i < m->count; i++) {
        if (m->items[i].version == version) {
            return &m->items[i];
        }
    }
    return NULL;
}

/* ---- what was applied -------------------------------------------------- */

PGresult *migrations_query(PGconn *conn, const char *sql, FILE *err)
{
    PGresult *result = PQexec(conn, sql);
    ExecStatusType status = PQresultStatus(result);

    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
        fprintf(err, "postbatch: %s", PQerrorMessage(conn));
        PQclear(result);
        return NULL;
    }
    return result;
}

/* One row of schema_version against the files of this program. */
static bool compare(struct migrations *m, int version, const char *name,
                    const char *sha256, FILE *err)
{
    struct migration *item = find(m, version);

    if (item == NULL) {
        fprintf(err,
                "postbatch: the database has migration %d (%s), which this "
                "program does not know; it\nneeds at most %d. A newer "
                "Postbatch has been here: use that one.\n",
                version, name, m->newest);
        return false;
    }
    if (strcmp(item->sha256, sha256) != 0) {
        fprintf(err,
                "postbatch: %s is not the file that was applied as migration "
                "%d.\n  applied:      %s\n  this program: %s\nA migration "
                "never changes once it has run: put the old file back and "
                "make the\nchange in a new one with the next number.\n",
                item->file->path, version, sha256, item->sha256);
        return false;
    }
    item->is_applied = true;
    if (version > m->newest_applied) {
        m->newest_applied = version;
    }
    return true;
}

bool migrations_read(struct migrations *m, PGconn *conn, FILE *err)
{
    PGresult *result = migrations_query(
        conn, "SELECT to_regclass('postbatch.schema_version') IS NOT NULL",
        err);
    bool is_there =
        result != NULL && strcmp(PQgetvalue(result, 0, 0), "t") == 0;
    bool is_sound = result != NULL;

    PQclear(result);
    if (!is_there) {
        return is_sound;
    }
    result = migrations_query(conn,
                              "SELECT version, name, sha256 FROM "
                              "postbatch.schema_version ORDER BY version",
                              err);
    is_sound = result != NULL;
    for (int row = 0; is_sound && row < PQntuples(result); row++) {
        is_sound = compare(m, atoi(PQgetvalue(result, row, 0)),
                           PQgetvalue(result, row, 1),
                           PQgetvalue(result, row, 2), err);
    }
    PQclear(result);
    return is_sound;
}
