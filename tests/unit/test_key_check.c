/*
 * key_use and key_check: templates against contracts. Each case writes a type
 * or two and says which problems there are.
 */
#include "test.h"

#include "folder.h"
#include "mail/key_check.h"

#define TYPE(keys, least, fullest, more)                                       \
    "{\"description\": \"d\",\n\"keys\": {" keys "},\n\"samples\": "           \
    "{\"least\": {" least "}, \"fullest\": {" fullest "}}" more "}"
#define STRING(name) "\"" name "\": {\"type\": \"string\"}"
#define LIST(name)   "\"" name "\": {\"type\": \"array\"}"

struct tree {
    char root[FOLDER_PATH];
    struct problems problems;
    struct catalog *catalog;
};

static void put(const struct tree *t, const char *type, const char *contract,
                const char *text)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/contract.json", type);
    folder_put(t->root, path, contract);
    snprintf(path, sizeof(path), "%s/subject.mustache", type);
    folder_put(t->root, path, "s");
    snprintf(path, sizeof(path), "%s/text.mustache", type);
    folder_put(t->root, path, text);
}

static void tree_init(struct tree *t)
{
    folder_make(t->root);
    problems_init(&t->problems);
}

static void load(struct tree *t)
{
    t->catalog = catalog_load(t->root, &t->problems);
    problems_print(&t->problems);
    assert_int_equal(t->problems.count, 0);
}

static void tree_release(struct tree *t)
{
    catalog_free(t->catalog);
    problems_release(&t->problems);
    folder_remove(t->root);
}

/* "error text.mustache:1: ..."; NULL when there is no problem. */
static const char *told(const struct tree *t, char text[1200])
{
    const struct problem *p = t->problems.items;

    if (t->problems.count == 0) {
        return NULL;
    }
    snprintf(text, 1200, "%zu %s %s:%d: %s", t->problems.count,
             severity_name(p->severity), p->file + strlen(t->root) + 1, p->line,
             p->text);
    return text;
}

static void check(const struct tree *t, const char *what, const char *want)
{
    char text[1200];
    const char *got = told(t, text);

    if (want == NULL ? got != NULL : got == NULL || strstr(got, want) == NULL) {
        problems_print(&t->problems);
        fail_msg("%s: got \"%s\", want \"%s\"", what, got ? got : "nothing",
                 want ? want : "nothing");
    }
}

/* ---- one type ------------------------------------------------------------ */

static const char things[] =
    TYPE(STRING("who") ", " LIST("things") ", " LIST("empty") ", " LIST(
             "words") ", \"any\": {\"type\": \"any\"}, "
                      "\"box\": {\"type\": \"object\"}, " STRING("role"),
         "",
         "\"who\": \"x\", \"things\": [{\"name\": \"a\", \"parts\": "
         "[{\"size\": 1}]}, {\"color\": 2}], \"empty\": [], "
         "\"words\": [\"a\"], \"any\": {\"deep\": 1}, "
         "\"box\": {\"left\": {\"top\": 1}}, \"role\": \"r\"",
         "");

