/*
 * contract and payload: what a contract may say, what is told about mistakes,
 * and what becomes of payloads that keep it or do not.
 */
#include "test.h"

#include "base/problems.h"
#include "mail/contract.h"
#include "mail/payload.h"

#define SAMPLES                                                                \
    "\"samples\": {\"least\": {\"a\": \"x\"}, \"fullest\": {\"a\": \"x\"}}"
#define KEY_A "\"keys\": {\"a\": {\"type\": \"string\", \"required\": true}}"
#define ABOUT "\"description\": \"d\", "

static struct contract *parse(const char *name, const char *text,
                              struct problems *problems)
{
    return contract_parse("contract.json", span_of(name), span_of(text),
                          problems);
}

/* A contract on its own, resolved and free of errors. */
static struct contract *good(const char *text)
{
    struct problems problems;
    struct contract *c = NULL;

    problems_init(&problems);
    c = parse("Type", text, &problems);
    contracts_resolve(&c, 1, &problems);
    problems_print(&problems);
    assert_int_equal(problems.errors, 0);
    assert_false(c->is_broken);
    problems_release(&problems);
    return c;
}

static void all_fields_are_read(void **state)
{
    struct contract *c = good(
        "{\"description\": \"it broke\", \"keys\": {"
        "\"a\": {\"type\": \"string\", \"required\": true, \"about\": \"A\"},"
        "\"long\": {\"type\": \"string\", \"long\": true, \"cut\": 5},"
        "\"l\": {\"type\": \"array\", \"cut\": 2},"
        "\"n\": {\"type\": \"integer\"}},"
        "\"originator\": \"a\", \"roles\": [\"owner\", \"watcher\"],"
        "\"frequency\": \"daily\", \"urgency\": \"bulk\","
        "\"batching\": {\"rule\": \"gather\", \"window\": \"5m\", \"max\": 9},"
        "\"thread\": \"t-{{a}}\", \"headers\": {\"X-A\": \"{{a}}\"},"
        "\"headline\": \"h {{a}}\", \"samples\": {"
        "\"least\": {\"a\": \"\"},"
        "\"fullest\": {\"a\": \"\", \"long\": \"\", \"l\": [], \"n\": null}}}");

    (void)state;
    assert_span(c->description, "it broke");
    assert_int_equal(c->key_count, 4);
    assert_span(c->keys[0].about, "A");
    assert_true(c->keys[0].is_required);
    assert_int_equal(contract_key(c, SPAN_LIT("long"))->cut, 5);
    assert_true(contract_key(c, SPAN_LIT("long"))->is_long);
    assert_int_equal(contract_key(c, SPAN_LIT("l"))->type, KEY_ARRAY);
    assert_null(contract_key(c, SPAN_LIT("zzz")));
    assert_span(c->originator, "a");
    assert_int_equal(c->role_count, 2);
    assert_span(c->roles[1], "watcher");
    assert_int_equal(c->frequency, FREQUENCY_DAILY);
    assert_int_equal(c->urgency, URGENCY_BULK);
    assert_int_equal(c->batching, BATCHING_GATHER);
    assert_int_equal(c->window_ms, 300000);
    assert_int_equal(c->batching_max, 9);
    assert_span(c->thread, "t-{{a}}");
    assert_span(c->headers[0].name, "X-A");
    assert_span(c->headline, "h {{a}}");
    assert_int_equal(c->sample_count, 2);
    assert_true(c->is_mailable);
    contract_free(c);
}

static void the_rest_has_defaults(void **state)
{
    struct contract *c = good("{" ABOUT KEY_A ", " SAMPLES "}");

    (void)state;
    assert_int_equal(c->frequency, FREQUENCY_INSTANT);
    assert_int_equal(c->urgency, URGENCY_NORMAL);
    assert_int_equal(c->batching, BATCHING_EACH);
    assert_true(c->is_mailable);
    assert_false(c->is_abstract);
    contract_free(c);
}

