/*
 * mustache_link - where a value becomes a link, and what may. Private to the
 * mustache files.
 *
 * Escaping keeps a value inside of its attribute, but "javascript:..." needs
 * no way out of an href. So the first value of an attribute that mail readers
 * follow must begin with http:, https: or mailto:; whatever comes behind it
 * only goes on with a harmless address.
 */
#ifndef MAIL_MUSTACHE_LINK_H
#define MAIL_MUSTACHE_LINK_H

#include <stdbool.h>

#include <jansson.h>

#include "base/buf.h"

/* What is printed in the place of a value that may not become a link. */
#define LINK_REFUSED "#"

/* Does out end where the value of an href, a src or an action begins? Only
 * attributes in quotes are seen. */
bool link_begins(const struct buf *out);

/* May the value begin a link? An empty one may: it prints nothing, and the
 * question comes again with the next value. */
bool link_is_harmless(const json_t *value);

#endif
