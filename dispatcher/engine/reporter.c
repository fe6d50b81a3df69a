/*
 * reporter - errors go where people look.
 *
 *     tick ──▶ look ──▶ claim, for each backend that is on and not at rest
 *                         │
 *                         ▼
 *                      deliveries ──▶ delivery_end: settled, more claimed
 *
 * A delivery that fails gives its report back, due again after a while that
 * grows with the tries, and lets the backend rest: what waits behind it would
 * fare the same.
 */
#include "engine/reporter.h"

#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/reporter_inner.h"

enum { RETRY_MAX_MS = 10 * 60 * 1000, LEASE_SPARE_MS = 60 * 1000 };

static const double FINISH_S = 10.0;

/* ---- claims and deliveries --------------------------------------------- */

static void claim_for(struct backend *b)
{
    struct reporter *r = b->reporter;
    int room = b->kind->most - (int)b->deliveries.count;

    if (!b->is_on || b->is_asking || room <= 0 ||
        clock_monotonic_ms() < b->rested_ms) {
        return;
    }
    b->has_more = false;
    b->is_asking = alarms_claim(r->alarms, b->kind->name, room);
}

static void claim_for_all(struct reporter *r)
{
    for (size_t i = 0; i < BACKEND_COUNT; i++) {
        claim_for(&r->backends[i]);
    }
}

static int64_t retry_ms(const struct reporter *r, int tries)
{
    int64_t ms = r->settings->report_retry_ms;

    for (int i = 1; i < tries && ms < RETRY_MAX_MS; i++) {
        ms *= 2;
    }
    return ms < RETRY_MAX_MS ? ms : RETRY_MAX_MS;
}

static void delivery_free(struct delivery *d)
{
    list_remove(&d->backend->deliveries, &d->node);
    mem_free(d->cause);
    mem_free(d);
}

void delivery_end(struct delivery *d, enum telling telling)
{
    struct backend *b = d->backend;
    struct reporter *r = b->reporter;
    int64_t again_ms = retry_ms(r, d->tries);

    switch (telling) {
    case TELLING_DONE: alarms_settle(r->alarms, d->claim, -1); break;
    case TELLING_AGAIN:
        alarms_settle(r->alarms, d->claim, again_ms);
        b->rested_ms = clock_monotonic_ms() + r->settings->report_retry_ms;
        break;
    }
    delivery_free(d);
    if (b->has_more && list_is_empty(&b->deliveries)) {
        claim_for(b);
    }
}

/* "obs/BuildFail/contract.json" without the folders that differ by host. */
static const char *short_path(const char *path)
{
    const char *from = path;
    int slashes = 0;

    for (const char *p = path + strlen(path); p > path && slashes < 2; p--) {
        slashes += p[-1] == '/';
        from = slashes < 2 ? p - 1 : p;
    }
    return from;
}

/* What only a program with the templates at hand can add. */
static void complete(const struct reporter *r, struct report *report)
{
    const struct event_type *type = NULL;

    if (report->file == NULL && strcmp(report->component, "contract") == 0) {
        type = catalog_find(r->catalog, span_of(report->action));
    }
    if (type != NULL && type->contract->file != NULL) {
        report->file = short_path(type->contract->file);
    }
}

static void deliver(struct backend *b, const struct alarms_claim *claim)
{
    struct delivery *d = mem_calloc(1, sizeof(*d));
    struct report report = claim->report;

    complete(b->reporter, &report);
    d->backend = b;
    d->claim = claim->id;
    d->tries = claim->tries;
    d->cause = mem_strdup(claim->report.cause);
    list_append(&b->deliveries, &d->node);
    b->kind->tell(d, &report);
}

static void on_claimed(void *ctx, const char *backend,
                       const struct alarms_claim *claims, size_t count)
{
    struct reporter *r = ctx;
    struct backend *b = r->backends;

    while (b->kind->name != backend) {
        b++;
    }
    b->is_asking = false;
    b->has_more = count > 0;
    for (size_t i = 0; i < count; i++) {
        b->has_more = i + 1 == count; /* one that ends at once asks then */
        deliver(b, &claims[i]);
    }
}

/* ---- looking ----------------------------------------------------------- */

static void look(struct reporter *r)
{
    bool is_last = r->finish == FINISH_WANTED;

    if (r->looks && alarms_is_ready(r->alarms) &&
        alarms_look(r->alarms, is_last) && is_last) {
        r->finish = FINISH_LOOKING;
    }
}

static void on_ready(void *ctx)
{
    struct reporter *r = ctx;

    if (r->finish == FINISH_LOOKING) {
        r->finish = FINISH_WANTED; /* the connection broke meanwhile */
    }
    look(r);
}

static void on_looked(void *ctx)
{
    struct reporter *r = ctx;

    if (r->finish == FINISH_WANTED) {
        look(r);
    } else if (r->finish == FINISH_LOOKING && alarms_is_ready(r->alarms)) {
        r->finish = FINISH_TELLING;
    }
    if (r->looks) {
        claim_for_all(r);
    }
}

static void on_tick(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    struct reporter *r = timer->data;

    (void)loop;
    (void)events;
    reporter_look_at_relays(r);
    look(r);
}

