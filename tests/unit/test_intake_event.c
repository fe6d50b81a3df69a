/*
 * test_intake_event - notifications as events: names of types, texts that
 * become what their contract says, and what an answer lacks.
 */
#include "test.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/intake_event.h"
#include "engine/intake_step.h"
#include "folder.h"
#include "mail/payload.h"

static void test_type_names(void **state)
{
    static const struct {
        const char *wire;
        const char *name;
    } cases[] = {
        {"BUILD_FAIL", "BuildFail"},
        {"SRCSRV_SERVICE_SUCCESS", "ServiceSuccess"},
        {"SRCSRV_UPDATE_PROJECT_CONFIG", "UpdateProjectConfig"},
        {"PACKTRACK", "Packtrack"},
        {"SRCSRV_REQUEST_STATECHANGE", "RequestStatechange"},
        {"notice", "Notice"},
        {"unknown", "Unknown"},
        {"SRCSRV_", ""},
        {"__A__B2_3C_", "AB23c"},
        {"../../etc", "../../etc"},
        {"", ""},
    };
    struct buf name;

    (void)state;
    buf_init(&name, 0);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        buf_clear(&name);
        intake_type_name(span_of(cases[i].wire), &name);
        assert_span(buf_view(&name), cases[i].name);
    }
    buf_release(&name);
}

/* ---- values -------------------------------------------------------------- */

static const char contract[] =
    "{\"description\": \"all there is\", \"mailable\": false, \"keys\": {"
    "\"s\": {\"type\": \"string\"}, \"i\": {\"type\": \"integer\"},"
    "\"n\": {\"type\": \"number\"}, \"b\": {\"type\": \"boolean\"},"
    "\"l\": {\"type\": \"array\"}, \"o\": {\"type\": \"object\"},"
    "\"x\": {\"type\": \"any\"}}, \"samples\": {\"least\": {}}}";

static struct catalog *make_catalog(char folder[FOLDER_PATH])
{
    struct problems problems;
    struct catalog *catalog = NULL;

    folder_make(folder);
    folder_put(folder, "AllThere/contract.json", contract);
    folder_put(folder, "Abstract/contract.json",
               "{\"description\": \"d\", \"abstract\": true, \"keys\": {}}");
    problems_init(&problems);
    catalog = catalog_load(folder, &problems);
    assert_int_equal(problems.errors, 0);
    problems_release(&problems);
    return catalog;
}

static void test_values(void **state)
{
    static const struct {
        const char *key;
        const char *value;
        const char *json;
    } cases[] = {
        {"s", "12", "\"12\""},
        {"s", "", "\"\""},
        {"s", "a\"\\\n", "\"a\\\"\\\\\\u000a\""},
        {"x", "12", "\"12\""},
        {"x", "", "\"\""},
        {"other", "12", "\"12\""},
        {"i", "12", "12"},
        {"i", "0", "0"},
        {"i", "-7", "-7"},
        {"i", "", "null"},
        {"i", "012", "\"012\""},
        {"i", "-", "\"-\""},
        {"i", "+1", "\"+1\""},
        {"i", " 1", "\" 1\""},
        {"i", "1.0", "\"1.0\""},
        {"i", "999999999999999999", "999999999999999999"},
        {"i", "9999999999999999999", "\"9999999999999999999\""},
        {"n", "1.50", "1.50"},
        {"n", "-0.5", "-0.5"},
        {"n", "1.", "\"1.\""},
        {"n", ".5", "\".5\""},
        {"n", "1e9999", "\"1e9999\""},
        {"n", "", "null"},
        {"b", "1", "true"},
        {"b", "false", "false"},
        {"b", "", "false"},
        {"b", "yes", "\"yes\""},
        {"l", "", "null"},
        {"l", "[1]", "\"[1]\""},
        {"o", "", "null"},
    };
    char folder[FOLDER_PATH];
    struct catalog *catalog = make_catalog(folder);
    struct buf payload;

    (void)state;
    buf_init(&payload, 0);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct obs_pair pair = {.key = span_of(cases[i].key),
                                .value = span_of(cases[i].value)};
        struct obs_notification n = {.type = SPAN_LIT("ALL_THERE"),
                                     .pairs = &pair};
        char *want = mem_printf("{\"%s\":%s}", cases[i].key, cases[i].json);

        buf_clear(&payload);
        assert_span(intake_event(catalog, &n, &payload), "AllThere");
        assert_span(buf_view(&payload), want);
        mem_free(want);
    }
    buf_release(&payload);
    catalog_free(catalog);
    folder_remove(folder);
}

