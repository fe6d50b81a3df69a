/*
 * intake - fetches notifications from a source and keeps them as events.
 *
 *     AWAY ──on_ready──▶ CLAIMING ──ours──▶ FETCHING ──answer──▶ KEEPING
 *                         │    ▲             ▲    │                │
 *               another's ▼    │ timer       │    │ error          │ written
 *                     STANDING_BY            │    ▼                │
 *                                            └─ RESTING ◀──────────┘
 *
 * From KEEPING it goes to FETCHING at once while there is more, and back to
 * CLAIMING when somebody else has moved the cursor; from any state to AWAY
 * when the database is lost; with runs_once every way ends in OVER.
 * intake_enter() is the only door: leaving a state ends what was under way.
 * What is done about failures is in intake_trouble.c.
 */
#include "engine/intake.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/intake_event.h"
#include "engine/intake_inner.h"
#include "engine/intake_step.h"

enum {
    STANDBY_MS = 5000,     /* or one period, where that is less */
    STANDBY_ONCE_MS = 200, /* what was killed may hold the lock a moment */
    STANDBY_TRIES = 10,
    HOLD_PAUSE_MS = 1000, /* at busy times: an answer a second, not an event */
};

static const char *const state_names[] = {
    [INTAKE_AWAY] = "away",
    [INTAKE_CLAIMING] = "claiming",
    [INTAKE_STANDING_BY] = "standing by",
    [INTAKE_FETCHING] = "fetching",
    [INTAKE_KEEPING] = "keeping",
    [INTAKE_RESTING] = "resting",
    [INTAKE_OVER] = "over",
};

void intake_enter(struct intake *i, enum intake_state state)
{
    log_debug("intake", "source=%s from=\"%s\" to=\"%s\"", i->settings.source,
              state_names[i->state], state_names[state]);
    if (i->call != NULL) {
        web_call_cancel(i->call);
        i->call = NULL;
    }
    ev_timer_stop(i->loop, &i->timer);
    i->state = state;
}

static void end(struct intake *i, enum intake_end end)
{
    intake_enter(i, INTAKE_OVER);
    if (i->hooks.on_end != NULL) {
        i->hooks.on_end(i->ctx, end);
    }
}

void intake_wait(struct intake *i, enum intake_state state, int64_t ms)
{
    intake_enter(i, state);
    ev_now_update(i->loop); /* what has been done may have taken its time */
    ev_timer_set(&i->timer, (double)(ms > 0 ? ms : 0) / 1000.0, 0.0);
    ev_timer_start(i->loop, &i->timer);
}

static void claim(struct intake *i)
{
    intake_enter(i, INTAKE_CLAIMING);
    i->next = 0;
    cursor_claim(i->cursor);
}

/* ---- what the database tells --------------------------------------------- */

static void on_noted(void *ctx)
{
    struct intake *i = ctx;

    if (i->settings.runs_once && i->state != INTAKE_OVER) {
        end(i, INTAKE_FAILED);
    }
}

static void on_failed(void *ctx, const char *why)
{
    intake_fail_to_keep(ctx, why);
}

static void on_lost(void *ctx, const char *why)
{
    struct intake *i = ctx;

    (void)why; /* logged where it was lost */
    i->next = 0;
    if (i->state == INTAKE_OVER) {
        return;
    }
    if (i->settings.runs_once) {
        end(i, INTAKE_FAILED);
    } else {
        intake_enter(i, INTAKE_AWAY);
    }
}

/* ---- the right to poll --------------------------------------------------- */

static void on_ready(void *ctx)
{
    struct intake *i = ctx;

    if (i->state == INTAKE_AWAY) {
        claim(i);
    }
}

static void stand_by(struct intake *i, struct span owner)
{
    if (!i->was_told_taken) {
        log_info("another process fetches", "source=%s owner=%.*s",
                 i->settings.source, SPAN_ARG(owner));
        i->was_told_taken = true;
    }
    if (i->settings.runs_once && ++i->standby_tries > STANDBY_TRIES) {
        end(i, INTAKE_TAKEN);
    } else {
        intake_wait(i, INTAKE_STANDING_BY,
                    i->settings.runs_once
                        ? STANDBY_ONCE_MS
                        : intake_least(i->settings.every_ms, STANDBY_MS));
    }
}

static void on_claimed(void *ctx, const struct cursor_claim *claim)
{
    struct intake *i = ctx;

    if (i->state != INTAKE_CLAIMING) {
        return;
    }
    if (!claim->is_ours) {
        stand_by(i, claim->owner);
        return;
    }
    i->was_told_taken = false;
    if (claim->next > 0 && i->settings.start > 0) {
        if (claim->next != i->settings.start) { /* else we may have put it */
            log_info("the source was read before: it goes on where it stands",
                     "source=%s cursor=%lld", i->settings.source,
                     (long long)claim->next);
        }
        i->settings.start = 0; /* said once */
    }
    i->next = claim->next;
    if (i->next == 0 && i->settings.start > 0) {
        log_info("the source is read for the first time", "source=%s from=%lld",
                 i->settings.source, (long long)i->settings.start);
        cursor_begin(i->cursor, i->settings.start);
        return;
    }
    intake_fetch(i); /* without a cursor: asks where the end is */
}

