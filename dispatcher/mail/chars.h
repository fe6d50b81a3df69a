/*
 * chars - what a byte may be in a mail.
 *
 * The classes come from RFC 5322 §3.2.3 (atext), RFC 2047 §5 (what the Q
 * encoding may leave as it is) and RFC 1123 §2.1 (host names).
 */
#ifndef MAIL_CHARS_H
#define MAIL_CHARS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"
#include "base/utf8.h"

enum {
    CHAR_ATEXT = 1,    /* stands in an atom without quotes */
    CHAR_SPECIAL = 2,  /* printable, but needs quotes (RFC 5322 specials) */
    CHAR_LDH = 4,      /* letter, digit or hyphen: stands in a host name */
    CHAR_Q_NAME = 8,   /* stands as it is in a Q word of a display name */
    CHAR_Q_TEXT = 16,  /* stands as it is in a Q word of a subject */
    CHAR_CONTROL = 32, /* 0 to 31 and 127, so tab, CR, LF and NUL too */
    CHAR_HIGH = 64,    /* 128 to 255: part of a character outside ASCII */
    CHAR_PAIR = 128,   /* space and "?": depends on the byte before it */
};

/* The classes of each byte, or-ed. */
extern const unsigned char chars[256];

static inline unsigned char_classes(char c)
{
    return chars[(unsigned char)c];
}

/* Has the beginning of an encoded word (RFC 2047), which sloppy readers decode
 * wherever it stands, even in an address. */
bool looks_encoded(struct span s);

/*
 * A character of a body, as utf8_length found it: itself, or U+FFFD for what
 * is ill-formed, and for NUL, which many programs that read mail cannot take.
 */
static inline struct span text_character(const char *at, size_t length, bool ok)
{
    return ok && *at != '\0' ? span_make(at, length)
                             : SPAN_LIT(UTF8_REPLACEMENT);
}

/* Bytes of the line end at at, a CR or LF: 2 for CRLF, or else 1. */
static inline size_t text_line_end(const char *at, const char *end)
{
    return at[0] == '\r' && end - at > 1 && at[1] == '\n' ? 2 : 1;
}

#endif
