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
 * worker_enter() is the only door. Here a worker is made, run and ended; what
 * the database tells it is in worker_store.c, what it decides, turn by turn of
 * the loop, in worker_turns.c.
 */
#include "engine/worker.h"

#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/plural.h"
#include "engine/worker_inner.h"

enum { MEBIBYTE = 1024 * 1024 };

static const char *const state_names[] = {
    [WORKER_STARTING] = "starting", [WORKER_RUNNING] = "running",
    [WORKER_STOPPING] = "stopping", [WORKER_LEAVING] = "leaving",
    [WORKER_GONE] = "gone",
};

void worker_enter(struct worker *w, enum worker_state state)
{
    log_debug("worker", "from=%s to=%s", state_names[w->state],
              state_names[state]);
    w->state = state;
}

static struct queue *make_queue(struct worker *w)
{
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

    return queue_new(w->loop, &settings, &worker_queue_hooks, w);
}

static struct composer *make_composer(struct worker *w,
                                      const struct catalog *catalog)
{
    const struct composer_settings settings = settings_composer(w->settings);
    struct composer *composer = composer_new(&settings, catalog);

    composer_on_drift(composer, worker_note_drift, w);
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
        w->router = router_new(w->loop, settings, catalog, &worker_router_hooks,
                               w, problems);
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
                "  %llu event%s routed by %llu statement%s (%.1f events each) "
                "into %llu letter%s in %llu batch%s\n",
                (unsigned long long)c->events, plural_s(c->events),
                (unsigned long long)c->steps, plural_s(c->steps),
                (double)c->events / (double)steps,
                (unsigned long long)c->letters, plural_s(c->letters),
                (unsigned long long)c->batches, plural_es(c->batches));
    }
    fprintf(stderr, "  %llu letter%s sent, %llu batch%s settled\n",
            (unsigned long long)w->stats.verdicts[VERDICT_SENT],
            plural_s(w->stats.verdicts[VERDICT_SENT]),
            (unsigned long long)w->stats.batches_settled,
            plural_es(w->stats.batches_settled));
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
        turns_start(&w);
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
        turns_stop(&w);
        worker_tell(&w);
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