static void test_unknown(void **state)
{
    char folder[FOLDER_PATH];
    struct catalog *catalog = make_catalog(folder);
    struct obs_pair second = {
        .key = SPAN_LIT("l"), .value = SPAN_LIT("[1]"), .is_json = true};
    struct obs_pair first = {
        .key = SPAN_LIT("i"), .value = SPAN_LIT("1"), .next = &second};
    struct obs_notification n = {.pairs = &first};
    struct buf payload;

    (void)state;
    buf_init(&payload, 0);
    n.type = SPAN_LIT("SRCSRV_\"NEW");
    assert_span(intake_event(catalog, &n, &payload), "unknown");
    assert_span(buf_view(&payload), "{\"type\":\"SRCSRV_\\\"NEW\","
                                    "\"data\":{\"i\":\"1\",\"l\":[1]}}");
    buf_clear(&payload);
    n.type = SPAN_LIT("ABSTRACT");
    n.pairs = NULL;
    assert_span(intake_event(catalog, &n, &payload), "unknown");
    assert_span(buf_view(&payload), "{\"type\":\"ABSTRACT\",\"data\":{}}");
    buf_release(&payload);
    catalog_free(catalog);
    folder_remove(folder);
}

/* ---- the types there are ------------------------------------------------- */

/* A text that can be a value of that type. */
static struct span text_for(enum key_type type)
{
    switch (type) {
    case KEY_ARRAY: return SPAN_LIT("[]");
    case KEY_OBJECT: return SPAN_LIT("{}");
    case KEY_URL: return SPAN_LIT("https://example.org/");
    case KEY_STRING:
    case KEY_INTEGER:
    case KEY_NUMBER:
    case KEY_BOOLEAN:
    case KEY_ANY: return SPAN_LIT("1");
    }
    return SPAN_NONE;
}

/* "AbCd" to "AB_CD". */
static void put_wire_type(struct buf *out, struct span name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];

        if (i > 0 && c >= 'A' && c <= 'Z') {
            buf_putc(out, '_');
        }
        buf_putc(out, c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c);
    }
}

static void on_unknown(void *ctx, struct span key)
{
    fail_msg("%s: the contract has no key %.*s", (const char *)ctx,
             SPAN_ARG(key));
}

static void check_type(const struct catalog *catalog,
                       const struct event_type *type)
{
    const struct contract *c = type->contract;
    struct obs_pair *pairs = mem_calloc(c->key_count + 1, sizeof(*pairs));
    struct obs_notification n = {.type = type->name};
    struct payload_fault why;
    struct buf text;
    struct buf wire;
    json_t *payload = NULL;

    for (size_t k = 0; k < c->key_count; k++) {
        pairs[k].key = c->keys[k].name;
        pairs[k].value = text_for(c->keys[k].type);
        pairs[k].is_json =
            c->keys[k].type == KEY_ARRAY || c->keys[k].type == KEY_OBJECT;
        pairs[k].next = k + 1 < c->key_count ? &pairs[k + 1] : NULL;
    }
    n.pairs = c->key_count > 0 ? pairs : NULL;
    buf_init(&text, 0);
    buf_init(&wire, 0);
    put_wire_type(&wire, type->name);
    n.type = buf_view(&wire);
    assert_true(span_equal(intake_event(catalog, &n, &text), type->name));
    buf_release(&wire);
    payload = payload_parse(buf_view(&text), NULL, &why);
    assert_non_null(payload);
    if (!payload_check(c, payload, &why)) {
        fail_msg("%s: %s", c->file, why.reason);
    }
    payload_unknown(c, payload, on_unknown, c->file);
    json_decref(payload);
    buf_release(&text);
    mem_free(pairs);
}

/* Whatever the source server says in texts, no contract of the Open Build
 * Service takes offence. */
