/*
 * queue - the verbs of the queue in PostgreSQL.
 *
 * The reading connection leases and fetches: one lease at a time, whose
 * batches are then fetched together, one statement for all recipients and one
 * per leaf of the event log (nearly always one). The writing connection
 * settles (queue_settle.c).
 */
#include "store/queue.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
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

static void tell_when_ready(struct queue *q)
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

/* False when the connection is lost. */
static bool say_alive(struct queue *q)
{
    struct pg_params p = {0};

    pg_param_int64(&p, q->worker_id);
    pg_param_text(&p, q->host);
    pg_param_int32(&p, (int32_t)getpid());
    pg_param_int32(&p, (int32_t)q->settings.parent_pid);
    return pg_query(q->reading, queue_sql("worker_seen"), &p, on_others, q);
}

static void on_registered(void *ctx, const PGresult *result, const char *error)
{
    struct queue *q = ctx;

    if (error != NULL) {
        log_error("worker not registered", "why=\"%s\"", error);
        return;
    }
    q->worker_id = pg_get_int64(result, 0, 0);
    (void)!say_alive(q);
    tell_when_ready(q);
}

static void on_rest_given_back(void *ctx, const PGresult *result,
                               const char *error)
{
    struct queue *q = ctx;

    if (error == NULL && PQntuples(result) > 0) {
        log_info("batches let go that never arrived", "batches=%d",
                 PQntuples(result));
    }
    tell_when_ready(q);
}

/* Lets go of all batches of a worker but those that this one holds. */
static bool give_back_rest(struct queue *q, int64_t worker_id)
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

int64_t queue_worker_id(const struct queue *q)
{
    return q->worker_id;
}

bool queue_release_worker(struct queue *q, int64_t worker_id)
{
    return queue_is_ready(q) && give_back_rest(q, worker_id);
}

static void ask_registration(struct queue *q)
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

static void on_read_ready(void *ctx)
{
    struct queue *q = ctx;

    if (q->worker_id == 0) {
        ask_registration(q);
    } else if (q->is_taking_over) {
        tell_when_ready(q); /* it will be asked for again: keep it */
    } else {
        (void)!give_back_rest(q, q->worker_id);
    }
}

static void on_write_ready(void *ctx)
{
    tell_when_ready(ctx);
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
        ask_registration(q); /* it was refused; the reason may have gone */
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

/* ---- renew, give back, goodbye ------------------------------------------- */

static void on_renewed(void *ctx, const PGresult *result, const char *error)
{
    struct queue *q = ctx;
    struct map ours;

    q->is_renewing = false;
    if (error != NULL) {
        return; /* the next renewal comes before the lease runs out */
    }
    q->sure_until_ms = q->renewal_ms + q->settings.lease_ms;
    map_init(&ours);
    for (int row = 0; row < PQntuples(result); row++) {
        map_put_id(&ours, pg_get_int64(result, row, 0), q);
    }
    for (struct list_node *n = list_first(&q->held); n != NULL;
         n = list_after(&q->held, n)) {
        struct batch *b = LIST_OF(n, struct batch, leased);

        /* One without open letters may just be gone: it is being settled. */
        if (b->is_renewing && b->open_count > 0 &&
            map_get_id(&ours, b->id) == NULL) {
            log_warn("lease lost", "batch=%lld", (long long)b->id);
            b->is_lost = true;
        }
        b->is_renewing = false;
    }
    map_release(&ours);
}

static void ask_renewal(struct queue *q)
{
    struct pg_params p = {0};
    struct buf ids;
    struct buf epochs;

    buf_init(&ids, 0);
    buf_init(&epochs, 0);
    pg_array_begin(&ids, PG_TYPE_INT8, q->held.count);
    pg_array_begin(&epochs, PG_TYPE_INT8, q->held.count);
    for (struct list_node *n = list_first(&q->held); n != NULL;
         n = list_after(&q->held, n)) {
        struct batch *b = LIST_OF(n, struct batch, leased);

        b->is_renewing = true;
        pg_array_int64(&ids, b->id);
        pg_array_int64(&epochs, b->epoch);
    }
    pg_param_int64(&p, q->worker_id);
    pg_param_int32(&p, q->settings.lease_ms);
    pg_param_binary(&p, &ids);
    pg_param_binary(&p, &epochs);
    q->renewal_ms = clock_monotonic_ms();
    q->is_renewing =
        pg_query(q->reading, queue_sql("renew"), &p, on_renewed, q);
    buf_release(&ids);
    buf_release(&epochs);
}

void queue_renew(struct queue *q)
{
    if (queue_is_ready(q) && say_alive(q) && !list_is_empty(&q->held) &&
        !q->is_renewing) {
        ask_renewal(q);
    }
}

bool queue_is_sure(const struct queue *q)
{
    return clock_monotonic_ms() < q->sure_until_ms;
}

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
