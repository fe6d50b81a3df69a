/*
 * obs_answer_json - the JSON view, read by jansson.
 *
 * Values are texts. A number or a truth value becomes its text, null the
 * empty text; a list or an object is kept as it is.
 *
 * jansson refuses all of a text for one escape that is no character: a NUL in
 * a key, half of a surrogate pair. Each becomes U+FFFD before it looks.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/utf8.h"
#include "web/obs_answer_parts.h"

static const char *type_word(const json_t *value)
{
    switch (value != NULL ? json_typeof(value) : JSON_NULL) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "a list";
    case JSON_STRING: return "a text";
    case JSON_INTEGER:
    case JSON_REAL: return "a number";
    case JSON_TRUE:
    case JSON_FALSE: return "true or false";
    case JSON_NULL: return "nothing";
    }
    return "something else";
}

/* ---- escapes ------------------------------------------------------------- */

enum { ESCAPE_LENGTH = 6 }; /* \u0000 */

/* The number of the escape "\uXXXX" at at, or -1 when there is none. */
static long escape_at(const char *at, const char *end)
{
    char digits[] = "XXXX";

    if (end - at < ESCAPE_LENGTH || at[0] != '\\' || at[1] != 'u') {
        return -1;
    }
    memcpy(digits, at + 2, 4);
    return strspn(digits, "0123456789abcdefABCDEF") == 4
               ? strtol(digits, NULL, 16)
               : -1;
}

static bool is_high(long code)
{
    return code >= 0xd800 && code < 0xdc00;
}

static bool is_low(long code)
{
    return code >= 0xdc00 && code < 0xe000;
}

/* In place: U+FFFD takes as many bytes. Backslashes outside of strings are an
 * error anyway. */
static void repair_escapes(struct buf *text)
{
    char *at = text->data;
    char *const end = text->len > 0 ? at + text->len : at;

    while (at < end) {
        const long code = escape_at(at, end);

        if (is_high(code) && is_low(escape_at(at + ESCAPE_LENGTH, end))) {
            at += 2 * ESCAPE_LENGTH;
        } else if (code >= 0) {
            if (code == 0 || is_high(code) || is_low(code)) {
                memcpy(at, "\\ufffd", ESCAPE_LENGTH);
            }
            at += ESCAPE_LENGTH;
        } else {
            at += *at == '\\' && end - at > 1 ? 2 : 1;
        }
    }
}

/* ---- rows ---------------------------------------------------------------- */

/* The text of a value, in scratch when it has to be made. */
static struct span text_of(struct obs_answer *a, const json_t *value,
                           struct buf *scratch)
{
    char *dump = NULL;

    buf_clear(scratch);
    if (json_is_string(value)) {
        /* An escaped NUL or control character comes out as itself. */
        utf8_repair(scratch, span_make(json_string_value(value),
                                       json_string_length(value)));
    } else if (value != NULL && !json_is_null(value)) {
        dump = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
        buf_puts(scratch, dump != NULL ? dump : "");
        scratch->broken = scratch->broken || dump == NULL;
        free(dump);
    }
    (void)obs_check_whole(a, scratch); /* it is remembered */
    return scratch->len > 0 ? buf_view(scratch) : SPAN_LIT("");
}

static bool read_data(struct obs_rows *rows, const json_t *data, size_t nth,
                      struct buf *scratch)
{
    const char *key = NULL;
    size_t len = 0;
    json_t *value = NULL;

    if (data == NULL) {
        return true; /* no keys */
    }
    if (!json_is_object(data)) {
        return obs_fail(rows->answer,
                        "notification %zu: data is %s, expected an object", nth,
                        type_word(data));
    }
    json_object_keylen_foreach((json_t *)(uintptr_t)data, key, len, value)
    {
        if (!obs_add_pair(rows, span_make(key, len),
                          text_of(rows->answer, value, scratch),
                          json_is_object(value) || json_is_array(value))) {
            return false;
        }
    }
    return true;
}

static bool read_notification(struct obs_rows *rows, const json_t *item,
                              size_t nth, struct buf *scratch)
{
    struct obs_answer *a = rows->answer;
    struct buf type;
    bool is_added = false;

    if (!json_is_object(item)) {
        return obs_fail(a, "notification %zu is %s, expected an object", nth,
                        type_word(item));
    }
    buf_init(&type, 0);
    buf_span(&type, text_of(a, json_object_get(item, "type"), scratch));
    is_added = obs_check_whole(a, &type) &&
               obs_add_notification(
                   rows, buf_view(&type),
                   text_of(a, json_object_get(item, "time"), scratch));
    buf_release(&type);
    return is_added &&
           read_data(rows, json_object_get(item, "data"), nth, scratch);
}

static bool read_list(struct obs_rows *rows, const json_t *list,
                      struct buf *scratch)
{
    size_t i = 0;
    json_t *item = NULL;

    if (list == NULL) {
        return true; /* nothing new */
    }
    if (!json_is_array(list)) {
        return obs_fail(rows->answer, "notification is %s, expected a list",
                        type_word(list));
    }
    json_array_foreach(list, i, item)
    {
        if (!read_notification(rows, item, i + 1, scratch)) {
            return false;
        }
    }
    return true;
}

static bool read_root(struct obs_rows *rows, const json_t *root,
                      struct buf *scratch)
{
    static const char *const fields[] = {"next", "sync", "limit_reached"};

    if (!json_is_object(root)) {
        return obs_fail(rows->answer, "it is %s, expected an object",
                        type_word(root));
    }
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        const json_t *value = json_object_get(root, fields[i]);

        if (value != NULL &&
            !obs_set_field(rows, fields[i],
                           text_of(rows->answer, value, scratch))) {
            return false;
        }
    }
    return read_list(rows, json_object_get(root, "notification"), scratch);
}

bool obs_read_json(struct obs_rows *rows, struct buf *text)
{
    json_error_t error;
    struct buf scratch;
    bool is_read = false;
    json_t *root = NULL;

    repair_escapes(text);
    root = json_loadb(text->data ? text->data : "", text->len, JSON_ALLOW_NUL,
                      &error);
    if (root == NULL) {
        return obs_fail(rows->answer, "line %d, column %d: %s", error.line,
                        error.column, error.text);
    }
    buf_init(&scratch, 0);
    is_read = read_root(rows, root, &scratch);
    buf_release(&scratch);
    json_decref(root);
    return is_read;
}
