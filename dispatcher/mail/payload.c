/*
 * payload - the JSON of an event.
 *
 * jansson refuses bytes that are not UTF-8, "\ud800" without its other half,
 * and NUL in a key. PostgreSQL's json type lets some of that through, and no
 * mail should be lost for it, so a payload that was refused is repaired as
 * text and parsed once more. The repair never touches the structure: what is
 * replaced lies inside of strings or is a mistake anyway.
 */
#include "mail/payload.h"

#include <stdio.h>
#include <string.h>

#include "mail/chars.h"

/* --- parsing ------------------------------------------------------------ */

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

static struct span skipped(struct span s, size_t n)
{
    return span_make(s.ptr + n, s.len - n);
}

/* Copies what begins with a backslash; returns how many bytes it had. */
static size_t repair_escape(struct buf *out, struct span rest)
{
    long first = unicode_escape(rest);
    long second = first >= 0 ? unicode_escape(skipped(rest, 6)) : -1;
    size_t n = rest.len < 2 ? rest.len : 2;

    if (first >= 0xD800 && first < 0xDC00 && second >= 0xDC00 &&
        second < 0xE000) {
        n = 12;
    } else if (first == 0 || (first >= 0xD800 && first < 0xE000)) {
        buf_puts(out, UTF8_REPLACEMENT);
        return 6;
    } else if (first > 0) {
        n = 6;
    }
    if (n == 2 && (unsigned char)rest.ptr[1] >= 0x80) {
        n = 1;
    }
    buf_put(out, rest.ptr, n);
    return n;
}

static void repair(struct buf *out, struct span text)
{
    const char *end = text.ptr + text.len;

    while (text.len > 0) {
        bool ok = true;
        size_t n = 0;

        if (text.ptr[0] == '\\') {
            n = repair_escape(out, text);
        } else {
            n = utf8_length(text.ptr, end, &ok);
            buf_span(out, text_character(text.ptr, n, ok));
        }
        text = skipped(text, n);
    }
}

static json_t *parse(struct span text, json_error_t *error)
{
    return json_loadb(text.ptr ? text.ptr : "", text.len, JSON_ALLOW_NUL,
                      error);
}

static bool is_repairable(const json_error_t *error)
{
    enum json_error_code code = json_error_code(error);

    return code == json_error_invalid_utf8 ||
           code == json_error_invalid_syntax ||
           code == json_error_null_character ||
           code == json_error_null_byte_in_key;
}

static json_t *parse_repaired(struct span text, json_error_t *error)
{
    struct buf clean;
    json_t *payload = NULL;

    buf_init(&clean, text.len * 3 + 1);
    repair(&clean, text);
    if (buf_ok(&clean) && !span_equal(buf_view(&clean), text)) {
        payload = parse(buf_view(&clean), error);
    }
    buf_release(&clean);
    return payload;
}

/* Error texts of jansson quote the input. */
static void clean_reason(char *reason)
{
    for (; *reason != '\0'; reason++) {
        if (char_classes(*reason) & (CHAR_CONTROL | CHAR_HIGH)) {
            *reason = '?';
        }
    }
}

json_t *payload_parse(struct span text, struct payload_fault *why)
{
    json_error_t error;
    json_t *payload = payload_quick(text);

    if (payload != NULL) {
        return payload;
    }
    payload = parse(text, &error);
    if (payload == NULL && is_repairable(&error)) {
        payload = parse_repaired(text, &error);
    }
    if (payload == NULL) {
        snprintf(why->reason, sizeof(why->reason),
                 "payload is not valid JSON: %s", error.text);
        clean_reason(why->reason);
        return NULL;
    }
    if (!json_is_object(payload)) {
        snprintf(why->reason, sizeof(why->reason),
                 "payload is not a JSON object");
        json_decref(payload);
        return NULL;
    }
    return payload;
}

/* --- holding it against the contract ------------------------------------ */

static const char *type_word(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT: return "object";
    case JSON_ARRAY: return "array";
    case JSON_STRING: return "string";
    case JSON_INTEGER: return "integer";
    case JSON_REAL: return "number with a fraction";
    case JSON_TRUE:
    case JSON_FALSE: return "boolean";
    case JSON_NULL: return "null";
    }
    return "value";
}

