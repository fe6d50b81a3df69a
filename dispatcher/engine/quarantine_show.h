/*
 * quarantine_show - all about one event that was set aside, for people: what it
 * is, why, which line of which template, what to do (diagnose.h), its payload.
 */
#ifndef ENGINE_QUARANTINE_SHOW_H
#define ENGINE_QUARANTINE_SHOW_H

#include <stdint.h>

#include "engine/settings.h"
#include "store/admin.h"

/* Prints it to standard output. Gives an exit status: EX_DATAERR when there is
 * no such event in quarantine. */
int quarantine_show(struct admin *admin, const struct settings *settings,
                    int64_t event_id);

#endif
