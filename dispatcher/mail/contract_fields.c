/*
 * contract_fields - what each field of contract.json means.
 */
#include <stdio.h>
#include <string.h>

#include "base/nearest.h"
#include "mail/contract_load.h"
#include "mail/message.h"

enum {
    BATCHING_MOST = 500,
    LONG_CUT = 65000, /* bytes of a long text, where nothing is said */
};

/* --- keys --------------------------------------------------------------- */

static const char *const key_types[] = {
    [KEY_STRING] = "string", [KEY_INTEGER] = "integer",
    [KEY_NUMBER] = "number", [KEY_BOOLEAN] = "boolean",
    [KEY_ARRAY] = "array",   [KEY_OBJECT] = "object",
    [KEY_URL] = "url",       [KEY_ANY] = "any",
};

enum { KEY_TYPES = sizeof(key_types) / sizeof(key_types[0]) };

const char *key_type_name(enum key_type type)
{
    return (size_t)type < KEY_TYPES ? key_types[type] : "any";
}

static void take_key_type(struct loader *l, const char *name,
                          const json_t *value)
{
    struct contract_key *key = l->target;
    struct nearest near = nearest_to(loader_text(value));

    for (size_t i = 0; i < KEY_TYPES; i++) {
        if (span_is(loader_text(value), key_types[i])) {
            key->type = (enum key_type)i;
            return;
        }
        nearest_offer(&near, span_of(key_types[i]));
    }
    loader_tell(
        l, SEVERITY_ERROR, name,
        "no type '%.40s'; there are string, integer, number, boolean, array, "
        "object, url and any",
        json_string_value(value));
    problems_about(l->problems, l->c->name, key->name, near.best);
}

static void take_key_required(struct loader *l, const char *name,
                              const json_t *value)
{
    (void)name;
    ((struct contract_key *)l->target)->is_required = json_is_true(value);
}

static void take_key_long(struct loader *l, const char *name,
                          const json_t *value)
{
    (void)name;
    ((struct contract_key *)l->target)->is_long = json_is_true(value);
}

static void take_key_cut(struct loader *l, const char *name,
                         const json_t *value)
{
    json_int_t cut = json_integer_value(value);

    if (cut < 1 || cut > INT32_MAX) {
        loader_tell(l, SEVERITY_ERROR, name, "must be a positive number");
        return;
    }
    ((struct contract_key *)l->target)->cut = (size_t)cut;
}

static void take_key_shown(struct loader *l, const char *name,
                           const json_t *value)
{
    (void)name;
    ((struct contract_key *)l->target)->is_unshown = json_is_false(value);
}

static void take_key_about(struct loader *l, const char *name,
                           const json_t *value)
{
    (void)name;
    ((struct contract_key *)l->target)->about =
        loader_keep(l, loader_text(value));
}

static const struct field key_fields[] = {
    {"type", JSON_STRING, take_key_type},
    {"required", JSON_TRUE, take_key_required},
    {"long", JSON_TRUE, take_key_long},
    {"cut", JSON_INTEGER, take_key_cut},
    {"about", JSON_STRING, take_key_about},
    {"shown", JSON_TRUE, take_key_shown},
    {0},
};

static void check_key(struct loader *l, const struct contract_key *key,
                      const json_t *fields)
{
    const char *name = key->name.ptr;

    if (json_object_get(fields, "type") == NULL) {
        loader_tell(l, SEVERITY_ERROR, name, "has no \"type\"");
        return;
    }
    if (key->is_long && key->type != KEY_STRING) {
        loader_tell(l, SEVERITY_ERROR, name, "only a string can be long");
    }
    if (key->cut > 0 && key->type != KEY_STRING && key->type != KEY_ARRAY) {
        loader_tell(l, SEVERITY_ERROR, name,
                    "only strings and arrays can be cut");
    }
    if (key->name.len == 0 || key->name.ptr[0] == '-' ||
        strpbrk(name, ". \t\r\n{}") != NULL) {
        loader_tell(l, SEVERITY_ERROR, name,
                    "no template could read a key of this name");
    }
}

