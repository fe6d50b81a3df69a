/*
 * router - decides when to route, how much at a time, and what to do when a
 * step fails.
 *
 * The work itself is one statement in PostgreSQL (store/route). A step that
 * raises an error is tried again with half as many events, down to one; the
 * one event that even then fails is set aside with the error, and the rest go
 * on. So no event, and no role file, can stop the others.
 */
#ifndef ENGINE_ROUTER_H
#define ENGINE_ROUTER_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/settings.h"
#include "mail/catalog.h"

struct router;

struct router_counts {
    uint64_t events;
    uint64_t quarantined;
    uint64_t letters;
    uint64_t batches;
    uint64_t steps;
};

struct router_hooks {
    /* Role names are known, steps may begin. */
    void (*on_ready)(void *ctx);
    /* A step has ended; letters of it wait in batches (maybe 0). found says
     * whether there was anything to do. */
    void (*on_routed)(void *ctx, int64_t letters, bool found);
};

/* NULL with a text in problems when role files cannot be read. */
struct router *router_new(struct ev_loop *loop, const struct settings *settings,
                          const struct catalog *catalog,
                          const struct router_hooks *hooks, void *ctx,
                          struct problems *problems);
void router_start(struct router *r);
void router_free(struct router *r);

bool router_is_ready(const struct router *r);
bool router_is_busy(const struct router *r);
/* There may be events: step until there are none. */
void router_want(struct router *r);
/* There may be fan-outs to step. */
void router_want_fanout(struct router *r);
/* There may be held letters that are due. */
void router_want_promote(struct router *r);
/* Takes the next step if one is wanted and none is under way. ahead: so many
 * letters wait in batches already; at router.ahead the events are left in the
 * log. True when a step began. */
bool router_turn(struct router *r, int64_t ahead);
/* A step is wanted or under way. */
bool router_has_work(const struct router *r);

/* The name of a role by its number; "" when unknown. */
const char *router_role_name(const struct router *r, int role_id);
const struct router_counts *router_counts(const struct router *r);

#endif
