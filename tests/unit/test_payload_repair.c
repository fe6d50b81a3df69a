/*
 * payload_repair: what no mail is lost for, and what is said about it.
 */
#include "test.h"

#include <stdlib.h>

#include "base/buf.h"
#include "mail/contract.h"
#include "mail/payload.h"
#include "mail/payload_repair.h"

#define BAD "\xEF\xBF\xBD"

/* Parses text; its compact JSON must be want, what is noted note. */
static void check(struct span text, const char *want, const char *note)
{
    struct payload_fault why = {.reason = ""};
    struct buf words;
    json_t *payload = NULL;
    char *got = NULL;

    buf_init(&words, 0);
    payload = payload_parse(text, &words, &why);
    if (payload == NULL) {
        fail_msg("%.60s: %s", text.ptr, why.reason);
    }
    got = json_dumps(payload, JSON_COMPACT);
    assert_string_equal(got, want);
    assert_string_equal(buf_cstr(&words), note);
    free(got);
    json_decref(payload);
    buf_release(&words);
}

static void sound_payloads_are_left_alone(void **state)
{
    (void)state;
    check(SPAN_LIT("{\"a\": 9223372036854775807}"),
          "{\"a\":9223372036854775807}", "");
    check(SPAN_LIT("{\"a\": -9223372036854775808}"),
          "{\"a\":-9223372036854775808}", "");
    check(SPAN_LIT("{\"a\": 1e308, \"b\": 1e-999}"), "{\"a\":1e308,\"b\":0.0}",
          "");
    check(SPAN_LIT("{\"a\": \"123456789012345678901234567890\"}"),
          "{\"a\":\"123456789012345678901234567890\"}", "");
}

static void bytes_are_replaced(void **state)
{
    const char *note = "bytes that are not text replaced";

    (void)state;
    check(SPAN_LIT("{\"a\": \"\xFF\"}"), "{\"a\":\"" BAD "\"}", note);
    check(SPAN_LIT("{\"a\": \"\\ud800\"}"), "{\"a\":\"" BAD "\"}", note);
    check(SPAN_LIT("{\"\\u0000\": 1}"), "{\"" BAD "\":1}", note);
    check(SPAN_LIT("{\"a\": \"[{1\xC3\"}"), "{\"a\":\"[{1" BAD "\"}", note);
}

static void large_numbers_keep_their_digits(void **state)
{
    const char *note = "numbers beyond 64 bits kept as text";

    (void)state;
    check(SPAN_LIT("{\"a\": 9223372036854775808}"),
          "{\"a\":\"9223372036854775808\"}", note);
    check(SPAN_LIT("{\"a\": -9223372036854775809}"),
          "{\"a\":\"-9223372036854775809\"}", note);
    check(SPAN_LIT("{\"a\": [1, 123456789012345678901, 2]}"),
          "{\"a\":[1,\"123456789012345678901\",2]}", note);
    check(SPAN_LIT("{\"a\": 1e999}"), "{\"a\":\"1e999\"}", note);
    check(SPAN_LIT("{\"a\": -1.5E+400, \"b\": 1}"),
          "{\"a\":\"-1.5E+400\",\"b\":1}", note);
    /* Digits in a string are no number, and one repair does not hide another.
     */
    check(SPAN_LIT("{\"a\": \"\xFF 99999999999999999999\", "
                   "\"b\": 99999999999999999999}"),
          "{\"a\":\"" BAD " 99999999999999999999\","
          "\"b\":\"99999999999999999999\"}",
          "bytes that are not text replaced; "
          "numbers beyond 64 bits kept as text");
}

