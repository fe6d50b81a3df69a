/*
 * route - the step that turns new events into batches, inside PostgreSQL.
 *
 * On every new connection: check each role file alone (EXPLAIN), so that one
 * broken file sets aside the events that need it instead of breaking the one
 * statement that all mail depends on; tell the database the types with their
 * faults; compose the statements. Then steps, each four commands sent back to
 * back: BEGIN, route_lock, the step, COMMIT.
 */
#include "store/route.h"

#include <stdlib.h>
#include <string.h>

#include "base/embed.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "store/pg.h"

enum { ROLE_IDS_MAX = 1024 };

static const double SETUP_PAUSE_S = 5.0;

struct route {
    struct ev_loop *loop;
    struct pg *pg;
    struct ev_timer again; /* after a set-up that failed */
    struct route_settings settings;
    const struct route_type *types;
    size_t type_count;
    const struct route_role *roles;
    struct route_hooks hooks;
    void *ctx;

    char **role_faults;        /* per role file: why it is unusable, or NULL */
    size_t role_checked;       /* how many of them have been looked at */
    char *names[ROLE_IDS_MAX]; /* by role id */
    char *route_sql; /* composed; kept for the life of the connection */
    char *fanout_sql;
    bool is_ready;
    bool is_busy;
    struct route_step step; /* under way */
    char *step_error;
};

static void check_next_role(struct route *r);

/* ---- life ------------------------------------------------------------------
 */

static void forget_statements(struct route *r)
{
    mem_free(r->route_sql);
    mem_free(r->fanout_sql);
    r->route_sql = NULL;
    r->fanout_sql = NULL;
    r->is_ready = false;
}

static void on_pg_ready(void *ctx)
{
    struct route *r = ctx;

    forget_statements(r);
    r->role_checked = 0;
    check_next_role(r);
}

static void on_pg_lost(void *ctx, const char *why)
{
    struct route *r = ctx;

    (void)why;
    r->is_ready = false;
    ev_timer_stop(r->loop, &r->again);
}

/* The set-up failed for a reason that may pass: from the start, later. */
static void set_up_later(struct route *r, const char *why)
{
    log_error("routing cannot begin", "retry_s=%.0f why=\"%s\"", SETUP_PAUSE_S,
              why);
    ev_timer_again(r->loop, &r->again);
}

static void on_again(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    (void)events;
    ev_timer_stop(loop, timer);
    on_pg_ready(timer->data);
}

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
    forget_statements(r);
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

/* ---- set-up: roles ---------------------------------------------------------
 */

static bool is_role_wanted(const struct route *r, const char *name)
{
    for (size_t i = 0; i < r->type_count; i++) {
        for (size_t k = 0; k < r->types[i].role_count; k++) {
            if (r->types[i].is_mailable &&
                strcmp(r->types[i].roles[k], name) == 0) {
                return true;
            }
        }
    }
    return false;
}

/* Why the role cannot be used, or NULL. */
static const char *role_fault(const struct route *r, const char *name)
{
    for (size_t i = 0; r->roles[i].name != NULL; i++) {
        if (strcmp(r->roles[i].name, name) == 0) {
            return r->role_faults[i];
        }
    }
    return "it has no file in sql/roles/ nor in the folder templates.roles";
}

/* The fault of a type: its own, or that of the first role it needs. */
static char *type_fault(const struct route *r, const struct route_type *t)
{
    if (t->fault != NULL) {
        return mem_strdup(t->fault);
    }
    for (size_t i = 0; t->is_mailable && i < t->role_count; i++) {
        const char *why = role_fault(r, t->roles[i]);

        if (why != NULL) {
            return mem_printf("role \"%s\" cannot be used: %s", t->roles[i],
                              why);
        }
    }
    return NULL;
}

static void put_names(struct buf *b, const char *const *names, size_t count)
{
    buf_putc(b, '[');
    for (size_t i = 0; i < count; i++) {
        buf_puts(b, i ? "," : "");
        buf_json(b, span_of(names[i]));
    }
    buf_putc(b, ']');
}

