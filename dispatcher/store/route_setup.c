/*
 * route_setup - what a router does on a connection before its first step.
 *
 *     check_next_role ──▶ on_role_checked ──all seen──▶ sync_types
 *            ▲                   │                          │
 *            └───────────────────┘                          ▼
 *                                     on_ready ◀── compose ── on_synced
 *
 * Each role file that a type asks for is looked at alone, by a statement that
 * only EXPLAINs it. What fails for a reason that may pass begins again, later;
 * a role that fails for any other is unusable until somebody mends it.
 */
#include "store/route.h"

#include <string.h>

#include "base/embed.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/route_inner.h"

static void check_next_role(struct route *r);

/* ---- the statements ---------------------------------------------------- */

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

/* ---- types ------------------------------------------------------------- */

static void on_synced(void *ctx, const PGresult *result, const char *error)
{
    struct route *r = ctx;

    if (error != NULL) {
        if (pg_is_ready(r->pg)) {
            route_set_up_later(r, error);
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
    route_put_types(r, &json);
    pg_param_text(&p, buf_cstr(&json));
    if (!sync_digest(r) ||
        !pg_query(r->pg, embed_require("queries/sync_types.sql")->data, &p,
                  on_synced, r)) {
        log_debug("types not synced", "why=\"connection lost\"");
    }
    buf_release(&json);
}

/* ---- roles ------------------------------------------------------------- */

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
        route_set_up_later(r, error); /* nor is this */
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

void route_set_up(struct route *r)
{
    route_forget_statements(r);
    r->role_checked = 0;
    check_next_role(r);
}
