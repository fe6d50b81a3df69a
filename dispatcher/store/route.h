/*
 * route - the step that turns new events into batches, inside PostgreSQL.
 *
 * Owns one connection. When it connects it tells the database what the
 * contracts say and composes the route statement from the role files; after
 * that each step is one short transaction, whatever number of events, roles
 * and recipients it covers. One router works at a time, on whatever host: a
 * step that finds the lock taken does nothing.
 */
#ifndef STORE_ROUTE_H
#define STORE_ROUTE_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/problems.h"
#include "base/span.h"
#include "model.h"

/* What the database must know of an event type; see sql/queries/sync_types. */
struct route_type {
    const char *name;
    bool is_mailable;
    bool is_gathered;
    int gather_max;
    int window_ms; /* gathered: how long the first event waits for more */
    enum urgency urgency;
    const char *originator_key; /* NULL = none */
    const char *const *required;
    size_t required_count;
    enum frequency frequency;
    const char *fault;        /* why it cannot be mailed now; NULL = it can */
    const char *const *roles; /* in the contract's order */
    size_t role_count;
    /* Keys of the payload for the project log; log_project NULL: not logged. */
    const char *log_project;
    const char *log_package; /* NULL = none, as the next */
    const char *log_request;
    const char *const *log_users;
    size_t log_user_count;
};

/* A role: its name and the SELECT that finds its recipients. */
struct route_role {
    char *name;
    char *sql;
    char *file; /* for messages */
};

/*
 * The role files: those built in (sql/roles/), and over them the *.sql files
 * of a directory (NULL or "" = none). Ends with a name of NULL; free with
 * route_roles_free. A directory that cannot be read is a problem.
 */
struct route_role *route_roles_load(const char *directory,
                                    struct problems *problems);
void route_roles_free(struct route_role *roles);

/* What one step did. */
struct route_step {
    int64_t events;      /* dealt with */
    int64_t quarantined; /* of them set aside */
    int64_t fanouts;     /* of them left to steps of their own */
    int64_t letters;     /* written into batches */
    int64_t batches;
    int64_t held;       /* pairs that wait until they are due */
    int64_t logged;     /* rows written into the project log */
    int64_t unlogged;   /* events to be logged that do not say where */
    bool is_finished;   /* nothing was left to read */
    bool is_locked_out; /* another router is at work */
    const char *error;  /* SQL error, or NULL */
    bool is_lost;       /* the connection broke: the error is not the events' */
    bool is_blameless; /* nor is this one: the statement, a lock, a full disk */
};

struct route_settings {
    const char *dsn;
    int step_events;      /* most events of a step */
    int step_pairs;       /* most pairs of recipient and event of a step */
    int fanout_threshold; /* recipients; more than this is a fan-out */
    int fanout_step;      /* recipients of a fan-out step */
    int digest_max;       /* events of one digest; 1: no digests */
    int digest_hour;      /* of the day, 0 to 23 */
    int digest_weekday;   /* 1 Monday ... 7 Sunday */
    const char *digest_time_zone; /* of recipients without one */
};

struct route_hooks {
    /* Types and roles are in place; steps may begin. role names: id -> name
     * by route_role_name. */
    void (*on_ready)(void *ctx);
    void (*on_step)(void *ctx, const struct route_step *step);
    /* A role file or a type cannot be used; events that need it are set aside
     * until it is mended. */
    void (*on_fault)(void *ctx, const char *what, const char *why);
};

struct route;

/* The numbers of roles are below this: those of a smallint. A sequence gives
 * them, so there are gaps, and a few roles may have high ones. */
enum { ROLE_IDS_MAX = INT16_MAX + 1 };

/* types and roles are used until route_free. */
struct route *route_new(struct ev_loop *loop,
                        const struct route_settings *settings,
                        const struct route_type *types, size_t type_count,
                        const struct route_role *roles,
                        const struct route_hooks *hooks, void *ctx);
void route_start(struct route *r);
void route_free(struct route *r);

bool route_is_ready(const struct route *r);
/* A step is under way. */
bool route_is_busy(const struct route *r);
/* One step of at most `events` events (0 = the setting); false when not ready
 * or busy. */
bool route_run_step(struct route *r, int events);
/* One step of the least served fan-out but passed_over. on_step tells what it
 * did. */
bool route_run_fanout(struct route *r, int passed_over);
/* One step of making batches of held letters that are due: of as many due times
 * as have at most so many pairs, or of the oldest. */
bool route_run_promote(struct route *r, int64_t most_pairs);
/* Sets the next event aside unread, with the reason: for an event on which
 * even a step of one fails. */
bool route_run_skip(struct route *r, const char *reason);
/* The name of a role by its number; NULL when unknown. */
const char *route_role_name(const struct route *r, int role_id);

/*
 * The text of the route statement (template "route" or "fanout_step")
 * completed with the given roles, whose numbers are in ids. Caller frees.
 */
char *route_compose(const char *template_name, const struct route_role *roles,
                    const int *ids, size_t count);

/*
 * A statement that fails when the role's SQL cannot be used with the database
 * it is sent to, and does nothing otherwise. Caller frees.
 */
char *route_check_text(const char *role_sql);

#endif
