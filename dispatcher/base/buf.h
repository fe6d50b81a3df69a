/*
 * buf - growing bytes with a cap and sticky failure.
 *
 * Write as much as you like and ask once at the end: after the first write
 * that does not fit, the buf is broken, further writes do nothing and buf_ok
 * says false. A NUL is not kept behind the bytes; buf_cstr puts one there.
 *
 *     struct buf b;
 *     buf_init(&b, 1024 * 1024);           grows up to 1 MiB
 *     buf_puts(&b, "Subject: ");
 *     buf_put(&b, s.ptr, s.len);
 *     if (!buf_ok(&b)) ...                 too big, or no memory
 *     buf_release(&b);
 *
 * A wrapped buf writes into memory of the caller, never grows and needs no
 * release.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

struct buf {
    char *data;  /* len bytes are written */
    size_t len;  /* bytes written */
    size_t size; /* bytes there is room for now */
    size_t cap;  /* most bytes it may grow to */
    bool broken; /* a write did not fit */
    bool fixed;  /* data belongs to the caller */
};

/* Empty; takes no memory before the first write. cap 0 means no cap. */
void buf_init(struct buf *b, size_t cap);
/* Writes into memory[0..size), which must outlive b. */
void buf_wrap(struct buf *b, char *memory, size_t size);
void buf_release(struct buf *b);

/* Room for n more bytes at b->data + b->len; false breaks the buf. */
bool buf_grow(struct buf *b, size_t n);

static inline bool buf_ok(const struct buf *b)
{
    return !b->broken;
}

/* Empty and whole again; keeps the memory. */
static inline void buf_clear(struct buf *b)
{
    b->len = 0;
    b->broken = false;
}

/* Cuts back to len bytes, which must not be more than there are. */
static inline void buf_truncate(struct buf *b, size_t len)
{
    b->len = len;
}

static inline bool buf_room(struct buf *b, size_t n)
{
    return !b->broken && (b->size - b->len >= n || buf_grow(b, n));
}

static inline void buf_put(struct buf *b, const char *bytes, size_t n)
{
    if (n > 0 && buf_room(b, n)) {
        memcpy(b->data + b->len, bytes, n);
        b->len += n;
    }
}

static inline void buf_putc(struct buf *b, char c)
{
    if (buf_room(b, 1)) {
        b->data[b->len++] = c;
    }
}

static inline void buf_puts(struct buf *b, const char *text)
{
    buf_put(b, text, strlen(text));
}

static inline void buf_span(struct buf *b, struct span s)
{
    buf_put(b, s.ptr, s.len);
}

static inline struct span buf_view(const struct buf *b)
{
    return span_make(b->data, b->len);
}

void buf_printf(struct buf *b, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* text as a JSON string with its quotes (RFC 8259 §7); text is UTF-8. */
void buf_json(struct buf *b, struct span text);
/* Decimal digits; quicker than buf_printf. */
void buf_u64(struct buf *b, unsigned long long value);
/* As buf_u64, with a minus sign where one is needed. */
void buf_i64(struct buf *b, long long value);
/* The bytes as a C string that lives until the next write; "" when broken. */
const char *buf_cstr(struct buf *b);
/* Gives the bytes away, NUL-terminated (caller frees), and empties b; NULL
 * when broken or wrapped. */
char *buf_take(struct buf *b);

#endif
