/*
 * intake_inner - what the files of the intake share; private to them.
 */
#ifndef ENGINE_INTAKE_INNER_H
#define ENGINE_INTAKE_INNER_H

#include "engine/intake.h"
#include "store/cursor.h"
#include "web/client.h"

enum intake_state {
    INTAKE_AWAY, /* no database; it connects by itself */
    INTAKE_CLAIMING,
    INTAKE_STANDING_BY, /* another process polls */
    INTAKE_FETCHING,
    INTAKE_KEEPING,
    INTAKE_RESTING,
    INTAKE_OVER,
};

struct intake {
    struct ev_loop *loop;
    struct intake_settings settings;
    const struct catalog *catalog;
    struct intake_hooks hooks;
    void *ctx;
    enum intake_state state;
    struct cursor *cursor;
    struct web_client *client;
    struct web_call *call;    /* FETCHING */
    struct ev_timer timer;    /* RESTING, STANDING_BY */
    struct obs_answer answer; /* the last one */
    struct cursor_step step;  /* KEEPING: what is written; without its rows */
    int64_t next;             /* the cursor; 0 = not known */
    int64_t began_ms;         /* the fetch */
    bool may_hold;            /* the last answer was in order, and waited for */
    bool is_held;             /* the request under way is */
    bool was_told_taken;
    int standby_tries;
    int failures;       /* in a row */
    int64_t failing_ms; /* monotonic: the first of them */
    bool is_well;       /* it was told so, and of no trouble since */
    struct intake_counts counts;
};

static inline int64_t intake_least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* ---- intake.c ------------------------------------------------------------ */

/* The door: ends what is under way in the state that is left. */
void intake_enter(struct intake *i, enum intake_state state);
/* Enters a state that the timer ends. */
void intake_wait(struct intake *i, enum intake_state state, int64_t ms);
/* Writes what the last answer brought. */
void intake_keep(struct intake *i);
/* The source was never read: begins where the last answer says it ends. */
void intake_begin_at_end(struct intake *i);

/* ---- intake_fetch.c ------------------------------------------------------ */

/* From the cursor on; without one, asks where the end is. */
void intake_fetch(struct intake *i);

/* ---- intake_trouble.c ---------------------------------------------------- */

/* The source has given nothing that can be used: rests, or ends. */
void intake_fail(struct intake *i, const char *why);
/* What it gave cannot be kept: likewise. */
void intake_fail_to_keep(struct intake *i, const char *why);
/* All is in order, or again. */
void intake_tell_well(struct intake *i);

#endif
