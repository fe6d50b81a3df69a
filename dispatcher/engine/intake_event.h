/*
 * intake_event - a notification of the source server as an event.
 */
#ifndef ENGINE_INTAKE_EVENT_H
#define ENGINE_INTAKE_EVENT_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/span.h"
#include "mail/catalog.h"
#include "web/obs_answer.h"

/* The event type of what no type is called after. */
#define INTAKE_UNKNOWN "unknown"

/* "SRCSRV_SERVICE_SUCCESS" to "ServiceSuccess", as the Open Build Service
 * names its classes. */
void intake_type_name(struct span wire_type, struct buf *out);

/*
 * The event of a notification: the name of its type, which lives as long as
 * the catalogue, and its payload as JSON, appended to payload. All values are
 * texts on the way here; where the contract says integer, number or boolean
 * and the text is one, it becomes one. Without a type of its name the event is
 * of the type "unknown": {"type": "SRCSRV_...", "data": {...}}.
 */
struct span intake_event(const struct catalog *catalog,
                         const struct obs_notification *n, struct buf *payload);

#endif
