/*
 * route - the step that turns new events into batches, inside PostgreSQL.
 *
 * On every new connection: check each role file alone (EXPLAIN), so that one
 * broken file sets aside the events that need it instead of breaking the one
 * statement that all mail depends on; tell the database the types with their
 * faults; compose the statements (route_setup.c). Then steps, each four
 * commands sent back to back: BEGIN, route_lock, the step, COMMIT
 * (route_step.c). Here: how it begins and ends, and begins again.
 */
#include "store/route.h"

#include "base/log.h"
#include "base/mem.h"
#include "store/route_inner.h"

static const double SETUP_PAUSE_S = 5.0;

/* ---- the connection ---------------------------------------------------- */

void route_forget_statements(struct route *r)
{
    mem_free(r->route_sql);
    mem_free(r->fanout_sql);
    r->route_sql = NULL;
    r->fanout_sql = NULL;
    r->is_ready = false;
}

static void on_pg_ready(void *ctx)
{
    route_set_up(ctx);
}

static void on_pg_lost(void *ctx, const char *why)
{
    struct route *r = ctx;

    (void)why;
    r->is_ready = false;
    ev_timer_stop(r->loop, &r->again);
}

void route_set_up_later(struct route *r, const char *why)
{
    log_error("routing cannot begin", "retry_s=%.0f why=\"%s\"", SETUP_PAUSE_S,
              why);
    ev_timer_again(r->loop, &r->again);
}

static void on_again(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    (void)events;
    ev_timer_stop(loop, timer);
    route_set_up(timer->data);
}

/* ---- life -------------------------------------------------------------- */

struct route *route_new(struct ev_loop *loop,
                        const struct route_settings *settings,
                        const struct route_type *types, size_t type_count,
                        const struct route_role *roles,
                        const struct route_hooks *hooks, void *ctx)
{
    static const struct pg_hooks pg_hooks = {on_pg_ready, on_pg_lost};
    struct route *r = mem_calloc(1, sizeof(*r));
    size_t role_count = 0;

    while (roles[role_count].name != NULL) {
        role_count++;
    }
    r->loop = loop;
    r->settings = *settings;
    r->types = types;
    r->type_count = type_count;
    r->roles = roles;
    r->hooks = *hooks;
    r->ctx = ctx;
    r->role_faults = mem_calloc(role_count + 1, sizeof(*r->role_faults));
    r->pg = pg_new(loop, settings->dsn, "postbatch router", &pg_hooks, r);
    ev_init(&r->again, on_again);
    r->again.repeat = SETUP_PAUSE_S;
    r->again.data = r;
    return r;
}

void route_start(struct route *r)
{
    pg_start(r->pg);
}

void route_free(struct route *r)
{
    if (r == NULL) {
        return;
    }
    pg_free(r->pg);
    ev_timer_stop(r->loop, &r->again);
    route_forget_statements(r);
    for (size_t i = 0; r->roles[i].name != NULL; i++) {
        mem_free(r->role_faults[i]);
    }
    for (size_t i = 0; i < ROLE_IDS_MAX; i++) {
        mem_free(r->names[i]);
    }
    mem_free(r->role_faults);
    mem_free(r->step_error);
    mem_free(r);
}

bool route_is_ready(const struct route *r)
{
    return r->is_ready;
}

bool route_is_busy(const struct route *r)
{
    return r->is_busy;
}

const char *route_role_name(const struct route *r, int role_id)
{
    return role_id >= 0 && role_id < ROLE_IDS_MAX ? r->names[role_id] : NULL;
}
