/*
 * matrix - every mailable type, each of its samples, each of its keys, in every
 * state a key may come in.
 *
 * A case is a sample with one key changed. The values are made by the type of
 * the key; those of arrays from the items of the sample "fullest", so that
 * sections over them find what they read.
 */
#include "mail/matrix.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "mail/payload.h"
#include "mail/trial.h"

enum {
    LONG_CHARACTERS = 20000,
    LONG_ITEMS = 1000,
    LINE_MAX_BYTES = 998, /* RFC 5322 §2.1.1 */
};

#define MARKUP "<script>{{site.url}}</script>"
#define HOSTILE                                                                \
    "a\r\nX-Evil: 1\r\n\r\n.\r\nX-Evil: 2\n" MARKUP "{{#x}}\x7f\t\"'&"

const char *matrix_state_name(enum matrix_state state)
{
    static const char *const names[] = {
        [MATRIX_ABSENT] = "absent",         [MATRIX_NULL] = "null",
        [MATRIX_OTHER] = "of another type", [MATRIX_EMPTY] = "empty",
        [MATRIX_LONG] = "very long",        [MATRIX_HOSTILE] = "hostile",
        [MATRIX_PRESENT] = "present",
    };

    return state < MATRIX_STATES ? names[state] : "";
}

struct run {
    struct audition *audition;
    struct problems *problems;
    struct matrix seen;
    char *long_text;
};

/* --- values --------------------------------------------------------------- */

static const json_t *fullest_value(const struct contract *c,
                                   const struct contract_key *key)
{
    for (size_t i = 0; i < c->sample_count; i++) {
        const json_t *value = NULL;

        if (span_is(c->samples[i].name, "fullest")) {
            value = json_object_getn(c->samples[i].payload, key->name.ptr,
                                     key->name.len);
        }
        if (value != NULL && !json_is_null(value)) {
            return value;
        }
    }
    return NULL;
}

static json_t *empty_value(enum key_type type)
{
    switch (type) {
    case KEY_STRING:
    case KEY_URL:
    case KEY_ANY: return json_string("");
    case KEY_INTEGER: return json_integer(0);
    case KEY_NUMBER: return json_real(0);
    case KEY_BOOLEAN: return json_false();
    case KEY_ARRAY: return json_array();
    case KEY_OBJECT: return json_object();
    }
    return NULL;
}

static json_t *other_value(enum key_type type)
{
    return type == KEY_STRING || type == KEY_URL ? json_pack("[s]", "x")
           : type == KEY_ANY                     ? json_pack("{s:i}", "x", 1)
                                                 : json_string("x");
}

/* A copy of value in which every string is text. */
static json_t *with_strings(const json_t *value, const char *text)
{
    json_t *copy = NULL;
    const char *name = NULL;
    json_t *item = NULL;
    size_t i = 0;

    switch (json_typeof(value)) {
    case JSON_STRING: return json_string(text);
    case JSON_ARRAY:
        copy = json_array();
        json_array_foreach(value, i, item)
        {
            json_array_append_new(copy, with_strings(item, text));
        }
        return copy;
    case JSON_OBJECT:
        copy = json_object();
        json_object_foreach((json_t *)(uintptr_t)value, name, item)
        {
            json_object_set_new(copy, name, with_strings(item, text));
        }
        return copy;
    case JSON_INTEGER:
    case JSON_REAL:
    case JSON_TRUE:
    case JSON_FALSE:
    case JSON_NULL: break;
    }
    return json_deep_copy(value);
}

/* Many copies of the first item of an array, or of a string. */
static json_t *long_array(const json_t *fullest)
{
    const json_t *item = json_array_get(fullest, 0);
    json_t *list = json_array();

    for (int i = 0; i < LONG_ITEMS; i++) {
        json_array_append_new(list,
                              item ? json_deep_copy(item) : json_string("x"));
    }
    return list;
}

