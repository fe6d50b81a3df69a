/*
 * router - decides when to route, how much at a time, and what to do when a
 * step fails.
 */
#include "engine/router.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/route.h"

enum {
    FANOUT_STEP = 10000,
    STEP_PAIRS = 50000,
    PASSED_BY_SHARE = 10, /* of router.ahead, for what was passed by */
    REST_MS = 1000,
};

/* What a step is about. */
enum work { WORK_PROMOTE, WORK_STEP, WORK_FANOUT, WORKS };

/* In the order of precedence: letters that are due have waited long, but
 * between two steps of them what has just happened has its turn; a giant event
 * waits for the gaps between small ones. */
static const enum work precedence[] = {WORK_PROMOTE, WORK_STEP, WORK_FANOUT};
static const enum work after_promote[] = {WORK_STEP, WORK_PROMOTE, WORK_FANOUT};

static const char *const work_names[] = {"promote", "route", "fanout"};

struct router {
    struct route *route;
    struct route_role *roles;
    struct route_type *types;
    struct arena names; /* what the types point to */
    struct router_hooks hooks;
    void *ctx;
    int64_t ahead_max; /* letters in batches */
    int64_t passed_by; /* letters of steps, since the last of those held */
    int step_max;
    int step_events; /* halved by an error, doubled by success */
    bool wants[WORKS];
    enum work work;          /* of the step under way */
    int64_t after_ms[WORKS]; /* not before: a failure that may last */
    char *skip_reason;       /* the next step skips one event */
    int passed_over;         /* fan-outs that have failed a short time ago */
    int64_t passed_until_ms; /* then they are tried again */
    struct router_counts counts;
};

/* ---- types, as the database wants them --------------------------------- */

/* Copies spans of the catalogue into C strings; all are freed together. */
static const char *keep_name(struct arena *a, struct span name)
{
    return name.len > 0 ? arena_strndup(a, name.ptr, name.len) : NULL;
}

static void fill_log(struct arena *a, struct route_type *t,
                     const struct contract_log *log)
{
    const char **users = arena_calloc(a, log->user_count + 1, sizeof(*users));

    t->log_project = keep_name(a, log->project);
    t->log_package = keep_name(a, log->package);
    t->log_request = keep_name(a, log->request);
    for (size_t i = 0; i < log->user_count; i++) {
        users[t->log_user_count++] = keep_name(a, log->users[i]);
    }
    t->log_users = users;
}

static void fill_type(struct arena *a, struct route_type *t,
                      const struct event_type *e)
{
    const struct contract *c = e->contract;
    const char **roles = arena_calloc(a, c->role_count + 1, sizeof(*roles));
    const char **required =
        arena_calloc(a, c->key_count + 1, sizeof(*required));

    t->name = keep_name(a, c->name);
    t->is_mailable = c->is_mailable && !c->is_abstract;
    t->is_gathered = c->batching == BATCHING_GATHER;
    t->gather_max = c->batching_max > 0 ? (int)c->batching_max : 50;
    t->window_ms =
        t->is_gathered && c->window_ms < INT32_MAX ? (int)c->window_ms : 0;
    t->urgency = c->urgency;
    t->originator_key = keep_name(a, c->originator);
    t->frequency = c->frequency;
    t->fault = e->fault;
    for (size_t i = 0; i < c->role_count; i++) {
        roles[t->role_count++] = keep_name(a, c->roles[i]);
    }
    for (size_t i = 0; i < c->key_count; i++) {
        if (c->keys[i].is_required) {
            required[t->required_count++] = keep_name(a, c->keys[i].name);
        }
    }
    t->roles = roles;
    t->required = required;
    fill_log(a, t, &c->log);
}

/* ---- hooks of store/route ---------------------------------------------- */

static void on_ready(void *ctx)
{
    struct router *r = ctx;

    r->step_events = r->step_max;
    r->wants[WORK_STEP] = true; /* look once, whatever the peeks say */
    r->hooks.on_ready(r->ctx);
}

