/*
 * key_check - do contracts and those who read payload keys agree?
 *
 * Two questions: does anything read a key that a contract does not list, and
 * does a contract list keys that nothing reads? On 2017-12-14 the first one
 * would have kept a deployment from losing all events of a type.
 */
#ifndef MAIL_KEY_CHECK_H
#define MAIL_KEY_CHECK_H

#include <stdbool.h>

#include "base/problems.h"
#include "base/span.h"
#include "mail/catalog.h"

/* What the roles read, asked of whoever knows their SQL. */
struct key_readers {
    bool (*role_reads)(void *ctx, struct span role, struct span key);
    void *ctx;
};

/*
 * Adds a problem for each place (file and line) of a template that reads a key
 * which the contract of a type that is rendered with this file does not list:
 * an error, with the types and the nearest key. Only a warning when the file is
 * shared (a layout, a partial of a folder above or of a parent), asks for the
 * key first ({{#key}}), and the contract of another type does list it: such a
 * partial shows what is there.
 *
 * A name below one of ours that we do not have ({{site.nmae}}) is an error,
 * too.
 */
void key_check_unknown(const struct catalog *catalog,
                       struct problems *problems);

/*
 * Adds a warning for each contract that lists keys which nothing reads: no
 * template, header, thread or headline of a mailable type that has the key, no
 * role of such a type, and which neither are the originator nor in the log.
 * Keys with "shown": false are left out, and are a warning when something reads
 * them. Contracts of which nothing is mailed are left alone.
 */
void key_check_unused(const struct catalog *catalog,
                      const struct key_readers *readers,
                      struct problems *problems);

#endif
