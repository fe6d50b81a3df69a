/*
 * encode_base64 - bodies in base64 (RFC 2045 §6.8).
 *
 * For text that is mostly outside ASCII. The text is first brought to its
 * canonical form (line ends CRLF, well-formed UTF-8), a character at a time,
 * and gathered; then the gathered bytes are written as whole lines.
 */
#include "mail/encode.h"

#include "mail/chars.h"

enum {
    LINE_BYTES = ENCODE_LINE / 4 * 3, /* text bytes of a line */
    LINES = 16,
};

size_t encode_base64_digits(char *to, const char *from, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = (const unsigned char *)from;
    char *const begin = to;
    unsigned bits = 0;

    for (; n >= 3; n -= 3, p += 3, to += 4) {
        bits = (unsigned)p[0] << 16 | (unsigned)p[1] << 8 | p[2];
        to[0] = digits[bits >> 18];
        to[1] = digits[bits >> 12 & 63];
        to[2] = digits[bits >> 6 & 63];
        to[3] = digits[bits & 63];
    }
    if (n > 0) {
        bits = (unsigned)p[0] << 16 | (n > 1 ? (unsigned)p[1] << 8 : 0);
        to[0] = digits[bits >> 18];
        to[1] = digits[bits >> 12 & 63];
        to[2] = n > 1 ? digits[bits >> 6 & 63] : '=';
        to[3] = '=';
        to += 4;
    }
    return (size_t)(to - begin);
}

/* The canonical text, gathered for some lines at a time. */
struct gathered {
    struct buf *out;
    size_t count;
    char bytes[LINES * LINE_BYTES + UTF8_MAX]; /* the last may overlap */
};

/* Writes lines and keeps what overlaps them. */
static void put_lines(struct gathered *g, size_t count)
{
    struct buf *out = g->out;

    for (size_t at = 0; at < count; at += LINE_BYTES) {
        size_t n = count - at < LINE_BYTES ? count - at : LINE_BYTES;

        if (!buf_room(out, ENCODE_LINE + 2)) {
            break;
        }
        out->len +=
            encode_base64_digits(out->data + out->len, g->bytes + at, n);
        buf_put(out, "\r\n", 2);
    }
    g->count -= count;
    memmove(g->bytes, g->bytes + count, g->count);
}

/* One character of two bytes or more, or a NUL. */
static const char *gather_character(struct gathered *g, const char *at,
                                    const char *end)
{
    bool ok = true;
    size_t length = utf8_length(at, end, &ok);
    struct span bytes = text_character(at, length, ok);

    for (size_t i = 0; i < bytes.len; i++) {
        g->bytes[g->count++] = bytes.ptr[i];
    }
    return at + length;
}

static inline void gather_line_end(struct gathered *g)
{
    g->bytes[g->count++] = '\r';
    g->bytes[g->count++] = '\n';
}

void encode_base64(struct buf *out, struct span text)
{
    struct gathered g;
    const char *at = text.ptr;
    const char *const end = text.len > 0 ? at + text.len : at;
    char last = '\0';

    g.out = out;
    g.count = 0;
    while (at < end && buf_ok(out)) {
        last = *at;
        if (last == '\n' || last == '\r') {
            gather_line_end(&g);
            at += text_line_end(at, end);
        } else if ((signed char)last > 0) {
            g.bytes[g.count++] = *at++;
        } else {
            at = gather_character(&g, at, end);
        }
        if (g.count >= LINES * LINE_BYTES) {
            put_lines(&g, LINES * LINE_BYTES);
        }
    }
    if (last != '\n' && last != '\r') {
        gather_line_end(&g);
    }
    put_lines(&g, g.count);
}
