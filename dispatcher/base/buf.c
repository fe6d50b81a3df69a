/*
 * buf - growing bytes with a cap and sticky failure.
 *
 * All growth happens in buf_grow: refuse above the cap, double, never shrink.
 */
#include "base/buf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include "base/mem.h"

enum { BUF_FIRST = 256 };

void buf_init(struct buf *b, size_t cap)
{
    *b = (struct buf){.cap = cap ? cap : SIZE_MAX};
}

void buf_wrap(struct buf *b, char *memory, size_t size)
{
    *b = (struct buf){.data = memory, .size = size, .cap = size, .fixed = true};
}

void buf_release(struct buf *b)
{
    if (!b->fixed) {
        mem_free(b->data);
    }
    buf_init(b, b->cap);
}

bool buf_grow(struct buf *b, size_t n)
{
    size_t size = b->size ? b->size : BUF_FIRST;
    char *data = NULL;

    if (b->broken || b->fixed || n > b->cap - b->len) {
        b->broken = true;
        return false;
    }
    while (size - b->len < n) {
        size = size > SIZE_MAX / 2 ? SIZE_MAX : size * 2;
    }
    if (size > b->cap) {
        size = b->cap;
    }
    data = mem_try_realloc(b->data, size);
    if (data == NULL) {
        b->broken = true;
        return false;
    }
    b->data = data;
    b->size = size;
    return true;
}

void buf_printf(struct buf *b, const char *format, ...)
{
    va_list args;
    int len = 0;
    char *at = NULL;

    va_start(args, format);
    len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    /* One more than needed: vsnprintf insists on writing its NUL. */
    if (len < 0 || !buf_room(b, (size_t)len + 1)) {
        b->broken = true;
        return;
    }
    at = b->data + b->len;
    va_start(args, format);
    vsnprintf(at, (size_t)len + 1, format, args);
    va_end(args);
    b->len += (size_t)len;
}

void buf_json(struct buf *b, struct span text)
{
    buf_putc(b, '"');
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];

        if (c == '"' || c == '\\') {
            buf_putc(b, '\\');
            buf_putc(b, (char)c);
        } else if (c < 0x20) {
            buf_printf(b, "\\u%04x", c);
        } else {
            buf_putc(b, (char)c);
        }
    }
    buf_putc(b, '"');
}

void buf_u64(struct buf *b, unsigned long long value)
{
    char digits[20];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    buf_put(b, digits + at, sizeof(digits) - at);
}

void buf_i64(struct buf *b, long long value)
{
    if (value < 0) {
        buf_putc(b, '-');
        buf_u64(b, 0ULL - (unsigned long long)value);
    } else {
        buf_u64(b, (unsigned long long)value);
    }
}

const char *buf_cstr(struct buf *b)
{
    if (!buf_room(b, 1)) {
        return "";
    }
    b->data[b->len] = '\0';
    return b->data;
}

char *buf_take(struct buf *b)
{
    char *bytes = NULL;

    if (b->fixed || !buf_room(b, 1)) {
        return NULL;
    }
    bytes = b->data;
    bytes[b->len] = '\0';
    buf_init(b, b->cap);
    return bytes;
}