static const struct {
    const char *text;
    const char *want; /* NULL = no problem */
} cases[] = {
    {"{{who}} {{#who}}{{who}}{{/who}} {{^who}}{{who}}{{/who}}", NULL},
    {"\n{{wo}}",
     "1 error T/text.mustache:2: reads 'wo', which is no key of the "
     "contract of T; did you mean 'who'?"},
    {"{{#wo}}{{/wo}}", "1 error T/text.mustache:1: reads 'wo'"},
    {"{{^wo}}{{/wo}}", "1 error T/text.mustache:1: reads 'wo'"},
    {"{{#who}}{{wo}}{{/who}}", "1 error T/text.mustache:1: reads 'wo'"},
    {"{{wo.left}}", "1 error T/text.mustache:1: reads 'wo.left'"},
    /* Items. */
    {"{{#things}}{{name}} {{color}} {{who}} {{-index}}{{/things}}", NULL},
    {"{{#things}}{{size}}{{/things}}", "1 error T/text.mustache:1: reads "
                                       "'size'"},
    {"{{#things}}{{#parts}}{{size}} {{name}}{{/parts}}{{/things}}", NULL},
    {"{{#things}}{{#-first}}{{name}}{{nam}}{{/-first}}{{/things}}",
     "1 error T/text.mustache:1: reads 'nam'"},
    {"{{#empty}}{{whatever}}{{/empty}}", NULL},
    {"{{#words}}{{.}} {{whatever}}{{/words}}", "1 error T/text.mustache:1: "
                                               "reads 'whatever'"},
    {"{{#thing}}{{name}}{{/thing}}", "1 error T/text.mustache:1: reads "
                                     "'thing', which is no key of the contract "
                                     "of T; did you mean 'things'?"},
    /* Objects. */
    {"{{box.left.top}} {{#box}}{{left.top}}{{/box}} {{any.deep}}", NULL},
    {"{{box.right}}", "1 error T/text.mustache:1: reads 'box.right'"},
    /* Ours. */
    {"{{recipient.name}} {{site.url}} {{role}} {{event.role}} {{several}} "
     "{{#recipient}}{{email}}{{/recipient}} {{event.created_at}}",
     NULL},
    {"{{#events}}{{who}} {{event.headline}}{{/events}}", NULL},
    {"{{#events}}{{wo}}{{/events}}", "1 error T/text.mustache:1: reads 'wo'"},
    {"{{site.nmae}}", "1 error T/text.mustache:1: reads 'site.nmae', which "
                      "nothing is called here; did you mean 'name'?"},
    {"{{#site}}{{nmae}}{{/site}}", "1 error T/text.mustache:1: reads 'nmae'"},
    {"{{event.who}}", "1 error T/text.mustache:1: reads 'event.who'"},
};

static void names_are_held_against_the_contract(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct tree t;

        tree_init(&t);
        put(&t, "T", things, cases[i].text);
        load(&t);
        key_check_unknown(t.catalog, &t.problems);
        check(&t, cases[i].text, cases[i].want);
        tree_release(&t);
    }
}

static void texts_of_the_contract_are_read_too(void **state)
{
    static const char *const more[] = {",\n\"thread\": \"{{wo}}\"",
                                       ",\n\"headline\": \"{{wo}}\"",
                                       ",\n\"headers\": {\"X-A\": \"{{wo}}\"}"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(more); i++) {
        char contract[512];
        struct tree t;

        snprintf(contract, sizeof(contract),
                 TYPE(STRING("who"), "", "\"who\": \"x\"", "%s"), more[i]);
        tree_init(&t);
        put(&t, "T", contract, "t");
        load(&t);
        key_check_unknown(t.catalog, &t.problems);
        check(&t, more[i], "1 error T/contract.json (");
        assert_string_equal(t.problems.items[0].type, "T");
        assert_string_equal(t.problems.items[0].key, "wo");
        assert_string_equal(t.problems.items[0].nearest, "who");
        tree_release(&t);
    }
}

/* ---- several types, one partial --------------------------------------------
 */

static const struct {
    const char *partial;
    const char *want;
} shared[] = {
    {"{{who}}", NULL},
    {"{{#extra}}{{extra}}{{/extra}}",
     "1 warning p.mustache:1: reads 'extra', which is no key of the contract "
     "of B"},
    {"{{extra}}", "1 error p.mustache:1: reads 'extra', which is no key of the "
                  "contract of B"},
    {"{{#none}}{{none}}{{/none}}", "1 error p.mustache:1: reads 'none', which "
                                   "is no key of the contract of A, B"},
};

static void shared_partials_show_what_is_there(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(shared); i++) {
        struct tree t;

        tree_init(&t);
        folder_put(t.root, "p.mustache", shared[i].partial);
        put(&t, "A",
            TYPE(STRING("who") ", " STRING("extra"), "",
                 "\"who\": \"x\", \"extra\": \"x\"", ""),
            "{{>p}}");
        put(&t, "B", TYPE(STRING("who"), "", "\"who\": \"x\"", ""), "{{>p}}");
        load(&t);
        key_check_unknown(t.catalog, &t.problems);
        check(&t, shared[i].partial, shared[i].want);
        tree_release(&t);
    }
}

