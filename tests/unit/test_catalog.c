/*
 * catalog: which folders become types, where partials are found, and that one
 * broken type is nobody else's trouble. Each test writes its own tree.
 */
#include "test.h"

#include "folder.h"
#include "mail/catalog.h"

struct tree {
    char root[FOLDER_PATH];
    struct problems problems;
    struct catalog *catalog;
};

static void tree_init(struct tree *t)
{
    folder_make(t->root);
    problems_init(&t->problems);
    t->catalog = NULL;
}

static void tree_release(struct tree *t)
{
    catalog_free(t->catalog);
    problems_release(&t->problems);
    folder_remove(t->root);
}

static void put(const struct tree *t, const char *path, const char *text)
{
    folder_put(t->root, path, text);
}

#define CONTRACT(more)                                                         \
    "{\"description\": \"d\", \"keys\": {\"who\": {\"type\": \"string\", "     \
    "\"required\": true}}, \"samples\": {\"least\": {\"who\": \"x\"}, "        \
    "\"fullest\": {\"who\": \"x\"}}" more "}"

static void put_type(const struct tree *t, const char *folder,
                     const char *subject, const char *text)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/contract.json", folder);
    put(t, path, CONTRACT(""));
    snprintf(path, sizeof(path), "%s/subject.mustache", folder);
    put(t, path, subject);
    snprintf(path, sizeof(path), "%s/text.mustache", folder);
    put(t, path, text);
}

static const struct event_type *load_one(struct tree *t, const char *name)
{
    const struct event_type *type = NULL;

    t->catalog = catalog_load(t->root, &t->problems);
    type = catalog_find(t->catalog, span_of(name));
    assert_non_null(type);
    return type;
}

static void check_text(const struct event_type *type, const char *want)
{
    json_t *data = json_pack("{s:s}", "who", "<Zoe>");
    struct template_fault why;
    struct buf out;

    if (type->fault != NULL) {
        fail_msg("%s", type->fault);
    }
    buf_init(&out, 0);
    assert_true(template_render(type->text, &data, 1, &out, &why));
    assert_span(buf_view(&out), want);
    buf_release(&out);
    json_decref(data);
}

static void folders_with_a_contract_are_types(void **state)
{
    struct tree t;

    (void)state;
    tree_init(&t);
    put_type(&t, "b/deep/er/Second", "s", "t");
    put_type(&t, "a/First", "s", "t");
    put_type(&t, "a/First/Inner", "s", "t");
    put(&t, "a/none/text.mustache", "no contract here");
    put(&t, ".hidden/Third/contract.json", "not even JSON");
    t.catalog = catalog_load(t.root, &t.problems);
    problems_print(&t.problems);
    assert_int_equal(t.problems.count, 0);
    assert_int_equal(catalog_count(t.catalog), 3);
    assert_span(catalog_at(t.catalog, 0)->name, "First");
    assert_span(catalog_at(t.catalog, 1)->name, "Inner");
    assert_span(catalog_at(t.catalog, 2)->name, "Second");
    assert_true(event_type_is_mailable(catalog_at(t.catalog, 2)));
    assert_null(catalog_find(t.catalog, SPAN_LIT("none")));
    tree_release(&t);
}

static void all_parts_are_compiled(void **state)
{
    const struct event_type *type = NULL;
    struct tree t;

    (void)state;
    tree_init(&t);
    put_type(&t, "T", "s {{who}}", "{{who}}");
    put(&t, "T/html.mustache", "<b>{{who}}</b>");
    put(&t, "T/contract.json",
        CONTRACT(", \"thread\": \"t-{{who}}\", \"headline\": \"{{who}}!\","
                 "\"headers\": {\"X-Who\": \"{{who}}\"}"));
    type = load_one(&t, "T");
    assert_null(type->fault);
    assert_non_null(type->subject);
    assert_non_null(type->html);
    assert_non_null(type->thread);
    assert_non_null(type->headline);
    assert_non_null(type->headers[0]);
    check_text(type, "<Zoe>");
    tree_release(&t);
}

static void partials_are_found_upwards(void **state)
{
    struct tree t;

    (void)state;
    tree_init(&t);
    put_type(&t, "a/b/T", "s", "{{>near}} {{>middle}} {{>far}}");
    put(&t, "near.mustache", "wrong");
    put(&t, "a/b/T/near.mustache", "near {{who}}");
    put(&t, "middle.mustache", "wrong");
    put(&t, "a/middle.mustache", "middle");
    put(&t, "far.mustache", "far");
    check_text(load_one(&t, "T"), "near <Zoe> middle far");
    tree_release(&t);
}