void intake_begin_at_end(struct intake *i)
{
    log_info("the source is read for the first time, what is there already is "
             "left out",
             "source=%s from=%lld", i->settings.source,
             (long long)i->answer.next);
    intake_enter(i, INTAKE_CLAIMING);
    cursor_begin(i->cursor, i->answer.next);
}

/* ---- keeping ------------------------------------------------------------- */

void intake_keep(struct intake *i)
{
    struct cursor_step step;
    struct buf why;

    buf_init(&why, 0);
    if (intake_step_make(&step, i->catalog, i->next, &i->answer, &why)) {
        intake_enter(i, INTAKE_KEEPING);
        cursor_keep(i->cursor, &step);
        cursor_step_release(&step);
        i->step = step;
    } else {
        intake_fail(i, buf_cstr(&why));
    }
    buf_release(&why);
}

/* What was fetched is durable: what now? */
static void go_on(struct intake *i)
{
    bool has_moved = i->step.next > i->step.from;
    int64_t took_ms = clock_monotonic_ms() - i->began_ms;
    int64_t pause_ms = intake_least(i->settings.every_ms, HOLD_PAUSE_MS);

    if (i->answer.is_limit_reached && has_moved) {
        intake_fetch(i);
    } else if (i->settings.runs_once) {
        end(i, INTAKE_ALL_READ);
    } else if (!i->settings.holds) {
        intake_wait(i, INTAKE_RESTING, i->settings.every_ms - took_ms);
    } else if (has_moved || i->is_held) {
        i->may_hold = !i->is_held || has_moved;
        intake_wait(i, INTAKE_RESTING, pause_ms);
    } else {
        i->may_hold = true;
        intake_fetch(i);
    }
}

static void on_kept(void *ctx, const struct cursor_kept *kept)
{
    struct intake *i = ctx;

    if (i->state != INTAKE_KEEPING) {
        return;
    }
    if (!kept->is_kept) {
        log_warn("somebody else has moved the cursor: what was fetched is "
                 "thrown away",
                 "source=%s cursor=%lld", i->settings.source,
                 (long long)i->step.from);
        claim(i);
        return;
    }
    i->next = i->step.next;
    intake_tell_well(i);
    i->counts.answers++;
    i->counts.events += (uint64_t)kept->events;
    i->counts.gaps += i->step.gap != GAP_NONE;
    intake_step_tell(i->settings.source, &i->step);
    if (kept->new_unknown.len > 0) {
        log_warn("notifications of a new type that no event type is called "
                 "after; they are kept",
                 "source=%s types=\"%.*s\" as=" INTAKE_UNKNOWN
                 " see=postbatch.intake_unknown",
                 i->settings.source, SPAN_ARG(kept->new_unknown));
    }
    if (kept->events > 0) {
        i->hooks.on_events(i->ctx, kept->events);
    }
    go_on(i);
}

static void on_timer(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    struct intake *i = timer->data;

    (void)loop;
    (void)events;
    if (i->next > 0) {
        intake_fetch(i);
    } else {
        claim(i);
    }
}

/* ---- life ---------------------------------------------------------------- */

struct intake_settings intake_settings_of(const struct settings *settings)
{
    return (struct intake_settings){
        .dsn = settings->dsn,
        .source = settings->intake_source,
        .url = settings->intake_obs_url,
        .ca_file = settings->intake_ca_file[0] != '\0'
                       ? settings->intake_ca_file
                       : NULL,
        .view = (enum obs_view)settings->intake_view,
        .holds = settings->intake_block,
        .start = settings->intake_start,
        .every_ms = settings->intake_every_ms,
        .timeout_ms = settings->intake_timeout_ms,
        .hold_timeout_ms = settings->intake_block_timeout_ms,
        .answer_max = (size_t)settings->intake_answer_max,
    };
}

struct intake *intake_new(struct ev_loop *loop,
                          const struct intake_settings *settings,
                          const struct catalog *catalog,
                          const struct intake_hooks *hooks, void *ctx)
{
    static const struct cursor_hooks cursor_hooks = {
        on_ready, on_lost, on_claimed, on_kept, on_noted, on_failed};
    struct intake *i = mem_calloc(1, sizeof(*i));

    i->loop = loop;
    i->settings = *settings;
    i->catalog = catalog;
    i->hooks = *hooks;
    i->ctx = ctx;
    i->client = web_client_new(loop);
    i->cursor =
        cursor_new(loop, settings->dsn, settings->source, &cursor_hooks, i);
    obs_answer_init(&i->answer, 2 * settings->answer_max);
    ev_init(&i->timer, on_timer);
    i->timer.data = i;
    return i;
}

void intake_start(struct intake *i)
{
    cursor_start(i->cursor);
}

void intake_free(struct intake *i)
{
    if (i == NULL) {
        return;
    }
    ev_timer_stop(i->loop, &i->timer);
    web_client_free(i->client);
    cursor_free(i->cursor);
    obs_answer_release(&i->answer);
    mem_free(i);
}

bool intake_is_over(const struct intake *i)
{
    return i->state == INTAKE_OVER;
}

const struct intake_counts *intake_counts(const struct intake *i)
{
    return &i->counts;
}
