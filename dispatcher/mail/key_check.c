/*
 * key_check - do contracts and those who read payload keys agree?
 *
 * Readings of all types are gathered first, a place (file, line, key) each,
 * with the types for which the key is there or is not: many types share one
 * partial, and one place should be told of once.
 */
#include "mail/key_check.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/map.h"
#include "base/mem.h"
#include "mail/key_use.h"

enum { TYPES_SHOWN = 5 };

/* A place that reads a key. */
struct reading {
    struct key_use use; /* of the first type for which it is not known */
    const struct event_type *lacking[TYPES_SHOWN];
    size_t lacking_count;
    size_t known_count;
    bool is_own;     /* in the folder of a type that lacks the key */
    bool is_guarded; /* wherever it is used */
    struct reading *next;
};

struct gathering {
    struct arena arena;
    struct map by_place; /* "file line name" -> struct reading */
    struct reading *first;
    struct reading **last; /* in the order of the first look */
    const struct event_type *type;
};

static struct span keep(struct gathering *g, struct span text)
{
    struct span kept = arena_span(&g->arena, text);

    return kept.ptr != NULL ? kept : SPAN_LIT("");
}

static struct reading *find_reading(struct gathering *g,
                                    const struct key_use *use)
{
    char *place =
        mem_printf("%s %d %.*s", use->file, use->line, SPAN_ARG(use->name));
    struct reading *r = map_get(&g->by_place, span_of(place));

    if (r == NULL) {
        r = arena_calloc(&g->arena, 1, sizeof(*r));
        if (r != NULL) {
            r->is_guarded = true;
            *g->last = r;
            g->last = &r->next;
            map_put(&g->by_place, keep(g, span_of(place)), r);
        }
    }
    mem_free(place);
    return r;
}

static bool is_in_folder(const char *file, const char *folder)
{
    const size_t len = strlen(folder);

    return strncmp(file, folder, len) == 0 && file[len] == '/';
}

static void add_lacking(struct gathering *g, struct reading *r,
                        const struct key_use *use)
{
    for (size_t i = 0; i < r->lacking_count && i < TYPES_SHOWN; i++) {
        if (r->lacking[i] == g->type) {
            return; /* in its text and its html */
        }
    }
    if (r->lacking_count == 0) {
        r->use = *use;
        r->use.key = keep(g, use->key);
        r->use.name = keep(g, use->name);
        r->use.nearest = keep(g, use->nearest);
    }
    if (r->lacking_count < TYPES_SHOWN) {
        r->lacking[r->lacking_count] = g->type;
    }
    r->lacking_count++;
    r->is_own |= is_in_folder(use->file, g->type->folder);
}

static void on_use(void *ctx, const struct key_use *use)
{
    struct gathering *g = ctx;
    struct reading *r = find_reading(g, use);

    if (r == NULL) {
        return;
    }
    r->is_guarded = r->is_guarded && use->is_guarded;
    if (use->is_known) {
        r->known_count += use->is_payload;
    } else {
        add_lacking(g, r, use);
    }
}

static void put_types(struct buf *out, const struct reading *r)
{
    for (size_t i = 0; i < r->lacking_count && i < TYPES_SHOWN; i++) {
        buf_printf(out, "%s%.*s", i > 0 ? ", " : "",
                   SPAN_ARG(r->lacking[i]->name));
    }
    if (r->lacking_count > TYPES_SHOWN) {
        buf_printf(out, " and %zu more", r->lacking_count - TYPES_SHOWN);
    }
}

static void tell_reading(const struct reading *r, struct problems *problems)
{
    const bool shows_what_is_there =
        !r->is_own && r->is_guarded && r->known_count > 0;
    struct buf types;

    buf_init(&types, 0);
    put_types(&types, r);
    if (r->use.is_payload) {
        problems_add(
            problems, shows_what_is_there ? SEVERITY_WARNING : SEVERITY_ERROR,
            r->use.file, r->use.line,
            "reads '%.*s', which is no key of the contract of %s%s",
            SPAN_ARG(r->use.name), buf_cstr(&types),
            r->use.is_inside ? ", nor of the items of its samples" : "");
    } else {
        problems_add(problems, SEVERITY_ERROR, r->use.file, r->use.line,
                     "reads '%.*s', which nothing is called here",
                     SPAN_ARG(r->use.name));
    }
    problems_about(problems, r->lacking[0]->name, r->use.key, r->use.nearest);
    buf_release(&types);
}

void key_check_unknown(const struct catalog *catalog, struct problems *problems)
{
    struct gathering g = {.first = NULL};

    arena_init(&g.arena, 64 * 1024, 0);
    map_init(&g.by_place);
    g.last = &g.first;
    for (size_t i = 0; i < catalog_count(catalog); i++) {
        g.type = catalog_at(catalog, i);
        if (g.type->contract->is_mailable) {
            key_uses(g.type, on_use, &g);
        }
    }
    for (const struct reading *r = g.first; r != NULL; r = r->next) {
        if (r->lacking_count > 0) {
            tell_reading(r, problems);
        }
    }
    map_release(&g.by_place);
    arena_release(&g.arena);
}

/* --- keys that nothing reads -------------------------------------------- */

