/*
 * route_inner - what the files of the route step share; private to them.
 */
#ifndef STORE_ROUTE_INNER_H
#define STORE_ROUTE_INNER_H

#include "base/buf.h"
#include "store/pg.h"
#include "store/route.h"

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

/* ---- route.c ----------------------------------------------------------- */

/* The set-up failed for a reason that may pass: from the start, later. */
void route_set_up_later(struct route *r, const char *why);
void route_forget_statements(struct route *r);

/* ---- route_setup.c ----------------------------------------------------- */

/* Begins the set-up on a connection that is new; hooks.on_ready ends it. */
void route_set_up(struct route *r);

/* ---- route_types.c ----------------------------------------------------- */

/* The types as JSON, as sync_types.sql wants them; tells the hooks of those
 * that cannot be used. */
void route_put_types(struct route *r, struct buf *out);

#endif