/* ---- raising ----------------------------------------------------------- */

void reporter_raise(struct reporter *r, const struct report *report)
{
    alarms_raise(r->alarms, report);
}

void reporter_resolve(struct reporter *r, const char *cause)
{
    alarms_resolve(r->alarms, cause);
}

/* ---- finishing --------------------------------------------------------- */

static void on_deadline(struct ev_loop *loop, struct ev_timer *timer,
                        int events)
{
    struct reporter *r = timer->data;

    (void)loop;
    (void)events;
    log_warn("reports are left for the next run", "waited_s=%.0f", FINISH_S);
    r->finish = FINISH_DONE;
}

static bool is_outside(const struct reporter *r)
{
    return r->backends[BACKEND_ERRBIT].is_on ||
           r->backends[BACKEND_COMMAND].is_on;
}

void reporter_finish(struct reporter *r)
{
    if (r->finish != FINISH_NOT) {
        return;
    }
    if (!r->looks || !is_outside(r)) {
        r->finish = FINISH_DONE; /* what is left can as well be found later */
        return;
    }
    r->finish = FINISH_WANTED;
    ev_timer_set(&r->deadline, FINISH_S, 0.0);
    ev_timer_start(r->loop, &r->deadline);
    look(r);
}

bool reporter_is_finished(const struct reporter *r)
{
    bool is_busy = alarms_pending(r->alarms) > 0;

    for (size_t i = 0; i < BACKEND_COUNT; i++) {
        is_busy |= r->backends[i].is_asking ||
                   !list_is_empty(&r->backends[i].deliveries);
    }
    return r->finish == FINISH_DONE ||
           (r->finish == FINISH_TELLING && !is_busy);
}

/* ---- life -------------------------------------------------------------- */

static struct alarms *make_alarms(struct reporter *r)
{
    static const struct alarms_hooks hooks = {on_ready, on_looked, on_claimed};
    const struct settings *s = r->settings;
    const struct alarms_settings settings = {
        .dsn = s->dsn,
        .period_ms = s->report_period_ms - s->report_period_ms / 10,
        .quiet_ms = s->report_quiet_ms,
        .settle_ms = s->report_settle_ms,
        .repeat_ms = s->report_repeat_ms,
        .waiting_ms = s->report_waiting_ms,
        .lease_ms = (int64_t)s->errbit_timeout_ms +
                    s->report_command_timeout_ms + LEASE_SPARE_MS,
        .per_minute = s->report_per_minute,
    };

    return alarms_new(r->loop, &settings, &hooks, r);
}

static void make_backends(struct reporter *r)
{
    const struct settings *s = r->settings;

    for (size_t i = 0; i < BACKEND_COUNT; i++) {
        r->backends[i].kind = &backend_kinds[i];
        r->backends[i].reporter = r;
        list_init(&r->backends[i].deliveries);
    }
    r->backends[BACKEND_LOG].is_on = true;
    if (r->looks && s->errbit_url[0] != '\0') {
        r->client = web_client_new(r->loop);
        r->errbit = settings_errbit(s, r->host);
        r->backends[BACKEND_ERRBIT].is_on = true;
    }
    if (r->looks && s->report_command[0] != '\0') {
        const struct hook_settings hook = settings_hook(s, r->host);

        r->hook = hook_new(r->loop, &hook);
        r->backends[BACKEND_COMMAND].is_on = true;
    }
}

struct reporter *reporter_new(struct ev_loop *loop,
                              const struct settings *settings,
                              const struct catalog *catalog, struct pool *pool,
                              bool looks)
{
    struct reporter *r = mem_calloc(1, sizeof(*r));

    r->loop = loop;
    r->settings = settings;
    r->catalog = catalog;
    r->pool = pool;
    r->looks = looks;
    gethostname(r->host, sizeof(r->host) - 1);
    r->alarms = make_alarms(r);
    make_backends(r);
    r->relays = mem_calloc(pool_relay_count(pool) + 1, sizeof(*r->relays));
    for (size_t i = 0; looks && i < pool_relay_count(pool); i++) {
        r->relays[i].is_suspect = true; /* an earlier life may have raised */
    }
    ev_init(&r->tick, on_tick);
    r->tick.repeat = settings->report_period_ms / 1000.0;
    r->tick.data = r;
    ev_init(&r->deadline, on_deadline);
    r->deadline.data = r;
    return r;
}

void reporter_start(struct reporter *r)
{
    if (r->looks) {
        alarms_start(r->alarms);
    }
    ev_timer_again(r->loop, &r->tick);
}

void reporter_free(struct reporter *r)
{
    if (r == NULL) {
        return;
    }
    alarms_free(r->alarms);
    web_client_free(r->client);
    hook_free(r->hook);
    for (size_t i = 0; i < BACKEND_COUNT; i++) {
        struct list *all = &r->backends[i].deliveries;

        while (!list_is_empty(all)) {
            delivery_free(LIST_OF(list_first(all), struct delivery, node));
        }
    }
    ev_timer_stop(r->loop, &r->tick);
    ev_timer_stop(r->loop, &r->deadline);
    mem_free(r->relays);
    mem_free(r);
}
