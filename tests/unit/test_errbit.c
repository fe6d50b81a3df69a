/*
 * test_errbit - notices have the fields of Airbrake's API v3, keep to its
 * limits whatever the report holds, and every answer has its ruling.
 */
#include "test.h"

#include <stdlib.h>

#include <jansson.h>

#include "web/errbit.h"

static const struct errbit_settings settings = {
    .url = "https://errbit.example.org/",
    .project_id = "7",
    .api_key = "secret",
    .environment = "production",
    .host = "mail1",
    .version = "0.1.0",
};

static struct report usual(void)
{
    return (struct report){
        .cause = "drift/ServiceSuccess/comment",
        .kind = "UnlistedKey",
        .severity = "warning",
        .component = "contract",
        .action = "ServiceSuccess",
        .message = "ServiceSuccess: payload key \"comment\" is in no contract",
        .params = "{\"keys\":[\"comment\"],\"event_id\":4711}",
        .count = 200,
        .first_us = 1513244640000000,
        .last_us = 1513244641000000,
    };
}

static json_t *notice_of(const struct report *r)
{
    char *text = errbit_notice(&settings, r);
    json_t *notice = NULL;

    assert_non_null(text);
    assert_true(strlen(text) <= ERRBIT_NOTICE_MAX);
    assert_null(strstr(text, "secret"));
    notice = json_loads(text, 0, NULL);
    assert_non_null(notice);
    free(text);
    return notice;
}

static const char *text_at(const json_t *value, const char *a, const char *b)
{
    return json_string_value(json_object_get(json_object_get(value, a), b));
}

static const json_t *error_of(const json_t *notice)
{
    return json_array_get(json_object_get(notice, "errors"), 0);
}

static void test_fields(void **state)
{
    struct report r = usual();
    json_t *n = notice_of(&r);
    const json_t *params = json_object_get(n, "params");

    (void)state;
    assert_int_equal(json_object_size(n), 6);
    assert_string_equal(text_at(n, "notifier", "name"), "postbatch");
    assert_string_equal(text_at(n, "notifier", "version"), "0.1.0");
    assert_int_equal(json_array_size(json_object_get(n, "errors")), 1);
    assert_string_equal(json_string_value(json_object_get(error_of(n), "type")),
                        "UnlistedKey");
    assert_string_equal(
        json_string_value(json_object_get(error_of(n), "message")), r.message);
    assert_int_equal(json_array_size(json_object_get(error_of(n), "backtrace")),
                     0);
    assert_string_equal(text_at(n, "context", "environment"), "production");
    assert_string_equal(text_at(n, "context", "hostname"), "mail1");
    assert_string_equal(text_at(n, "context", "component"), "contract");
    assert_string_equal(text_at(n, "context", "action"), "ServiceSuccess");
    assert_string_equal(text_at(n, "context", "version"), "0.1.0");
    assert_string_equal(text_at(n, "context", "severity"), "warning");
    assert_int_equal(json_integer_value(json_object_get(params, "event_id")),
                     4711);
    assert_int_equal(json_integer_value(json_object_get(params, "count")), 200);
    assert_string_equal(text_at(n, "params", "first_at"),
                        "2017-12-14T09:44:00Z");
    assert_true(json_is_object(json_object_get(n, "environment")));
    assert_true(json_is_object(json_object_get(n, "session")));
    json_decref(n);
}

/* What Errbit groups by is the same however often it happened. */
static void test_what_varies_is_in_params(void **state)
{
    struct report a = usual();
    struct report b = usual();
    json_t *first = NULL;
    json_t *second = NULL;

    (void)state;
    b.params = "{\"keys\":[\"comment\"],\"event_id\":9}";
    b.count = 7;
    b.last_us += 5;
    first = notice_of(&a);
    second = notice_of(&b);
    assert_false(json_equal(first, second));
    json_object_del(first, "params");
    json_object_del(second, "params");
    assert_true(json_equal(first, second));
    json_decref(first);
    json_decref(second);
}