static void on_fault(void *ctx, const char *what, const char *why)
{
    (void)ctx;
    log_error("an event type cannot be mailed; its events are set aside",
              "type=%s why=\"%s\"", what, why);
}

/* A step raised an error: smaller, and in the end without the culprit. Where
 * no event is to blame, the same again, after a rest. */
static void mend(struct router *r, const struct route_step *step)
{
    if (step->is_lost) {
        return; /* still wanted */
    }
    if (r->work == WORK_FANOUT && !step->is_blameless) {
        log_error("a fan-out failed, others go on", "why=\"%s\"", step->error);
        r->passed_over++;
        r->passed_until_ms = clock_monotonic_ms() + REST_MS;
        return;
    }
    if (r->work != WORK_STEP || r->skip_reason != NULL || step->is_blameless) {
        log_error("a routing step failed", "step=%s why=\"%s\"",
                  work_names[r->work], step->error);
        r->after_ms[r->work] = clock_monotonic_ms() + REST_MS;
        mem_free(r->skip_reason);
        r->skip_reason = NULL;
        return;
    }
    if (r->step_events > 1) {
        r->step_events /= 2;
        log_warn("a routing step failed, trying a smaller one",
                 "events=%d why=\"%s\"", r->step_events, step->error);
        return;
    }
    r->skip_reason = mem_strdup(step->error);
}

static void count(struct router *r, const struct route_step *step)
{
    r->counts.events += (uint64_t)step->events;
    r->counts.quarantined += (uint64_t)step->quarantined;
    r->counts.letters += (uint64_t)step->letters;
    r->counts.batches += (uint64_t)step->batches;
    r->counts.steps++;
    if (step->quarantined > 0) {
        log_warn("events set aside", "events=%lld see=\"postbatch stats\"",
                 (long long)step->quarantined);
    }
    if (step->unlogged > 0) {
        log_warn("events not in the project log: their payload does not say "
                 "where they belong",
                 "events=%lld see=postbatch.project_log_missing",
                 (long long)step->unlogged);
    }
}

static void on_step(void *ctx, const struct route_step *step)
{
    struct router *r = ctx;
    bool found = step->events > 0 || step->letters > 0;

    if (step->error != NULL) {
        mend(r, step);
        r->hooks.on_routed(r->ctx, 0, false);
        return;
    }
    mem_free(r->skip_reason);
    r->skip_reason = NULL;
    count(r, step);
    r->wants[r->work] = !step->is_finished && !step->is_locked_out;
    if (r->work == WORK_PROMOTE) {
        r->passed_by = 0;
    }
    if (r->work == WORK_STEP) {
        r->passed_by += step->letters;
        r->wants[WORK_FANOUT] |= step->fanouts > 0;
        if (r->step_events < r->step_max) {
            r->step_events = r->step_events * 2 < r->step_max
                                 ? r->step_events * 2
                                 : r->step_max;
        }
    }
    r->hooks.on_routed(r->ctx, step->letters, found);
}

/* Without a type that could render them, there are no digests. */
static int digest_max(const struct catalog *catalog)
{
    const struct event_type *digest = catalog_digest(catalog);

    return digest != NULL ? (int)digest->contract->batching_max : 1;
}

/* ---- life ------------------------------------------------------------------
 */

struct router *router_new(struct ev_loop *loop, const struct settings *settings,
                          const struct catalog *catalog,
                          const struct router_hooks *hooks, void *ctx,
                          struct problems *problems)
{
    static const struct route_hooks route_hooks = {on_ready, on_step, on_fault};
    const struct route_settings route_settings = {
        .dsn = settings->dsn,
        .step_events = settings->route_step,
        .step_pairs = STEP_PAIRS,
        .fanout_threshold = settings->fanout_threshold,
        .fanout_step = FANOUT_STEP,
        .digest_max = digest_max(catalog),
        .digest_hour = settings->digest_hour,
        .digest_weekday = settings->digest_weekday,
        .digest_time_zone = settings->digest_time_zone,
    };
    struct router *r = mem_calloc(1, sizeof(*r));
    size_t type_count = 0;

