/*
 * catalog - all event types of a templates folder.
 *
 * In this order, because each step needs the one before it of all types: find
 * the folders, load the contracts, let them inherit, compile the templates.
 */
#include "mail/catalog.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "mail/catalog_files.h"

struct catalog {
    struct event_type **types;
    size_t count;
    struct map by_name;
};

struct load {
    struct catalog *catalog;
    const char *root;
    struct problems *problems;
    struct source_cache cache;
};

/* --- types and faults --------------------------------------------------- */

/* The first error from problems[from] on that is about file (NULL: any). */
static void take_fault(struct event_type *type, const struct problems *problems,
                       size_t from, const char *file)
{
    for (size_t i = from; i < problems->count && type->fault == NULL; i++) {
        const struct problem *p = &problems->items[i];

        if (p->severity != SEVERITY_ERROR ||
            (file != NULL && (p->file == NULL || strcmp(p->file, file) != 0))) {
            continue;
        }
        type->fault =
            p->line > 0 ? mem_printf("%s:%d: %s", p->file ? p->file : "",
                                     p->line, p->text)
                        : mem_printf("%s: %s", p->file ? p->file : "", p->text);
    }
}

static void on_folder(void *ctx, const char *folder, bool has_contract)
{
    struct load *load = ctx;
    struct catalog *catalog = load->catalog;
    const char *slash = strrchr(folder, '/');
    struct event_type *type = NULL;
    struct event_type *twin = NULL;
    char *file = NULL;

    if (!has_contract || strcmp(folder, load->root) == 0) {
        return;
    }
    type = mem_calloc(1, sizeof(*type));
    type->folder = mem_strdup(folder);
    file = mem_printf("%s/contract.json", folder);
    type->contract = contract_load(file, span_of(slash ? slash + 1 : folder),
                                   load->problems);
    type->name = type->contract->name;
    mem_free(file);
    catalog->types = mem_realloc(catalog->types, (catalog->count + 1) *
                                                     sizeof(*catalog->types));
    catalog->types[catalog->count++] = type;
    twin = map_get(&catalog->by_name, type->name);
    if (twin != NULL) {
        problems_add(load->problems, SEVERITY_ERROR, type->contract->file, 0,
                     "there is a type of this name already: %s", twin->folder);
        type->contract->is_broken = true;
    } else {
        map_put(&catalog->by_name, type->name, type);
    }
}

/* Only those that can be found: a twin would hide what a child extends. */
static void resolve_contracts(struct load *load)
{
    struct catalog *catalog = load->catalog;
    struct contract **all = mem_calloc(catalog->count + 1, sizeof(*all));
    size_t count = 0;

    for (size_t i = 0; i < catalog->count; i++) {
        struct event_type *type = catalog->types[i];

        if (map_get(&catalog->by_name, type->name) == type) {
            all[count++] = type->contract;
        }
    }
    contracts_resolve(all, count, load->problems);
    mem_free(all);
}

/* --- templates ---------------------------------------------------------- */

/* Adds the folders above folder, up to the root; chain keeps the bytes. */
static void add_folders_above(struct partials *p, struct load *load,
                              const char *folder, struct arena *chain)
{
    size_t len = strlen(folder);
    const size_t root_len = strlen(load->root);

    while (len > root_len) {
        char *above = NULL;

        while (len > root_len && folder[len] != '/') {
            len--;
        }
        above = arena_strndup(chain, folder, len);
        if (above == NULL) {
            return;
        }
        partials_add(p, above);
        len -= len > root_len;
    }
}

static void set_folders(struct partials *p, struct load *load,
                        const struct event_type *type, struct arena *chain)
{
    const struct contract *c = NULL;

    partials_add(p, type->folder);
    for (c = type->contract->parent; c != NULL; c = c->parent) {
        partials_add(p, catalog_find(load->catalog, c->name)->folder);
    }
    add_folders_above(p, load, type->folder, chain);
    for (c = type->contract->parent; c != NULL; c = c->parent) {
        add_folders_above(p, load, catalog_find(load->catalog, c->name)->folder,
                          chain);
    }
}

static void tell_missing(struct load *load, struct event_type *type,
                         const char *name, const char *path)
{
    char *file = mem_printf("%s.mustache", name);
    struct arena names;

    arena_init(&names, 1024, 0);
    problems_add(load->problems, SEVERITY_ERROR, path, 0,
                 "is missing: every mailable type needs it");
    problems_about(load->problems, type->name, SPAN_NONE,
                   folder_nearest(type->folder, file, &names));
    arena_release(&names);
    mem_free(file);
}

/* Compiles one file of a type; NULL when it is broken or not there. */
static struct template *compile_file(struct load *load, struct event_type *type,
                                     const char *name,
                                     enum template_escape escape,
                                     bool is_required)
{
    char *path = mem_printf("%s/%s.mustache", type->folder, name);
    struct template *t = NULL;
    struct span source = SPAN_NONE;
    const char *kept = NULL;
    const size_t errors = load->problems->errors;

    if (source_cache_get(&load->cache, path, &source, &kept, load->problems)) {
        t = template_compile(type->set, name, source, path, escape,
                             load->problems);
    } else if (is_required && load->problems->errors == errors) {
        tell_missing(load, type, name, path);
    }
    mem_free(path);
    return t;
}

