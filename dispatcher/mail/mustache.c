/*
 * mustache - the set of templates: who is compiled, who still has to be.
 *
 * A partial is looked up by (name, escape) and compiled once. Partials may
 * call each other in circles, so asking for one only makes an empty template
 * with a lasting address; template_compile then compiles until nobody is left
 * that was asked for and is not compiled.
 */
#include "mail/mustache.h"

#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "base/nearest.h"
#include "mail/mustache_ops.h"

enum { SET_BLOCK = 4096 };

struct template_set *template_set_new(const struct template_loader *loader)
{
    struct template_set *set = mem_calloc(1, sizeof(*set));

    set->loader = *loader;
    arena_init(&set->arena, SET_BLOCK, 0);
    map_init(&set->by_name[TEMPLATE_ESCAPE_NONE]);
    map_init(&set->by_name[TEMPLATE_ESCAPE_HTML]);
    return set;
}

/* What only a compiled template has. */
static void drop_operations(struct template *t)
{
    mem_free(t->ops);
    mem_free(t->pool);
    mem_free(t->keys);
    mem_free(t->calls);
    mem_free(t->blocks);
    t->ops = NULL;
    t->pool = NULL;
    t->keys = NULL;
    t->calls = NULL;
    t->blocks = NULL;
    t->op_count = 0;
    t->call_count = 0;
    t->block_count = 0;
}

void template_set_free(struct template_set *set)
{
    if (set == NULL) {
        return;
    }
    while (set->templates != NULL) {
        struct template *t = set->templates;

        set->templates = t->next;
        drop_operations(t);
        mem_free(t->name);
        mem_free(t->file);
        mem_free(t);
    }
    map_release(&set->by_name[TEMPLATE_ESCAPE_NONE]);
    map_release(&set->by_name[TEMPLATE_ESCAPE_HTML]);
    arena_release(&set->arena);
    mem_free(set);
}

static struct template *add_template(struct template_set *set, struct span name,
                                     struct span source, const char *file,
                                     enum template_escape escape)
{
    struct template *t = mem_calloc(1, sizeof(*t));

    t->set = set;
    t->name = mem_strndup(name.ptr ? name.ptr : "", name.len);
    t->file = mem_strdup(file ? file : "");
    t->source = source;
    t->escape = escape;
    t->next = set->templates;
    set->templates = t;
    return t;
}

static void tell_missing(const struct template *from, struct span name,
                         int line, struct problems *problems)
{
    const struct template_loader *loader = &from->set->loader;
    struct nearest near = nearest_to(name);
    int most = name.len < 60 ? (int)name.len : 60;

    for (size_t i = 0; loader->name_at != NULL; i++) {
        struct span candidate = loader->name_at(loader->ctx, i);

        if (candidate.ptr == NULL) {
            break;
        }
        nearest_offer(&near, candidate);
    }
    problems_add(problems, SEVERITY_ERROR, from->file, line,
                 "there is no partial '%.*s'", most, name.ptr);
    problems_about(problems, SPAN_NONE, SPAN_NONE, near.best);
}

struct template *mustache_ask(struct template *from, struct span name, int line,
                              struct problems *problems)
{
    struct template_set *set = from->set;
    struct map *known = &set->by_name[from->escape];
    struct template *t = map_get(known, name);
    struct span source = SPAN_NONE;
    const char *file = NULL;

    if (t != NULL) {
        return t;
    }
    if (!set->loader.find(set->loader.ctx, name, &source, &file)) {
        if (!set->loader.missing_is_empty) {
            tell_missing(from, name, line, problems);
        }
        return NULL;
    }
    t = add_template(set, name, source, file, from->escape);
    map_put(known, span_of(t->name), t);
    return t;
}

/* A dynamic name may turn out to be any partial there is. */
static void ask_for_all(struct template *from, struct problems *problems)
{
    const struct template_loader *loader = &from->set->loader;

    for (size_t i = 0; loader->name_at != NULL; i++) {
        struct span name = loader->name_at(loader->ctx, i);

        if (name.ptr == NULL) {
            return;
        }
        mustache_ask(from, name, 0, problems);
    }
}

static void compile_one(struct template *t, struct problems *problems)
{
    struct span source = t->source;

    t->source = SPAN_NONE;
    t->state = TEMPLATE_READY;
    if (!mustache_compile(t, source, problems)) {
        drop_operations(t);
        t->state = TEMPLATE_BROKEN;
        t->set->broken = t;
    }
}

static struct template *waiting(struct template_set *set)
{
    struct template *t = set->templates;

    while (t != NULL && t->state != TEMPLATE_NEW) {
        t = t->next;
    }
    return t;
}

struct template *template_compile(struct template_set *set, const char *name,
                                  struct span source, const char *file,
                                  enum template_escape escape,
                                  struct problems *problems)
{
    const size_t errors = problems->errors;
    const struct template *broken = set->broken;
    struct template *t = add_template(set, span_of(name), source, file, escape);

