/*
 * queue - the verbs of the queue in PostgreSQL.
 *
 * The reading connection leases and fetches: one lease at a time, whose
 * batches are then fetched together, one statement for all recipients and one
 * per leaf of the event log (nearly always one; queue_lease.c). The writing
 * connection settles (queue_settle.c).
 *
 * Here: both connections and their timers. What a worker is to the others is
 * in queue_worker.c, how it keeps its leases in queue_renew.c.
 */
#include "store/queue.h"

#include <stdio.h>
#include <unistd.h>

#include "base/embed.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/queue_inner.h"

static const double DRIFT_EVERY_S = 2.0;
static const double SETTLE_PAUSE_S = 1.0;
/* A transaction for several batches costs hardly more than one for one. */
static const double SETTLE_PACE_S = 0.04;
static const double LEASE_PAUSE_S = 1.0;

const char *queue_sql(const char *name)
{
    char path[64];

    snprintf(path, sizeof(path), "queries/%s.sql", name);
    return embed_require(path)->data;
}

/* ---- life ------------------------------------------------------------- */

bool queue_is_ready(const struct queue *q)
{
    return q->worker_id != 0 && pg_is_ready(q->reading) &&
           pg_is_ready(q->writing);
}

void queue_tell_ready(struct queue *q)
{
    if (queue_is_ready(q) && !q->was_ready) {
        q->was_ready = true;
        q->hooks.on_ready(q->ctx);
        if (!list_is_empty(&q->held)) {
            queue_renew(q); /* letters may wait for it: see queue_is_sure */
        }
        settle_next(q);
    }
}

static void on_read_ready(void *ctx)
{
    struct queue *q = ctx;

    if (q->worker_id == 0) {
        queue_register(q);
    } else if (q->is_taking_over) {
        queue_tell_ready(q); /* it will be asked for again: keep it */
    } else {
        (void)!queue_give_back_rest(q, q->worker_id);
    }
}

static void on_write_ready(void *ctx)
{
    queue_tell_ready(ctx);
}

static void on_lost(void *ctx, const char *why)
{
    struct queue *q = ctx;

    (void)why;
    q->was_ready = false;
    q->was_idle = false;
}

static void on_settle_timer(struct ev_loop *loop, struct ev_timer *timer,
                            int events)
{
    (void)events;
    ev_timer_stop(loop, timer);
    settle_next(timer->data);
}

/* The end of it is enough: the next turn of the loop leases again. */
static void on_lease_pause(struct ev_loop *loop, struct ev_timer *timer,
                           int events)
{
    (void)events;
    ev_timer_stop(loop, timer);
}

static void on_drift_timer(struct ev_loop *loop, struct ev_timer *timer,
                           int events)
{
    struct queue *q = timer->data;

    (void)loop;
    (void)events;
    drift_write(q);
    if (q->worker_id == 0 && pg_is_ready(q->reading) &&
        pg_pending(q->reading) == 0) {
        queue_register(q); /* it was refused; the reason may have gone */
    }
}

struct queue *queue_new(struct ev_loop *loop,
                        const struct queue_settings *settings,
                        const struct queue_hooks *hooks, void *ctx)
{
    static const struct pg_hooks read_hooks = {on_read_ready, on_lost};
    static const struct pg_hooks write_hooks = {on_write_ready, on_lost};
    struct queue *q = mem_calloc(1, sizeof(*q));

    q->loop = loop;
    q->settings = *settings;
    q->hooks = *hooks;
    q->ctx = ctx;
    gethostname(q->host, sizeof(q->host) - 1);
    list_init(&q->held);
    list_init(&q->settling);
    q->settle_max = 1;
    map_init(&q->drift);
    q->reading = pg_new(loop, settings->dsn, "postbatch lease", &read_hooks, q);
    q->writing =
        pg_new(loop, settings->dsn, "postbatch settle", &write_hooks, q);
    ev_timer_init(&q->drift_timer, on_drift_timer, DRIFT_EVERY_S,
                  DRIFT_EVERY_S);
    q->drift_timer.data = q;
    ev_init(&q->settle_pause, on_settle_timer);
    q->settle_pause.repeat = SETTLE_PAUSE_S;
    q->settle_pause.data = q;
    ev_init(&q->settle_pace, on_settle_timer);
    q->settle_pace.repeat = SETTLE_PACE_S;
    q->settle_pace.data = q;
    ev_init(&q->lease_pause, on_lease_pause);
    q->lease_pause.repeat = LEASE_PAUSE_S;
    return q;
}

void queue_start(struct queue *q)
{
    pg_start(q->reading);
    pg_start(q->writing);
    ev_timer_start(q->loop, &q->drift_timer);
}

static const struct queue_hooks deaf_hooks;

void queue_free(struct queue *q, void (*left)(struct batch *batch))
{
    struct list_node *n = NULL;

    if (q == NULL) {
        return;
    }
    q->hooks = deaf_hooks; /* nobody listens any more */
    /* The reading one last: what is being settled asks whether it is ready. */
    pg_free(q->writing);
    pg_free(q->reading);
    ev_timer_stop(q->loop, &q->drift_timer);
    ev_timer_stop(q->loop, &q->settle_pause); /* its answers start them */
    ev_timer_stop(q->loop, &q->settle_pace);
    ev_timer_stop(q->loop, &q->lease_pause);
    drift_release(q);
    while ((n = list_take(&q->held)) != NULL) {
        left(LIST_OF(n, struct batch, leased));
    }
    mem_free(q);
}

void queue_forget(struct queue *q, struct batch *batch)
{
    list_remove(&q->held, &batch->leased);
    q->payload_bytes -= batch->payload_bytes;
}

/* ---- give back, housekeeping ------------------------------------------- */

void queue_give_back(struct queue *q, struct batch **batches, size_t count)
{
    struct buf ids;

    buf_init(&ids, 0);
    pg_array_begin(&ids, PG_TYPE_INT8, count);
    for (size_t i = 0; i < count; i++) {
        pg_array_int64(&ids, batches[i]->id);
        queue_forget(q, batches[i]);
        batch_free(batches[i]);
    }
    if (count > 0) {
        queue_let_go(q, &ids);
    }
    buf_release(&ids);
}

static void on_house_kept(void *ctx, const PGresult *result, const char *error)
{
    (void)ctx;
    if (error != NULL) {
        log_warn("no housekeeping", "why=\"%s\"", error);
    }
    for (int row = 0; error == NULL && row < PQntuples(result); row++) {
        log_info("housekeeping", "what=\"%.*s\" outcome=\"%.*s\"",
                 SPAN_ARG(pg_get_text(result, row, 0)),
                 SPAN_ARG(pg_get_text(result, row, 1)));
    }
}

void queue_keep_house(struct queue *q)
{
    if (queue_is_ready(q) && !pg_query(q->reading, queue_sql("housekeeping"),
                                       NULL, on_house_kept, q)) {
        log_debug("no housekeeping", "why=\"connection lost\"");
    }
}
