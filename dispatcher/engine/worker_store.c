/*
 * worker_store - what the database tells the worker, and when it is asked.
 *
 * The hooks of queue and router only note what came: the next turn decides. A
 * poll timer looks for work that nobody announced: every router.poll_min while
 * there is some, ever more slowly down to router.poll_max when there is none.
 */
#include "base/clock.h"
#include "base/log.h"
#include "engine/worker_inner.h"
#include "store/route.h"

enum { IDLE_SLOWDOWN = 240 };

void worker_found_something(struct worker *w)
{
    w->found_ms = clock_monotonic_ms();
}

/* ---- what the queue tells ------------------------------------------------ */

/* What the earlier life had leased and never seen is not in its journal. */
static void succeed(struct worker *w)
{
    int64_t own = queue_worker_id(w->queue);
    int64_t before = journal_owner(w->journal);

    if (before == 0 || before == own ||
        queue_release_worker(w->queue, before)) {
        journal_set_owner(w->journal, own);
    }
}

static void start_running(struct worker *w)
{
    if (w->journal != NULL) {
        succeed(w);
    }
    w->wants_lease = true;
    worker_enter(w, WORKER_RUNNING);
}

static void on_queue_ready(void *ctx)
{
    struct worker *w = ctx;

    /* A take-over that is under way ends in on_batches. */
    if (w->state == WORKER_STARTING && !queue_is_leasing(w->queue) &&
        !recover_begin(w)) {
        start_running(w);
    }
}

static void on_batches(void *ctx, struct batch **batches, size_t count,
                       bool is_failed)
{
    struct worker *w = ctx;

    if (is_failed) {
        return; /* leased again, or recovered by on_poll, after a pause */
    }
    if (w->state == WORKER_STARTING) {
        recover_end(w, batches, count);
        start_running(w);
    } else {
        w->wants_lease = count >= (size_t)w->settings->lease_batches;
    }
    if (count > 0) {
        worker_found_something(w);
    }
    w->stats.batches_leased += count;
    for (size_t i = 0; i < count; i++) {
        struct batch *b = batches[i];

        if (w->journal != NULL && b->record == NULL) {
            b->record =
                journal_add(w->journal, b->id, b->epoch, b->letter_count);
        }
        letters_take(w, b);
    }
    if (w->state >= WORKER_STOPPING) {
        letters_put_back(w);
    }
    pool_wake(w->pool);
}

static void on_settled(void *ctx, struct batch *batch,
                       enum settle_result result)
{
    struct worker *w = ctx;

    if (result == SETTLE_AGAIN) {
        queue_settle(w->queue, batch);
        return;
    }
    if (batch->record != NULL) {
        journal_remove(batch->record);
    }
    if (result == SETTLE_DONE) {
        w->stats.batches_settled++;
    } else {
        w->stats.batches_lost++;
    }
    for (uint32_t i = 0; i < batch->letter_count; i++) {
        const struct letter *l = &batch->letters[i];

        /* Due at once: look for them without waiting for a poll. */
        w->wants_lease |= l->is_requeued && l->due_in_ms == 0;
    }
    letters_release_batch(batch);
}

static void on_parents(void *ctx, int count)
{
    struct worker *w = ctx;

    if (count != w->parents) {
        log_info("relays are shared", "parts=%d", count);
        w->parents = count;
    }
    pool_set_share(w->pool, count);
}

const struct queue_hooks worker_queue_hooks = {on_queue_ready, on_batches,
                                               on_settled, on_parents};

/* ---- what the router tells ----------------------------------------------- */

static void on_router_ready(void *ctx)
{
    struct worker *w = ctx;

    for (int id = 1; id < ROLE_IDS_MAX; id++) {
        const char *name = router_role_name(w->router, id);

        if (name[0] != '\0') {
            composer_set_role(w->composer, id, name);
        }
    }
}

static void on_routed(void *ctx, int64_t letters, bool found)
{
    struct worker *w = ctx;

    w->ahead += letters;
    w->wants_lease |= letters > 0;
    if (found) {
        w->routed_something = true;
        worker_found_something(w);
    }
}

const struct router_hooks worker_router_hooks = {on_router_ready, on_routed};

/* ---- keys that no contract lists ----------------------------------------- */

void worker_note_drift(void *ctx, const struct event *event, struct span key)
{
    struct worker *w = ctx;

    queue_note_drift(w->queue, event->type, key, event->id);
}

/* ---- looking ------------------------------------------------------------- */

/* The time between two looks grows with the time since something was found:
 * 50 ms after 12 s, 250 ms after a minute. */
static double poll_seconds(const struct worker *w)
{
    int64_t idle_ms = clock_monotonic_ms() - w->found_ms;
    int64_t wait_ms = idle_ms / IDLE_SLOWDOWN;

    if (wait_ms < w->settings->poll_min_ms) {
        wait_ms = w->settings->poll_min_ms;
    }
    if (wait_ms > w->settings->poll_max_ms) {
        wait_ms = w->settings->poll_max_ms;
    }
    return (double)wait_ms / 1000.0;
}

static bool is_idle(const struct worker *w)
{
    return w->waiting_count == 0 && w->begun_count == 0 &&
           list_is_empty(&w->batches) && queue_settling(w->queue) == 0 &&
           !queue_is_leasing(w->queue) && !w->wants_lease &&
           (w->intake == NULL || intake_is_over(w->intake)) &&
           (w->router == NULL ||
            (router_is_ready(w->router) && !router_has_work(w->router)));
}

static void on_peeked(void *ctx, const struct queue_sight *sight)
{
    struct worker *w = ctx;

    w->ahead = sight->waiting;
    if (sight->is_ahead && !w->has_told_ahead) {
        log_error("the database was restored from a dump: its transaction "
                  "ids mean nothing here, nothing can be routed",
                  "mend=\"run sql/queries/reseat.sql while no worker runs\"");
    }
    w->has_told_ahead = sight->is_ahead;
    if (sight->is_ahead) {
        return;
    }
    if (sight->has_due) {
        w->wants_lease = true;
        worker_found_something(w);
    }
    if (w->router != NULL && sight->has_events) {
        router_want(w->router);
    }
    if (w->router != NULL && sight->has_held) {
        router_want_promote(w->router);
    }
    if (w->router != NULL && sight->has_fanouts) {
        router_want_fanout(w->router);
    }
    if (w->options.runs_once && w->state == WORKER_RUNNING && !sight->has_due &&
        !sight->has_events && !sight->has_fanouts && !sight->has_held &&
        is_idle(w)) {
        worker_enter(w, WORKER_STOPPING);
    }
}

void worker_on_poll(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    struct worker *w = timer->data;

    (void)events;
    if (w->state == WORKER_RUNNING) {
        if (w->router != NULL && w->routed_something) {
            router_want(w->router); /* there were events: just look */
            w->routed_something = false;
        }
        /* Not while a look is under way or the database is away. */
        (void)!queue_peek(w->queue, on_peeked, w);
    } else if (w->state == WORKER_STARTING && queue_is_ready(w->queue) &&
               !queue_is_leasing(w->queue)) {
        on_queue_ready(w); /* the first try failed */
    }
    timer->repeat = poll_seconds(w);
    ev_timer_again(loop, timer);
}
