/*
 * Would the check have found it? Every key of every shipped contract is
 * renamed, and then left out, in a copy of the templates; each time the check
 * of the files must fail with an error that names the key.
 *
 * This is what happened on 2017-12-14, once for each key there is. To be quick,
 * a copy has the types of one family only: those that inherit from each other.
 */
#include "test.h"

#include <ftw.h>
#include <jansson.h>
#include <stdlib.h>
#include <time.h>

#include "base/file.h"
#include "base/mem.h"
#include "engine/check.h"
#include "folder.h"

#define SOURCE "templates"

static char copy[FOLDER_PATH];
static const struct settings *settings;
static struct catalog *shipped;
static const struct contract *family; /* its root, while it is copied */

static int set_up(void **state)
{
    struct problems problems;

    (void)state;
    problems_init(&problems);
    settings = settings_load("/dev/null", NULL, 0, &problems);
    assert_non_null(settings);
    shipped = catalog_load(SOURCE, &problems);
    assert_int_equal(problems.count, 0);
    problems_release(&problems);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    catalog_free(shipped);
    settings_free(settings);
    return 0;
}

static const struct contract *root_of(const struct contract *c)
{
    while (c->parent != NULL) {
        c = c->parent;
    }
    return c;
}

/* The type in whose folder the file is, or NULL. */
static const struct event_type *type_of(const char *path)
{
    const char *end = strrchr(path, '/');
    const char *start = end;

    while (start > path && start[-1] != '/') {
        start--;
    }
    return catalog_find(shipped, span_make(start, (size_t)(end - start)));
}

static int copy_one(const char *path, const struct stat *st, int kind,
                    struct FTW *ftw)
{
    const struct event_type *type = type_of(path);
    struct buf text;

    (void)st;
    (void)ftw;
    if (kind == FTW_F && (type == NULL || root_of(type->contract) == family)) {
        buf_init(&text, 0);
        assert_true(file_read(path, &text));
        folder_put(copy, path + strlen(SOURCE) + 1, buf_cstr(&text));
        buf_release(&text);
    }
    return 0;
}

/* The untouched copy has no error, so it is the mutation that is found. */
static void copy_is_clean(void)
{
    struct check check;

    check_init(&check, settings, copy);
    check_contracts(&check);
    if (check.problems.errors > 0) {
        problems_print(&check.problems);
        fail_msg("%s", family->name.ptr);
    }
    check_release(&check);
}

/* Which of the checks found a mutation. */
struct found {
    size_t mutations;
    size_t found;
    size_t by_sample;
    size_t by_template;
};

static void check_mutant(const char *type, const char *key, struct found *found)
{
    bool in_sample = false;
    bool in_template = false;
    bool is_found = false;
    struct check check;

    check_init(&check, settings, copy);
    check_contracts(&check);
    for (size_t i = 0; i < check.problems.count; i++) {
        const struct problem *p = &check.problems.items[i];

        if (p->severity != SEVERITY_ERROR || p->key == NULL ||
            strcmp(p->key, key) != 0) {
            continue;
        }
        assert_non_null(strstr(p->text, key));
        is_found = true;
        in_sample |= strncmp(p->text, "samples.", 8) == 0;
        in_template |= strncmp(p->text, "reads ", 6) == 0;
    }
    found->mutations++;
    found->found += is_found;
    found->by_sample += in_sample;
    found->by_template += in_template;
    if (!is_found) {
        print_error("not found: '%s' of %s\n", key, type);
        problems_print(&check.problems);
    }
    check_release(&check);
}

static void write_contract(const char *name, json_t *contract)
{
    char *text = json_dumps(contract, JSON_INDENT(2));

    folder_put(copy, name, text);
    free(text);
}

/* The contract without the key; is_renamed: with another one in its place. */
static json_t *mutate(const json_t *contract, const char *key, bool is_renamed)
{
    json_t *mutant = json_deep_copy(contract);
    json_t *keys = json_object_get(mutant, "keys");
    char name[128];

    snprintf(name, sizeof(name), "%s_x", key);
    if (is_renamed) {
        json_object_set(keys, name, json_object_get(keys, key));
    }
    json_object_del(keys, key);
    return mutant;
}

static void mutate_type(const struct event_type *type, struct found *found)
{
    const char *name = type->contract->file + strlen(SOURCE) + 1;
    json_t *contract = json_load_file(type->contract->file, 0, NULL);
    const char *key = NULL;
    json_t *value = NULL;

    json_object_foreach(json_object_get(contract, "keys"), key, value)
    {
        for (int is_renamed = 0; is_renamed < 2; is_renamed++) {
            json_t *mutant = mutate(contract, key, is_renamed != 0);

            write_contract(name, mutant);
            check_mutant(type->name.ptr, key, found);
            json_decref(mutant);
        }
    }
    write_contract(name, contract);
    json_decref(contract);
}

static void mutate_family(const struct contract *root, struct found *found)
{
    family = root;
    folder_make(copy);
    assert_int_equal(nftw(SOURCE, copy_one, 8, FTW_PHYS), 0);
    copy_is_clean();
    for (size_t i = 0; i < catalog_count(shipped); i++) {
        const struct event_type *type = catalog_at(shipped, i);

        if (root_of(type->contract) == root) {
            mutate_type(type, found);
        }
    }
    copy_is_clean();
    folder_remove(copy);
}

static void every_lost_key_is_found(void **state)
{
    struct found found = {0};
    const clock_t began = clock();

    (void)state;
    for (size_t i = 0; i < catalog_count(shipped); i++) {
        const struct contract *c = catalog_at(shipped, i)->contract;

        if (c->parent == NULL) {
            mutate_family(c, &found);
        }
    }
    printf("measured: %zu mutations, %zu found (%zu by samples, %zu by "
           "templates too), %.1f s\n",
           found.mutations, found.found, found.by_sample, found.by_template,
           (double)(clock() - began) / CLOCKS_PER_SEC);
    assert_true(found.mutations > 500);
    assert_int_equal(found.found, found.mutations);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_lost_key_is_found),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
