/*
 * chars - one table for all mail grammars.
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

bool looks_encoded(struct span s)
{
    /* Hardly any text has a "?", and memchr is quick to say so. */
    return s.len > 0 && memchr(s.ptr, '?', s.len) != NULL &&
           memmem(s.ptr, s.len, "=?", 2) != NULL;
}