struct mistake {
    const char *text;
    const char *want; /* part of a problem */
    enum severity severity;
    int line;
};

#define WITH(more)    "{" ABOUT KEY_A ", " SAMPLES ", " more "}"
#define WITH_KEY(key) "{" ABOUT "\"abstract\": true, \"keys\": {" key "}}"

static const struct mistake mistakes[] = {
    {"{\n\"keys\": }", "near '}'", SEVERITY_ERROR, 2},
    {"{\"a\": 1,\n \"a\": 2}", "duplicate", SEVERITY_ERROR, 2},
    {"[]", "must be an object", SEVERITY_ERROR, 0},
    {"", "end of file", SEVERITY_ERROR, 1},
    {WITH("\"frequncy\": \"daily\""), "did you mean 'frequency'?",
     SEVERITY_WARNING, 1},
    {WITH("\"zzzz\": 1"), "zzzz: unknown field", SEVERITY_WARNING, 1},
    {WITH("\"frequency\": \"dayly\""), "no frequency 'dayly'", SEVERITY_ERROR,
     1},
    {WITH("\"frequency\": 1"), "frequency: must be a string", SEVERITY_ERROR,
     1},
    {WITH("\"urgency\": \"asap\""), "no urgency 'asap'", SEVERITY_ERROR, 1},
    {WITH("\"batching\": {\"rule\": \"some\"}"),
     "batching.rule: no rule 'some'", SEVERITY_ERROR, 1},
    {WITH("\"batching\": {\"window\": \"5 apples\"}"), "is not a duration",
     SEVERITY_ERROR, 1},
    {WITH("\"batching\": {\"max\": 0}"), "batching.max: must be from 1",
     SEVERITY_ERROR, 1},
    {WITH("\"batching\": {\"limit\": 0}"), "batching.limit: unknown field",
     SEVERITY_WARNING, 1},
    {WITH("\"roles\": [\"a b\"]"), "not the name of a role", SEVERITY_ERROR, 1},
    {WITH("\"roles\": [\"a\", \"a\"]"), "there twice", SEVERITY_ERROR, 1},
    {WITH("\"headers\": {\"Bcc\": \"x\"}"), "headers.Bcc: a type cannot set",
     SEVERITY_ERROR, 1},
    {WITH("\"headers\": {\"X A\": \"x\"}"), "cannot set", SEVERITY_ERROR, 1},
    {WITH("\"headers\": {\"X-A\": 1}"), "must be a string", SEVERITY_ERROR, 1},
    {WITH("\"originator\": \"b\""), "no key 'b'", SEVERITY_ERROR, 1},
    {WITH("\"log\": {\"project\": \"b\"}"), "log.project: the contract has no",
     SEVERITY_ERROR, 1},
    {WITH("\"log\": {\"project\": \"a\", \"user\": [\"a\", \"b\"]}"),
     "log.user: the contract has no key 'b'", SEVERITY_ERROR, 1},
    {WITH("\"log\": {\"project\": \"a\", \"user\": [1]}"),
     "log.user: number 1 is not", SEVERITY_ERROR, 1},
    {WITH("\"log\": {\"package\": \"a\"}"), "log: needs \"project\"",
     SEVERITY_ERROR, 1},
    {WITH("\"log\": {\"project\": \"a\", \"pakage\": \"a\"}"),
     "did you mean 'package'?", SEVERITY_WARNING, 1},
    {WITH("\"extends\": \"Typ\""), "no type 'Typ'; did you mean 'Type'?",
     SEVERITY_ERROR, 1},
    {WITH("\"extends\": \"Type\""), "extends itself", SEVERITY_ERROR, 1},
    {"{" ABOUT KEY_A "}", "there must be \"least\"", SEVERITY_ERROR, 0},
    {"{" ABOUT KEY_A ", \"samples\": {\"least\": {}, \"fullest\": {\"a\": 1}}}",
     "samples.least: required key 'a' is missing", SEVERITY_ERROR, 1},
    {"{" ABOUT KEY_A ", \"samples\": {\"least\": {\"a\": \"\"}, "
     "\"fullest\": {\"a\": 1}}}",
     "samples.fullest: key 'a' is not of type string", SEVERITY_ERROR, 1},
    {"{" ABOUT KEY_A ", \"samples\": {\"least\": {\"a\": \"\", \"b\": 1}, "
     "\"fullest\": {\"a\": \"\"}}}",
     "samples.least.b: the contract has no such key", SEVERITY_ERROR, 1},
    {"{" ABOUT KEY_A ",\n\"samples\": {\n\"least\": {\"a\": \"\"},\n"
     "\"fullest\": {}}}",
     "samples.fullest: has no 'a', but must have all keys", SEVERITY_ERROR, 4},
    {"{" ABOUT "\"keys\": {\n\"comment\": {\"type\": \"string\"}},\n"
     "\"samples\": {\"least\": {},\n\"fullest\": {\"comment\": \"\",\n"
     "\"commentt\": \"\"}}}",
     "samples.fullest.commentt: the contract has no such key; did you mean "
     "'comment'?",
     SEVERITY_ERROR, 5},
    {"{" KEY_A ", " SAMPLES "}", "description: say", SEVERITY_WARNING, 0},
    {WITH_KEY("\"k\": {\"type\": \"strin\"}"), "did you mean 'string'?",
     SEVERITY_ERROR, 1},
    {WITH_KEY("\"k\": {}"), "keys.k: has no \"type\"", SEVERITY_ERROR, 1},
    {WITH_KEY("\"k\": 1"), "keys.k: must be an object", SEVERITY_ERROR, 1},
    {WITH_KEY("\"k\": {\"type\": \"integer\", \"cut\": 3}"), "can be cut",
     SEVERITY_ERROR, 1},
    {WITH_KEY("\"k\": {\"type\": \"string\", \"cut\": -1}"),
     "keys.k.cut: must be a positive", SEVERITY_ERROR, 1},
    {WITH_KEY("\"k\": {\"type\": \"array\", \"long\": true}"),
     "only a string can be long", SEVERITY_ERROR, 1},
    {WITH_KEY("\"k\": {\"type\": \"any\", \"requird\": true}"),
     "keys.k.requird: unknown field, ignored; did you mean 'required'?",
     SEVERITY_WARNING, 1},
    {WITH_KEY("\"a.b\": {\"type\": \"any\"}"), "no template could read",
     SEVERITY_ERROR, 1},
};