bool payload_is(const json_t *value, enum key_type type)
{
    switch (type) {
    case KEY_STRING: return json_is_string(value);
    case KEY_INTEGER: return json_is_integer(value);
    case KEY_NUMBER: return json_is_number(value);
    case KEY_BOOLEAN: return json_is_boolean(value);
    case KEY_ARRAY: return json_is_array(value);
    case KEY_OBJECT: return json_is_object(value);
    case KEY_ANY: return true;
    }
    return false;
}

void payload_unknown(const struct contract *c, const json_t *payload,
                     payload_unknown_fn *on_unknown, void *ctx)
{
    const char *name = NULL;
    size_t len = 0;
    json_t *value = NULL;

    json_object_keylen_foreach((json_t *)(uintptr_t)payload, name, len, value)
    {
        if (contract_key(c, span_make(name, len)) == NULL) {
            on_unknown(ctx, span_make(name, len));
        }
    }
}

bool payload_move_reserved(const struct contract *c, json_t *payload,
                           json_t *about)
{
    bool is_done = true;

    for (size_t i = 0; contract_reserved(i) != NULL; i++) {
        const char *name = contract_reserved(i);
        json_t *value = about ? json_object_get(payload, name) : NULL;

        if (value != NULL && contract_key(c, span_of(name)) != NULL) {
            is_done = is_done && json_object_set(about, name, value) == 0;
        }
        (void)json_object_del(payload, name);
    }
    return is_done;
}

bool payload_fill_absent(const struct contract *c, json_t *payload)
{
    bool is_done = true;

    for (size_t i = 0; i < c->key_count; i++) {
        struct span name = c->keys[i].name;

        if (!contract_is_reserved(name) &&
            json_object_getn(payload, name.ptr, name.len) == NULL) {
            is_done = is_done &&
                      json_object_setn_new_nocheck(payload, name.ptr, name.len,
                                                   json_null()) == 0;
        }
    }
    return is_done;
}

bool payload_check(const struct contract *c, const json_t *payload,
                   struct payload_fault *why)
{
    for (size_t i = 0; i < c->key_count; i++) {
        const struct contract_key *key = &c->keys[i];
        const json_t *value =
            json_object_getn(payload, key->name.ptr, key->name.len);

        if (value == NULL || json_is_null(value)) {
            if (!key->is_required) {
                continue;
            }
            snprintf(why->reason, sizeof(why->reason),
                     "required key '%.*s' is %s", SPAN_ARG(key->name),
                     value ? "null" : "missing");
            return false;
        }
        if (!payload_is(value, key->type)) {
            snprintf(why->reason, sizeof(why->reason),
                     "key '%.*s' is not of type %s but %s", SPAN_ARG(key->name),
                     key_type_name(key->type), type_word(value));
            return false;
        }
    }
    return true;
}

/* The longest start of text that has at most `most` bytes and ends where a
 * character ends. */
static size_t cut_at(const char *text, size_t len, size_t most)
{
    if (len <= most) {
        return len;
    }
    while (most > 0 && ((unsigned char)text[most] & 0xC0) == 0x80) {
        most--;
    }
    return most;
}

static bool cut_string(json_t *value, size_t most)
{
    const char *text = json_string_value(value);
    const size_t len = json_string_length(value);

    return len <= most ||
           json_string_setn_nocheck(value, text, cut_at(text, len, most)) == 0;
}

bool payload_cut(const struct contract *c, json_t *payload)
{
    bool ok = true;

    for (size_t i = 0; i < c->key_count; i++) {
        const struct contract_key *key = &c->keys[i];
        json_t *value = NULL;

        if (key->cut == 0) {
            continue;
        }
        value = json_object_getn(payload, key->name.ptr, key->name.len);
        if (json_is_string(value)) {
            ok = ok && cut_string(value, key->cut);
        }
        while (json_is_array(value) && json_array_size(value) > key->cut) {
            json_array_remove(value, json_array_size(value) - 1);
        }
    }
    return ok;
}
