/*
 * payload - the JSON of an event.
 *
 * What jansson refuses is repaired as text and parsed once more, see
 * payload_repair.h; what is longer than the contract allows is cut. Whatever is
 * done to a payload is noted in words, for the ledger.
 */
#include "mail/payload.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/plural.h"
#include "mail/chars.h"
#include "mail/mustache_link.h"
#include "mail/payload_repair.h"

/* --- parsing ------------------------------------------------------------ */

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
           code == json_error_null_byte_in_key ||
           code == json_error_numeric_overflow ||
           code == json_error_stack_overflow;
}

/* --- notes -------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static void note_down(struct buf *note,
                                                            const char *format,
                                                            ...)
{
    char text[200];
    va_list args;

    if (note == NULL) {
        return;
    }
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    buf_puts(note, note->len > 0 ? "; " : "");
    buf_puts(note, text);
}

static void note_repairs(struct buf *note, unsigned repairs)
{
    if (repairs & REPAIR_BYTES) {
        note_down(note, "bytes that are not text replaced");
    }
    if (repairs & REPAIR_NUMBERS) {
        note_down(note, "numbers beyond 64 bits kept as text");
    }
    if (repairs & REPAIR_DEPTH) {
        note_down(note, "what was nested more than %d deep left out",
                  REPAIR_DEPTH_MAX);
    }
}

/* --- parsing, the second try -------------------------------------------- */

static json_t *parse_repaired(struct span text, struct buf *note,
                              json_error_t *error)
{
    struct buf clean;
    json_t *payload = NULL;
    unsigned repairs = 0;

    buf_init(&clean, text.len * 3 + 1);
    repairs = payload_repair(&clean, text);
    if (buf_ok(&clean) && repairs != 0) {
        payload = parse(buf_view(&clean), error);
    }
    if (payload != NULL) {
        note_repairs(note, repairs);
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

/* Without memory jansson gives up without a word. */
static void tell_unparsed(struct payload_fault *why, const json_error_t *error)
{
    if (error->text[0] == '\0') {
        snprintf(why->reason, sizeof(why->reason), "out of memory");
        return;
    }
    snprintf(why->reason, sizeof(why->reason), "payload is not valid JSON: %s",
             error->text);
    clean_reason(why->reason);
}

json_t *payload_parse(struct span text, struct buf *note,
                      struct payload_fault *why)
{
    json_error_t error = {.line = 0}; /* jansson may leave its code unset */
    json_t *payload = payload_quick(text);

    if (payload != NULL) {
        return payload;
    }
    payload = parse(text, &error);
    if (payload == NULL && is_repairable(&error)) {
        payload = parse_repaired(text, note, &error);
    }
    if (payload == NULL) {
        tell_unparsed(why, &error);
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
    case KEY_STRING:
    case KEY_URL: return json_is_string(value);
    case KEY_INTEGER:
        return json_is_integer(value) || payload_is_wide(value, true);
    case KEY_NUMBER:
        return json_is_number(value) || payload_is_wide(value, false);
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

/* "key 'error' (what went wrong)", for those who have to mend it. */
static void put_key(struct payload_fault *why, const struct contract_key *key,
                    const char *prefix)
{
    const bool has_about = key->about.len > 0;

    why->key = key->name;
    snprintf(why->reason, sizeof(why->reason), "%skey '%.*s'%s%.*s%s", prefix,
             SPAN_ARG(key->name), has_about ? " (" : "", SPAN_ARG(key->about),
             has_about ? ")" : "");
}

static void append(struct payload_fault *why, const char *text)
{
    const size_t len = strlen(why->reason);

    snprintf(why->reason + len, sizeof(why->reason) - len, "%s", text);
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
            put_key(why, key, "required ");
            append(why, value ? " is null" : " is missing");
            return false;
        }
        if (!payload_is(value, key->type)) {
            put_key(why, key, "");
            append(why, " is not of type ");
            append(why, key_type_name(key->type));
            append(why, " but ");
            append(why, type_word(value));
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

/* A string or array of more than the contract allows. */
static bool cut_value(const struct contract_key *key, json_t *value,
                      struct buf *note)
{
    const size_t most = key->cut;

    if (json_is_string(value) && json_string_length(value) > most) {
        note_down(
            note, "%.*s cut from %zu to %zu bytes", SPAN_ARG(key->name),
            json_string_length(value),
            cut_at(json_string_value(value), json_string_length(value), most));
        return cut_string(value, most);
    }
    if (json_is_array(value) && json_array_size(value) > most) {
        note_down(note, "%.*s cut from %zu to %zu item%s", SPAN_ARG(key->name),
                  json_array_size(value), most, plural_s(most));
    }
    while (json_is_array(value) && json_array_size(value) > most) {
        json_array_remove(value, json_array_size(value) - 1);
    }
    return true;
}

bool payload_cut(const struct contract *c, json_t *payload, struct buf *note)
{
    bool ok = true;

    for (size_t i = 0; i < c->key_count && ok; i++) {
        const struct contract_key *key = &c->keys[i];
        json_t *value = NULL;

        if (key->cut == 0 && key->type != KEY_URL) {
            continue;
        }
        value = json_object_getn(payload, key->name.ptr, key->name.len);
        if (key->type == KEY_URL && !link_is_harmless(value)) {
            note_down(note, "%.*s left out: no http, https or mailto address",
                      SPAN_ARG(key->name));
            ok = json_string_setn_nocheck(value, "", 0) == 0;
        } else if (key->cut > 0) {
            ok = cut_value(key, value, note);
        }
    }
    return ok;
}
