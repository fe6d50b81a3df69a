/*
 * worker - one process that dispatches.
 *
 *     STARTING ──database, journal──▶ RUNNING ──SIGTERM──▶ STOPPING
 *                                        │  nothing left       │ all settled
 *                                        │  (--once)           ▼
 *                                        └──────────────▶ LEAVING ──▶ GONE
 *
 * A second SIGTERM, or SIGQUIT, leads to GONE from anywhere: what is in flight
 * is left to the journal.
 *
 * enter() is the only door. Decisions (route? lease? settle? leave?) are taken
 * once per turn of the loop, in on_turn, from the state of things; callbacks
 * only note what happened. A poll timer looks for work that nobody announced:
 * every router.poll_min while there is some, ever more slowly down to
 * router.poll_max when there is none.
 */
#include "engine/worker.h"

#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/service.h"
#include "engine/worker_inner.h"

enum {
    IDLE_SLOWDOWN = 240,
    SPARE_RECORDS = 8,
    HOUSE_EVERY_S = 60,
    BEAT_MS = 10000
};

static const char *const state_names[] = {
    [WORKER_STARTING] = "starting", [WORKER_RUNNING] = "running",
    [WORKER_STOPPING] = "stopping", [WORKER_LEAVING] = "leaving",
    [WORKER_GONE] = "gone",
};

static void enter(struct worker *w, enum worker_state state)
{
    log_debug("worker", "from=%s to=%s", state_names[w->state],
              state_names[state]);
    w->state = state;
}

/* ---- the pace of looking ----------------------------------------------- */

void worker_found_something(struct worker *w)
{
    w->found_ms = clock_monotonic_ms();
}

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
        enter(w, WORKER_STOPPING);
    }
}

static void on_queue_ready(void *ctx);

static void on_poll(struct ev_loop *loop, struct ev_timer *timer, int events)
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

/* ---- what the store tells ---------------------------------------------- */

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
    enter(w, WORKER_RUNNING);
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

