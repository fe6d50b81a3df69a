/*
 * pg_statements - the queue of statements of a connection.
 *
 * Statements wait in a list; the head of the list is the one under way and
 * nothing else is on the wire, so an answer always belongs to the head.
 * (libpq's pipeline mode is not used: it allows no COPY, and one statement here
 * is worth hundreds of mails, so that the round trip it would save is not worth
 * its failure modes.)
 *
 * Answers come from the loop, never from within pg_query: a statement that
 * cannot even be sent marks the connection (is_broken) and on_io loses it in
 * the same round of the loop.
 */
#include "store/pg.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "store/pg_inner.h"

/* ---- asking ------------------------------------------------------------ */

size_t pg_pending(const struct pg *pg)
{
    return pg->requests.count;
}

static struct request *add_request(struct pg *pg, enum request_kind kind,
                                   const char *sql, pg_answer answer, void *ctx)
{
    struct request *r = mem_calloc(1, sizeof(*r));

    r->kind = kind;
    r->sql = sql;
    r->answer = answer;
    r->ctx = ctx;
    buf_init(&r->data, 0);
    list_append(&pg->requests, &r->node);
    return r;
}

/* Copies the parameters' bytes behind each other into one block. */
static void keep_params(struct request *r, const struct pg_params *p)
{
    size_t total = 0;
    char *at = NULL;

    for (int i = 0; i < p->count; i++) {
        if (p->values[i] != NULL && p->formats[i] == 0) {
            total += strlen(p->values[i]) + 1;
        } else if (p->values[i] != NULL) {
            total += (size_t)p->lengths[i];
        }
    }
    r->params = *p;
    r->owned = mem_alloc(total + 1);
    at = r->owned;
    for (int i = 0; i < p->count; i++) {
        size_t size = 0;

        if (p->values[i] == NULL) {
            continue;
        }
        size = p->formats[i] == 0 ? strlen(p->values[i]) + 1
                                  : (size_t)p->lengths[i];
        memcpy(at, p->values[i], size);
        r->params.values[i] = at;
        at += size;
    }
}

bool pg_query(struct pg *pg, const char *sql, const struct pg_params *params,
              pg_answer answer, void *ctx)
{
    static const struct pg_params none = {0};

    if (pg->state != PG_READY) {
        return false;
    }
    keep_params(add_request(pg, REQUEST_QUERY, sql, answer, ctx),
                params ? params : &none);
    pg_send_head(pg);
    return true;
}

bool pg_query_rows(struct pg *pg, const char *sql,
                   const struct pg_params *params, pg_row on_row,
                   pg_answer answer, void *ctx)
{
    struct request *r = NULL;

    if (pg->state != PG_READY) {
        return false;
    }
    r = add_request(pg, REQUEST_QUERY, sql, answer, ctx);
    r->on_row = on_row;
    keep_params(r, params);
    pg_send_head(pg);
    return true;
}

bool pg_simple(struct pg *pg, const char *sql, pg_answer answer, void *ctx)
{
    struct request *r = NULL;

    if (pg->state != PG_READY) {
        return false;
    }
    r = add_request(pg, REQUEST_SIMPLE, NULL, answer, ctx);
    r->owned = mem_strdup(sql);
    r->sql = r->owned;
    pg_send_head(pg);
    return true;
}

bool pg_copy(struct pg *pg, const char *sql, struct buf *data, pg_answer answer,
             void *ctx)
{
    struct request *r = NULL;

    if (pg->state != PG_READY) {
        return false;
    }
    r = add_request(pg, REQUEST_COPY, sql, answer, ctx);
    r->data = *data;
    buf_init(data, data->cap);
    pg_send_head(pg);
    return true;
}

/* ---- sending ----------------------------------------------------------- */

/* The name a statement is prepared under: its address is its identity. */
static void statement_name(const char *sql, char name[32])
{
    snprintf(name, 32, "s%lx", (unsigned long)(uintptr_t)sql);
}

static int send_query(struct pg *pg, struct request *r)
{
    char name[32];

    statement_name(r->sql, name);
    if (map_get_id(&pg->prepared, (int64_t)(uintptr_t)r->sql) == NULL) {
        pg->is_preparing = true;
        return PQsendPrepare(pg->conn, name, r->sql, 0, NULL);
    }
    return PQsendQueryPrepared(pg->conn, name, r->params.count,
                               r->params.values, r->params.lengths,
                               r->params.formats, 1) &&
           (r->on_row == NULL || PQsetSingleRowMode(pg->conn));
}

void pg_send_head(struct pg *pg)
{
    struct list_node *n = list_first(&pg->requests);
    struct request *r = NULL;
    int ok = 0;

    if (n == NULL || pg->is_sent || pg->is_dispatching || pg->is_broken ||
        pg->state != PG_READY) {
        return;
    }
    r = LIST_OF(n, struct request, node);
    ok = r->kind == REQUEST_QUERY ? send_query(pg, r)
                                  : PQsendQuery(pg->conn, r->sql);
    if (!ok) {
        pg_break_off(pg);
        return;
    }
    pg->is_sent = true;
    pg_flush(pg);
}

/* ---- ending ------------------------------------------------------------ */

void pg_request_free(struct request *r)
{
    PQclear(r->result);
    buf_release(&r->data);
    mem_free(r->owned);
    mem_free(r->error);
    mem_free(r);
}

void pg_fail_all(struct pg *pg, const char *why)
{
    struct list_node *n = NULL;

    while ((n = list_take(&pg->requests)) != NULL) {
        struct request *r = LIST_OF(n, struct request, node);

        r->answer(r->ctx, NULL, why);
        pg_request_free(r);
    }
}
