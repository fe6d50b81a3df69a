/*
 * span - a pointer and a length: bytes that somebody else owns.
 *
 * Passed by value. Never NUL-terminated by promise; print it with "%.*s" and
 * SPAN_ARG. The owner is named where the span is stored.
 */
#ifndef BASE_SPAN_H
#define BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct span {
    const char *ptr;
    size_t len;
};

#define SPAN_LIT(text) ((struct span){(text), sizeof(text) - 1})
#define SPAN_NONE      ((struct span){NULL, 0})
/* The two arguments that "%.*s" takes. */
#define SPAN_ARG(s) (int)(s).len, ((s).ptr ? (s).ptr : "")

static inline struct span span_make(const char *ptr, size_t len)
{
    return (struct span){ptr, len};
}

/* The span of a C string; NULL gives the empty span. */
static inline struct span span_of(const char *text)
{
    return (struct span){text, text ? strlen(text) : 0};
}

static inline bool span_equal(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool span_is(struct span s, const char *text)
{
    return span_equal(s, span_of(text));
}

static inline bool span_starts(struct span s, struct span prefix)
{
    return s.len >= prefix.len &&
           (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

/* Without leading and trailing space, tab, CR and LF. */
static inline struct span span_trim(struct span s)
{
    while (s.len > 0 && strchr(" \t\r\n", s.ptr[0]) != NULL && s.ptr[0]) {
        s.ptr++;
        s.len--;
    }
    while (s.len > 0 && strchr(" \t\r\n", s.ptr[s.len - 1]) != NULL &&
           s.ptr[s.len - 1]) {
        s.len--;
    }
    return s;
}

#endif