/* Compiles a text of the contract, called "contract.json (thread)" and the
 * like in messages: a line in it is no line of the file. */
static struct template *compile_text(struct load *load, struct event_type *type,
                                     const char *name, struct span text)
{
    char *file = mem_printf("%s (%s)", type->contract->file, name);
    struct template *t = NULL;

    if (text.len > 0) {
        t = template_compile(type->set, name, text, file, TEMPLATE_ESCAPE_NONE,
                             load->problems);
    }
    mem_free(file);
    return t;
}

static void compile_headers(struct load *load, struct event_type *type)
{
    const struct contract *c = type->contract;

    type->headers = mem_calloc(c->header_count + 1, sizeof(*type->headers));
    for (size_t i = 0; i < c->header_count; i++) {
        type->headers[i] = compile_text(load, type, c->headers[i].name.ptr,
                                        c->headers[i].value);
    }
}

static void note_needs(struct event_type *type, const struct template *t)
{
    type->asks_for_events =
        type->asks_for_events ||
        (t != NULL && (template_reads(t, SPAN_LIT("event")) ||
                       template_reads(t, SPAN_LIT("events"))));
}

static void note_all_needs(struct event_type *type)
{
    note_needs(type, type->subject);
    note_needs(type, type->text);
    note_needs(type, type->html);
    note_needs(type, type->thread);
    note_needs(type, type->headline);
    for (size_t i = 0; i < type->contract->header_count; i++) {
        note_needs(type, type->headers[i]);
    }
}

static void compile_type(struct load *load, struct event_type *type)
{
    const struct contract *c = type->contract;
    const size_t first_problem = load->problems->count;
    /* Partials are looked for only while templates compile, so the set may
     * outlive its loader's context. */
    struct partials partials = {.cache = &load->cache,
                                .problems = load->problems};
    struct template_loader loader = partials_loader(&partials);
    struct arena chain;

    arena_init(&chain, 1024, 0);
    set_folders(&partials, load, type, &chain);
    type->set = template_set_new(&loader);
    type->subject =
        compile_file(load, type, "subject", TEMPLATE_ESCAPE_NONE, true);
    type->text = compile_file(load, type, "text", TEMPLATE_ESCAPE_NONE, true);
    type->html = compile_file(load, type, "html", TEMPLATE_ESCAPE_HTML, false);
    type->thread = compile_text(load, type, "thread", c->thread);
    type->headline = compile_text(load, type, "headline", c->headline);
    compile_headers(load, type);
    note_all_needs(type);
    take_fault(type, load->problems, first_problem, NULL);
    partials_release(&partials);
    arena_release(&chain);
}

/* --- the whole ---------------------------------------------------------- */

static char *without_slash(const char *dir)
{
    size_t len = strlen(dir);

    while (len > 1 && dir[len - 1] == '/') {
        len--;
    }
    return mem_strndup(dir, len);
}

struct catalog *catalog_load(const char *dir, struct problems *problems)
{
    struct catalog *catalog = mem_calloc(1, sizeof(*catalog));
    char *root = without_slash(dir);
    struct load load = {.catalog = catalog, .root = root, .problems = problems};

    map_init(&catalog->by_name);
    source_cache_init(&load.cache);
    folders_walk(root, problems, on_folder, &load);
    resolve_contracts(&load);
    for (size_t i = 0; i < catalog->count; i++) {
        struct event_type *type = catalog->types[i];

        if (type->contract->is_broken) {
            take_fault(type, problems, 0, type->contract->file);
        } else if (type->contract->is_mailable) {
            compile_type(&load, type);
        }
    }
    source_cache_release(&load.cache);
    mem_free(root);
    return catalog;
}

void catalog_free(struct catalog *catalog)
{
    if (catalog == NULL) {
        return;
    }
    for (size_t i = 0; i < catalog->count; i++) {
        struct event_type *type = catalog->types[i];

        template_set_free(type->set);
        contract_free(type->contract);
        mem_free(type->headers);
        mem_free(type->fault);
        mem_free(type->folder);
        mem_free(type);
    }
    map_release(&catalog->by_name);
    mem_free(catalog->types);
    mem_free(catalog);
}

const struct event_type *catalog_find(const struct catalog *catalog,
                                      struct span name)
{
    return map_get(&catalog->by_name, name);
}

const struct event_type *catalog_digest(const struct catalog *catalog)
{
    const struct event_type *type = catalog_find(catalog, SPAN_LIT("digest"));

    return type != NULL && event_type_is_mailable(type) ? type : NULL;
}

size_t catalog_count(const struct catalog *catalog)
{
    return catalog->count;
}

const struct event_type *catalog_at(const struct catalog *catalog, size_t i)
{
    return catalog->types[i];
}
