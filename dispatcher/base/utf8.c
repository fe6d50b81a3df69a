/*
 * utf8 - the table of UTF-8 leads.
 *
 * Only the second byte has a range that depends on the lead. It keeps out
 * overlong forms (E0, F0), surrogates (ED) and what is above U+10FFFF (F4);
 * all later bytes are 80 to BF.
 */
#include "base/utf8.h"

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

/* May a text for a parser hold this character as it is? */
static bool is_plain(const char *at, size_t length)
{
    unsigned char c = (unsigned char)at[0];

    if (length == 1) {
        return c >= 0x20 || c == '\t' || c == '\n' || c == '\r';
    }
    /* U+FFFE and U+FFFF are no characters; XML forbids them (2.2). */
    return c != 0xef || (unsigned char)at[1] != 0xbf ||
           (unsigned char)at[2] < 0xbe;
}

void utf8_repair(struct buf *out, struct span text)
{
    const char *end = text.ptr + text.len;
    const char *kept = text.ptr;
    const char *at = text.ptr;

    while (at < end) {
        bool ok = false;
        size_t length = utf8_length(at, end, &ok);

        if (!ok || !is_plain(at, length)) {
            buf_put(out, kept, (size_t)(at - kept));
            buf_puts(out, UTF8_REPLACEMENT);
            kept = at + length;
        }
        at += length;
    }
    buf_put(out, kept, (size_t)(at - kept));
}