    arena_init(&r->names, 16 * 1024, 0);
    r->hooks = *hooks;
    r->ctx = ctx;
    r->ahead_max = settings->route_ahead;
    r->step_max = settings->route_step;
    r->roles = route_roles_load(settings->roles_path, problems);
    r->types = mem_calloc(catalog_count(catalog) + 1, sizeof(*r->types));
    for (size_t i = 0; i < catalog_count(catalog); i++) {
        const struct event_type *e = catalog_at(catalog, i);

        if (!e->contract->is_abstract) {
            fill_type(&r->names, &r->types[type_count++], e);
        }
    }
    r->route = route_new(loop, &route_settings, r->types, type_count, r->roles,
                         &route_hooks, r);
    return r;
}

void router_start(struct router *r)
{
    route_start(r->route);
}

void router_free(struct router *r)
{
    if (r == NULL) {
        return;
    }
    route_free(r->route);
    route_roles_free(r->roles);
    arena_release(&r->names);
    mem_free(r->types);
    mem_free(r->skip_reason);
    mem_free(r);
}

/* ---- turns ------------------------------------------------------------------
 */

bool router_is_ready(const struct router *r)
{
    return route_is_ready(r->route);
}

bool router_is_busy(const struct router *r)
{
    return route_is_busy(r->route);
}

void router_want(struct router *r)
{
    r->wants[WORK_STEP] = true;
}

void router_want_promote(struct router *r)
{
    r->wants[WORK_PROMOTE] = true;
}

void router_want_fanout(struct router *r)
{
    r->wants[WORK_FANOUT] = true;
}

bool router_has_work(const struct router *r)
{
    for (enum work work = 0; work < WORKS; work++) {
        if (r->wants[work]) {
            return true;
        }
    }
    return router_is_busy(r);
}

/* How many more letters this work may add to those that wait in batches. The
 * many of digests and giants leave half the room to what has just happened. A
 * backlog of events would fill that for hours: when as many have passed by what
 * is due, which may be urgent, a few of it may go beyond. */
static int64_t room(const struct router *r, enum work work, int64_t ahead)
{
    int64_t half = r->ahead_max / 2;

    if (work == WORK_STEP) {
        return r->ahead_max - ahead;
    }
    if (work == WORK_PROMOTE && r->passed_by >= half && ahead >= half &&
        ahead < r->ahead_max) {
        return r->ahead_max / PASSED_BY_SHARE;
    }
    return half - ahead;
}

static bool begin(struct router *r, enum work work, int64_t ahead)
{
    r->work = work;
    switch (work) {
    case WORK_PROMOTE: return route_run_promote(r->route, room(r, work, ahead));
    case WORK_STEP:
        return r->skip_reason != NULL
                   ? route_run_skip(r->route, r->skip_reason)
                   : route_run_step(r->route, r->step_events);
    case WORK_FANOUT:
        if (clock_monotonic_ms() >= r->passed_until_ms) {
            r->passed_over = 0;
        }
        return route_run_fanout(r->route, r->passed_over);
    case WORKS: break;
    }
    return false;
}

bool router_turn(struct router *r, int64_t ahead)
{
    const enum work *order =
        r->work == WORK_PROMOTE ? after_promote : precedence;
    int64_t now_ms = clock_monotonic_ms();

    if (!router_is_ready(r) || router_is_busy(r)) {
        return false;
    }
    for (int i = 0; i < WORKS; i++) {
        if (r->wants[order[i]] && now_ms >= r->after_ms[order[i]] &&
            room(r, order[i], ahead) > 0) {
            return begin(r, order[i], ahead);
        }
    }
    return false;
}

const char *router_role_name(const struct router *r, int role_id)
{
    const char *name = route_role_name(r->route, role_id);

    return name ? name : "";
}

const struct router_counts *router_counts(const struct router *r)
{
    return &r->counts;
}