static json_t *long_value(const struct run *run, enum key_type type,
                          const json_t *fullest)
{
    switch (type) {
    case KEY_STRING:
    case KEY_URL:
    case KEY_ANY: return json_string(run->long_text);
    case KEY_INTEGER: return json_integer(INT64_MAX);
    case KEY_NUMBER: return json_real(-1.7976931348623157e308);
    case KEY_BOOLEAN: return json_true();
    case KEY_ARRAY: return long_array(fullest);
    case KEY_OBJECT:
        return fullest ? with_strings(fullest, run->long_text) : json_object();
    }
    return NULL;
}

static json_t *present_value(enum key_type type, const json_t *fullest)
{
    return fullest              ? json_deep_copy(fullest)
           : type == KEY_STRING ? json_string("x")
                                : empty_value(type);
}

static json_t *make_value(const struct run *run, const struct contract *c,
                          const struct contract_key *key,
                          enum matrix_state state)
{
    const json_t *fullest = fullest_value(c, key);
    json_t *present = NULL;
    json_t *value = NULL;

    switch (state) {
    case MATRIX_STATES:
    case MATRIX_ABSENT: return NULL;
    case MATRIX_NULL: return json_null();
    case MATRIX_OTHER: return other_value(key->type);
    case MATRIX_EMPTY: return empty_value(key->type);
    case MATRIX_LONG: return long_value(run, key->type, fullest);
    case MATRIX_PRESENT: return present_value(key->type, fullest);
    case MATRIX_HOSTILE: break;
    }
    if (key->type == KEY_ANY) {
        return json_string(HOSTILE);
    }
    present = present_value(key->type, fullest);
    value = with_strings(present, HOSTILE);
    json_decref(present);
    return value;
}

/* --- judging -------------------------------------------------------------- */

static bool must_be_refused(const struct contract_key *key,
                            enum matrix_state state)
{
    return state == MATRIX_ABSENT || state == MATRIX_NULL
               ? key->is_required
               : state == MATRIX_OTHER && key->type != KEY_ANY;
}

/* What is wrong with the bytes of a letter, or NULL. */
static const char *judge_message(struct span message)
{
    const char *at = message.ptr;
    const char *const end = message.ptr + message.len;
    bool is_header = true;

    while (at < end) {
        const char *lf = memchr(at, '\n', (size_t)(end - at));
        const size_t len = (size_t)((lf ? lf + 1 : end) - at);

        if (len > LINE_MAX_BYTES + 2) {
            return "the letter has a line of more than 998 bytes";
        }
        if (lf == NULL || len < 2 || at[len - 2] != '\r') {
            return "the letter has a line that does not end with CRLF";
        }
        if (is_header && len > 6 && strncmp(at, "X-Evil", 6) == 0) {
            return "the payload wrote a header field of its own";
        }
        is_header = is_header && len > 2;
        at += len;
    }
    return NULL;
}

/* What is wrong with a letter, its bytes or its HTML before it is encoded, or
 * NULL. */
static const char *judge_letter(const struct audition *audition)
{
    const struct span html = composer_html(audition_composer(audition));

    if (html.len > 0 &&
        memmem(html.ptr, html.len, MARKUP, strlen(MARKUP)) != NULL) {
        return "the payload wrote markup of its own";
    }
    return judge_message(audition_message(audition));
}

/* Does the reason name the key, in its quotes? */
static bool names_key(struct span reason, struct span key)
{
    for (size_t i = 0; i + key.len + 2 <= reason.len; i++) {
        if (reason.ptr[i] == '\'' && reason.ptr[i + key.len + 1] == '\'' &&
            memcmp(reason.ptr + i + 1, key.ptr, key.len) == 0) {
            return true;
        }
    }
    return false;
}

/* Tries one payload. False: *why says what is wrong. */
static bool try_case(struct run *run, const struct contract *c,
                     const struct contract_key *key, enum matrix_state state,
                     struct span payload, struct span *why)
{
    const bool is_refused = must_be_refused(key, state);
    const bool is_done =
        audition_run(run->audition, c->name, payload, 1, TRIAL_US);

