/*
 * worker_turns - the worker's turns, its timers and its signals.
 *
 * Decisions (route? lease? settle? leave?) are taken once per turn of the
 * loop, in on_turn, from the state of things; who calls back only notes.
 */
#include <signal.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "engine/service.h"
#include "engine/worker_inner.h"

enum { SPARE_RECORDS = 8, HOUSE_EVERY_S = 60, BEAT_MS = 10000 };

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
        router_turn(w->router, w->ahead);
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
        worker_enter(w, WORKER_LEAVING);
        queue_say_goodbye(w->queue, on_said_goodbye, w);
    }
}

static void turn_leaving(struct worker *w)
{
    if (w->has_left &&
        (!w->options.runs_once || reporter_is_finished(w->reporter))) {
        worker_enter(w, WORKER_GONE);
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

void worker_tell(struct worker *w)
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
        worker_tell(w);
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
        worker_enter(w, WORKER_GONE);
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
    worker_enter(w, WORKER_GONE);
    ev_break(w->loop, EVBREAK_ALL);
}

static void on_signal(struct ev_loop *loop, struct ev_signal *signal,
                      int events)
{
    struct worker *w = signal->data;

    (void)events;
    if (w->state == WORKER_STARTING) {
        worker_enter(w, WORKER_GONE);
        ev_break(loop, EVBREAK_ALL);
    } else if (w->state == WORKER_RUNNING) {
        worker_enter(w, WORKER_STOPPING);
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

void turns_start(struct worker *w)
{
    start_timer(w, &w->poll, worker_on_poll, w->settings->poll_min_ms / 1000.0);
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

void turns_stop(struct worker *w)
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
