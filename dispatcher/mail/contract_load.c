/*
 * contract_load - contract.json to struct contract.
 *
 * A table of fields per JSON object: a field's name and the function that
 * takes it. What is not in the table is a warning with the nearest name that
 * is; what a function does not like is an error with the path to it. Loading
 * goes on after an error, so that one run shows all of them.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/nearest.h"
#include "mail/contract_lines.h"
#include "mail/contract_load.h"

enum { CONTRACT_BYTES_MAX = 1 << 20, BATCHING_DEFAULT = 50 };

void loader_tell(struct loader *l, enum severity severity, const char *name,
                 const char *format, ...)
{
    char text[512];
    char path[300];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    snprintf(path, sizeof(path), "%s%.80s", l->path, name);
    problems_add(l->problems, severity, l->c->file, contract_line(l->c, path),
                 "%s: %s", path, text);
    problems_about(l->problems, l->c->name, SPAN_NONE, SPAN_NONE);
    l->c->is_broken |= severity == SEVERITY_ERROR;
}

/* --- walking an object -------------------------------------------------- */

static const struct field *find_field(const struct field *fields,
                                      const char *name)
{
    while (fields->name != NULL && strcmp(fields->name, name) != 0) {
        fields++;
    }
    return fields->name ? fields : NULL;
}

static void tell_unknown(struct loader *l, const struct field *fields,
                         const char *name)
{
    struct nearest near = nearest_to(span_of(name));

    for (; fields->name != NULL; fields++) {
        nearest_offer(&near, span_of(fields->name));
    }
    loader_tell(l, SEVERITY_WARNING, name, "unknown field, ignored");
    problems_about(l->problems, l->c->name, SPAN_NONE, near.best);
}

static const char *type_word(json_type type)
{
    switch (type) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "an array";
    case JSON_STRING: return "a string";
    case JSON_INTEGER: return "an integer";
    case JSON_REAL: return "a number";
    case JSON_TRUE:
    case JSON_FALSE: return "true or false";
    case JSON_NULL: return "null";
    }
    return "something else";
}

static bool is_type(const json_t *value, json_type type)
{
    return type == JSON_TRUE ? json_is_boolean(value)
                             : json_typeof(value) == type;
}

void loader_take(struct loader *l, const struct field *fields,
                 const json_t *object)
{
    const char *name = NULL;
    json_t *value = NULL;

    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        const struct field *field = find_field(fields, name);

        if (field == NULL) {
            tell_unknown(l, fields, name);
        } else if (!is_type(value, field->type)) {
            loader_tell(l, SEVERITY_ERROR, name, "must be %s",
                        type_word(field->type));
        } else {
            field->take(l, name, value);
        }
    }
}

struct span loader_keep(struct loader *l, struct span text)
{
    struct span kept = arena_span(&l->c->arena, text);

    if (kept.ptr == NULL) {
        l->c->is_broken = true;
        return SPAN_LIT("");
    }
    return kept;
}

void *loader_array(struct loader *l, size_t count, size_t size)
{
    void *items = arena_calloc(&l->c->arena, count ? count : 1, size);

    l->c->is_broken |= items == NULL;
    return items;
}

bool contract_is_plain_name(struct span name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                   "0123456789_-",
                   name.ptr[i]) == NULL ||
            name.ptr[i] == '\0') {
            return false;
        }
    }
    return name.len > 0 && name.len <= CONTRACT_NAME_MAX;
}

/* --- the whole ---------------------------------------------------------- */

static struct contract *contract_new(const char *file, struct span name)
{
    struct contract *c = mem_calloc(1, sizeof(*c));

    arena_init(&c->arena, 4096, 0);
    map_init(&c->key_by_name);
    map_init(&c->lines);
    c->file = mem_strdup(file);
    c->name = arena_span(&c->arena, name);
    c->is_mailable = true;
    c->frequency = FREQUENCY_INSTANT;
    c->urgency = URGENCY_NORMAL;
    c->batching = BATCHING_EACH;
    c->batching_max = BATCHING_DEFAULT;
    return c;
}

static void read_contract(struct loader *l, struct span text)
{
    struct contract *c = l->c;
    json_error_t error;
    json_t *root = json_loadb(text.ptr ? text.ptr : "", text.len,
                              JSON_REJECT_DUPLICATES, &error);

    if (root == NULL) {
        problems_add(l->problems, SEVERITY_ERROR, c->file, error.line, "%s",
                     error.text);
        c->is_broken = true;
        return;
    }
    contract_lines_read(&c->lines, &c->arena, text);
    if (json_is_object(root)) {
        loader_take(l, contract_fields, root);
    } else {
        loader_tell(l, SEVERITY_ERROR, "contract", "must be an object");
    }
    json_decref(root);
    if (!contract_is_plain_name(c->name)) {
        loader_tell(
            l, SEVERITY_ERROR, "name of the folder",
            "a type's name has letters, digits, '_' and '-', at most %d",
            CONTRACT_NAME_MAX);
    }
    if (c->description.len == 0) {
        loader_tell(l, SEVERITY_WARNING, "description",
                    "say in one line what happened when such an event comes");
    }
    c->is_mailable = c->is_mailable && !c->is_abstract;
}

struct contract *contract_parse(const char *file, struct span name,
                                struct span text, struct problems *problems)
{
    struct loader l = {contract_new(file, name), problems, "", NULL};

    read_contract(&l, text);
    return l.c;
}

struct contract *contract_load(const char *file, struct span name,
                               struct problems *problems)
{
    struct contract *c = NULL;
    struct buf text;

    buf_init(&text, CONTRACT_BYTES_MAX);
    if (file_read(file, &text)) {
        c = contract_parse(file, name, buf_view(&text), problems);
    } else {
        problems_add(problems, SEVERITY_ERROR, file, 0, "cannot be read: %s",
                     strerror(errno));
        c = contract_new(file, name);
        c->is_broken = true;
    }
    buf_release(&text);
    return c;
}

void contract_free(struct contract *c)
{
    if (c == NULL) {
        return;
    }
    for (size_t i = 0; i < c->sample_count; i++) {
        json_decref(c->samples[i].payload);
    }
    map_release(&c->key_by_name);
    map_release(&c->lines);
    arena_release(&c->arena);
    mem_free(c->file);
    mem_free(c);
}
