/*
 * admin - the questions and orders of people.
 */
#include "store/admin.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/embed.h"
#include "base/mem.h"
#include "store/route.h"

/* Numbers that PostgreSQL gives to its types. */
enum { TYPE_BOOL = 16, TYPE_TEXT = 25 };

struct admin {
    PGconn *conn;
    PGresult *result;
};

static struct admin *open_with(const char *dsn, const char *options)
{
    const char *const keys[] = {"dbname", "fallback_application_name",
                                "connect_timeout", options ? "options" : NULL,
                                NULL};
    const char *const values[] = {dsn, "postbatch command", "10", options,
                                  NULL};
    struct admin *a = mem_calloc(1, sizeof(*a));

    a->conn = PQconnectdbParams(keys, values, 1);
    if (PQstatus(a->conn) != CONNECTION_OK) {
        fprintf(stderr,
                "postbatch: no connection to the database: %s"
                "postbatch: look at database.dsn\n",
                PQerrorMessage(a->conn));
        admin_close(a);
        return NULL;
    }
    /* Compiling a query over all leaves of the logs takes seconds, running
     * it a tenth of one. */
    PQclear(PQexec(a->conn, "SET jit = off"));
    return a;
}

struct admin *admin_open(const char *dsn)
{
    return open_with(dsn, NULL);
}

struct admin *admin_open_read_only(const char *dsn)
{
    return open_with(dsn, "-c default_transaction_read_only=on");
}

void admin_close(struct admin *a)
{
    if (a == NULL) {
        return;
    }
    PQclear(a->result);
    PQfinish(a->conn);
    mem_free(a);
}

static bool keep(struct admin *a, PGresult *result)
{
    PQclear(a->result);
    a->result = result;
    switch (PQresultStatus(result)) {
    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK: return true;
    default:
        fprintf(stderr, "postbatch: the database says: %s",
                PQresultErrorMessage(result));
        return false;
    }
}

int64_t admin_emit(struct admin *a, const char *type, const char *payload,
                   const char *urgency)
{
    const char *const params[] = {type, payload, urgency};

    if (!keep(a, PQexecParams(a->conn,
                              "SELECT postbatch.emit($1::text, $2::jsonb, "
                              "$3::text)",
                              3, NULL, params, NULL, NULL, 0))) {
        return 0;
    }
    return strtoll(PQgetvalue(a->result, 0, 0), NULL, 10);
}

static const char *find_query(const char *name)
{
    char path[64];
    const struct embed_file *file = NULL;

    snprintf(path, sizeof(path), "queries/%s.sql", name);
    file = embed_find(path);
    if (file == NULL) {
        fprintf(stderr, "postbatch: %s is not built in\n", path);
        return NULL;
    }
    return file->data;
}

bool admin_query(struct admin *a, const char *name, const char *const *params,
                 int count)
{
    const char *query = find_query(name);

    return query != NULL && keep(a, PQexecParams(a->conn, query, count, NULL,
                                                 params, NULL, NULL, 0));
}

bool admin_begin(struct admin *a)
{
    return keep(a, PQexec(a->conn, "BEGIN"));
}

bool admin_begin_resend(struct admin *a)
{
    return admin_begin(a) && admin_query(a, "resend_lock", NULL, 0);
}

bool admin_commit(struct admin *a)
{
    return keep(a, PQexec(a->conn, "COMMIT"));
}

bool admin_stream(struct admin *a, const char *name, const char *const *params,
                  int count, void (*on_row)(void *ctx, const struct admin *a),
                  void *ctx)
{
    const char *query = find_query(name);
    PGresult *result = NULL;
    bool is_good = query != NULL;

    if (!is_good) {
        return false;
    }
    if (!PQsendQueryParams(a->conn, query, count, NULL, params, NULL, NULL,
                           0)) {
        fprintf(stderr, "postbatch: the database says: %s",
                PQerrorMessage(a->conn));
        return false;
    }
    PQsetSingleRowMode(a->conn);
    while ((result = PQgetResult(a->conn)) != NULL) {
        if (PQresultStatus(result) == PGRES_SINGLE_TUPLE) {
            PQclear(a->result);
            a->result = result;
            on_row(ctx, a);
        } else {
            is_good = keep(a, result) && is_good;
        }
    }
    return is_good;
}

int admin_rows(const struct admin *a)
{
    return PQntuples(a->result);
}

int admin_columns(const struct admin *a)
{
    return PQnfields(a->result);
}

const char *admin_column_name(const struct admin *a, int column)
{
    return PQfname(a->result, column);
}

const char *admin_text(const struct admin *a, int row, int column)
{
    return PQgetvalue(a->result, row, column);
}

struct span admin_span(const struct admin *a, int row, int column)
{
    return span_make(PQgetvalue(a->result, row, column),
                     (size_t)PQgetlength(a->result, row, column));
}

bool admin_is_null(const struct admin *a, int row, int column)
{
    return PQgetisnull(a->result, row, column) != 0;
}

void admin_put_json(const struct admin *a, int row, struct buf *b)
{
    for (int c = 0; c < admin_columns(a); c++) {
        const char *text = admin_text(a, row, c);

        buf_puts(b, c ? ", " : "{");
        buf_json(b, span_of(admin_column_name(a, c)));
        buf_puts(b, ": ");
        if (admin_is_null(a, row, c)) {
            buf_puts(b, "null");
            continue;
        }
        switch (PQftype(a->result, c)) {
        case TYPE_BOOL: buf_puts(b, text[0] == 't' ? "true" : "false"); break;
        case TYPE_TEXT: buf_json(b, span_of(text)); break;
        default: buf_puts(b, text); break; /* a number */
        }
    }
    buf_putc(b, '}');
}

char *admin_check_role(struct admin *a, const char *sql)
{
    char *query = route_check_text(sql);
    PGresult *result = PQexec(a->conn, query);
    char *why = NULL;

    if (PQresultStatus(result) != PGRES_TUPLES_OK) {
        why = mem_strdup(PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
        if (why == NULL) {
            why = mem_strdup(PQerrorMessage(a->conn));
        }
    }
    PQclear(result);
    mem_free(query);
    return why;
}
