/*
 * queue_worker - the worker among the others that the database knows.
 *
 * A worker registers once in its life and keeps its id when the connection
 * breaks: its leases are bound to it. Its signs of life tell it how many
 * parents share the relays. When it goes it lets go of all it had, so that
 * nobody waits for the end of a lease.
 */
#include "store/queue.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "base/log.h"
#include "store/queue_inner.h"

/* ---- signs of life ----------------------------------------------------- */

/* A parent of this host that was killed is seen for a while in the database,
 * but not here. */
static bool is_running(int pid)
{
    return kill((pid_t)pid, 0) == 0 || errno == EPERM;
}

static void on_others(void *ctx, const PGresult *result, const char *error)
{
    struct queue *q = ctx;
    int count = 1;

    if (error != NULL) {
        log_debug("worker not seen", "why=\"%s\"", error);
        return;
    }
    for (int row = 0; row < PQntuples(result); row++) {
        bool is_here = pg_get_bool(result, row, 0);

        count += !is_here || is_running(pg_get_int32(result, row, 1));
    }
    if (q->hooks.on_parents != NULL) {
        q->hooks.on_parents(q->ctx, count);
    }
}

bool queue_say_alive(struct queue *q)
{
    struct pg_params p = {0};

    pg_param_int64(&p, q->worker_id);
    pg_param_text(&p, q->host);
    pg_param_int32(&p, (int32_t)getpid());
    pg_param_int32(&p, (int32_t)q->settings.parent_pid);
    return pg_query(q->reading, queue_sql("worker_seen"), &p, on_others, q);
}

/* ---- registration ------------------------------------------------------ */

static void on_registered(void *ctx, const PGresult *result, const char *error)
{
    struct queue *q = ctx;

    if (error != NULL) {
        log_error("worker not registered", "why=\"%s\"", error);
        return;
    }
    q->worker_id = pg_get_int64(result, 0, 0);
    (void)!queue_say_alive(q);
    queue_tell_ready(q);
}

void queue_register(struct queue *q)
{
    struct pg_params p = {0};

    pg_param_text(&p, q->host);
    pg_param_int32(&p, (int32_t)getpid());
    pg_param_int32(&p, (int32_t)q->settings.parent_pid);
    if (!pg_query(q->reading, queue_sql("worker_start"), &p, on_registered,
                  q)) {
        log_debug("worker not registered", "why=\"connection lost\"");
    }
}

int64_t queue_worker_id(const struct queue *q)
{
    return q->worker_id;
}

/* ---- what is left of an earlier connection, or life -------------------- */

static void on_rest_given_back(void *ctx, const PGresult *result,
                               const char *error)
{
    struct queue *q = ctx;

    if (error == NULL && PQntuples(result) > 0) {
        log_info("batches let go that never arrived", "batches=%d",
                 PQntuples(result));
    }
    queue_tell_ready(q);
}

bool queue_give_back_rest(struct queue *q, int64_t worker_id)
{
    struct pg_params p = {0};
    struct buf ids;
    bool is_asked = false;

    buf_init(&ids, 0);
    pg_array_begin(&ids, PG_TYPE_INT8, q->held.count);
    for (struct list_node *n = list_first(&q->held); n != NULL;
         n = list_after(&q->held, n)) {
        pg_array_int64(&ids, LIST_OF(n, struct batch, leased)->id);
    }
    pg_param_int64(&p, worker_id);
    pg_param_binary(&p, &ids);
    is_asked = pg_query(q->reading, queue_sql("give_back_rest"), &p,
                        on_rest_given_back, q);
    buf_release(&ids);
    return is_asked;
}

bool queue_release_worker(struct queue *q, int64_t worker_id)
{
    return queue_is_ready(q) && queue_give_back_rest(q, worker_id);
}

/* ---- goodbye ----------------------------------------------------------- */

static void on_stopped(void *ctx, const PGresult *result, const char *error)
{
    struct queue *q = ctx;

    queue_on_let_go(q, result, error);
    q->said_goodbye(q->goodbye_ctx, error == NULL && q->is_rest_let_go);
}

static void on_all_let_go(void *ctx, const PGresult *result, const char *error)
{
    struct queue *q = ctx;

    queue_on_let_go(q, result, error);
    q->is_rest_let_go = error == NULL;
}

void queue_say_goodbye(struct queue *q, void (*said)(void *ctx, bool is_heard),
                       void *ctx)
{
    struct pg_params p = {0};
    struct buf none;

    buf_init(&none, 0);
    pg_array_begin(&none, PG_TYPE_INT8, 0);
    drift_write(q);
    q->said_goodbye = said;
    q->goodbye_ctx = ctx;
    q->is_rest_let_go = false;
    pg_param_int64(&p, q->worker_id);
    pg_param_binary(&p, &none);
    /* What was given back on the other connection may not have been heard. */
    if (!pg_query(q->writing, queue_sql("give_back_rest"), &p, on_all_let_go,
                  q) ||
        !pg_query(q->writing, queue_sql("worker_stop"), &p, on_stopped, q)) {
        said(ctx, false);
    }
    buf_release(&none);
}