static void test_backtrace(void **state)
{
    static const struct {
        const char *file;
        const char *shown; /* NULL: no frame */
        int line;
    } cases[] = {
        {"BuildFail/text.mustache:12", "BuildFail/text.mustache", 12},
        {"BuildFail/contract.json", "BuildFail/contract.json", 1},
        {"odd:name/x.json", "odd:name/x.json", 1},
        {"", NULL, 0},
        {NULL, NULL, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct report r = usual();
        json_t *n = NULL;
        const json_t *frame = NULL;

        r.file = cases[i].file;
        n = notice_of(&r);
        frame = json_array_get(json_object_get(error_of(n), "backtrace"), 0);
        if (cases[i].shown == NULL) {
            assert_null(frame);
        } else {
            assert_string_equal(
                json_string_value(json_object_get(frame, "file")),
                cases[i].shown);
            assert_int_equal(json_integer_value(json_object_get(frame, "line")),
                             cases[i].line);
        }
        json_decref(n);
    }
}

static void test_is_over(void **state)
{
    struct report r = usual();
    json_t *n = NULL;

    (void)state;
    r.is_over = true;
    n = notice_of(&r);
    assert_string_equal(text_at(n, "context", "severity"), "info");
    assert_true(
        json_is_true(json_object_get(json_object_get(n, "params"), "is_over")));
    json_decref(n);
}

/* The limits hold in bytes, and no character is cut in two. */
static void test_long_messages(void **state)
{
    char message[4000];
    struct report r = usual();

    (void)state;
    for (size_t begin = 0; begin < 3; begin++) {
        json_t *n = NULL;
        const char *got = NULL;

        memset(message, 'x', begin);
        for (size_t i = begin; i + 3 < sizeof(message); i += 3) {
            memcpy(message + i, "\xe2\x82\xac", 4); /* euro sign */
        }
        r.message = message;
        n = notice_of(&r);
        got = json_string_value(json_object_get(error_of(n), "message"));
        assert_true(strlen(got) <= ERRBIT_MESSAGE_MAX);
        assert_true(strlen(got) > ERRBIT_MESSAGE_MAX - 3);
        assert_int_equal((strlen(got) - begin) % 3, 0);
        json_decref(n);
    }
}

/* {"a": [["xxx..."], ...]} of so many texts of so many bytes. */
static char *large_params(size_t count, size_t size)
{
    char *text = malloc(count * (size + 6) + 64);
    size_t len = 0;

    len += (size_t)sprintf(text, "{\"reason\":\"r\",\"a\":[");
    for (size_t i = 0; i < count; i++) {
        len += (size_t)sprintf(text + len, "%s[\"", i ? "," : "");
        memset(text + len, 'x', size);
        len += size;
        len += (size_t)sprintf(text + len, "\"]");
    }
    sprintf(text + len, "]}");
    return text;
}

static void test_large_params(void **state)
{
    static const struct {
        size_t count;
        size_t size;
        size_t kept; /* bytes of a text that stay; 0: all params go */
    } cases[] = {
        {2, 9000, 9000},  {5, 100000, 10000}, {30, 20000, 1000},
        {400, 2000, 100}, {100000, 10, 0},    {1, 5000000, 10000},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct report r = usual();
        char *params = large_params(cases[i].count, cases[i].size);
        json_t *n = NULL;
        const json_t *got = NULL;

        r.params = params;
        n = notice_of(&r);
        got = json_object_get(n, "params");
        if (cases[i].kept == 0) {
            assert_true(json_is_true(json_object_get(got, "left_out")));
        } else {
            const json_t *list = json_object_get(got, "a");

            assert_int_equal(json_array_size(list), cases[i].count);
            assert_int_equal(
                json_string_length(json_array_get(json_array_get(list, 0), 0)),
                cases[i].kept);
            assert_non_null(json_object_get(got, "cause"));
        }
        json_decref(n);
        free(params);
    }
}

static void test_hostile_reports(void **state)
{
    static const char *const params[] = {
        NULL,
        "",
        "[1,2]",
        "\"x\"",
        "{",
        "{\"a\":1,\"a\":2}",
        "{\"cause\":\"forged\",\"count\":-1}",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(params); i++) {
        struct report r = usual();
        json_t *n = NULL;

        r.params = params[i];
        r.message = "\xff\xfe \"quoted\"\r\nX-Forged: 1";
        r.action = "";
        r.kind = "\xc3";
        n = notice_of(&r);
        assert_string_equal(
            json_string_value(json_object_get(error_of(n), "message")),
            "?? \"quoted\"\r\nX-Forged: 1");
        assert_string_equal(text_at(n, "params", "cause"), r.cause);
        assert_int_equal(json_integer_value(json_object_get(
                             json_object_get(n, "params"), "count")),
                         200);
        json_decref(n);
    }
}

static void test_answers(void **state)
{
    static const struct {
        int status;
        enum errbit_fate fate;
    } cases[] = {
        {0, ERRBIT_AGAIN},     {200, ERRBIT_TOLD},    {201, ERRBIT_TOLD},
        {302, ERRBIT_MEND},    {400, ERRBIT_REFUSED}, {401, ERRBIT_MEND},
        {403, ERRBIT_MEND},    {404, ERRBIT_MEND},    {408, ERRBIT_AGAIN},
        {413, ERRBIT_REFUSED}, {418, ERRBIT_REFUSED}, {422, ERRBIT_MEND},
        {429, ERRBIT_AGAIN},   {500, ERRBIT_AGAIN},   {503, ERRBIT_AGAIN},
        {100, ERRBIT_AGAIN},   {999, ERRBIT_AGAIN},   {1000, ERRBIT_AGAIN},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const struct web_answer answer = {.status = cases[i].status};
        struct errbit_ruling ruling = errbit_judge(&answer);

        assert_int_equal(ruling.fate, cases[i].fate);
        assert_int_equal(ruling.advice[0] == '\0', ruling.fate == ERRBIT_TOLD);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_what_varies_is_in_params),
        cmocka_unit_test(test_backtrace),
        cmocka_unit_test(test_is_over),
        cmocka_unit_test(test_long_messages),
        cmocka_unit_test(test_large_params),
        cmocka_unit_test(test_hostile_reports),
        cmocka_unit_test(test_answers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
