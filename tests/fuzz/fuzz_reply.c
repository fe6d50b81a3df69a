/*
 * fuzz_reply - the reply parser, the escape and the delay reader on any
 * bytes, split anywhere.
 *
 * The first byte of the input chooses the splits. Whatever comes in, the
 * same bytes fed at once and fed in pieces must give the same replies, and
 * text that comes out must be printable.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "smtp/reply.h"
#include "smtp/verdict.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { REPLIES_MAX = 4096 };

struct seen {
    size_t count;
    uint64_t hash;
    enum reply_state last;
};

static void note(struct seen *s, const struct reply *r)
{
    char memory[REPLY_TEXT_MAX];
    struct span text = reply_text(r, memory);

    if (r->code < 200 || r->code > 599 || text.len > REPLY_TEXT_MAX) {
        abort();
    }
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];

        if (c < 0x20 || c == 0x7f) {
            abort();
        }
        s->hash = s->hash * 31 + c;
    }
    if (verdict_delay_s(text) < 0 || verdict_delay_s(text) > 86400) {
        abort();
    }
    s->hash = s->hash * 31 + (uint64_t)(r->code + r->enhanced[1]);
    s->count++;
}

static struct seen feed(const char *bytes, size_t len, size_t piece)
{
    struct seen s = {.last = REPLY_MORE};
    struct reply r;
    size_t at = 0;

    reply_clear(&r);
    while (at < len && s.last != REPLY_GARBAGE) {
        size_t n = len - at < piece ? len - at : piece;
        size_t used = 0;

        s.last = reply_feed(&r, bytes + at, n, &used);
        if (used > n || (used == 0 && s.last != REPLY_GARBAGE)) {
            abort();
        }
        if (s.last == REPLY_DONE) {
            note(&s, &r);
        }
        at += used;
    }
    return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen whole;
    struct seen pieces;

    if (size < 2) {
        return 0;
    }
    whole = feed((const char *)data + 1, size - 1, size);
    pieces = feed((const char *)data + 1, size - 1, 1 + data[0] % 64u);
    if (whole.count != pieces.count || whole.hash != pieces.hash ||
        (whole.last == REPLY_GARBAGE) != (pieces.last == REPLY_GARBAGE)) {
        abort();
    }
    return 0;
}
