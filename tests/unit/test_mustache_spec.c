/*
 * The Mustache specification (github.com/mustache/spec 1.4), from its own JSON
 * files in tests/data/mustache-spec; MUSTACHE_SPEC_DIR names another folder.
 * Every test of every module is run and passes, but those of ~lambdas, which
 * do not apply: their data is code in ten languages, and ours is JSON from
 * outside, which must never be run. Not even the number of tests is left to
 * chance: a test that is not there is noticed.
 */
#include "test.h"

#include <stdlib.h>

#include <jansson.h>

#include "mail/mustache.h"

static bool find_partial(void *ctx, struct span name, struct span *text,
                         const char **file)
{
    const json_t *partials = ctx;
    const json_t *partial = json_object_getn(partials, name.ptr, name.len);

    if (partial == NULL) {
        return false;
    }
    *text = span_make(json_string_value(partial), json_string_length(partial));
    *file = "partial";
    return true;
}

static struct span partial_at(void *ctx, size_t i)
{
    json_t *partials = ctx;
    void *at = json_object_iter(partials);

    while (at != NULL && i-- > 0) {
        at = json_object_iter_next(partials, at);
    }
    return at ? span_of(json_object_iter_key(at)) : SPAN_NONE;
}

/* Renders one test; false when it differs from what is expected. */
static bool passes(const char *module, json_t *test)
{
    const char *name = json_string_value(json_object_get(test, "name"));
    const json_t *source = json_object_get(test, "template");
    const json_t *want = json_object_get(test, "expected");
    json_t *data = json_object_get(test, "data");
    struct template_loader loader = {
        .find = find_partial,
        .name_at = partial_at,
        .ctx = json_object_get(test, "partials"),
        .missing_is_empty = true,
    };
    struct template_set *set = template_set_new(&loader);
    struct template_fault why = {0};
    struct problems problems;
    struct template *t = NULL;
    struct buf out;
    bool is_same = false;

    problems_init(&problems);
    buf_init(&out, 1 << 20);
    t = template_compile(
        set, name,
        span_make(json_string_value(source), json_string_length(source)),
        module, TEMPLATE_ESCAPE_HTML, &problems);
    if (t != NULL && template_render(t, &data, 1, &out, &why)) {
        is_same =
            span_equal(buf_view(&out), span_make(json_string_value(want),
                                                 json_string_length(want)));
    }
    if (!is_same) {
        print_message("%s / %s\n got  [%.*s] %s\n want [%s]\n", module, name,
                      (int)out.len, out.data ? out.data : "", why.reason,
                      json_string_value(want));
        problems_print(&problems);
    }
    buf_release(&out);
    problems_release(&problems);
    template_set_free(set);
    return is_same;
}

static json_t *load_module(const char *module, size_t count)
{
    const char *dir = getenv("MUSTACHE_SPEC_DIR");
    char path[512];
    json_error_t error;
    json_t *root = NULL;

    snprintf(path, sizeof(path), "%s/%s.json",
             dir ? dir : "tests/data/mustache-spec", module);
    root = json_load_file(path, 0, &error);
    if (root == NULL) {
        fail_msg("%s: %s (run from the top of the sources, or set "
                 "MUSTACHE_SPEC_DIR)",
                 path, error.text);
    }
    assert_int_equal(json_array_size(json_object_get(root, "tests")), count);
    return root;
}

static void run_module(const char *module, size_t count)
{
    json_t *root = load_module(module, count);
    json_t *test = NULL;
    size_t i = 0;
    size_t failed = 0;

    json_array_foreach(json_object_get(root, "tests"), i, test)
    {
        failed += !passes(module, test);
    }
    json_decref(root);
    assert_int_equal(failed, 0);
}

/* Each of them has code in its data; that is why none of them applies. */
static void spec_lambdas_do_not_apply(void **state)
{
    json_t *root = load_module("~lambdas", 10);
    json_t *test = NULL;
    size_t i = 0;

    (void)state;
    json_array_foreach(json_object_get(root, "tests"), i, test)
    {
        const json_t *lambda =
            json_object_get(json_object_get(test, "data"), "lambda");

        assert_string_equal(
            json_string_value(json_object_get(lambda, "__tag__")), "code");
    }
    json_decref(root);
}

#define MODULE(function, name, count)                                          \
    static void function(void **state)                                         \
    {                                                                          \
        (void)state;                                                           \
        run_module(name, count);                                               \
    }

MODULE(spec_comments, "comments", 12)
MODULE(spec_delimiters, "delimiters", 14)
MODULE(spec_interpolation, "interpolation", 42)
MODULE(spec_inverted, "inverted", 22)
MODULE(spec_partials, "partials", 12)
MODULE(spec_sections, "sections", 34)
MODULE(spec_inheritance, "~inheritance", 27)
MODULE(spec_dynamic_names, "~dynamic-names", 21)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spec_comments),
        cmocka_unit_test(spec_delimiters),
        cmocka_unit_test(spec_interpolation),
        cmocka_unit_test(spec_inverted),
        cmocka_unit_test(spec_partials),
        cmocka_unit_test(spec_sections),
        cmocka_unit_test(spec_inheritance),
        cmocka_unit_test(spec_dynamic_names),
        cmocka_unit_test(spec_lambdas_do_not_apply),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
