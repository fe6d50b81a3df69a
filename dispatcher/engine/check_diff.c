/*
 * check_diff - what the step from one folder of templates to another breaks.
 *
 * Events wait in the log, producers go on as before, and people have their
 * habits: an error is what one of them relies on and what is gone or narrower.
 * A key that a type inherits is told of once, at the type that lists it.
 */
#include "engine/check_diff.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/nearest.h"
#include "base/plural.h"
#include "mail/catalog_text.h"

/* ---- types ------------------------------------------------------------- */

static void compare_types(struct check *c, const struct catalog *catalog)
{
    for (size_t i = 0; i < catalog_count(catalog); i++) {
        const struct event_type *old = catalog_at(catalog, i);
        const struct event_type *new = catalog_find(c->catalog, old->name);
        const struct diff_pair pair = {c, old->contract,
                                       new ? new->contract : NULL};
        struct nearest near = nearest_to(old->name);

        if (new != NULL) {
            if (!old->contract->is_broken && !new->contract->is_broken) {
                diff_type(&pair, old, new);
            }
            continue;
        }
        for (size_t k = 0; k < catalog_count(c->catalog); k++) {
            const struct span name = catalog_at(c->catalog, k)->name;

            if (catalog_find(catalog, name) == NULL) {
                nearest_offer(&near, name);
            }
        }
        diff_tell(&pair, SEVERITY_ERROR, "",
                  "the type %.*s is gone: its events would be set aside",
                  SPAN_ARG(old->name));
        problems_about(&c->problems, old->name, SPAN_NONE, near.best);
    }
}

static void find_new_types(struct check *c, const struct catalog *catalog)
{
    for (size_t i = 0; i < catalog_count(c->catalog); i++) {
        const struct event_type *new = catalog_at(c->catalog, i);
        const struct diff_pair pair = {c, NULL, new->contract};

        if (catalog_find(catalog, new->name) == NULL) {
            diff_tell(&pair, SEVERITY_NOTE, "", "the type %.*s is new",
                      SPAN_ARG(new->name));
        }
    }
}

/* ---- partials ---------------------------------------------------------- */

struct files {
    struct check *check;
    const char *old_folder;
};

static bool is_of_type(const char *path)
{
    static const char *const parts[] = {"subject.mustache", "text.mustache",
                                        "html.mustache"};
    const char *slash = strrchr(path, '/');

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (strcmp(slash ? slash + 1 : path, parts[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* What still asks for a partial that is gone is an error of its own. */
static void on_file(void *ctx, const char *path)
{
    const struct files *files = ctx;
    const char *rest = path + strlen(files->old_folder);
    char *now = mem_printf("%s%s%s", files->check->folder,
                           rest[0] == '/' ? "" : "/", rest);
    FILE *file = fopen(now, "re");

    if (file != NULL) {
        fclose(file);
    } else if (!is_of_type(path)) {
        problems_add(&files->check->problems, SEVERITY_NOTE, now, 0,
                     "this partial is gone");
    }
    mem_free(now);
}

/* ---- the whole --------------------------------------------------------- */

void check_diff(struct check *c, const char *old_folder)
{
    struct files files = {c, old_folder};
    struct problems of_old; /* what is wrong there is nobody's concern now */
    struct catalog *catalog = NULL;
    const size_t before = c->problems.count;

    problems_init(&of_old);
    catalog = catalog_load(old_folder, &of_old);
    if (catalog_count(catalog) == 0) {
        problems_add(&c->problems, SEVERITY_ERROR, old_folder, 0,
                     "no event type here to compare with");
    } else {
        compare_types(c, catalog);
        find_new_types(c, catalog);
        catalog_files(old_folder, on_file, &files);
        size_t types = catalog_count(catalog);
        size_t changes = c->problems.count - before;

        buf_printf(&c->facts,
                   "diff       %zu event type%s in %s, %zu change%s\n", types,
                   plural_s(types), old_folder, changes, plural_s(changes));
    }
    catalog_free(catalog);
    problems_release(&of_old);
}