static void test_all_types(void **state)
{
    struct problems problems;
    struct catalog *catalog = NULL;
    size_t checked = 0;

    (void)state;
    problems_init(&problems);
    catalog = catalog_load("templates", &problems);
    for (size_t i = 0; i < catalog_count(catalog); i++) {
        const struct event_type *type = catalog_at(catalog, i);

        if (strstr(type->folder, "/obs/") != NULL &&
            !type->contract->is_abstract) {
            check_type(catalog, type);
            checked++;
        }
    }
    assert_in_range(checked, 55, 200);
    catalog_free(catalog);
    problems_release(&problems);
}

/* ---- gaps ---------------------------------------------------------------- */

static void test_gaps(void **state)
{
    static const struct {
        int64_t cursor;
        int64_t next;
        bool is_sync_lost;
        size_t count;
        bool is_good;
        enum cursor_gap gap;
        int64_t missing;
    } cases[] = {
        {1, 1, false, 0, true, GAP_NONE, 0},
        {1, 3, false, 2, true, GAP_NONE, 0},
        {5, 9, true, 0, true, GAP_LOST, 4},
        {5, 5, true, 0, true, GAP_NONE, 0},
        {5, 4, false, 0, true, GAP_AHEAD, 0},
        {5, 1, true, 0, true, GAP_AHEAD, 0},
        {5, 9, false, 3, true, GAP_SHORT, 1},
        {5, 9, false, 0, true, GAP_SHORT, 4},
        {5, 5, false, 1, false, GAP_NONE, 0},
        {5, 6, false, 2, false, GAP_NONE, 0},
        {5, 4, false, 1, false, GAP_NONE, 0},
    };
    struct obs_notification rows[3] = {{.type = SPAN_LIT("A")}};
    char folder[FOLDER_PATH];
    struct catalog *catalog = make_catalog(folder);

    (void)state;
    log_set_level(LOG_LEVEL_ERROR + 1);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct obs_answer a = {.next = cases[i].next,
                               .is_sync_lost = cases[i].is_sync_lost,
                               .first = cases[i].count > 0 ? rows : NULL,
                               .count = cases[i].count};
        struct cursor_step step;
        struct buf why;
        bool is_good = false;

        for (size_t k = 0; k < COUNT_OF(rows); k++) {
            rows[k].next = k + 1 < cases[i].count ? &rows[k + 1] : NULL;
        }
        buf_init(&why, 0);
        is_good = intake_step_make(&step, catalog, cases[i].cursor, &a, &why);
        if (is_good != cases[i].is_good ||
            (is_good &&
             (step.gap != cases[i].gap || step.missing != cases[i].missing ||
              step.from != cases[i].cursor || step.next != cases[i].next)) ||
            is_good != (why.len == 0)) {
            fail_msg("case %zu: good %d, gap %d, missing %lld, %s", i, is_good,
                     (int)step.gap, (long long)step.missing, buf_cstr(&why));
        }
        if (is_good) {
            intake_step_tell("obs", &step);
            cursor_step_release(&step);
        }
        buf_release(&why);
    }
    catalog_free(catalog);
    folder_remove(folder);
}

/* When memory runs out there is no step: an event never comes shortened. */
static void test_no_memory(void **state)
{
    struct obs_pair pair = {.key = SPAN_LIT("k"), .value = SPAN_LIT("v")};
    struct obs_notification row = {.type = SPAN_LIT("A"), .pairs = &pair};
    struct obs_answer a = {.next = 2, .first = &row, .count = 1};
    char folder[FOLDER_PATH];
    struct catalog *catalog = make_catalog(folder);
    bool is_good = false;
    long tries = 0;

    (void)state;
    for (; !is_good; tries++) {
        struct cursor_step step;
        struct buf why;

        buf_init(&why, 0);
        mem_fail_after(tries);
        is_good = intake_step_make(&step, catalog, 1, &a, &why);
        mem_fail_after(-1);
        if (is_good) {
            assert_non_null(memmem(step.payloads.data, step.payloads.len,
                                   "\"data\":{\"k\":\"v\"}}", 17));
            cursor_step_release(&step);
        } else {
            assert_non_null(strstr(buf_cstr(&why), "not enough memory"));
        }
        buf_release(&why);
    }
    assert_true(tries > 4); /* payload, types, times, payloads */
    catalog_free(catalog);
    folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_type_names), cmocka_unit_test(test_values),
        cmocka_unit_test(test_unknown),    cmocka_unit_test(test_all_types),
        cmocka_unit_test(test_gaps),       cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