static void large_numbers_are_numbers(void **state)
{
    static const struct {
        const char *text;
        bool is_integer;
        bool is_number;
    } cases[] = {
        {"9223372036854775808", true, true},
        {"-99999999999999999999", true, true},
        {"1e999", false, false}, /* too short to be taken for one */
        {"123456789012345678901234567890e999", false, true},
        {"9223372036854775807", false, false},
        {"7", false, false},
        {"", false, false},
        {"99999999999999999999x", false, false},
        {"--------------------", false, false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        json_t *value = json_string(cases[i].text);

        if (payload_is(value, KEY_INTEGER) != cases[i].is_integer ||
            payload_is(value, KEY_NUMBER) != cases[i].is_number) {
            fail_msg("\"%s\"", cases[i].text);
        }
        json_decref(value);
    }
}

/* {"z":[[[...]]],"a":1}, so many deep. */
static void put_nested(struct buf *out, size_t depth, const char *inner)
{
    buf_puts(out, "{\"z\":");
    for (size_t i = 1; i < depth; i++) {
        buf_putc(out, '[');
    }
    buf_puts(out, inner);
    for (size_t i = 1; i < depth; i++) {
        buf_putc(out, ']');
    }
    buf_puts(out, ",\"a\":1}");
}

static void deep_nesting_is_cut(void **state)
{
    static const char *const inner[] = {"", "7", "{\"]\": \"[\\\"]\"}",
                                        "\"\\\\\", 8, {}, []"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(inner); i++) {
        struct buf deep;
        struct buf want;

        buf_init(&deep, 0);
        buf_init(&want, 0);
        put_nested(&deep, 100000, inner[i]);
        put_nested(&want, REPAIR_DEPTH_MAX, "null");
        check(buf_view(&deep), buf_cstr(&want),
              "what was nested more than 2000 deep left out");
        buf_clear(&deep);
        buf_clear(&want);
        put_nested(&deep, REPAIR_DEPTH_MAX, "7");
        check(buf_view(&deep), buf_cstr(&deep), "");
        buf_release(&deep);
        buf_release(&want);
    }
}

static const char contract_text[] =
    "{\"description\": \"d\", \"mailable\": false, \"keys\": {"
    "\"words\": {\"type\": \"string\", \"cut\": 5},"
    "\"items\": {\"type\": \"array\", \"cut\": 2},"
    "\"essay\": {\"type\": \"string\", \"long\": true},"
    "\"link\": {\"type\": \"url\"},"
    "\"count\": {\"type\": \"integer\", \"required\": true,"
    " \"about\": \"how many\"}},"
    "\"samples\": {\"least\": {\"count\": 1}, \"fullest\": {\"count\": 1,"
    " \"words\": \"\", \"items\": [], \"essay\": \"\", \"link\": \"\"}}}";

static struct contract *make_contract(void)
{
    struct problems problems;
    struct contract *c = NULL;

    problems_init(&problems);
    c = contract_parse("contract.json", SPAN_LIT("type"),
                       span_of(contract_text), &problems);
    contracts_resolve(&c, 1, &problems);
    problems_print(&problems);
    assert_false(c->is_broken);
    problems_release(&problems);
    return c;
}

static void what_is_cut_is_noted(void **state)
{
    static const struct {
        const char *payload;
        const char *want;
        const char *note;
    } cases[] = {
        {"{\"words\":\"12345\",\"items\":[1,2]}",
         "{\"words\":\"12345\",\"items\":[1,2]}", ""},
        {"{\"words\":\"1234\\u00e9\"}", "{\"words\":\"1234\"}",
         "words cut from 6 to 4 bytes"},
        {"{\"items\":[1,2,3,4],\"words\":\"123456\"}",
         "{\"items\":[1,2],\"words\":\"12345\"}",
         "words cut from 6 to 5 bytes; items cut from 4 to 2 items"},
        {"{\"link\":\"https://x.example\"}", "{\"link\":\"https://x.example\"}",
         ""},
        {"{\"link\":\"\"}", "{\"link\":\"\"}", ""},
        {"{\"link\":null}", "{\"link\":null}", ""},
        {"{\"link\":\"javascript:alert(1)\"}", "{\"link\":\"\"}",
         "link left out: no http, https or mailto address"},
    };
    struct contract *c = make_contract();

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        json_t *payload = json_loads(cases[i].payload, 0, NULL);
        struct buf note;
        char *got = NULL;

        buf_init(&note, 0);
        assert_true(payload_cut(c, payload, &note));
        got = json_dumps(payload, JSON_COMPACT);
        assert_string_equal(got, cases[i].want);
        assert_string_equal(buf_cstr(&note), cases[i].note);
        free(got);
        buf_release(&note);
        json_decref(payload);
    }
    contract_free(c);
}

static void long_texts_are_cut_in_any_case(void **state)
{
    struct contract *c = make_contract();
    json_t *payload = json_object();
    struct buf text;

    (void)state;
    buf_init(&text, 0);
    for (int i = 0; i < 70000; i++) {
        buf_putc(&text, 'x');
    }
    json_object_set_new(payload, "essay", json_stringn(text.data, text.len));
    assert_true(payload_cut(c, payload, NULL));
    assert_int_equal(json_string_length(json_object_get(payload, "essay")),
                     65000);
    buf_release(&text);
    json_decref(payload);
    contract_free(c);
}

static void reasons_say_what_a_key_is(void **state)
{
    struct contract *c = make_contract();
    struct payload_fault why = {.reason = ""};
    json_t *payload = json_loads("{\"count\": \"x\"}", 0, NULL);

    (void)state;
    assert_false(payload_check(c, payload, &why));
    assert_string_equal(why.reason,
                        "key 'count' (how many) is not of type integer but "
                        "string");
    json_object_del(payload, "count");
    assert_false(payload_check(c, payload, &why));
    assert_string_equal(why.reason,
                        "required key 'count' (how many) is missing");
    json_decref(payload);
    contract_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sound_payloads_are_left_alone),
        cmocka_unit_test(bytes_are_replaced),
        cmocka_unit_test(large_numbers_keep_their_digits),
        cmocka_unit_test(large_numbers_are_numbers),
        cmocka_unit_test(deep_nesting_is_cut),
        cmocka_unit_test(what_is_cut_is_noted),
        cmocka_unit_test(long_texts_are_cut_in_any_case),
        cmocka_unit_test(reasons_say_what_a_key_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