static const struct problem *find_problem(const struct problems *problems,
                                          const char *text)
{
    for (size_t i = 0; i < problems->count; i++) {
        if (strstr(problems->items[i].text, text) != NULL) {
            return &problems->items[i];
        }
    }
    return NULL;
}

/* What is wrong with samples and originator stops a deployment, no mail. */
static bool stops_only_check(const char *text)
{
    return strncmp(text, "samples", 7) == 0 ||
           strncmp(text, "originator", 10) == 0 ||
           (strncmp(text, "log.", 4) == 0 &&
            strstr(text, "the contract has no key") != NULL);
}

static void mistakes_are_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(mistakes); i++) {
        const struct problem *p = NULL;
        struct problems problems;
        struct contract *c = NULL;

        problems_init(&problems);
        c = parse("Type", mistakes[i].text, &problems);
        contracts_resolve(&c, 1, &problems);
        p = find_problem(&problems, mistakes[i].want);
        if (p == NULL) {
            problems_print(&problems);
            fail_msg("%s: want \"%s\"", mistakes[i].text, mistakes[i].want);
            return;
        }
        assert_int_equal(p->severity, mistakes[i].severity);
        assert_int_equal(p->line, mistakes[i].line);
        assert_int_equal(c->is_broken, p->severity == SEVERITY_ERROR &&
                                           !stops_only_check(p->text));
        contract_free(c);
        problems_release(&problems);
    }
}

