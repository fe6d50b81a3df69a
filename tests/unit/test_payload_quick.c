/*
 * payload_quick: takes what PostgreSQL prints of a jsonb, gives up what is
 * odd, and never takes what jansson refuses or reads differently.
 */
#include "test.h"

#include <jansson.h>
#include <stdlib.h>

#include "mail/payload.h"

/* One of everything, with clean runs of more and of less than 16 bytes. */
static const char all[] =
    "{\"id\": 9223372036854775807, \"ok\": true, \"no\": false, \"nil\": null, "
    "\"n\": [0, -1, 12, -0, 1.5, -2e3, 1E+2, 0.1], \"empty\": [{}, [], \"\"], "
    "\"text\": \"a quite long run of clean text, \\\"quoted\\\" \\\\ and "
    "\\b\\f\\n\\r\\t\\/ done\", \"wide\": \"caf\xC3\xA9 "
    "\xE4\xBD\xA0\xE5\xA5\xBD "
    "\xF0\x9F\x92\xBB \x7F\", \"\": {\"nested\": {\"k\xC3\xA9y\": [[1]]}}}";

static json_t *quick(const char *text, size_t len)
{
    /* A copy of just this size, so that reading on is noticed. */
    char *copy = malloc(len + 1);
    json_t *value = NULL;

    assert_non_null(copy);
    memcpy(copy + 1, text, len);
    value = payload_quick(span_make(copy + 1, len));
    free(copy);
    return value;
}

/* What is taken is what jansson makes of it. True when it was taken. */
static bool agrees(const char *text, size_t len)
{
    json_t *got = quick(text, len);
    json_t *want = NULL;
    char *got_text = NULL;
    char *want_text = NULL;

    if (got == NULL) {
        return false;
    }
    want = json_loadb(text, len, JSON_ALLOW_NUL, NULL);
    got_text = json_dumps(got, 0);
    want_text = json_dumps(want, 0);
    if (want_text == NULL || strcmp(got_text, want_text) != 0 ||
        !json_equal(got, want)) {
        fail_msg("%.*s\ngot %s\nwant %s", (int)len, text, got_text,
                 want_text ? want_text : "nothing");
    }
    free(got_text);
    free(want_text);
    json_decref(got);
    json_decref(want);
    return true;
}

static void usual_payloads_are_taken(void **state)
{
    static const char *const texts[] = {
        "{}",
        " \t\r\n{ } \t\r\n",
        "{\"a\": 1}",
        "{\"a\":1,\"b\":2}",
        "{\"a\": \"\"}",
        "{\"a\": \"0123456789abcde\"}",
        "{\"a\": \"0123456789abcdef\"}",
        "{\"a\": \"0123456789abcdef0\"}",
        "{\"a\": 1, \"a\": 2, \"b\": 3, \"a\": \"last\"}",
        "{\"a\": 999999999999999999, \"b\": -999999999999999999}",
        "{\"a\": 1000000000000000000, \"b\": -9223372036854775808}",
        "{\"a\": 1e-999, \"b\": 123456789012345678901234567890.5}",
        "{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"
        "}",
        all,
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        if (!agrees(texts[i], strlen(texts[i]))) {
            fail_msg("given up: %s", texts[i]);
        }
    }
}

static void odd_payloads_are_given_up(void **state)
{
    static const struct span texts[] = {
        {"", 0},
        {"  ", 2},
        {"{\"a\": 1}\0", 9},
        {"{\"a\": \"\0\"}", 10},
#define TEXT(text) {(text), sizeof(text) - 1}
        TEXT("[1]"),
        TEXT("\"a\""),
        TEXT("null"),
        TEXT("{"),
        TEXT("{\"a\": 1"),
        TEXT("{\"a\": 1} {}"),
        TEXT("{\"a\": 1,}"),
        TEXT("{,}"),
        TEXT("{\"a\" 1}"),
        TEXT("{a: 1}"),
        TEXT("{\"a\": [1,]}"),
        TEXT("{\"a\": [1}"),
        TEXT("{\"a\": }"),
        TEXT("{\"a\": tru}"),
        TEXT("{\"a\": truee}"),
        TEXT("{\"a\": NaN}"),
        TEXT("{\"a\": 01}"),
        TEXT("{\"a\": -01}"),
        TEXT("{\"a\": -}"),
        TEXT("{\"a\": +1}"),
        TEXT("{\"a\": 1.}"),
        TEXT("{\"a\": .5}"),
        TEXT("{\"a\": 1e}"),
        TEXT("{\"a\": 1e999}"),
        TEXT("{\"a\": 0x10}"),
        TEXT("{\"a\": 9223372036854775808}"),
        TEXT("{\"a\": \"line\nline\"}"),
        TEXT("{\"a\": \"\x1F\"}"),
        TEXT("{\"a\": \"\\u0041\"}"),
        TEXT("{\"a\": \"\\x\"}"),
        TEXT("{\"a\": \"\\"),
        TEXT("{\"a\": \"\\\"}"),
        TEXT("{\"a\": \"\xFF\"}"),
        TEXT("{\"a\": \"\xC3\"}"),
        TEXT("{\"a\": \"\xC0\x80\"}"),
        TEXT("{\"a\": \"\xED\xA0\x80\"}"),
        TEXT("{\"a\": \"\xF4\x90\x80\x80\"}"),
        TEXT("{\"a\\n\": 1}"),
        TEXT("\xEF\xBB\xBF{}"),
        TEXT("{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["
             "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}"),
#undef TEXT
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        if (agrees(texts[i].ptr, texts[i].len)) {
            fail_msg("taken: %.*s", SPAN_ARG(texts[i]));
        }
    }
}

static void each_beginning_is_given_up(void **state)
{
    (void)state;
    for (size_t len = 0; len < sizeof(all) - 1; len++) {
        assert_false(agrees(all, len));
    }
}

static void each_byte_may_be_any_other(void **state)
{
    char text[sizeof(all)];
    unsigned taken = 0;

    (void)state;
    memcpy(text, all, sizeof(all));
    for (size_t at = 0; at < sizeof(all) - 1; at++) {
        for (int byte = 0; byte < 256; byte++) {
            text[at] = (char)byte;
            taken += agrees(text, sizeof(all) - 1);
        }
        text[at] = all[at];
    }
    assert_in_range(taken, 10000, 60000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(usual_payloads_are_taken),
        cmocka_unit_test(odd_payloads_are_given_up),
        cmocka_unit_test(each_beginning_is_given_up),
        cmocka_unit_test(each_byte_may_be_any_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