static void partials_of_parents_are_found(void **state)
{
    struct tree t;

    (void)state;
    tree_init(&t);
    put(&t, "x/Base/contract.json",
        "{\"description\": \"d\", \"abstract\": true}");
    put(&t, "x/Base/own.mustache", "of the base");
    put(&t, "x/shared.mustache", "beside the base");
    put(&t, "own.mustache", "wrong");
    put_type(&t, "y/T", "s", "{{>own}}, {{>shared}}");
    put(&t, "y/T/contract.json", CONTRACT(", \"extends\": \"Base\""));
    check_text(load_one(&t, "T"), "of the base, beside the base");
    tree_release(&t);
}

static void dynamic_partials_are_loaded(void **state)
{
    struct tree t;

    (void)state;
    tree_init(&t);
    put_type(&t, "T", "s", "{{>*who}}");
    put(&t, "<Zoe>.mustache", "found");
    check_text(load_one(&t, "T"), "found");
    tree_release(&t);
}

static void unmailable_types_need_no_templates(void **state)
{
    const struct event_type *type = NULL;
    struct tree t;

    (void)state;
    tree_init(&t);
    put(&t, "T/contract.json", CONTRACT(", \"mailable\": false"));
    type = load_one(&t, "T");
    assert_null(type->fault);
    assert_false(event_type_is_mailable(type));
    assert_null(type->text);
    tree_release(&t);
}

struct broken {
    const char *file;
    const char *text;
    const char *want; /* part of the fault */
};

static void broken_types_break_alone(void **state)
{
    static const struct broken cases[] = {
        {"Bad/contract.json", "{\n,", "Bad/contract.json:2: "},
        {"Bad/contract.json", "{\"keys\": 1}", "keys: must be an object"},
        {"Bad/text.mustache", "a\n{{#x}}", "Bad/text.mustache:2: 'x' is"},
        {"Bad/text.mustache", "{{>nobody}}", "Bad/text.mustache:1: there is"},
        {"Bad/text.mustache", "{{>shred}}", "did you mean 'shared'?"},
        {"Bad/html.mustache", "{{", "Bad/html.mustache:1: "},
        {"Bad/contract.json", CONTRACT(", \"thread\": \"{{#x}}\""),
         "Bad/contract.json (thread):1: 'x' is opened"},
        {"Bad/contract.json", CONTRACT(", \"extends\": \"Nobody\""),
         "there is no type 'Nobody'"},
        {"sub/Bad/contract.json", CONTRACT(""), NULL}, /* a twin */
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const struct event_type *bad = NULL;
        struct tree t;

        tree_init(&t);
        put(&t, "shared.mustache", "shared");
        put_type(&t, "Good", "s", "{{who}}");
        put_type(&t, "Bad", "s", "t");
        put(&t, cases[i].file, cases[i].text);
        check_text(load_one(&t, "Good"), "<Zoe>");
        bad = catalog_find(t.catalog, SPAN_LIT("Bad"));
        assert_true(t.problems.errors > 0);
        if (cases[i].want == NULL) {
            check_text(bad, "t");
            bad = catalog_at(t.catalog, 2);
            assert_span(bad->name, "Bad");
            assert_non_null(strstr(bad->fault, "of this name already"));
        } else if (strstr(bad->fault, cases[i].want) == NULL) {
            fail_msg("got \"%s\", want \"%s\"", bad->fault, cases[i].want);
        }
        assert_false(event_type_is_mailable(bad));
        tree_release(&t);
    }
}

static void missing_parts_are_faults(void **state)
{
    struct tree t;

    (void)state;
    tree_init(&t);
    put(&t, "T/contract.json", CONTRACT(""));
    put(&t, "T/subject.mustache", "s");
    assert_non_null(strstr(load_one(&t, "T")->fault, "text.mustache: is mis"));
    tree_release(&t);
}

static void a_missing_folder_is_a_problem(void **state)
{
    struct problems problems;
    struct catalog *catalog = NULL;

    (void)state;
    problems_init(&problems);
    catalog = catalog_load("/nonexistent/templates", &problems);
    assert_int_equal(problems.errors, 1);
    assert_int_equal(catalog_count(catalog), 0);
    assert_null(catalog_find(catalog, SPAN_LIT("T")));
    catalog_free(catalog);
    problems_release(&problems);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folders_with_a_contract_are_types),
        cmocka_unit_test(all_parts_are_compiled),
        cmocka_unit_test(partials_are_found_upwards),
        cmocka_unit_test(partials_of_parents_are_found),
        cmocka_unit_test(dynamic_partials_are_loaded),
        cmocka_unit_test(unmailable_types_need_no_templates),
        cmocka_unit_test(broken_types_break_alone),
        cmocka_unit_test(missing_parts_are_faults),
        cmocka_unit_test(a_missing_folder_is_a_problem),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
