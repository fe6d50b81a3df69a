/*
 * utf8 - where a character ends, and how to mend what is none (RFC 3629).
 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/span.h"

enum { UTF8_MAX = 4 };                  /* bytes of the longest character */
#define UTF8_REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/*
 * Bytes of the UTF-8 character that begins at at (at < end), 1 to 4. When
 * they are not well formed (RFC 3629 §4), *ok is false and the count is that
 * of the bytes that one U+FFFD should stand for: the longest beginning of a
 * well-formed character, or one byte.
 */
size_t utf8_length(const char *at, const char *end, bool *ok);

/*
 * Appends text so that a parser of XML or JSON will not stumble over its
 * characters: U+FFFD stands for each ill-formed one, for control characters
 * but tab, LF and CR, and for U+FFFE and U+FFFF.
 */
void utf8_repair(struct buf *out, struct span text);

#endif
