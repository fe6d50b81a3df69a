/*
 * reporter - errors go where people look.
 *
 * What a person should know is a row of postbatch.alarm, one for a cause,
 * whoever met it (store/alarms.h). The reporter looks for causes, and tells
 * those that are due to every backend that the settings switch on:
 *
 *     log      a line of the log, with its priority where that is the journal
 *     errbit   a notice (web/errbit.h)
 *     command  a run of the operator's command (engine/hook.h)
 *
 * Nothing of it is ever waited for. What could not be told stays due in the
 * table and is tried again, ever more seldom.
 */
#ifndef ENGINE_REPORTER_H
#define ENGINE_REPORTER_H

#include <ev.h>
#include <stdbool.h>

#include "engine/settings.h"
#include "mail/catalog.h"
#include "model.h"
#include "smtp/pool.h"

struct reporter;

/*
 * looks: this worker looks for causes and reports; the first worker of a
 * parent does. Others only raise and resolve. catalog and pool outlive the
 * reporter; loop is the default loop.
 */
struct reporter *reporter_new(struct ev_loop *loop,
                              const struct settings *settings,
                              const struct catalog *catalog, struct pool *pool,
                              bool looks);
void reporter_start(struct reporter *r);
/* What is under way is dropped: it stays due. NULL is fine. */
void reporter_free(struct reporter *r);

/* Something happened that a person should know; everything is copied. */
void reporter_raise(struct reporter *r, const struct report *report);
/* A state that was raised has ended. */
void reporter_resolve(struct reporter *r, const char *cause);

/* What the pool says of a relay; that it works again is seen here. */
void reporter_relay_alarm(struct reporter *r, const struct relay *relay,
                          enum pool_alarm alarm, const char *what);

/* For a run that ends: looks once more and tells what is due, within some
 * seconds. Then reporter_is_finished. */
void reporter_finish(struct reporter *r);
bool reporter_is_finished(const struct reporter *r);

#endif
