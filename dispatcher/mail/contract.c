/*
 * contract - inheritance, and what can be checked only after it.
 *
 * Contracts are resolved depth first: a parent before its children. A contract
 * that is met again while it is being resolved closes a circle.
 */
#include "mail/contract.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/nearest.h"
#include "mail/contract_load.h"
#include "mail/contract_lines.h"
#include "mail/payload.h"

enum { RESOLVE_NEW, RESOLVE_BUSY, RESOLVE_DONE };

static const char *const reserved[] = {
    "event", "events", "event_count", "several", "recipient", "role", "site",
};

enum { RESERVED = sizeof(reserved) / sizeof(reserved[0]) };

const char *contract_reserved(size_t i)
{
    return i < RESERVED ? reserved[i] : NULL;
}

bool contract_is_reserved(struct span name)
{
    for (size_t i = 0; i < RESERVED; i++) {
        if (span_is(name, reserved[i])) {
            return true;
        }
    }
    return false;
}

const struct contract_key *contract_key(const struct contract *c,
                                        struct span name)
{
    return map_get(&c->key_by_name, name);
}

int contract_line(const struct contract *c, const char *path)
{
    return contract_lines_find(&c->lines, span_of(path));
}

/* Tells of what stands at path; the contract is as good as it was. */
__attribute__((format(printf, 5, 6))) static void tell(
    const struct contract *c, struct problems *problems, enum severity severity,
    const char *path, const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    problems_add(problems, severity, c->file, contract_line(c, path), "%s: %s",
                 path, text);
}

static void tell_about(const struct contract *c, struct problems *problems,
                       struct span key, struct span nearest)
{
    problems_about(problems, c->name, key, nearest);
}

/* --- inheritance -------------------------------------------------------- */

static bool has_own_key(const struct contract *c, struct span name)
{
    for (size_t i = 0; i < c->key_count; i++) {
        if (span_equal(c->keys[i].name, name)) {
            return true;
        }
    }
    return false;
}

/* The parent's keys that the child does not have itself, then its own. The
 * bytes stay the parent's, which lives as long as the child. */
static void inherit_keys(struct contract *c, const struct contract *parent)
{
    struct contract_key *all = arena_calloc(
        &c->arena, parent->key_count + c->key_count + 1, sizeof(*all));
    size_t count = 0;

    if (all == NULL) {
        c->is_broken = true;
        return;
    }
    for (size_t i = 0; i < parent->key_count; i++) {
        if (!has_own_key(c, parent->keys[i].name)) {
            all[count++] = parent->keys[i];
        }
    }
    for (size_t i = 0; i < c->key_count; i++) {
        all[count++] = c->keys[i];
    }
    c->keys = all;
    c->key_count = count;
}

static bool has_own_header(const struct contract *c, struct span name)
{
    for (size_t i = 0; i < c->header_count; i++) {
        if (span_equal(c->headers[i].name, name)) {
            return true;
        }
    }
    return false;
}

static void inherit_headers(struct contract *c, const struct contract *parent)
{
    struct contract_header *all = arena_calloc(
        &c->arena, parent->header_count + c->header_count + 1, sizeof(*all));
    size_t count = 0;

    if (all == NULL) {
        c->is_broken = true;
        return;
    }
    for (size_t i = 0; i < parent->header_count; i++) {
        if (!has_own_header(c, parent->headers[i].name)) {
            all[count++] = parent->headers[i];
        }
    }
    for (size_t i = 0; i < c->header_count; i++) {
        all[count++] = c->headers[i];
    }
    c->headers = all;
    c->header_count = count;
}

static void inherit(struct contract *c, const struct contract *parent)
{
    inherit_keys(c, parent);
    inherit_headers(c, parent);
    if (!c->has_roles) {
        c->roles = parent->roles;
        c->role_count = parent->role_count;
    }
    if (c->originator.len == 0) {
        c->originator = parent->originator;
    }
    if (c->thread.len == 0) {
        c->thread = parent->thread;
    }
    if (!c->log.is_given) {
        c->log = parent->log;
    }
    c->parent = parent;
}

static struct contract *find_parent(struct contract *c,
                                    struct contract *const *all, size_t count,
                                    struct problems *problems)
{
    struct nearest near = nearest_to(c->extends);

    for (size_t i = 0; i < count; i++) {
        if (span_equal(all[i]->name, c->extends)) {
            return all[i];
        }
        nearest_offer(&near, all[i]->name);
    }
    tell(c, problems, SEVERITY_ERROR, "extends", "there is no type '%.*s'",
         SPAN_ARG(c->extends));
    tell_about(c, problems, SPAN_NONE, near.best);
    c->is_broken = true;
    return NULL;
}

/* --- samples ------------------------------------------------------------ */

struct sample_check {
    struct contract *c;
    struct problems *problems;
    const struct contract_sample *sample;
    char path[160]; /* to the sample */
};

struct span contract_nearest_key(const struct contract *c, struct span key)
{
    struct nearest near = nearest_to(key);

    for (size_t i = 0; i < c->key_count; i++) {
        nearest_offer(&near, c->keys[i].name);
    }
    return near.best;
}