static void put_text(struct buf *b, const char *key, const char *text)
{
    buf_printf(b, ",\"%s\":", key);
    if (text == NULL) {
        buf_puts(b, "null");
    } else {
        buf_json(b, span_of(text));
    }
}

static void put_log(struct buf *b, const struct route_type *t)
{
    if (t->log_project == NULL) {
        return;
    }
    buf_puts(b, ",\"log\":{\"project\":");
    buf_json(b, span_of(t->log_project));
    put_text(b, "package", t->log_package);
    put_text(b, "request", t->log_request);
    buf_puts(b, ",\"user\":");
    put_names(b, t->log_users, t->log_user_count);
    buf_putc(b, '}');
}

static void put_type(struct route *r, struct buf *b, const struct route_type *t)
{
    char *fault = type_fault(r, t);

    if (fault != NULL) {
        r->hooks.on_fault(r->ctx, t->name, fault);
    }
    buf_puts(b, "{\"name\":");
    buf_json(b, span_of(t->name));
    buf_printf(
        b,
        ",\"mailable\":%s,\"grouping\":\"%s\",\"gather_max\":%d,"
        "\"window_ms\":%d,\"urgency\":%d",
        t->is_mailable ? "true" : "false", t->is_gathered ? "gather" : "each",
        t->is_gathered ? t->gather_max : 1, t->window_ms, (int)t->urgency);
    put_text(b, "originator", t->originator_key);
    put_text(b, "frequency", frequency_name(t->frequency));
    put_text(b, "fault", fault);
    buf_puts(b, ",\"required\":");
    put_names(b, t->required, t->required_count);
    buf_puts(b, ",\"roles\":[");
    for (size_t i = 0; i < t->role_count; i++) {
        buf_puts(b, i ? ",{\"name\":" : "{\"name\":");
        buf_json(b, span_of(t->roles[i]));
        put_text(b, "frequency", frequency_name(t->frequency));
        buf_putc(b, '}');
    }
    buf_putc(b, ']');
    put_log(b, t);
    buf_putc(b, '}');
    mem_free(fault);
}

/* ---- set-up: types and statements -------------------------------------------
 */

static void keep_role_names(struct route *r, const PGresult *result)
{
    for (int row = 0; row < PQntuples(result); row++) {
        int id = pg_get_int16(result, row, 0);
        struct span name = pg_get_text(result, row, 1);

        if (id >= 0 && id < ROLE_IDS_MAX) {
            mem_free(r->names[id]);
            r->names[id] = mem_strndup(name.ptr, name.len);
        }
    }
}

static void compose(struct route *r)
{
    struct route_role *roles = NULL;
    int *ids = NULL;
    size_t count = 0;
    size_t most = 0;

    while (r->roles[most].name != NULL) {
        most++;
    }
    roles = mem_calloc(most + 1, sizeof(*roles));
    ids = mem_calloc(most + 1, sizeof(*ids));
    for (int id = 0; id < ROLE_IDS_MAX; id++) {
        for (size_t i = 0; r->names[id] != NULL && i < most; i++) {
            if (strcmp(r->roles[i].name, r->names[id]) == 0 &&
                r->role_faults[i] == NULL && is_role_wanted(r, r->names[id])) {
                roles[count] = r->roles[i];
                ids[count++] = id;
            }
        }
    }
    r->route_sql = route_compose("route", roles, ids, count);
    r->fanout_sql = route_compose("fanout_step", roles, ids, count);
    mem_free(roles);
    mem_free(ids);
}

static void on_synced(void *ctx, const PGresult *result, const char *error)
{
    struct route *r = ctx;

    if (error != NULL) {
        if (pg_is_ready(r->pg)) {
            set_up_later(r, error);
        }
        return;
    }
    keep_role_names(r, result);
    compose(r);
    r->is_ready = true;
    r->hooks.on_ready(r->ctx);
}

