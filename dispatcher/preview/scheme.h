/*
 * scheme - a letter's HTML as it looks to those who like it light or dark.
 *
 * A page cannot tell a frame which colour scheme its reader prefers, so the
 * question is answered in the letter itself: each "(prefers-color-scheme: x)"
 * of its media queries becomes a condition that always or never holds. That
 * is the only change, and only in what is shown, never in what is sent.
 */
#ifndef PREVIEW_SCHEME_H
#define PREVIEW_SCHEME_H

#include "base/buf.h"
#include "base/span.h"

enum scheme { SCHEME_AS_IS, SCHEME_LIGHT, SCHEME_DARK };

/* "light", "dark"; anything else is SCHEME_AS_IS. */
enum scheme scheme_of(struct span name);

/* Appends html with the scheme forced. */
void scheme_force(struct buf *out, struct span html, enum scheme scheme);

#endif
