/*
 * test_hook - the command for reports: split without a shell, fed, killed in
 * time, buried, and never waited for.
 */
#include "test.h"

#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "engine/hook.h"

static const struct report report = {
    .cause = "drift/A/\"b\"",
    .kind = "UnlistedKey",
    .severity = "warning",
    .component = "contract",
    .action = "A",
    .message = "A: $(touch x); `y`\n\"q\"",
    .params = "{\"keys\":[\"b\"]}",
    .count = 7,
    .first_us = 1500000,
    .last_us = 2250000,
};

static void test_words(void **state)
{
    static const struct {
        const char *command;
        const char *words[5];
    } cases[] = {
        {"/bin/x", {"/bin/x"}},
        {"  /bin/x\t-a  b ", {"/bin/x", "-a", "b"}},
        {"x 'a b' \"c d\"", {"x", "a b", "c d"}},
        {"x a'b c'd\"e f\"", {"x", "ab cde f"}},
        {"x '' \"\"", {"x", "", ""}},
        {"x \"a\\\"b\\\\c\\d\" '\\'", {"x", "a\"b\\c\\d", "\\"}},
        {"x a\\ b \\\"", {"x", "a b", "\""}},
        {"x $HOME `id` ; | >", {"x", "$HOME", "`id`", ";", "|"}},
        {"x\\", {"x\\"}},
    };
    static const char *const bad[] = {"", "  ", "x 'a", "x \"a", "x \"a\\\""};
    const char *why = NULL;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char **words = hook_words(cases[i].command, &why);

        assert_non_null(words);
        for (size_t k = 0; k < 5 && cases[i].words[k] != NULL; k++) {
            assert_non_null(words[k]);
            assert_string_equal(words[k], cases[i].words[k]);
        }
        hook_words_free(words);
    }
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        why = NULL;
        assert_null(hook_words(bad[i], &why));
        assert_non_null(why);
    }
}

static const struct hook_settings usual = {
    .environment = "tests",
    .host = "here",
    .timeout_ms = 5000,
};

static void test_json(void **state)
{
    struct buf out;
    json_t *value = NULL;

    (void)state;
    buf_init(&out, 0);
    hook_write_json(&out, &usual, &report);
    value = json_loads(buf_cstr(&out), JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(value);
    assert_string_equal(json_string_value(json_object_get(value, "cause")),
                        report.cause);
    assert_string_equal(json_string_value(json_object_get(value, "message")),
                        report.message);
    assert_true(json_is_null(json_object_get(value, "file")));
    assert_int_equal(json_integer_value(json_object_get(value, "count")), 7);
    assert_true(json_is_false(json_object_get(value, "is_over")));
    assert_int_equal(json_array_size(json_object_get(
                         json_object_get(value, "params"), "keys")),
                     1);
    json_decref(value);
    buf_release(&out);
}

/* ---- runs -------------------------------------------------------------- */

struct run {
    struct ev_loop *loop;
    int ended;
    bool ok;
    char why[100];
};

static void on_done(void *ctx, bool ok, const char *why)
{
    struct run *r = ctx;

    r->ended++;
    r->ok = ok;
    snprintf(r->why, sizeof(r->why), "%s", why);
    ev_break(r->loop, EVBREAK_ALL);
}

/* Runs a command to its end. */
static struct run run(const char *command, int64_t timeout_ms)
{
    struct hook_settings settings = usual;
    struct run r = {.loop = ev_default_loop(EVFLAG_AUTO)};
    struct hook *h = NULL;

    settings.command = command;
    settings.timeout_ms = timeout_ms;
    h = hook_new(r.loop, &settings);
    assert_false(hook_is_busy(h));
    hook_run(h, &report, on_done, &r);
    assert_true(hook_is_busy(h));
    assert_int_equal(r.ended, 0); /* never from within the call */
    ev_run(r.loop, 0);
    assert_int_equal(r.ended, 1);
    assert_false(hook_is_busy(h));
    hook_free(h);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no zombie */
    return r;
}

static void test_ends(void **state)
{
    static const struct {
        const char *command;
        bool ok;
        const char *why;
    } cases[] = {
        {"/bin/sh -c 'exit 0'", true, "exit status 0"},
        {"true", true, "exit status 0"},
        {"/bin/sh -c 'exit 3'", false, "exit status 3"},
        {"/bin/sh -c 'kill -TERM $$'", false, "ended by signal 15"},
        {"/nowhere/at/all", false, "exit status 127"},
        {"/etc/passwd", false, "exit status 126"},
        {"'x", false, "the command cannot be split into words"},
        /* all of the report is there, and nothing that is ours */
        {"/bin/sh -c 'test \"$(wc -l)\" -eq 1'", true, "exit status 0"},
        {"/bin/sh -c 'grep -q \"keys.*b\"'", true, "exit status 0"},
        {"/bin/sh -c 'test \"$ALARM_COUNT$ALARM_STATE\" = 7open'", true,
         "exit status 0"},
        {"/bin/sh -c 'test \"$ALARM_HOST\" = here'", true, "exit status 0"},
        {"/bin/sh -c '! env | grep ^POSTBATCH_'", true, "exit status 0"},
        {"/bin/sh -c 'trap \"\" PIPE; test -z \"$(trap)\" || true'", true,
         "exit status 0"},
        /* none of our descriptors but the three (ls has one of its own) */
        {"/bin/sh -c 'test \"$(ls /proc/self/fd | wc -l)\" -eq 4'", true,
         "exit status 0"},
    };

    (void)state;
    setenv("POSTBATCH_RELAY_MAIN_PASSWORD", "secret", 1);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct run r = run(cases[i].command, 20000);

        if (r.ok != cases[i].ok || strcmp(r.why, cases[i].why) != 0) {
            fail_msg("%s: %s", cases[i].command, r.why);
        }
    }
    unsetenv("POSTBATCH_RELAY_MAIN_PASSWORD");
}

/* With what it has started; also when that ignores all it can. */
static void test_time_limit(void **state)
{
    int64_t began_ms = clock_monotonic_ms();
    struct run r =
        run("/bin/sh -c 'trap \"\" TERM INT; sleep 60; sleep 60'", 200);

    (void)state;
    assert_false(r.ok);
    assert_string_equal(r.why, "killed after 200 ms");
    assert_true(clock_monotonic_ms() - began_ms < 20000);
}

/* What a command leaves behind holds its output open, and nobody waits. */
static void test_background(void **state)
{
    int64_t began_ms = clock_monotonic_ms();
    struct run r = run("/bin/sh -c 'sleep 5 & exit 0'", 20000);

    (void)state;
    assert_true(r.ok);
    assert_true(clock_monotonic_ms() - began_ms < 4000);
}

/* More than a pipe holds, and more than goes into the log. */
static void test_much_output(void **state)
{
    struct run r = run(
        "/bin/sh -c 'yes \"a line \\\"of\\\" text\" | head -c 3000000'", 20000);

    (void)state;
    assert_true(r.ok);
}

static void test_free_kills(void **state)
{
    struct hook_settings settings = usual;
    struct run r = {.loop = ev_default_loop(EVFLAG_AUTO)};
    struct hook *h = NULL;

    (void)state;
    settings.command = "sleep 60";
    h = hook_new(r.loop, &settings);
    hook_run(h, &report, on_done, &r);
    hook_free(h);
    assert_int_equal(r.ended, 0);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),      cmocka_unit_test(test_json),
        cmocka_unit_test(test_ends),       cmocka_unit_test(test_time_limit),
        cmocka_unit_test(test_background), cmocka_unit_test(test_much_output),
        cmocka_unit_test(test_free_kills),
    };

    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