static void on_digest_synced(void *ctx, const PGresult *result,
                             const char *error)
{
    struct route *r = ctx;

    if (error != NULL) {
        log_debug("digest times not synced", "why=\"%s\"", error);
    } else if (PQntuples(result) == 1 && !pg_get_bool(result, 0, 0)) {
        log_warn("digest.time_zone is not known to PostgreSQL; taking UTC",
                 "time_zone=\"%s\"", r->settings.digest_time_zone);
    }
}

/* When digests are due; what is promised to people already stays as it is. */
static bool sync_digest(struct route *r)
{
    struct pg_params p = {0};

    pg_param_int32(&p, r->settings.digest_hour);
    pg_param_int32(&p, r->settings.digest_weekday);
    pg_param_text(&p, r->settings.digest_time_zone);
    return pg_query(r->pg, embed_require("queries/sync_digest.sql")->data, &p,
                    on_digest_synced, r);
}

static void sync_types(struct route *r)
{
    struct pg_params p = {0};
    struct buf json;

    buf_init(&json, 0);
    buf_putc(&json, '[');
    for (size_t i = 0; i < r->type_count; i++) {
        buf_puts(&json, i ? ",\n" : "");
        put_type(r, &json, &r->types[i]);
    }
    buf_putc(&json, ']');
    pg_param_text(&p, buf_cstr(&json));
    if (!sync_digest(r) ||
        !pg_query(r->pg, embed_require("queries/sync_types.sql")->data, &p,
                  on_synced, r)) {
        log_debug("types not synced", "why=\"connection lost\"");
    }
    buf_release(&json);
}

static void on_role_checked(void *ctx, const PGresult *result,
                            const char *error)
{
    struct route *r = ctx;
    size_t i = r->role_checked;

    (void)result;
    if (error != NULL && !pg_is_ready(r->pg)) {
        return; /* not the role's fault; all begins again */
    }
    if (error != NULL && pg_is_passing(error)) {
        set_up_later(r, error); /* nor is this */
        return;
    }
    mem_free(r->role_faults[i]);
    r->role_faults[i] = mem_strdup(error);
    r->role_checked++;
    check_next_role(r);
}

static void check_next_role(struct route *r)
{
    const struct route_role *role = &r->roles[r->role_checked];
    char *sql = NULL;

    while (role->name != NULL && !is_role_wanted(r, role->name)) {
        role = &r->roles[++r->role_checked];
    }
    if (role->name == NULL) {
        sync_types(r);
        return;
    }
    sql = route_check_text(role->sql);
    if (!pg_simple(r->pg, sql, on_role_checked, r)) {
        log_debug("role not checked", "why=\"connection lost\"");
    }
    mem_free(sql);
}

/* ---- steps ------------------------------------------------------------- */

static void note_error(struct route *r, const char *error)
{
    if (r->step_error == NULL) {
        r->step_error = mem_strdup(error);
    }
}

/* Class 42: the statement itself is wrong (a table is gone, a right is
 * missing), so that no event is to blame and none must be set aside. */
static bool is_blameless(const char *error)
{
    return pg_is_passing(error) || strncmp(pg_sqlstate(error), "42", 2) == 0;
}

static void on_done(void *ctx, const PGresult *result, const char *error)
{
    struct route *r = ctx;
    struct route_step step;
    char *words = NULL;

    (void)result;
    if (error != NULL) {
        note_error(r, error);
    }
    step = r->step;
    words = r->step_error;
    r->step_error = NULL;
    step.error = words;
    step.is_lost = words != NULL && !pg_is_ready(r->pg);
    step.is_blameless = words != NULL && is_blameless(words);
    r->is_busy = false;
    r->hooks.on_step(r->ctx, &step);
    mem_free(words);
}

static void on_ignored(void *ctx, const PGresult *result, const char *error)
{
    struct route *r = ctx;

    (void)result;
    if (error != NULL) {
        note_error(r, error);
    }
}

static void on_lock(void *ctx, const PGresult *result, const char *error)
{
    struct route *r = ctx;

    on_ignored(ctx, result, error);
    r->step.is_locked_out = error == NULL && PQntuples(result) == 0;
}

