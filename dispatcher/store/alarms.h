/*
 * alarms - the table of what a person should know: raised by whoever meets
 * it, looked for, claimed by whoever reports it (sql/0006_alarms.sql).
 *
 * Owns one connection of its own, so that a long look holds up no letter. It
 * connects when there is something to do.
 *
 *     alarms_raise, alarms_resolve, alarms_settle    orders: kept until done
 *     alarms_look ──▶ on_looked      alarms_claim ──▶ on_claimed
 */
#ifndef STORE_ALARMS_H
#define STORE_ALARMS_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model.h"

struct alarms;

struct alarms_settings {
    const char *dsn;
    int64_t period_ms;  /* at most one look within it, of all workers */
    int64_t quiet_ms;   /* a cause silent for so long is news again */
    int64_t settle_ms;  /* a state that ended so long ago is over */
    int64_t repeat_ms;  /* what goes on is told again; 0: never */
    int64_t waiting_ms; /* what waits longer is an alarm; 0: nothing is */
    int64_t lease_ms;   /* a claim that is not settled by then is free */
    int per_minute;     /* reports for one backend, of all workers */
};

/* A report that this worker is to make. */
struct alarms_claim {
    int64_t id; /* names it in alarms_settle */
    int tries;  /* this one included, from 1 */
    struct report report;
};

struct alarms_hooks {
    /* Connected: orders go out by themselves, questions may be asked. */
    void (*on_ready)(void *ctx);
    /* A look has ended, or could not be taken; it may have been somebody
     * else's turn. */
    void (*on_looked)(void *ctx);
    /* What a backend is due, maybe nothing. The texts live until the call
     * returns. */
    void (*on_claimed)(void *ctx, const char *backend,
                       const struct alarms_claim *claims, size_t count);
};

struct alarms *alarms_new(struct ev_loop *loop,
                          const struct alarms_settings *settings,
                          const struct alarms_hooks *hooks, void *ctx);
/* Connects, if it has not. */
void alarms_start(struct alarms *a);
/* Orders that were not carried out are forgotten. NULL is fine. */
void alarms_free(struct alarms *a);

bool alarms_is_ready(const struct alarms *a);
/* Orders that are not carried out yet. */
size_t alarms_pending(const struct alarms *a);

/*
 * Raises a cause; everything is copied. The same cause raised again before it
 * is written adds to its count. While the database is away a few hundred
 * causes are kept; beyond, the newest are dropped with a line in the log.
 */
void alarms_raise(struct alarms *a, const struct report *report);
/* A state has ended, as far as this host sees. */
void alarms_resolve(struct alarms *a, const char *cause);
/* What became of a claim: it is told (again_ms < 0), or to be tried again. */
void alarms_settle(struct alarms *a, int64_t claim, int64_t again_ms);

/* Looks for causes; false when not connected, or while a look is under way.
 * now: whoever has looked just before. */
bool alarms_look(struct alarms *a, bool now);
/* Takes up to most reports for a backend (whose name is a constant); false
 * when not connected. */
bool alarms_claim(struct alarms *a, const char *backend, int most);

#endif