static void on_sample_unknown(void *ctx, struct span key)
{
    struct sample_check *check = ctx;
    char path[300];

    snprintf(path, sizeof(path), "%s.%.*s", check->path,
             (int)(key.len < 100 ? key.len : 100), key.ptr);
    tell(check->c, check->problems, SEVERITY_ERROR, path,
         "the contract has no such key");
    tell_about(check->c, check->problems, key,
               contract_nearest_key(check->c, key));
}

/* Does the sample have the keys that its name promises? */
static void check_extent(struct sample_check *check)
{
    const struct contract_sample *sample = check->sample;
    const bool is_least = span_is(sample->name, "least");
    const bool is_fullest = span_is(sample->name, "fullest");

    for (size_t i = 0; i < check->c->key_count; i++) {
        const struct contract_key *key = &check->c->keys[i];
        const bool is_there = json_object_getn(sample->payload, key->name.ptr,
                                               key->name.len) != NULL;

        if (is_least && is_there && !key->is_required) {
            tell(check->c, check->problems, SEVERITY_ERROR, check->path,
                 "has '%.*s', which is not required", SPAN_ARG(key->name));
            tell_about(check->c, check->problems, key->name, SPAN_NONE);
        }
        if (is_fullest && !is_there) {
            tell(check->c, check->problems, SEVERITY_ERROR, check->path,
                 "has no '%.*s', but must have all keys", SPAN_ARG(key->name));
            tell_about(check->c, check->problems, key->name, SPAN_NONE);
        }
    }
}

static void check_sample(struct contract *c, struct problems *problems,
                         const struct contract_sample *sample)
{
    struct sample_check check = {.c = c, .problems = problems};
    struct payload_fault why;

    check.sample = sample;
    snprintf(check.path, sizeof(check.path), "samples.%.*s",
             (int)(sample->name.len < 100 ? sample->name.len : 100),
             sample->name.ptr);
    payload_unknown(c, sample->payload, on_sample_unknown, &check);
    if (!payload_check(c, sample->payload, &why)) {
        tell(c, problems, SEVERITY_ERROR, check.path, "%s", why.reason);
        tell_about(c, problems, why.key, SPAN_NONE);
    }
    check_extent(&check);
}

static void check_samples(struct contract *c, struct problems *problems)
{
    bool has_least = false;
    bool has_fullest = false;

    for (size_t i = 0; i < c->sample_count; i++) {
        has_least |= span_is(c->samples[i].name, "least");
        has_fullest |= span_is(c->samples[i].name, "fullest");
        check_sample(c, problems, &c->samples[i]);
    }
    if (!c->is_abstract && (!has_least || !has_fullest)) {
        tell(c, problems, c->is_mailable ? SEVERITY_ERROR : SEVERITY_WARNING,
             "samples",
             "there must be \"least\" (only required keys) and \"fullest\" "
             "(all keys)");
        tell_about(c, problems, SPAN_NONE, SPAN_NONE);
    }
}

static void check_originator(struct contract *c, struct problems *problems)
{
    const struct contract_key *key = contract_key(c, c->originator);

    if (c->originator.len == 0) {
        return;
    }
    if (key == NULL) {
        tell(c, problems, SEVERITY_ERROR, "originator",
             "the contract has no key '%.*s'", SPAN_ARG(c->originator));
        tell_about(c, problems, c->originator,
                   contract_nearest_key(c, c->originator));
    } else if (key->type != KEY_STRING && key->type != KEY_INTEGER) {
        tell(c, problems, SEVERITY_ERROR, "originator",
             "key '%.*s' must be a string or an integer",
             SPAN_ARG(c->originator));
        tell_about(c, problems, c->originator, SPAN_NONE);
    }
}

/* --- the whole ---------------------------------------------------------- */

static void finish(struct contract *c, struct problems *problems)
{
    for (size_t i = 0; i < c->key_count; i++) {
        map_put(&c->key_by_name, c->keys[i].name, &c->keys[i]);
    }
    if (!c->is_broken) {
        check_originator(c, problems);
        contract_check_log(c, problems);
        check_samples(c, problems);
    }
    c->resolving = RESOLVE_DONE;
}

static void resolve(struct contract *c, struct contract *const *all,
                    size_t count, struct problems *problems)
{
    struct contract *parent = NULL;

    if (c->resolving != RESOLVE_NEW) {
        return;
    }
    c->resolving = RESOLVE_BUSY;
    if (c->extends.len > 0) {
        parent = find_parent(c, all, count, problems);
    }
    if (parent != NULL && parent->resolving == RESOLVE_BUSY) {
        tell(c, problems, SEVERITY_ERROR, "extends",
             "'%.*s' extends itself, by way of '%.*s'", SPAN_ARG(parent->name),
             SPAN_ARG(c->name));
        c->is_broken = true;
    } else if (parent != NULL) {
        resolve(parent, all, count, problems);
        if (parent->is_broken) {
            tell(c, problems, SEVERITY_ERROR, "extends",
                 "the contract of '%.*s' is broken", SPAN_ARG(parent->name));
            c->is_broken = true;
        } else {
            inherit(c, parent);
        }
    }
    finish(c, problems);
}

void contracts_resolve(struct contract *const *all, size_t count,
                       struct problems *problems)
{
    for (size_t i = 0; i < count; i++) {
        resolve(all[i], all, count, problems);
    }
}
