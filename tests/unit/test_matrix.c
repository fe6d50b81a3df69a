/*
 * matrix: every mailable type of the shipped templates, each of its samples,
 * each of its keys, in every state; and that a case that comes out wrong is
 * told.
 */
#include "test.h"

#include "folder.h"
#include "mail/matrix.h"

static const struct composer_settings settings = {.domain = "example.org"};

static size_t cases_of(const struct contract *c)
{
    return c->key_count * c->sample_count * MATRIX_STATES;
}

static void all_shipped_types_stand(void **state)
{
    struct problems problems;
    struct catalog *catalog = NULL;
    struct audition *audition = NULL;
    struct matrix seen = {0};
    size_t cases = 0;

    (void)state;
    problems_init(&problems);
    catalog = catalog_load("templates", &problems);
    audition = audition_new(&settings, catalog);
    seen = matrix_run(audition, catalog, &problems);
    problems_print(&problems);
    assert_int_equal(problems.count, 0);
    for (size_t i = 0; i < catalog_count(catalog); i++) {
        const struct event_type *type = catalog_at(catalog, i);

        cases += event_type_is_mailable(type) ? cases_of(type->contract) : 0;
    }
    printf("measured: %zu cases of type, sample, key and state: %zu letters, "
           "%zu refused\n",
           seen.cases, seen.letters, seen.refused);
    assert_true(cases > 4000);
    assert_int_equal(seen.cases, cases);
    assert_int_equal(seen.letters + seen.refused, cases);
    assert_true(seen.refused > cases / 10);
    audition_free(audition);
    catalog_free(catalog);
    problems_release(&problems);
}

#define CONTRACT(key)                                                          \
    "{\"description\": \"d\",\n\"keys\": {\n" key "},\n\"samples\": "          \
    "{\"least\": {\"k\": %s},\n\"fullest\": {\"k\": %s}}}"

static const struct {
    const char *key;
    const char *value;
    const char *text;
    const char *want; /* NULL = no problem */
    const char *html; /* NULL = none */
} cases[] = {
    {"\"k\": {\"type\": \"string\", \"required\": true}", "\"x\"", "{{k}}",
     NULL, NULL},
    {"\"k\": {\"type\": \"array\", \"required\": true}", "[{\"a\": \"x\"}]",
     "{{#k}}{{a}}{{/k}}", NULL, NULL},
    {"\"k\": {\"type\": \"object\", \"required\": true}", "{\"a\": 1}",
     "{{k.a}}", NULL, NULL},
    {"\"k\": {\"type\": \"any\", \"required\": true}", "7", "{{k}}", NULL,
     NULL},
    {"\"k\": {\"type\": \"number\", \"required\": true}", "7.5", "{{k}}", NULL,
     NULL},
    {"\"k\": {\"type\": \"boolean\", \"required\": true}", "true",
     "{{#k}}a{{/k}}{{^k}}b{{/k}}", NULL, NULL},
    /* Fails when the key has a value: the sample fails, too. */
    {"\"k\": {\"type\": \"string\", \"required\": true}", "\"\"",
     "{{#k}}{{>text}}{{/k}}",
     "keys.k: sample \"least\" of T, with this key very long: ", NULL},
    /* Fails when the key is false. */
    {"\"k\": {\"type\": \"integer\", \"required\": true}", "7",
     "{{^k}}{{>text}}{{/k}}",
     "keys.k: sample \"least\" of T, with this key empty: ", NULL},
    /* A list of 1,000 items of which each prints the other 999. */
    {"\"k\": {\"type\": \"array\", \"required\": true}", "[\"xxxx\"]",
     "{{#k}}{{k}}{{/k}}",
     "keys.k: sample \"least\" of T, with this key very long: ", NULL},
    {"\"k\": {\"type\": \"string\", \"required\": true}", "\"x\"", "{{k}}",
     NULL, "<p>{{k}}</p>"},
    {"\"k\": {\"type\": \"string\", \"required\": true}", "\"x\"", "{{k}}",
     "with this key hostile: the payload wrote markup of its own",
     "<p>{{{k}}}</p>"},
    {"\"k\": {\"type\": \"array\", \"required\": true}", "[\"x\"]", "{{k}}",
     "with this key hostile: the payload wrote markup of its own",
     "{{#k}}<p>{{&.}}</p>{{/k}}"},
};

static void what_comes_out_wrong_is_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char contract[512];
        char folder[FOLDER_PATH];
        struct problems problems;
        struct catalog *catalog = NULL;
        struct audition *audition = NULL;

        snprintf(contract, sizeof(contract), CONTRACT("%s"), cases[i].key,
                 cases[i].value, cases[i].value);
        folder_make(folder);
        folder_put(folder, "T/contract.json", contract);
        folder_put(folder, "T/subject.mustache", "s");
        folder_put(folder, "T/text.mustache", cases[i].text);
        if (cases[i].html != NULL) {
            folder_put(folder, "T/html.mustache", cases[i].html);
        }
        problems_init(&problems);
        catalog = catalog_load(folder, &problems);
        problems_print(&problems);
        assert_int_equal(problems.count, 0);
        audition = audition_new(&settings, catalog);
        assert_int_equal(matrix_run(audition, catalog, &problems).cases,
                         2 * MATRIX_STATES);
        if (cases[i].want == NULL
                ? problems.count > 0
                : problems.count == 0 ||
                      strstr(problems.items[0].text, cases[i].want) == NULL) {
            problems_print(&problems);
            fail_msg("%s: want %s", cases[i].text,
                     cases[i].want ? cases[i].want : "no problem");
        }
        if (problems.count > 0) {
            assert_int_equal(problems.items[0].line, 3);
            assert_string_equal(problems.items[0].key, "k");
        }
        audition_free(audition);
        catalog_free(catalog);
        problems_release(&problems);
        folder_remove(folder);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_shipped_types_stand),
        cmocka_unit_test(what_comes_out_wrong_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