    run->seen.cases++;
    run->seen.letters += is_done;
    run->seen.refused += !is_done && is_refused;
    if (is_done) {
        *why = is_refused ? SPAN_LIT("a letter is written, where the event "
                                     "should be set aside")
                          : span_of(judge_letter(run->audition));
        return why->ptr == NULL;
    }
    *why = audition_reason(run->audition);
    return is_refused && span_is(audition_stage(run->audition), "contract") &&
           names_key(*why, key->name);
}

static void tell(struct run *run, const struct contract *c,
                 const struct contract_key *key,
                 const struct contract_sample *sample, enum matrix_state state,
                 struct span why)
{
    char path[128];

    snprintf(path, sizeof(path), "keys.%.*s",
             (int)(key->name.len < 100 ? key->name.len : 100), key->name.ptr);
    problems_add(run->problems, SEVERITY_ERROR, key->owner->file,
                 contract_line(key->owner, path),
                 "%s: sample \"%.*s\" of %.*s, with this key %s: %.*s", path,
                 SPAN_ARG(sample->name), SPAN_ARG(c->name),
                 matrix_state_name(state), SPAN_ARG(why));
    problems_about(run->problems, c->name, key->name, SPAN_NONE);
}

/* --- the cases ------------------------------------------------------------ */

static char *make_payload(const struct contract_sample *sample,
                          const struct contract_key *key, json_t *value)
{
    json_t *payload = json_copy(sample->payload);
    char *text = NULL;

    if (value == NULL) {
        (void)json_object_deln(payload, key->name.ptr, key->name.len);
    } else {
        (void)json_object_setn(payload, key->name.ptr, key->name.len, value);
    }
    text = json_dumps(payload, JSON_COMPACT);
    json_decref(payload);
    return text;
}

static void run_key(struct run *run, const struct contract *c,
                    const struct contract_key *key, enum matrix_state state)
{
    json_t *value = make_value(run, c, key, state);
    bool is_told = false;

    for (size_t i = 0; i < c->sample_count; i++) {
        char *payload = make_payload(&c->samples[i], key, value);
        struct span why = SPAN_NONE;

        if (!try_case(run, c, key, state, span_of(payload), &why) && !is_told) {
            tell(run, c, key, &c->samples[i], state, why);
            is_told = true;
        }
        free(payload);
    }
    json_decref(value);
}

static char *make_long_text(void)
{
    struct buf text;

    buf_init(&text, 0);
    for (int i = 0; i < LONG_CHARACTERS; i++) {
        buf_puts(&text, i % 7 == 3 ? "\xc3\xa4" : i % 60 == 59 ? " " : "x");
    }
    return buf_take(&text);
}

/* Do the samples keep the contract? If not that is what to mend first. */
static bool is_fit(const struct contract *c)
{
    for (size_t i = 0; i < c->sample_count; i++) {
        struct payload_fault why;

        if (!payload_check(c, c->samples[i].payload, &why)) {
            return false;
        }
    }
    return true;
}

struct matrix matrix_run(struct audition *audition,
                         const struct catalog *catalog,
                         struct problems *problems)
{
    struct run run = {.audition = audition, .problems = problems};

    run.long_text = make_long_text();
    for (size_t i = 0; i < catalog_count(catalog); i++) {
        const struct event_type *type = catalog_at(catalog, i);
        const struct contract *c = type->contract;

        if (!event_type_is_mailable(type) || !is_fit(c)) {
            continue;
        }
        for (size_t k = 0; k < c->key_count; k++) {
            for (int state = 0; state < MATRIX_STATES; state++) {
                run_key(&run, c, &c->keys[k], (enum matrix_state)state);
            }
        }
    }
    mem_free(run.long_text);
    return run.seen;
}