static void on_router_ready(void *ctx)
{
    struct worker *w = ctx;

    for (int id = 1; id < 1024; id++) {
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

static void on_drift(void *ctx, const struct event *event, struct span key)
{
    struct worker *w = ctx;

    queue_note_drift(w->queue, event->type, key, event->id);
}

/* ---- turns -------------------------------------------------------------- */

static bool may_lease(const struct worker *w)
{
    size_t room = JOURNAL_BATCHES - SPARE_RECORDS;

    return w->wants_lease && !queue_is_leasing(w->queue) &&
           w->waiting_count < (size_t)w->settings->letters_ahead &&
           w->batches.count + queue_settling(w->queue) +
                   (size_t)w->settings->lease_batches <=
               room;
}

static void on_said_goodbye(void *ctx, bool is_heard)
{
    struct worker *w = ctx;

    if (is_heard) {
        recover_forget(w);
    }
    w->has_left = true;
    if (w->options.runs_once) {
        reporter_finish(w->reporter); /* nobody else may come to tell it */
    }
}

static void on_drained(void *ctx)
{
    (void)ctx; /* the next turn sees that nothing is in flight */
}

static void turn_running(struct worker *w)
{
    if (w->router != NULL) {
        router_turn(w->router, w->ahead > w->settings->route_ahead);
    }
    if (may_lease(w)) {
        w->wants_lease =
            queue_lease(w->queue, (size_t)w->settings->lease_batches) ||
            w->wants_lease;
    }
    if (w->waiting_count > 0) {
        pool_wake(w->pool);
    }
}

static void turn_stopping(struct worker *w)
{
    if (!ev_is_active(&w->grace)) {
        log_info("stopping", "waiting=%zu in_flight=%zu", w->waiting_count,
                 w->begun_count);
        ev_timer_set(&w->grace, w->settings->grace_ms / 1000.0 + 0.001, 0.0);
        ev_timer_start(w->loop, &w->grace);
        letters_put_back(w);
        fetching_stop(w);
        pool_drain(w->pool, on_drained);
    }
    if (w->begun_count == 0 && list_is_empty(&w->batches) &&
        queue_settling(w->queue) == 0 && !queue_is_leasing(w->queue) &&
        (w->router == NULL || !router_is_busy(w->router))) {
        enter(w, WORKER_LEAVING);
        queue_say_goodbye(w->queue, on_said_goodbye, w);
    }
}

static void turn_leaving(struct worker *w)
{
    if (w->has_left &&
        (!w->options.runs_once || reporter_is_finished(w->reporter))) {
        enter(w, WORKER_GONE);
        ev_break(w->loop, EVBREAK_ALL);
    }
}

static void on_turn(struct ev_loop *loop, struct ev_prepare *prepare,
                    int events)
{
    struct worker *w = prepare->data;

    (void)loop;
    (void)events;
    switch (w->state) {
    case WORKER_RUNNING: turn_running(w); break;
    case WORKER_STOPPING: turn_stopping(w); break;
    case WORKER_LEAVING: turn_leaving(w); break;
    case WORKER_STARTING:
    case WORKER_GONE: break;
    }
}

/* ---- timers and signals ------------------------------------------------ */

static void on_renew(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    struct worker *w = timer->data;

    (void)loop;
    (void)events;
    if (w->state < WORKER_LEAVING) { /* who has said goodbye is not alive */
        queue_renew(w->queue);
    }
}

static void on_house(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    struct worker *w = timer->data;

    (void)loop;
    (void)events;
    queue_keep_house(w->queue);
}

static void tell(struct worker *w)
{
    struct pool_stats counts;

    pool_counts(w->pool, &counts);
    stats_tell(&w->stats, w->waiting_count, w->begun_count,
               counts.counts.connections);
}

static void on_tell(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    struct worker *w = timer->data;
    uint64_t sent = w->stats.verdicts[VERDICT_SENT];

    (void)loop;
    (void)events;
    if (sent != w->stats.told_sent || w->waiting_count > 0) {
        tell(w);
    }
}

static void on_progress(struct ev_loop *loop, struct ev_timer *timer,
                        int events)
{
    const struct worker *w = timer->data;
    double seconds =
        (double)(clock_monotonic_ms() - w->stats.started_ms) / 1000.0;

    (void)loop;
    (void)events;
    fprintf(stderr, "  %6.1f s  %8llu sent  %6zu waiting  %5zu in flight\n",
            seconds, (unsigned long long)w->stats.verdicts[VERDICT_SENT],
            w->waiting_count, w->begun_count);
}

/* A sign of life; a worker without a parent speaks for itself. */
static void on_beat(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    struct worker *w = timer->data;
    const struct service_beat beat = {
        .is_ready = w->state >= WORKER_RUNNING,
        .sent = w->stats.verdicts[VERDICT_SENT],
        .waiting = w->waiting_count + w->begun_count,
    };

    (void)loop;
    (void)events;
    service_beat(w->options.service, w->options.index, &beat);
    if (w->options.parent_pid == 0) {
        service_tell(w->options.service);
    }
}

/* The grace time is over: lanes are cut; what had begun is unsure. */
static void on_grace(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    struct worker *w = timer->data;

    (void)events;
    if (w->begun_count > 0) {
        log_warn("grace time over, cutting connections", "in_flight=%zu",
                 w->begun_count);
        pool_kill(w->pool);
    }
    if (!queue_is_ready(w->queue)) {
        log_warn("leaving without the database: the journal and the leases "
                 "keep what was not settled",
                 "batches=%zu", queue_settling(w->queue));
        enter(w, WORKER_GONE);
        ev_break(loop, EVBREAK_ALL);
        return;
    }
    ev_timer_set(timer, 1.0, 0.0); /* and look again */
    ev_timer_start(loop, timer);
}

/* What is in flight is left to the journal, the rest to the leases. */
static void stop_at_once(struct worker *w)
{
    log_warn("stopping at once", "in_flight=%zu batches=%zu", w->begun_count,
             w->batches.count + queue_settling(w->queue));
    enter(w, WORKER_GONE);
    ev_break(w->loop, EVBREAK_ALL);
}

static void on_signal(struct ev_loop *loop, struct ev_signal *signal,
                      int events)
{
    struct worker *w = signal->data;

    (void)events;
    if (w->state == WORKER_STARTING) {
        enter(w, WORKER_GONE);
        ev_break(loop, EVBREAK_ALL);
    } else if (w->state == WORKER_RUNNING) {
        enter(w, WORKER_STOPPING);
    } else if (w->options.parent_pid == 0) {
        /* Asked twice. A child may get each from the terminal, or from systemd,
         * and from its parent: that tells it by SIGQUIT. */
        stop_at_once(w);
    }
    if (w->options.parent_pid == 0) {
        service_stopping(w->options.service);
    }
}

static void on_quit(struct ev_loop *loop, struct ev_signal *signal, int events)
{
    (void)loop;
    (void)events;
    stop_at_once(signal->data);
}

static void start_timer(struct worker *w, struct ev_timer *timer,
                        void (*callback)(struct ev_loop *, struct ev_timer *,
                                         int),
                        double seconds)
{
    ev_timer_init(timer, callback, seconds, seconds);
    timer->data = w;
    if (seconds > 0) {
        ev_timer_start(w->loop, timer);
    }
}

static void start_watchers(struct worker *w)
{
    start_timer(w, &w->poll, on_poll, w->settings->poll_min_ms / 1000.0);
    start_timer(w, &w->renew, on_renew,
                w->settings->lease_ms < 3 * BEAT_MS
                    ? w->settings->lease_ms / 3000.0
                    : BEAT_MS / 1000.0);
    start_timer(w, &w->house, on_house, HOUSE_EVERY_S);
    start_timer(w, &w->tell, on_tell, w->settings->stats_ms / 1000.0);
    start_timer(w, &w->progress, on_progress,
                w->options.has_progress ? 1.0 : 0.0);
    start_timer(w, &w->beat, on_beat,
                (double)service_period_ms(w->options.service) / 1000.0);
    ev_init(&w->grace, on_grace);
    w->grace.data = w;
    ev_prepare_init(&w->turn, on_turn);
    w->turn.data = w;
    ev_prepare_start(w->loop, &w->turn);
    ev_signal_init(&w->on_term, on_signal, SIGTERM);
    ev_signal_init(&w->on_int, on_signal, SIGINT);
    ev_signal_init(&w->on_quit, on_quit, SIGQUIT);
    w->on_term.data = w;
    w->on_int.data = w;
    w->on_quit.data = w;
    ev_signal_start(w->loop, &w->on_quit);
    ev_signal_start(w->loop, &w->on_term);
    ev_signal_start(w->loop, &w->on_int);
}

static void stop_watchers(struct worker *w)
{
    ev_timer_stop(w->loop, &w->poll);
    ev_timer_stop(w->loop, &w->renew);
    ev_timer_stop(w->loop, &w->house);
    ev_timer_stop(w->loop, &w->tell);
    ev_timer_stop(w->loop, &w->progress);
    ev_timer_stop(w->loop, &w->beat);
    ev_timer_stop(w->loop, &w->grace);
    ev_prepare_stop(w->loop, &w->turn);
    ev_signal_stop(w->loop, &w->on_term);
    ev_signal_stop(w->loop, &w->on_int);
    ev_signal_stop(w->loop, &w->on_quit);
}

/* ---- life --------------------------------------------------------------- */

enum { MEBIBYTE = 1024 * 1024 };

static struct queue *make_queue(struct worker *w)
{
    static const struct queue_hooks hooks = {on_queue_ready, on_batches,
                                             on_settled, on_parents};
    const struct queue_settings settings = {
        .dsn = w->settings->dsn,
        .lease_ms = w->settings->lease_ms,
        .payload_max = (size_t)w->settings->payload_max,
        .payload_budget = (size_t)w->settings->payload_max > 16 * MEBIBYTE
                              ? (size_t)w->settings->payload_max
                              : (size_t)16 * MEBIBYTE,
        .batch_memory = (size_t)24 * MEBIBYTE,
        .keep_all_replies = w->settings->ledger_replies == LEDGER_REPLIES_ALL,
        .parent_pid = w->options.parent_pid ? w->options.parent_pid : getpid(),
    };

    return queue_new(w->loop, &settings, &hooks, w);
}

static struct composer *make_composer(struct worker *w,
                                      const struct catalog *catalog)
{
    const struct composer_settings settings = settings_composer(w->settings);
    struct composer *composer = composer_new(&settings, catalog);

    composer_on_drift(composer, on_drift, w);
    return composer;
}

static bool make_pool(struct worker *w, struct problems *problems)
{
    w->pool = pool_new(w->loop, &worker_pool_ops, w);
    if (w->options.board != NULL) {
        pool_use_board(w->pool, w->options.board, w->options.index);
    }
    for (size_t i = 0; i < w->settings->relay_count; i++) {
        if (!pool_add_relay(w->pool, w->settings->relays[i], problems)) {
            return false;
        }
    }
    return true;
}

static bool worker_init(struct worker *w, const struct settings *settings,
                        const struct catalog *catalog,
                        const struct worker_options *options,
                        struct problems *problems)
{
    static const struct router_hooks router_hooks = {on_router_ready,
                                                     on_routed};

    *w = (struct worker){
        .settings = settings, .options = *options, .parents = 1};
    w->loop = ev_default_loop(EVFLAG_AUTO);
    w->retry = (struct retry_policy){
        .first_ms = settings->retry_first_ms,
        .max_ms = settings->retry_max_ms,
        .max_attempts = settings->retry_attempts,
        .give_up_ms = settings->give_up_ms,
    };
    srand48((long)clock_wall_us() ^ getpid());
    stats_start(&w->stats);
    list_init(&w->batches);
    for (int u = URGENCY_URGENT; u <= URGENCY_BULK; u++) {
        list_init(&w->waiting[u]);
    }
    w->found_ms = clock_monotonic_ms();
    w->composer = make_composer(w, catalog);
    w->queue = make_queue(w);
    if (settings->router_enabled) {
        w->router =
            router_new(w->loop, settings, catalog, &router_hooks, w, problems);
    }
    fetching_init(w, catalog);
    if (!make_pool(w, problems)) {
        return false;
    }
    w->reporter =
        reporter_new(w->loop, settings, catalog, w->pool, options->index == 0);
    return problems->errors == 0;
}

static void print_summary(const struct worker *w)
{
    const struct router_counts *c = w->router ? router_counts(w->router) : NULL;
    uint64_t steps = c && c->steps > 0 ? c->steps : 1;

    if (c != NULL) {
        fprintf(stderr,
                "  %llu events routed by %llu statements (%.1f events each) "
                "into %llu letters in %llu batches\n",
                (unsigned long long)c->events, (unsigned long long)c->steps,
                (double)c->events / (double)steps,
                (unsigned long long)c->letters, (unsigned long long)c->batches);
    }
    fprintf(stderr, "  %llu letters sent, %llu batches settled\n",
            (unsigned long long)w->stats.verdicts[VERDICT_SENT],
            (unsigned long long)w->stats.batches_settled);
}

static void worker_release(struct worker *w)
{
    pool_free(w->pool);
    reporter_free(w->reporter);
    fetching_stop(w);
    router_free(w->router);
    queue_free(w->queue, letters_release_batch);
    composer_free(w->composer);
    journal_close(w->journal);
}

int worker_run(const struct settings *settings, const struct catalog *catalog,
               const struct worker_options *options)
{
    struct worker w;
    struct problems problems;
    int status = EX_CONFIG;

    problems_init(&problems);
    if (worker_init(&w, settings, catalog, options, &problems)) {
        w.journal = recover_open(settings, options->index);
        start_watchers(&w);
        queue_start(w.queue);
        if (w.router != NULL) {
            router_start(w.router);
        }
        if (w.intake != NULL) {
            intake_start(w.intake);
        }
        pool_start(w.pool);
        reporter_start(w.reporter);
        ev_run(w.loop, 0);
        stop_watchers(&w);
        tell(&w);
        if (options->has_progress) {
            print_summary(&w);
        }
        status = EX_OK;
    }
    problems_print(&problems);
    problems_release(&problems);
    worker_release(&w);
    return status;
}