static void children_inherit(void **state)
{
    struct problems problems;
    struct contract *c[3];

    (void)state;
    problems_init(&problems);
    c[0] = parse("Leaf",
                 "{" ABOUT "\"extends\": \"Middle\", \"keys\": {"
                 "\"a\": {\"type\": \"integer\", \"required\": true}},"
                 "\"headers\": {\"X-A\": \"leaf\"}, \"samples\": "
                 "{\"least\": {\"a\": 1}, \"fullest\": {\"a\": 1, \"b\": 1}}}",
                 &problems);
    c[1] = parse("Middle",
                 "{" ABOUT "\"extends\": \"Root\", \"abstract\": true, "
                 "\"roles\": []}",
                 &problems);
    c[2] = parse("Root",
                 "{" ABOUT "\"abstract\": true, \"keys\": {"
                 "\"a\": {\"type\": \"string\"}, \"b\": {\"type\": \"any\"}},"
                 "\"originator\": \"a\", \"roles\": [\"r\"], \"thread\": \"t\","
                 "\"headers\": {\"X-A\": \"root\", \"X-B\": \"root\"}}",
                 &problems);
    contracts_resolve(c, 3, &problems);
    problems_print(&problems);
    assert_int_equal(problems.errors, 0);
    assert_int_equal(c[0]->key_count, 2);
    assert_int_equal(contract_key(c[0], SPAN_LIT("a"))->type, KEY_INTEGER);
    assert_non_null(contract_key(c[0], SPAN_LIT("b")));
    assert_int_equal(c[0]->role_count, 0);
    assert_span(c[0]->thread, "t");
    assert_span(c[0]->originator, "a");
    assert_int_equal(c[0]->header_count, 2);
    assert_span(c[0]->headers[0].name, "X-B");
    assert_span(c[0]->headers[1].value, "leaf");
    assert_ptr_equal(c[0]->parent, c[1]);
    assert_false(c[1]->is_mailable);
    for (size_t i = 0; i < 3; i++) {
        contract_free(c[i]);
    }
    problems_release(&problems);
}

static void the_log_is_inherited_or_not(void **state)
{
    struct problems problems;
    struct contract *c[3];

    (void)state;
    problems_init(&problems);
    c[0] = parse("Silent",
                 "{" ABOUT "\"extends\": \"Root\", \"abstract\": true, "
                 "\"log\": {}}",
                 &problems);
    c[1] = parse("Heir", "{" ABOUT "\"extends\": \"Root\", \"abstract\": true}",
                 &problems);
    c[2] = parse("Root",
                 "{" ABOUT "\"abstract\": true, \"keys\": {"
                 "\"p\": {\"type\": \"string\"}, \"q\": {\"type\": "
                 "\"string\"}}, \"log\": {\"project\": \"p\", \"package\": "
                 "\"q\", \"user\": [\"q\", \"p\"], \"request\": \"p\"}}",
                 &problems);
    contracts_resolve(c, 3, &problems);
    problems_print(&problems);
    assert_int_equal(problems.errors, 0);
    assert_int_equal(c[0]->log.project.len, 0);
    assert_span(c[1]->log.project, "p");
    assert_span(c[1]->log.package, "q");
    assert_span(c[1]->log.request, "p");
    assert_int_equal(c[1]->log.user_count, 2);
    assert_span(c[1]->log.users[0], "q");
    for (size_t i = 0; i < 3; i++) {
        contract_free(c[i]);
    }
    problems_release(&problems);
}

static void circles_break_all_in_them(void **state)
{
    struct problems problems;
    struct contract *c[3];

    (void)state;
    problems_init(&problems);
    c[0] = parse("A", "{" ABOUT "\"abstract\": true, \"extends\": \"B\"}",
                 &problems);
    c[1] = parse("B", "{" ABOUT "\"abstract\": true, \"extends\": \"A\"}",
                 &problems);
    c[2] = parse("C", "{" ABOUT "\"abstract\": true}", &problems);
    contracts_resolve(c, 3, &problems);
    assert_true(c[0]->is_broken);
    assert_true(c[1]->is_broken);
    assert_false(c[2]->is_broken);
    assert_non_null(find_problem(&problems, "'A' extends itself"));
    for (size_t i = 0; i < 3; i++) {
        contract_free(c[i]);
    }
    problems_release(&problems);
}

