/*
 * composer_event - an event made ready for templates; private to the composer.
 */
#ifndef MAIL_COMPOSER_EVENT_H
#define MAIL_COMPOSER_EVENT_H

#include <jansson.h>

#include "base/buf.h"
#include "mail/catalog.h"
#include "mail/payload.h"
#include "model.h"

/* What event->parsed points to. */
struct prepared {
    const struct event_type *type;
    json_t *payload;   /* checked, cut, without keys whose names are ours */
    bool is_described; /* payload has "event", and lacks no key in lists */
};

/*
 * Fills event->parsed. Unknown keys go to on_unknown, if there is one. False
 * when the event is poison: *stage and why say where and why. What was cut or
 * repaired is appended to note. scratch is used and cleared.
 */
bool event_prepare(struct event *event, const struct catalog *catalog,
                   payload_unknown_fn *on_unknown, void *ctx,
                   struct buf *scratch, struct buf *note, const char **stage,
                   struct buf *why);

/*
 * Makes a prepared event ready for templates that ask for events, if it was
 * not yet: few types do, and events of the others are not described at first.
 * False without memory.
 */
bool event_describe(struct event *event, struct buf *scratch, struct buf *why);

static inline const struct prepared *event_prepared(const struct event *event)
{
    return event->parsed;
}

/* "file:12: reason" */
void fault_write(struct buf *out, const struct template_fault *fault);

#endif