    for (struct template *next = t; next != NULL; next = waiting(set)) {
        compile_one(next, problems);
        if (set->has_dynamic) {
            ask_for_all(t, problems);
        }
    }
    if (t->call_count > 0 && broken != NULL) {
        problems_add(problems, SEVERITY_ERROR, file, 0,
                     "cannot be used: %s does not compile", broken->file);
    }
    return problems->errors > errors ? NULL : t;
}

/* --- the names that a template reads ------------------------------------ */

/* A partial, and the section in which it was looked at. */
struct visit {
    const struct template *t;
    const struct op *section;
};

struct name_walk {
    void (*on_name)(void *ctx, const struct template_name *n);
    void *ctx;
    struct map seen; /* bytes of a visit -> itself */
    struct arena visits;
};

/* Where the walk is: inside of which section. */
struct place {
    const struct op *section;           /* NULL = outside of all */
    const struct template_name *around; /* the same, for those who are told */
};

static void walk_template(struct name_walk *w, const struct template *t,
                          struct place place);

static struct template_name name_at(const struct template *t,
                                    const struct op *op, uint32_t first,
                                    uint16_t keys, struct place place)
{
    struct template_name n = {
        .name = SPAN_LIT("."),
        .file = t->file,
        .line = op->line,
        .is_section = op->kind == OP_SECTION || op->kind == OP_INVERTED,
        .is_inverted = op->kind == OP_INVERTED,
        .depth = place.around ? place.around->depth + 1 : 0,
        .around = place.around,
    };

    if (keys > 0) {
        const struct span *head = &t->keys[first];
        const struct span *tail = head + keys - 1;

        n.name =
            span_make(head->ptr, (size_t)(tail->ptr + tail->len - head->ptr));
    }
    return n;
}

static void walk_call(struct name_walk *w, const struct template *t,
                      const struct op *op, struct place place)
{
    const struct call *call = &t->calls[op->at];

    if (call->is_dynamic) {
        struct template_name n = name_at(t, op, call->key, call->keys, place);

        w->on_name(w->ctx, &n);
    } else if (call->target != NULL) {
        walk_template(w, call->target, place);
    }
}

static void walk_range(struct name_walk *w, const struct template *t,
                       size_t from, size_t to, struct place place)
{
    for (size_t i = from; i < to; i++) {
        const struct op *op = &t->ops[i];
        struct template_name n;

        switch ((enum op_kind)op->kind) {
        case OP_TEXT:
        case OP_INDENT:
        case OP_BLOCK: break;
        case OP_CALL: walk_call(w, t, op, place); break;
        case OP_VALUE:
        case OP_SECTION:
        case OP_INVERTED:
            if (op->pseudo != PSEUDO_NONE) {
                break; /* a body of {{#-first}} reads as what is around it */
            }
            n = name_at(t, op, op->at, op->keys, place);
            w->on_name(w->ctx, &n);
            if (op->kind == OP_SECTION) {
                walk_range(w, t, i + 1, op->to, (struct place){op, &n});
                i = op->to - 1;
            }
            break;
        }
    }
}

static void walk_template(struct name_walk *w, const struct template *t,
                          struct place place)
{
    const struct visit visit = {t, place.section};
    const struct span key = {(const char *)&visit, sizeof(visit)};
    const struct span kept = map_get(&w->seen, key) == NULL
                                 ? arena_span(&w->visits, key)
                                 : SPAN_NONE;

    if (kept.ptr == NULL) {
        return; /* seen there already */
    }
    map_put(&w->seen, kept, (void *)(uintptr_t)kept.ptr);
    walk_range(w, t, 0, t->op_count, place);
}

void template_names(const struct template *t,
                    void (*on_name)(void *ctx, const struct template_name *n),
                    void *ctx)
{
    struct name_walk w = {.on_name = on_name, .ctx = ctx};

    map_init(&w.seen);
    arena_init(&w.visits, 1024, 0);
    walk_template(&w, t, (struct place){NULL, NULL});
    arena_release(&w.visits);
    map_release(&w.seen);
}

struct reader {
    struct span key;
    bool is_found;
};

static void compare_name(void *ctx, const struct template_name *n)
{
    struct reader *reader = ctx;
    const struct span key = reader->key;
    const bool is_whole = span_is(n->name, ".") && n->depth == 0;
    const bool is_key = span_starts(n->name, key) &&
                        (n->name.len == key.len || n->name.ptr[key.len] == '.');

    reader->is_found = reader->is_found || is_whole || is_key;
}

bool template_reads(const struct template *t, struct span key)
{
    struct reader reader = {key, t->set->has_dynamic};

    template_names(t, compare_name, &reader);
    return reader.is_found;
}