static void take_keys(struct loader *l, const char *name, const json_t *value)
{
    struct contract *c = l->c;
    const char *path = l->path;
    const char *key_name = NULL;
    json_t *fields = NULL;

    (void)name;
    c->keys = loader_array(l, json_object_size(value), sizeof(*c->keys));
    if (c->keys == NULL) {
        return;
    }
    json_object_foreach((json_t *)(uintptr_t)value, key_name, fields)
    {
        struct contract_key *key = &c->keys[c->key_count];
        char inner[128];

        l->path = "keys.";
        if (!json_is_object(fields)) {
            loader_tell(l, SEVERITY_ERROR, key_name, "must be an object");
            continue;
        }
        *key = (struct contract_key){.name = loader_keep(l, span_of(key_name)),
                                     .type = KEY_ANY,
                                     .owner = c};
        snprintf(inner, sizeof(inner), "keys.%.80s.", key_name);
        l->path = inner;
        l->target = key;
        loader_take(l, key_fields, fields);
        l->path = "keys.";
        check_key(l, key, fields);
        key->cut = key->is_long && key->cut == 0 ? LONG_CUT : key->cut;
        c->key_count++;
    }
    l->path = path;
}

/* --- roles, frequency, urgency, batching -------------------------------- */

static void take_roles(struct loader *l, const char *name, const json_t *value)
{
    struct contract *c = l->c;
    json_t *role = NULL;
    size_t i = 0;

    c->has_roles = true;
    c->roles = loader_array(l, json_array_size(value), sizeof(*c->roles));
    if (c->roles == NULL) {
        return;
    }
    json_array_foreach(value, i, role)
    {
        if (!json_is_string(role) ||
            !contract_is_plain_name(loader_text(role))) {
            loader_tell(
                l, SEVERITY_ERROR, name,
                "number %zu is not the name of a role: letters, digits, '_' "
                "and '-'",
                i + 1);
            continue;
        }
        for (size_t j = 0; j < c->role_count; j++) {
            if (span_equal(c->roles[j], loader_text(role))) {
                loader_tell(l, SEVERITY_ERROR, name, "'%s' is there twice",
                            json_string_value(role));
            }
        }
        c->roles[c->role_count++] = loader_keep(l, loader_text(role));
    }
}

static void take_frequency(struct loader *l, const char *name,
                           const json_t *value)
{
    if (!frequency_parse(loader_text(value), &l->c->frequency)) {
        loader_tell(
            l, SEVERITY_ERROR, name,
            "no frequency '%.40s'; there are off, instant, hourly, daily and "
            "weekly",
            json_string_value(value));
    }
}

static void take_urgency(struct loader *l, const char *name,
                         const json_t *value)
{
    if (!urgency_parse(loader_text(value), &l->c->urgency)) {
        loader_tell(l, SEVERITY_ERROR, name,
                    "no urgency '%.40s'; there are urgent, normal and bulk",
                    json_string_value(value));
    }
}

static void take_rule(struct loader *l, const char *name, const json_t *value)
{
    if (span_is(loader_text(value), "each")) {
        l->c->batching = BATCHING_EACH;
    } else if (span_is(loader_text(value), "gather")) {
        l->c->batching = BATCHING_GATHER;
    } else {
        loader_tell(l, SEVERITY_ERROR, name,
                    "no rule '%.40s'; there are each and gather",
                    json_string_value(value));
    }
}

/* "90s", "5m" as milliseconds, or -1. */
static int64_t parse_duration_ms(struct span text)
{
    static const struct {
        const char *unit;
        int64_t ms;
    } units[] = {
        {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000},
    };
    int64_t value = 0;
    size_t i = 0;

    while (i < text.len && i < 9 && text.ptr[i] >= '0' && text.ptr[i] <= '9') {
        value = value * 10 + (text.ptr[i++] - '0');
    }
    for (size_t u = 0; i > 0 && u < sizeof(units) / sizeof(units[0]); u++) {
        if (span_is(span_make(text.ptr + i, text.len - i), units[u].unit)) {
            return value * units[u].ms;
        }
    }
    return -1;
}

static void take_window(struct loader *l, const char *name, const json_t *value)
{
    l->c->window_ms = parse_duration_ms(loader_text(value));
    if (l->c->window_ms < 0) {
        loader_tell(l, SEVERITY_ERROR, name,
                    "'%.40s' is not a duration; write 90s, 5m or 1h",
                    json_string_value(value));
        l->c->window_ms = 0;
    }
}