/* Reads the row of route.sql; its columns are the fields of a step. */
static void on_routed(void *ctx, const PGresult *result, const char *error)
{
    struct route *r = ctx;

    on_ignored(ctx, result, error);
    if (error != NULL || PQntuples(result) == 0) {
        return;
    }
    r->step.events = pg_get_int64(result, 0, 0);
    r->step.quarantined = pg_get_int64(result, 0, 1);
    r->step.fanouts = pg_get_int64(result, 0, 2);
    r->step.letters = pg_get_int64(result, 0, 3);
    r->step.batches = pg_get_int64(result, 0, 4);
    r->step.is_finished = pg_get_bool(result, 0, 5);
    r->step.held = pg_get_int64(result, 0, 6);
    r->step.logged = pg_get_int64(result, 0, 7);
    r->step.unlogged = pg_get_int64(result, 0, 8);
}

/* BEGIN, lock, the statement, COMMIT: sent without waiting in between. An
 * error in one makes the rest fail and COMMIT roll back; on_done tells. */
static bool run(struct route *r, const char *sql,
                const struct pg_params *params, pg_answer answer)
{
    if (!r->is_ready || r->is_busy) {
        return false;
    }
    r->step = (struct route_step){0};
    r->is_busy = pg_simple(r->pg, "BEGIN ISOLATION LEVEL READ COMMITTED",
                           on_ignored, r) &&
                 pg_query(r->pg, embed_require("queries/route_lock.sql")->data,
                          NULL, on_lock, r) &&
                 pg_query(r->pg, sql, params, answer, r) &&
                 pg_simple(r->pg, "COMMIT", on_done, r);
    return r->is_busy;
}

bool route_run_step(struct route *r, int events)
{
    struct pg_params p = {0};

    pg_param_int32(&p, events > 0 ? events : r->settings.step_events);
    pg_param_int32(&p, r->settings.step_pairs);
    pg_param_int32(&p, r->settings.fanout_threshold);
    return run(r, r->route_sql, &p, on_routed);
}

/* Reads the row of fanout_step.sql: event, letters, batches, done. */
static void on_fanned(void *ctx, const PGresult *result, const char *error)
{
    struct route *r = ctx;

    on_ignored(ctx, result, error);
    if (error != NULL || PQntuples(result) == 0) {
        r->step.is_finished = error == NULL;
        return;
    }
    r->step.fanouts = 1;
    r->step.letters = pg_get_int64(result, 0, 1);
    r->step.batches = pg_get_int64(result, 0, 2);
}

bool route_run_fanout(struct route *r, int passed_over)
{
    struct pg_params p = {0};

    pg_param_int32(&p, r->settings.fanout_step);
    pg_param_int32(&p, passed_over);
    return run(r, r->fanout_sql, &p, on_fanned);
}

/* Reads the row of promote.sql: pairs, letters, batches, finished. */
static void on_promoted(void *ctx, const PGresult *result, const char *error)
{
    struct route *r = ctx;

    on_ignored(ctx, result, error);
    if (error != NULL || PQntuples(result) == 0) {
        return;
    }
    r->step.letters = pg_get_int64(result, 0, 1);
    r->step.batches = pg_get_int64(result, 0, 2);
    r->step.is_finished = pg_get_bool(result, 0, 3);
}

bool route_run_promote(struct route *r, int64_t most_pairs)
{
    struct pg_params p = {0};

    pg_param_int32(&p, r->settings.digest_max);
    pg_param_int64(&p, most_pairs);
    return run(r, embed_require("queries/promote.sql")->data, &p, on_promoted);
}

/* Reads the row of route_skip.sql: the event that was set aside. */
static void on_skipped(void *ctx, const PGresult *result, const char *error)
{
    struct route *r = ctx;

    on_ignored(ctx, result, error);
    if (error == NULL && PQntuples(result) == 1) {
        r->step.events = 1;
        r->step.quarantined = 1;
    }
}

bool route_run_skip(struct route *r, const char *reason)
{
    struct pg_params p = {0};

    pg_param_text(&p, reason);
    return run(r, embed_require("queries/route_skip.sql")->data, &p,
               on_skipped);
}