/* --- payloads ----------------------------------------------------------- */

#define BAD "\xEF\xBF\xBD"

static void bad_bytes_are_repaired(void **state)
{
    static const struct {
        const char *text;
        const char *want; /* of key a */
    } cases[] = {
        {"{\"a\": \"plain \xC3\xA9\"}", "plain \xC3\xA9"},
        {"{\"a\": \"x\xFFy\"}", "x" BAD "y"},
        {"{\"a\": \"x\xC3\"}", "x" BAD},
        {"{\"a\": \"\xED\xA0\x80\"}", BAD BAD BAD},
        {"{\"a\": \"\\ud800x\"}", BAD "x"},
        {"{\"a\": \"\\udc00\"}", BAD},
        {"{\"a\": \"\\ud83d\\ude00\\ud83d\"}", "\xF0\x9F\x98\x80" BAD},
        {"{\"a\": \"\\\\ud800 \\\"\xFF\"}", "\\ud800 \"" BAD},
        {"{\"\\u0000\": 1, \"a\": \"k\"}", "k"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct payload_fault why = {.reason = ""};
        json_t *payload = payload_parse(span_of(cases[i].text), NULL, &why);
        const json_t *a = json_object_get(payload, "a");

        if (payload == NULL) {
            fail_msg("%s: %s", cases[i].text, why.reason);
        }
        assert_span(span_make(json_string_value(a), json_string_length(a)),
                    cases[i].want);
        json_decref(payload);
    }
}

static void hopeless_payloads_have_a_reason(void **state)
{
    static char deep[8192];
    static const struct {
        const char *text;
        const char *want;
    } cases[] = {
        {"", "not valid JSON"},
        {"{\"a\": \"x", "not valid JSON"},
        {"{\"a\": \"line\nline\"}", "not valid JSON"},
        {"[1]", "not a JSON object"},
        {"null", "not valid JSON"},
        {"{} {}", "not valid JSON"},
        {"{\"a\": -}", "not valid JSON"},
        {deep, "not valid JSON"},
    };

    (void)state;
    memset(deep, '[', sizeof(deep) - 1);
    memcpy(deep, "{\"a\":", 5);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct payload_fault why = {.reason = ""};

        assert_null(payload_parse(span_of(cases[i].text), NULL, &why));
        if (strstr(why.reason, cases[i].want) == NULL) {
            fail_msg("%.40s: got \"%s\"", cases[i].text, why.reason);
        }
        assert_null(strpbrk(why.reason, "\r\n"));
    }
}

static const char abstract[] =
    "{" ABOUT "\"abstract\": true, \"keys\": {"
    "\"s\": {\"type\": \"string\", \"required\": true, \"cut\": 5},"
    "\"i\": {\"type\": \"integer\"}, \"n\": {\"type\": \"number\"},"
    "\"b\": {\"type\": \"boolean\"}, \"l\": {\"type\": \"array\", \"cut\": 2},"
    "\"o\": {\"type\": \"object\"}, \"x\": {\"type\": \"any\"},"
    "\"recipient\": {\"type\": \"string\"}}}";

