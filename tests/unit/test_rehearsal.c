/*
 * rehearsal: what "check" finds only by composing the samples.
 */
#include "test.h"

#include "folder.h"
#include "mail/rehearsal.h"

static const char contract[] =
    "{\"description\": \"d\", \"keys\": {\"who\": {\"type\": \"string\", "
    "\"required\": true}}, \"samples\": {\"least\": {\"who\": \"x\"}, "
    "\"fullest\": {\"who\": \"x\"}}}";

/* 40 characters, and 8 of three bytes or one. */
#define TEN_WORDS "one two six ten one two six ten one two "
#define FOUR_KANA "\xe3\x81\x82 \xe3\x81\x82 \xe3\x81\x82 \xe3\x81\x82 "

static const struct {
    const char *name;
    const char *subject;
    const char *text;
    const char *problem; /* of either sample; NULL = none */
} cases[] = {
    {"all is well", "{{who}}", "t", NULL},
    {"a subject of 78 characters",
     TEN_WORDS "one two six ten one two six ten one 45", "t", NULL},
    {"a subject that is folded", TEN_WORDS TEN_WORDS "{{who}}", "t",
     "gives a subject of more than 78 characters"},
    {"characters are counted, not bytes",
     FOUR_KANA FOUR_KANA FOUR_KANA FOUR_KANA FOUR_KANA, "t", NULL},
    {"a subject that is empty", " {{#none}}x{{/none}}\n", "t",
     "gives an empty subject"},
    {"a template without end", "s", "{{#who}}{{>text}}{{/who}}",
     "does 'text' include itself?"},
};

static bool has_problem(const struct problems *p, const char *text)
{
    for (size_t i = 0; i < p->count; i++) {
        if (strstr(p->items[i].text, text) != NULL) {
            return true;
        }
    }
    return false;
}

static void samples_are_composed(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const struct composer_settings settings = {.domain = "example.org"};
        char folder[FOLDER_PATH];
        struct problems problems;
        struct catalog *catalog = NULL;
        struct composer *composer = NULL;
        struct rehearsal seen = {0};

        folder_make(folder);
        folder_put(folder, "Type/contract.json", contract);
        folder_put(folder, "Type/subject.mustache", cases[i].subject);
        folder_put(folder, "Type/text.mustache", cases[i].text);
        problems_init(&problems);
        catalog = catalog_load(folder, &problems);
        assert_int_equal(problems.errors, 0);
        composer = composer_new(&settings, catalog);
        seen = rehearse(composer, catalog, &problems);
        assert_int_equal(seen.types, 1);
        if (cases[i].problem == NULL) {
            assert_int_equal(seen.letters, 2);
        }
        if (cases[i].problem ? !has_problem(&problems, cases[i].problem)
                             : problems.count > 0) {
            problems_print(&problems);
            fail_msg("%s: want %s", cases[i].name,
                     cases[i].problem ? cases[i].problem : "no problem");
        }
        composer_free(composer);
        catalog_free(catalog);
        problems_release(&problems);
        folder_remove(folder);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_are_composed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
