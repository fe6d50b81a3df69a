/*
 * diagnose - what is wrong with an event, and what to do about it, in words for
 * the person who has to.
 */
#ifndef ENGINE_DIAGNOSE_H
#define ENGINE_DIAGNOSE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"
#include "engine/settings.h"
#include "mail/catalog.h"

/*
 * Appends lines: what the templates as they are now would make of the event,
 * names that may have been meant (of the type, of keys), and what to do. reason
 * is that of the quarantine; the line of a template that it names is quoted.
 */
void diagnose(const struct settings *settings, const struct catalog *catalog,
              int64_t id, struct span type, struct span reason,
              struct span payload, int64_t created_us, struct buf *out);

/* Appends text without bytes that a terminal would obey: each becomes "?".
 * Line ends stay when they are asked for. */
void diagnose_put(struct buf *out, struct span text, bool keeps_lines);

#endif