static void payloads_are_checked(void **state)
{
    static const struct {
        const char *text;
        const char *want; /* the reason; NULL = fine */
    } cases[] = {
        {"{\"s\": \"\"}", NULL},
        {"{\"s\": \"\", \"i\": null, \"l\": null, \"x\": null}", NULL},
        {"{\"s\": \"\", \"i\": 1, \"n\": 1, \"b\": false, \"l\": [], \"o\": {},"
         " \"x\": [1], \"more\": 1}",
         NULL},
        {"{\"s\": \"\", \"n\": 1.5}", NULL},
        {"{}", "required key 's' is missing"},
        {"{\"s\": null}", "required key 's' is null"},
        {"{\"s\": 1}", "key 's' is not of type string but integer"},
        {"{\"s\": \"\", \"i\": 1.5}",
         "key 'i' is not of type integer but number with a fraction"},
        {"{\"s\": \"\", \"b\": 0}",
         "key 'b' is not of type boolean but integer"},
        {"{\"s\": \"\", \"l\": {}}", "key 'l' is not of type array but object"},
        {"{\"s\": \"\", \"recipient\": {}}",
         "key 'recipient' is not of type string but object"},
    };
    struct contract *c = good(abstract);

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct payload_fault why = {.reason = ""};
        json_t *payload = payload_parse(span_of(cases[i].text), NULL, &why);

        assert_non_null(payload);
        assert_int_equal(payload_check(c, payload, &why),
                         cases[i].want == NULL);
        assert_string_equal(why.reason, cases[i].want ? cases[i].want : "");
        json_decref(payload);
    }
    contract_free(c);
}

static void note_key(void *ctx, struct span key)
{
    buf_printf(ctx, "%.*s ", SPAN_ARG(key));
}

static void unknown_keys_are_told_and_kept(void **state)
{
    struct contract *c = good(abstract);
    struct payload_fault why;
    json_t *payload = payload_parse(
        SPAN_LIT(
            "{\"s\": \"\", \"new\": 1, \"site\": 2, \"recipient\": \"r\"}"),
        NULL, &why);
    json_t *about = json_object();
    struct buf keys;

    (void)state;
    buf_init(&keys, 0);
    payload_unknown(c, payload, note_key, &keys);
    assert_span(buf_view(&keys), "new site ");
    assert_true(payload_move_reserved(c, payload, about));
    assert_non_null(json_object_get(payload, "new"));
    assert_null(json_object_get(payload, "site"));
    assert_null(json_object_get(payload, "recipient"));
    assert_string_equal(json_string_value(json_object_get(about, "recipient")),
                        "r");
    assert_null(json_object_get(about, "site"));
    assert_null(json_object_get(payload, "n"));
    assert_true(payload_fill_absent(c, payload));
    assert_true(json_is_null(json_object_get(payload, "n")));
    json_decref(about);
    buf_release(&keys);
    json_decref(payload);
    contract_free(c);
}

static void cuts_end_at_a_character(void **state)
{
    static const struct {
        const char *text;
        const char *want;
    } cases[] = {
        {"abcde", "abcde"},
        {"abcdef", "abcde"},
        {"abcd\xC3\xA9", "abcd"},
        {"abc\xF0\x9F\x98\x80", "abc"},
        {"\xF0\x9F\x98\x80\xF0\x9F\x98\x80", "\xF0\x9F\x98\x80"},
    };
    struct contract *c = good(abstract);

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        json_t *payload =
            json_pack("{s:s,s:[i,i,i]}", "s", cases[i].text, "l", 1, 2, 3);

        assert_true(payload_cut(c, payload, NULL));
        assert_string_equal(json_string_value(json_object_get(payload, "s")),
                            cases[i].want);
        assert_int_equal(json_array_size(json_object_get(payload, "l")), 2);
        json_decref(payload);
    }
    contract_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_fields_are_read),
        cmocka_unit_test(the_rest_has_defaults),
        cmocka_unit_test(mistakes_are_told),
        cmocka_unit_test(children_inherit),
        cmocka_unit_test(the_log_is_inherited_or_not),
        cmocka_unit_test(circles_break_all_in_them),
        cmocka_unit_test(bad_bytes_are_repaired),
        cmocka_unit_test(hopeless_payloads_have_a_reason),
        cmocka_unit_test(payloads_are_checked),
        cmocka_unit_test(unknown_keys_are_told_and_kept),
        cmocka_unit_test(cuts_end_at_a_character),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
