/*
 * payload_quick - the JSON that nearly every event has, without detours.
 *
 * jansson takes its input byte by byte through a callback and copies every
 * token twice; for a letter that was more than all other work together. This
 * parser looks at sixteen bytes at a time, copies each string once, and gives
 * up as soon as something is not plain: mistakes, "\u" escapes (PostgreSQL
 * prints them only for control characters), escapes in keys, deep nesting.
 * What it gives up, jansson parses from the start. So it need not be complete
 * but has to be strict: what it takes, jansson must take too, with the same
 * values in the same order. The fuzz target fuzz_payload.c compares the two.
 */
#include "mail/chars.h"
#include "mail/payload.h"
#include "mail/steps.h"

enum {
    DEPTH_MAX = 32,  /* arrays and objects in each other */
    DIGITS_MAX = 18, /* so many always fit an integer of 64 bits */
};

struct quick {
    const char *at; /* next byte of the text */
    const char *end;
    unsigned depth;
    struct buf decoded; /* the string with escapes that was read last */
};

static json_t *take_value(struct quick *q);

/* The next byte that is not white space, or NUL at the end. */
static char peek(struct quick *q)
{
    while (q->at < q->end && (*q->at == ' ' || *q->at == '\n' ||
                              *q->at == '\t' || *q->at == '\r')) {
        q->at++;
    }
    return q->at < q->end ? *q->at : '\0';
}

static bool take(struct quick *q, char c)
{
    if (peek(q) != c) {
        return false;
    }
    q->at++;
    return true;
}

/* --- strings ------------------------------------------------------------ */

/* Marks what a string cannot just go over: quotes, backslashes, control bytes
 * and bytes outside ASCII. */
static inline step_bytes not_clean(step_bytes bytes)
{
    return (step_bytes)((bytes - ' ' > 0x7f - ' ') | (bytes == '"') |
                        (bytes == '\\'));
}

/* Goes on to the next quote or backslash. False when there is none, or at a
 * byte before it that no string may have. */
static bool skip_clean(struct quick *q)
{
    bool ok = true;

    while (q->at < q->end && ok) {
        if (q->end - q->at >= STEP) {
            size_t clean = step_before(not_clean(step_load(q->at)));

            q->at += clean;
            if (clean == STEP) {
                continue;
            }
        }
        if (*q->at == '"' || *q->at == '\\') {
            return true;
        }
        if ((unsigned char)*q->at < ' ') {
            return false;
        }
        q->at += utf8_length(q->at, q->end, &ok);
    }
    return false;
}

/* What an escape of one letter stands for; "u" is not among them. */
static const char escapes[256] = {
    ['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
    ['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t',
};

/* The rest of a string whose clean start is [from, q->at), at a backslash. */
static bool decode(struct quick *q, const char *from)
{
    buf_clear(&q->decoded);
    while (*q->at != '"') {
        char c = q->end - q->at >= 2 ? escapes[(unsigned char)q->at[1]] : '\0';

        if (c == '\0') {
            return false;
        }
        buf_put(&q->decoded, from, (size_t)(q->at - from));
        buf_putc(&q->decoded, c);
        q->at += 2;
        from = q->at;
        if (!skip_clean(q)) {
            return false;
        }
    }
    buf_put(&q->decoded, from, (size_t)(q->at - from));
    return buf_ok(&q->decoded);
}

static json_t *take_string(struct quick *q)
{
    const char *from = ++q->at;
    struct span text = SPAN_NONE;

    if (!skip_clean(q)) {
        return NULL;
    }
    text = span_make(from, (size_t)(q->at - from));
    if (*q->at == '\\') {
        if (!decode(q, from)) {
            return NULL;
        }
        text = buf_view(&q->decoded);
    }
    q->at++;
    return json_stringn_nocheck(text.ptr, text.len);
}

/* --- numbers and words -------------------------------------------------- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_of_number(char c)
{
    return is_digit(c) || c == '.' || c == 'e' || c == 'E' || c == '+' ||
           c == '-';
}

/* Fractions, exponents and long integers: jansson knows best. */
static json_t *take_other_number(struct quick *q, const char *from)
{
    while (q->at < q->end && is_of_number(*q->at)) {
        q->at++;
    }
    return json_loadb(from, (size_t)(q->at - from), JSON_DECODE_ANY, NULL);
}

static json_t *take_number(struct quick *q)
{
    const char *const from = q->at;
    const char *const digits = from + (*from == '-');
    json_int_t value = 0;

    for (q->at = digits;
         q->at < q->end && is_digit(*q->at) && q->at - digits < DIGITS_MAX;
         q->at++) {
        value = value * 10 + (*q->at - '0');
    }
    if ((q->at < q->end && is_of_number(*q->at)) || q->at == digits ||
        (*digits == '0' && q->at - digits > 1)) {
        return take_other_number(q, from);
    }
    return json_integer(digits > from ? -value : value);
}

static json_t *take_word(struct quick *q, struct span word, json_t *value)
{
    if (!span_starts(span_make(q->at, (size_t)(q->end - q->at)), word)) {
        return NULL;
    }
    q->at += word.len;
    return value;
}

/* --- objects and arrays ------------------------------------------------- */

/* A key, its colon and its value. */
static bool take_member(struct quick *q, json_t *object)
{
    struct span key = SPAN_NONE;

    if (!take(q, '"')) {
        return false;
    }
    key.ptr = q->at;
    if (!skip_clean(q) || *q->at == '\\') {
        return false;
    }
    key.len = (size_t)(q->at - key.ptr);
    q->at++;
    return take(q, ':') && json_object_setn_new_nocheck(
                               object, key.ptr, key.len, take_value(q)) == 0;
}

static bool take_item(struct quick *q, json_t *array)
{
    return json_array_append_new(array, take_value(q)) == 0;
}

typedef bool take_one_fn(struct quick *q, json_t *all);

static bool take_some(struct quick *q, json_t *all, take_one_fn *take_one)
{
    do {
        if (!take_one(q, all)) {
            return false;
        }
    } while (take(q, ','));
    return true;
}

/* What is between brackets; all is returned, or freed to give up. */
static json_t *take_all(struct quick *q, json_t *all, take_one_fn *take_one,
                        char closing)
{
    bool is_whole = false;

    q->at++;
    if (q->depth < DEPTH_MAX) {
        q->depth++;
        is_whole = take(q, closing) ||
                   (take_some(q, all, take_one) && take(q, closing));
        q->depth--;
    }
    if (!is_whole) {
        json_decref(all);
        return NULL;
    }
    return all;
}

/* The value that begins here, or NULL to give up. */
static json_t *take_value(struct quick *q)
{
    switch (peek(q)) {
    case '"': return take_string(q);
    case '{': return take_all(q, json_object(), take_member, '}');
    case '[': return take_all(q, json_array(), take_item, ']');
    case 't': return take_word(q, SPAN_LIT("true"), json_true());
    case 'f': return take_word(q, SPAN_LIT("false"), json_false());
    case 'n': return take_word(q, SPAN_LIT("null"), json_null());
    case '\0': return NULL;
    default: return take_number(q);
    }
}

json_t *payload_quick(struct span text)
{
    struct quick q = {.at = text.ptr, .end = text.ptr + text.len};
    json_t *payload = NULL;

    if (text.len == 0) {
        return NULL;
    }
    buf_init(&q.decoded, text.len);
    if (peek(&q) == '{') {
        payload = take_value(&q);
    }
    buf_release(&q.decoded);
    (void)peek(&q);
    if (q.at < q.end) {
        json_decref(payload);
        return NULL;
    }
    return payload;
}