static void take_max(struct loader *l, const char *name, const json_t *value)
{
    json_int_t max = json_integer_value(value);

    if (max < 1 || max > BATCHING_MOST) {
        loader_tell(l, SEVERITY_ERROR, name, "must be from 1 to %d",
                    BATCHING_MOST);
        return;
    }
    l->c->batching_max = (uint32_t)max;
}

static const struct field batching_fields[] = {
    {"rule", JSON_STRING, take_rule},
    {"window", JSON_STRING, take_window},
    {"max", JSON_INTEGER, take_max},
    {0},
};

static void take_batching(struct loader *l, const char *name,
                          const json_t *value)
{
    (void)name;
    l->path = "batching.";
    loader_take(l, batching_fields, value);
    l->path = "";
}

/* --- headers, samples, plain texts -------------------------------------- */

static void take_headers(struct loader *l, const char *name,
                         const json_t *value)
{
    struct contract *c = l->c;
    const char *header = NULL;
    json_t *text = NULL;

    (void)name;
    l->path = "headers.";
    c->headers = loader_array(l, json_object_size(value), sizeof(*c->headers));
    if (c->headers == NULL) {
        return;
    }
    json_object_foreach((json_t *)(uintptr_t)value, header, text)
    {
        if (!json_is_string(text)) {
            loader_tell(l, SEVERITY_ERROR, header, "must be a string");
        } else if (!message_takes_header(span_of(header))) {
            loader_tell(
                l, SEVERITY_ERROR, header,
                "a type cannot set this header; use one that begins with X-");
        } else {
            c->headers[c->header_count++] =
                (struct contract_header){loader_keep(l, span_of(header)),
                                         loader_keep(l, loader_text(text))};
        }
    }
    l->path = "";
}

static void take_samples(struct loader *l, const char *name,
                         const json_t *value)
{
    struct contract *c = l->c;
    const char *sample = NULL;
    json_t *payload = NULL;

    (void)name;
    l->path = "samples.";
    c->samples = loader_array(l, json_object_size(value), sizeof(*c->samples));
    if (c->samples == NULL) {
        return;
    }
    json_object_foreach((json_t *)(uintptr_t)value, sample, payload)
    {
        if (!json_is_object(payload)) {
            loader_tell(l, SEVERITY_ERROR, sample, "must be an object");
            continue;
        }
        c->samples[c->sample_count++] = (struct contract_sample){
            loader_keep(l, span_of(sample)), json_incref(payload)};
    }
    l->path = "";
}

#define TAKE_TEXT(field)                                                       \
    static void take_##field(struct loader *l, const char *name,               \
                             const json_t *value)                              \
    {                                                                          \
        (void)name;                                                            \
        l->c->field = loader_keep(l, loader_text(value));                      \
    }

TAKE_TEXT(description)
TAKE_TEXT(extends)
TAKE_TEXT(originator)
TAKE_TEXT(thread)
TAKE_TEXT(headline)

static void take_abstract(struct loader *l, const char *name,
                          const json_t *value)
{
    (void)name;
    l->c->is_abstract = json_is_true(value);
}

static void take_mailable(struct loader *l, const char *name,
                          const json_t *value)
{
    (void)name;
    l->c->is_mailable = json_is_true(value);
}

const struct field contract_fields[] = {
    {"description", JSON_STRING, take_description},
    {"extends", JSON_STRING, take_extends},
    {"abstract", JSON_TRUE, take_abstract},
    {"mailable", JSON_TRUE, take_mailable},
    {"keys", JSON_OBJECT, take_keys},
    {"originator", JSON_STRING, take_originator},
    {"roles", JSON_ARRAY, take_roles},
    {"frequency", JSON_STRING, take_frequency},
    {"urgency", JSON_STRING, take_urgency},
    {"batching", JSON_OBJECT, take_batching},
    {"thread", JSON_STRING, take_thread},
    {"log", JSON_OBJECT, contract_take_log},
    {"headers", JSON_OBJECT, take_headers},
    {"headline", JSON_STRING, take_headline},
    {"samples", JSON_OBJECT, take_samples},
    {0},
};