/* A partial is judged anew in each section that it stands in. */
static void partials_are_read_where_they_stand(void **state)
{
    struct tree t;

    (void)state;
    tree_init(&t);
    folder_put(t.root, "p.mustache", "{{name}}");
    put(&t, "T", things,
        "{{#things}}{{>p}}{{/things}}\n{{#box}}{{>p}}{{/box}}");
    load(&t);
    key_check_unknown(t.catalog, &t.problems);
    check(&t, "p", "1 error p.mustache:1: reads 'name'");
    tree_release(&t);
}

static void partials_that_call_themselves_end(void **state)
{
    struct tree t;

    (void)state;
    tree_init(&t);
    folder_put(
        t.root, "p.mustache",
        "{{name}}{{#parts}}{{>p}}{{/parts}}{{#things}}{{>p}}{{/things}}");
    put(&t, "T", things, "{{#things}}{{>p}}{{/things}}");
    load(&t);
    key_check_unknown(t.catalog, &t.problems);
    tree_release(&t);
}

/* ---- keys that nothing reads ------------------------------------------------
 */

static bool role_reads(void *ctx, struct span role, struct span key)
{
    (void)ctx;
    return span_is(role, "watcher") && span_is(key, "topic");
}

#define PARENT                                                                 \
    "{\"description\": \"d\", \"abstract\": true, \"keys\": {\n" STRING(       \
        "read") ",\n" STRING("unread") ",\n" STRING("by") "}, "                \
                                                          "\"originator\": "   \
                                                          "\"by\"}"
#define CHILD(keys, fullest, more)                                             \
    TYPE(keys, "", "\"read\": \"\", \"unread\": \"\", \"by\": \"\"" fullest,   \
         ", \"extends\": \"P\"" more)

static const struct {
    const char *contract; /* of T, a child of P */
    const char *text;
    const char *want;
} unused[] = {
    {CHILD("", "", ""), "{{read}}",
     "1 warning P/contract.json:3: no template and no role reads: unread; "
     "show"},
    {CHILD("", "", ""), "{{read}} {{unread}}", NULL},
    {CHILD("", "", ", \"mailable\": false"), "{{nothing}}", NULL},
    {CHILD(STRING("topic"), ", \"topic\": \"\"", ", \"roles\": [\"watcher\"]"),
     "{{read}} {{unread}}", NULL},
    {CHILD(STRING("topic"), ", \"topic\": \"\"", ", \"roles\": [\"other\"]"),
     "{{read}} {{unread}}",
     "1 warning T/contract.json:2: no template and no "
     "role reads: topic;"},
    {CHILD(STRING("a") ", " STRING("b"), ", \"a\": \"\", \"b\": \"\"", ""),
     "{{read}} {{unread}}",
     "1 warning T/contract.json:2: no template and no "
     "role reads: a, b;"},
    {CHILD("\"a\": {\"type\": \"string\", \"shown\": false}", ", \"a\": \"\"",
           ""),
     "{{read}} {{unread}}", NULL},
    {CHILD("\"a\": {\"type\": \"string\", \"shown\": false}", ", \"a\": \"\"",
           ""),
     "{{read}} {{unread}}\n{{a}}",
     "1 warning T/contract.json:2: keys.a: says \"shown\": false, but "},
    {CHILD("", "", ", \"headers\": {\"X-A\": \"{{unread}}\"}"), "{{read}}",
     NULL},
};

static void keys_that_nothing_reads_are_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(unused); i++) {
        const struct key_readers readers = {role_reads, NULL};
        struct tree t;

        tree_init(&t);
        folder_put(t.root, "P/contract.json", PARENT);
        put(&t, "T", unused[i].contract, unused[i].text);
        load(&t);
        key_check_unused(t.catalog, &readers, &t.problems);
        check(&t, unused[i].text, unused[i].want);
        tree_release(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_held_against_the_contract),
        cmocka_unit_test(texts_of_the_contract_are_read_too),
        cmocka_unit_test(shared_partials_show_what_is_there),
        cmocka_unit_test(partials_are_read_where_they_stand),
        cmocka_unit_test(partials_that_call_themselves_end),
        cmocka_unit_test(keys_that_nothing_reads_are_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
