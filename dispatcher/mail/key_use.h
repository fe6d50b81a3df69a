/*
 * key_use - which payload keys the templates of a type read, and where.
 *
 * What a name means depends on the sections around it: inside of {{#actions}}
 * it may be a key of an item. The contract says nothing of items, but the
 * samples show them, and "fullest" shows all there is. So a name is known when
 * the contract lists it, when it is one of ours (contract_is_reserved) with a
 * field that we have, or when an item of some sample has it.
 *
 * Inside of a section over a list of which no sample shows an item, and of one
 * that is unknown itself, every name is taken for known: there is nothing to
 * hold it against.
 */
#ifndef MAIL_KEY_USE_H
#define MAIL_KEY_USE_H

#include <stdbool.h>

#include "base/span.h"
#include "mail/catalog.h"

struct key_use {
    struct span key;  /* the first part of the name */
    struct span name; /* as written: "site.url" */
    const char *file;
    int line;
    bool is_known;
    bool is_payload; /* is, or would have to be, a key of the payload: neither
                        ours nor found in an item */
    bool is_inside;  /* of a section, so items might have had it */
    bool is_guarded; /* asks for it: {{#key}}, {{^key}}, or inside of them */
    struct span nearest; /* unknown: what may have been meant, or SPAN_NONE */
};

/* Calls on_use for every name that a template, header, thread or headline of
 * the type reads. use lives for the call only. */
void key_uses(const struct event_type *type,
              void (*on_use)(void *ctx, const struct key_use *use), void *ctx);

#endif
