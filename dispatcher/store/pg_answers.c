/*
 * pg_answers - what comes back over a connection, to the head of its queue.
 *
 * A statement that is used for the first time is prepared before it is run:
 * its first answer is that of the PREPARE. A COPY asks for its data, which go
 * out as fast as the socket takes them.
 *
 * While an answer is given (is_dispatching), whoever hears it may ask again:
 * that waits in the queue until the answer is done with.
 */
#include "base/mem.h"
#include "store/pg_inner.h"

enum { COPY_PIECE = 64 * 1024 };

/* ---- COPY -------------------------------------------------------------- */

void pg_push_copy(struct pg *pg, struct request *r)
{
    while (r->data_sent < r->data.len) {
        size_t piece = r->data.len - r->data_sent;
        int put = 0;

        if (piece > COPY_PIECE) {
            piece = COPY_PIECE;
        }
        put = PQputCopyData(pg->conn, r->data.data + r->data_sent, (int)piece);
        if (put < 0) {
            pg_break_off(pg);
            return;
        }
        if (put == 0) {
            pg_watch(pg, EV_READ | EV_WRITE);
            return;
        }
        r->data_sent += piece;
    }
    switch (PQputCopyEnd(pg->conn, buf_ok(&r->data) ? NULL : "too big")) {
    case 1:
        pg->is_copying = false;
        pg_flush(pg);
        return;
    case 0: pg_watch(pg, EV_READ | EV_WRITE); return;
    default: pg_break_off(pg); return;
    }
}

/* ---- results ----------------------------------------------------------- */

static void keep_result(struct request *r, PGresult *result)
{
    switch (PQresultStatus(result)) {
    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK:
    case PGRES_EMPTY_QUERY:
        PQclear(r->result);
        r->result = result;
        return;
    default:
        if (r->error == NULL) {
            r->error = pg_error_words(result);
        }
        PQclear(result);
        return;
    }
}

/* The head has been answered in full. */
static void finish_head(struct pg *pg)
{
    struct list_node *n = list_first(&pg->requests);
    struct request *r = LIST_OF(n, struct request, node);

    pg->is_sent = false;
    if (pg->is_preparing) {
        pg->is_preparing = false;
        if (r->error == NULL) {
            /* Prepared: now the statement itself. */
            map_put_id(&pg->prepared, (int64_t)(uintptr_t)r->sql,
                       (void *)(uintptr_t)r->sql);
            PQclear(r->result);
            r->result = NULL;
            pg_send_head(pg);
            return;
        }
    }
    list_remove(&pg->requests, n);
    pg->is_dispatching = true;
    r->answer(r->ctx, r->error ? NULL : r->result, r->error);
    pg->is_dispatching = false;
    pg_request_free(r);
    pg_send_head(pg);
}

static void hand_row(struct pg *pg, struct request *r, PGresult *row)
{
    pg->is_dispatching = true;
    r->on_row(r->ctx, row);
    pg->is_dispatching = false;
    PQclear(row);
}

bool pg_take_results(struct pg *pg)
{
    while (pg->state == PG_READY && pg->is_sent && !pg->is_copying &&
           !pg->is_broken && !PQisBusy(pg->conn)) {
        struct request *r =
            LIST_OF(list_first(&pg->requests), struct request, node);
        PGresult *result = PQgetResult(pg->conn);

        if (result == NULL) {
            finish_head(pg);
        } else if (PQresultStatus(result) == PGRES_COPY_IN) {
            PQclear(result);
            pg->is_copying = true;
            pg_push_copy(pg, r);
        } else if (PQresultStatus(result) == PGRES_SINGLE_TUPLE) {
            hand_row(pg, r, result);
        } else {
            keep_result(r, result);
            if (PQstatus(pg->conn) == CONNECTION_BAD) {
                pg_lose(pg, r->error ? r->error : "connection reset");
            }
        }
    }
    return pg->state == PG_READY && !pg->is_broken;
}
