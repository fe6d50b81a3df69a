/*
 * chars - one table for all mail grammars, and the table of UTF-8 leads.
 *
 * UTF-8: only the second byte has a range that depends on the lead. It keeps
 * out overlong forms (E0, F0), surrogates (ED) and what is above U+10FFFF
 * (F4); all later bytes are 80 to BF.
 */
#include "mail/chars.h"

#define LETTER  (CHAR_ATEXT | CHAR_LDH | CHAR_Q_NAME | CHAR_Q_TEXT)
#define PLAIN   (CHAR_ATEXT | CHAR_Q_NAME | CHAR_Q_TEXT)
#define ATOM    (CHAR_ATEXT | CHAR_Q_TEXT)
#define SPECIAL (CHAR_SPECIAL | CHAR_Q_TEXT)

const unsigned char chars[256] = {
    [0 ... 31] = CHAR_CONTROL,
    [' '] = CHAR_PAIR,
    ['!'] = PLAIN,
    ['"'] = SPECIAL,
    ['#' ... '\''] = ATOM,
    ['(' ... ')'] = SPECIAL,
    ['*' ... '+'] = PLAIN,
    [','] = SPECIAL,
    ['-'] = LETTER,
    ['.'] = SPECIAL,
    ['/'] = PLAIN,
    ['0' ... '9'] = LETTER,
    [':' ... '<'] = SPECIAL,
    ['='] = CHAR_ATEXT,
    ['>'] = SPECIAL,
    ['?'] = CHAR_ATEXT | CHAR_PAIR,
    ['@'] = SPECIAL,
    ['A' ... 'Z'] = LETTER,
    ['[' ... ']'] = SPECIAL,
    ['^'] = ATOM,
    ['_'] = CHAR_ATEXT,
    ['`'] = ATOM,
    ['a' ... 'z'] = LETTER,
    ['{' ... '~'] = ATOM,
    [127] = CHAR_CONTROL,
    [128 ... 255] = CHAR_HIGH,
};

struct lead {
    unsigned char length; /* of the whole character; 0 = never a lead */
    unsigned char low;    /* least second byte */
    unsigned char high;   /* greatest second byte */
};

static const struct lead leads[256] = {
    [0x00 ... 0x7f] = {1, 0, 0}, [0xc2 ... 0xdf] = {2, 0x80, 0xbf},
    [0xe0] = {3, 0xa0, 0xbf},    [0xe1 ... 0xec] = {3, 0x80, 0xbf},
    [0xed] = {3, 0x80, 0x9f},    [0xee ... 0xef] = {3, 0x80, 0xbf},
    [0xf0] = {4, 0x90, 0xbf},    [0xf1 ... 0xf3] = {4, 0x80, 0xbf},
    [0xf4] = {4, 0x80, 0x8f},
};

size_t utf8_length(const char *at, const char *end, bool *ok)
{
    const unsigned char *p = (const unsigned char *)at;
    const struct lead *lead = &leads[p[0]];
    size_t left = (size_t)(end - at);
    size_t i = 1;

    *ok = lead->length == 1;
    if (lead->length < 2 || left < 2 || p[1] < lead->low || p[1] > lead->high) {
        return 1;
    }
    for (i = 2; i < lead->length; i++) {
        if (i >= left || (p[i] & 0xc0) != 0x80) {
            return i;
        }
    }
    *ok = true;
    return lead->length;
}

bool looks_encoded(struct span s)
{
    /* Hardly any text has a "?", and memchr is quick to say so. */
    return s.len > 0 && memchr(s.ptr, '?', s.len) != NULL &&
           memmem(s.ptr, s.len, "=?", 2) != NULL;
}
