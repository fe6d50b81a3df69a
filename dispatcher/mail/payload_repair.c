/*
 * payload_repair - what the parser refuses and a mail need not be lost for.
 *
 * jansson refuses bytes that are not UTF-8, "\ud800" without its other half,
 * NUL in a key, numbers beyond 64 bits and deep nesting. PostgreSQL's json
 * types let each of that through. So a payload that was refused is repaired as
 * text, in one walk, and parsed once more. Text that is no JSON is none after
 * the walk either.
 */
#include "mail/payload_repair.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mail/chars.h"

enum { DIGITS_MAX = 19 }; /* of an integer of 64 bits */

struct walk {
    struct buf *out;
    struct span rest;
    unsigned done; /* what was repaired */
    size_t depth;  /* brackets that are open */
};

static struct span skipped(struct span s, size_t n)
{
    return span_make(s.ptr + n, s.len - n);
}

/* What is nested too deep leaves no trace but its null. */
static bool is_dropped(const struct walk *w)
{
    return w->depth > REPAIR_DEPTH_MAX;
}

static void put(struct walk *w, struct span bytes)
{
    if (!is_dropped(w)) {
        buf_span(w->out, bytes);
    }
}

/* --- strings ------------------------------------------------------------ */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The value of the escape "\uXXXX" at the start of s, or -1. */
static long unicode_escape(struct span s)
{
    long value = 0;

    if (s.len < 6 || s.ptr[0] != '\\' || s.ptr[1] != 'u') {
        return -1;
    }
    for (size_t i = 2; i < 6; i++) {
        int digit = hex_digit(s.ptr[i]);

        if (digit < 0) {
            return -1;
        }
        value = value * 16 + digit;
    }
    return value;
}

/* What begins with a backslash; returns how many bytes it has. */
static size_t repair_escape(struct walk *w)
{
    const struct span rest = w->rest;
    const long first = unicode_escape(rest);
    const long second = first >= 0 ? unicode_escape(skipped(rest, 6)) : -1;
    size_t n = rest.len < 2 ? rest.len : 2;

    if (first >= 0xD800 && first < 0xDC00 && second >= 0xDC00 &&
        second < 0xE000) {
        n = 12;
    } else if (first == 0 || (first >= 0xD800 && first < 0xE000)) {
        put(w, SPAN_LIT(UTF8_REPLACEMENT));
        w->done |= REPAIR_BYTES;
        return 6;
    } else if (first > 0) {
        n = 6;
    }
    if (n == 2 && (unsigned char)rest.ptr[1] >= 0x80) {
        n = 1;
    }
    put(w, span_make(rest.ptr, n));
    return n;
}

/* A character, in a string or not; returns how many bytes it has. */
static size_t repair_character(struct walk *w)
{
    bool ok = true;
    const size_t n = utf8_length(w->rest.ptr, w->rest.ptr + w->rest.len, &ok);
    const struct span clean = text_character(w->rest.ptr, n, ok);

    w->done |= clean.ptr != w->rest.ptr ? REPAIR_BYTES : 0;
    put(w, clean);
    return n;
}

/* To the quote that ends the string that begins here. */
static void repair_string(struct walk *w)
{
    put(w, SPAN_LIT("\""));
    w->rest = skipped(w->rest, 1);
    while (w->rest.len > 0) {
        const char c = w->rest.ptr[0];
        const size_t n = c == '\\' ? repair_escape(w) : repair_character(w);

        w->rest = skipped(w->rest, n);
        if (c == '"') {
            return;
        }
    }
}

/* --- numbers ------------------------------------------------------------ */

static size_t number_length(struct span text)
{
    size_t n = 0;

    while (n < text.len &&
           ((text.ptr[n] >= '0' && text.ptr[n] <= '9') ||
            (n == 0 ? text.ptr[n] == '-'
                    : text.ptr[n] != '\0' && strchr(".eE+-", text.ptr[n])))) {
        n++;
    }
    return n;
}

static bool is_whole(struct span number)
{
    for (size_t i = 0; i < number.len; i++) {
        if (strchr(".eE", number.ptr[i]) != NULL) {
            return false;
        }
    }
    return true;
}

/* Does the integer not fit into 64 bits? */
static bool is_wide_integer(struct span number)
{
    char text[DIGITS_MAX + 2] = "";
    const size_t digits = number.len - (number.ptr[0] == '-');

    if (digits != DIGITS_MAX) {
        return digits > DIGITS_MAX;
    }
    memcpy(text, number.ptr, number.len);
    errno = 0;
    (void)strtoll(text, NULL, 10);
    return errno == ERANGE;
}

static bool is_wide(struct span number)
{
    struct buf text;
    bool is_infinite = false;

    if (number.len == 0 || is_whole(number)) {
        return number.len > 0 && is_wide_integer(number);
    }
    buf_init(&text, 0);
    buf_span(&text, number);
    is_infinite = isinf(strtod(buf_cstr(&text), NULL)) != 0;
    buf_release(&text);
    return is_infinite;
}

static void repair_number(struct walk *w)
{
    const struct span number = span_make(w->rest.ptr, number_length(w->rest));
    const bool is_string = is_wide(number);

    w->done |= is_string ? REPAIR_NUMBERS : 0;
    put(w, is_string ? SPAN_LIT("\"") : SPAN_NONE);
    put(w, number);
    put(w, is_string ? SPAN_LIT("\"") : SPAN_NONE);
    w->rest = skipped(w->rest, number.len);
}

bool payload_is_wide(const json_t *value, bool is_integer)
{
    const struct span text =
        span_make(json_string_value(value), json_string_length(value));

    return text.len > DIGITS_MAX - 1 && number_length(text) == text.len &&
           (!is_integer || is_whole(text)) && is_wide(text);
}

/* --- the whole ---------------------------------------------------------- */

static void open_bracket(struct walk *w)
{
    if (w->depth == REPAIR_DEPTH_MAX) {
        buf_puts(w->out, "null");
        w->done |= REPAIR_DEPTH;
    }
    w->depth++;
    put(w, span_make(w->rest.ptr, 1));
    w->rest = skipped(w->rest, 1);
}

static void close_bracket(struct walk *w)
{
    put(w, span_make(w->rest.ptr, 1));
    w->depth -= w->depth > 0;
    w->rest = skipped(w->rest, 1);
}

unsigned payload_repair(struct buf *out, struct span text)
{
    struct walk w = {.out = out, .rest = text};

    while (w.rest.len > 0 && buf_ok(out)) {
        switch (w.rest.ptr[0]) {
        case '"': repair_string(&w); break;
        case '[':
        case '{': open_bracket(&w); break;
        case ']':
        case '}': close_bracket(&w); break;
        default:
            if (number_length(w.rest) > 0) {
                repair_number(&w);
            } else {
                w.rest = skipped(w.rest, repair_character(&w));
            }
            break;
        }
    }
    return w.done;
}