/* Who reads the keys of the contract that lists them. */
struct marks {
    struct arena arena;
    struct map readers;  /* "Type key" -> "file:line" or "the role x" */
    struct map mailable; /* names of contracts of which something is mailed */
    const struct event_type *type;
};

static void mark(struct marks *m, const struct contract *c, struct span key,
                 const char *reader)
{
    for (; c != NULL; c = c->parent) {
        char *name = NULL;

        if (contract_key(c, key) == NULL) {
            continue;
        }
        name = mem_printf("%.*s %.*s", SPAN_ARG(c->name), SPAN_ARG(key));
        if (map_get(&m->readers, span_of(name)) == NULL) {
            struct span kept = arena_span(&m->arena, span_of(name));
            char *by = arena_strndup(&m->arena, reader, strlen(reader));

            if (kept.ptr != NULL && by != NULL) {
                map_put(&m->readers, kept, by);
            }
        }
        mem_free(name);
    }
}

static void on_read(void *ctx, const struct key_use *use)
{
    struct marks *m = ctx;
    struct span key = use->key;
    char *where = NULL;

    if (span_is(key, "event") && use->name.len > key.len + 1) {
        key = span_make(use->name.ptr + key.len + 1,
                        use->name.len - key.len - 1); /* {{event.role}} */
    } else if (!use->is_payload) {
        return;
    }
    where = mem_printf("%s:%d", use->file, use->line);
    mark(m, m->type->contract, key, where);
    mem_free(where);
}

static void mark_roles(struct marks *m, const struct contract *c,
                       const struct key_readers *readers)
{
    for (size_t i = 0; i < c->role_count; i++) {
        char *reader = mem_printf("the role %.*s", SPAN_ARG(c->roles[i]));

        for (size_t k = 0; k < c->key_count; k++) {
            if (readers->role_reads(readers->ctx, c->roles[i],
                                    c->keys[k].name)) {
                mark(m, c, c->keys[k].name, reader);
            }
        }
        mem_free(reader);
    }
}

static void mark_log(struct marks *m, const struct contract *c)
{
    mark(m, c, c->log.project, "the project log");
    mark(m, c, c->log.package, "the project log");
    mark(m, c, c->log.request, "the project log");
    for (size_t i = 0; i < c->log.user_count; i++) {
        mark(m, c, c->log.users[i], "the project log");
    }
}

static void mark_type(struct marks *m, const struct key_readers *readers)
{
    const struct contract *c = m->type->contract;

    key_uses(m->type, on_read, m);
    mark_roles(m, c, readers);
    mark_log(m, c);
    if (c->originator.len > 0) {
        mark(m, c, c->originator, "the originator");
    }
    for (; c != NULL; c = c->parent) {
        map_put(&m->mailable, c->name, m);
    }
}

static void tell_unused(const struct contract *c, const struct marks *m,
                        struct problems *problems)
{
    const struct contract_key *first = NULL;
    size_t count = 0;
    char path[128];
    struct buf names;

    buf_init(&names, 800);
    for (size_t i = 0; i < c->key_count; i++) {
        const struct contract_key *key = &c->keys[i];
        char *name =
            mem_printf("%.*s %.*s", SPAN_ARG(c->name), SPAN_ARG(key->name));
        const char *reader = map_get(&m->readers, span_of(name));

        mem_free(name);
        if (key->owner != c || key->is_unshown == (reader == NULL)) {
            continue;
        }
        snprintf(path, sizeof(path), "keys.%.*s", SPAN_ARG(key->name));
        if (key->is_unshown) {
            problems_add(
                problems, SEVERITY_WARNING, c->file, contract_line(c, path),
                "%s: says \"shown\": false, but %s reads it", path, reader);
            problems_about(problems, c->name, key->name, SPAN_NONE);
            continue;
        }
        buf_printf(&names, "%s%.*s", count > 0 ? ", " : "",
                   SPAN_ARG(key->name));
        first = count++ == 0 ? key : first;
    }
    if (first != NULL) {
        snprintf(path, sizeof(path), "keys.%.*s", SPAN_ARG(first->name));
        problems_add(problems, SEVERITY_WARNING, c->file,
                     contract_line(c, path),
                     "no template and no role reads: %s; show them, or say "
                     "\"shown\": false",
                     buf_ok(&names) ? buf_cstr(&names) : "very many keys");
        problems_about(problems, c->name, first->name, SPAN_NONE);
    }
    buf_release(&names);
}

void key_check_unused(const struct catalog *catalog,
                      const struct key_readers *readers,
                      struct problems *problems)
{
    struct marks m = {.type = NULL};

    arena_init(&m.arena, 16 * 1024, 0);
    map_init(&m.readers);
    map_init(&m.mailable);
    for (size_t i = 0; i < catalog_count(catalog); i++) {
        m.type = catalog_at(catalog, i);
        if (event_type_is_mailable(m.type)) {
            mark_type(&m, readers);
        }
    }
    for (size_t i = 0; i < catalog_count(catalog); i++) {
        const struct contract *c = catalog_at(catalog, i)->contract;

        if (!c->is_broken && map_get(&m.mailable, c->name) != NULL) {
            tell_unused(c, &m, problems);
        }
    }
    map_release(&m.mailable);
    map_release(&m.readers);
    arena_release(&m.arena);
}
