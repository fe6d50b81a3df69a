/*
 * test_log - whatever comes from outside, a fact stays one line.
 */
#include "test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"

static int saved = -1;
static FILE *caught;
static char text[16384];

/* What goes to standard error goes into a file from here on. */
static void catch_lines(void)
{
    caught = tmpfile();
    assert_non_null(caught);
    saved = dup(STDERR_FILENO);
    dup2(fileno(caught), STDERR_FILENO);
}

/* ... to here; the text is what was caught. */
static const char *caught_lines(void)
{
    size_t len = 0;

    dup2(saved, STDERR_FILENO);
    close(saved);
    rewind(caught);
    len = fread(text, 1, sizeof(text) - 1, caught);
    text[len] = '\0';
    fclose(caught);
    return text;
}

static int begin(void **state)
{
    (void)state;
    unsetenv("JOURNAL_STREAM");
    log_set_level(LOG_LEVEL_INFO);
    return 0;
}

static void assert_one_line(const char *line)
{
    size_t len = strlen(line);

    assert_true(len > 0);
    assert_int_equal(line[len - 1], '\n');
    assert_ptr_equal(strchr(line, '\n'), line + len - 1);
}

static void test_shape(void **state)
{
    const char *line = NULL;

    (void)state;
    catch_lines();
    log_warn("relay paused", "relay=%s seconds=%d", "main", 5);
    line = caught_lines();
    assert_one_line(line);
    /* 2026-01-31T23:59:59.999Z */
    assert_int_equal(line[4], '-');
    assert_int_equal(line[10], 'T');
    assert_int_equal(line[23], 'Z');
    assert_string_equal(line + 25, "level=warn msg=\"relay paused\" "
                                   "relay=main seconds=5\n");

    catch_lines();
    log_error("nothing more", "%s", "");
    assert_string_equal(caught_lines() + 25,
                        "level=error msg=\"nothing more\"\n");
}

static void test_levels(void **state)
{
    (void)state;
    catch_lines();
    log_debug("not wanted", "n=%d", 1);
    assert_string_equal(caught_lines(), "");
    assert_false(log_wants(LOG_LEVEL_DEBUG));

    log_set_level(LOG_LEVEL_ERROR);
    catch_lines();
    log_warn("not wanted", "n=%d", 1);
    log_error("wanted", "n=%d", 2);
    assert_non_null(strstr(caught_lines(), "msg=\"wanted\" n=2\n"));

    log_set_level(LOG_LEVEL_DEBUG);
    catch_lines();
    log_debug("wanted", "n=%d", 3);
    assert_non_null(strstr(caught_lines(), "level=debug msg=\"wanted\" n=3\n"));
}

static void test_control_bytes(void **state)
{
    static const struct {
        const char *value;
        const char *want;
    } cases[] = {
        {"two\nlines", "two\\x0alines"},
        {"250 ok\r\nlevel=error msg=\"forged\"",
         "250 ok\\x0d\\x0alevel=error msg=\"forged\""},
        {"tab\tbell\adel\177", "tab\\x09bell\\x07del\\x7f"},
        {"\033[2J", "\\x1b[2J"},
        {"J\303\274rgen", "J\303\274rgen"}, /* UTF-8 stays */
        {"100%s %n", "100%s %n"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char want[256];
        const char *line = NULL;

        catch_lines();
        log_info("said", "reply=%s", cases[i].value);
        line = caught_lines();
        snprintf(want, sizeof(want), "level=info msg=\"said\" reply=%s\n",
                 cases[i].want);
        assert_one_line(line);
        assert_string_equal(line + 25, want);
    }
}

/* A line beyond 4000 bytes is cut; it is one write, below PIPE_BUF. */
static void test_long_values(void **state)
{
    static const size_t sizes[] = {3900, 3990, 4000, 4100, 9000};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        for (int is_hostile = 0; is_hostile < 2; is_hostile++) {
            char *value = malloc(sizes[i] + 1);
            const char *line = NULL;

            memset(value, is_hostile ? '\n' : 'x', sizes[i]);
            value[sizes[i]] = '\0';
            catch_lines();
            log_info("long", "value=%s", value);
            line = caught_lines();
            assert_one_line(line);
            assert_true(strlen(line) <= 4001);
            free(value);
        }
    }
}

static void test_under_journald(void **state)
{
    (void)state;
    setenv("JOURNAL_STREAM", "8:12345", 1);
    catch_lines();
    log_error("a", "n=%d", 1);
    log_info("b", "n=%d", 2);
    assert_string_equal(caught_lines(), "<3>level=error msg=\"a\" n=1\n"
                                        "<6>level=info msg=\"b\" n=2\n");
    unsetenv("JOURNAL_STREAM");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_shape, begin),
        cmocka_unit_test_setup(test_levels, begin),
        cmocka_unit_test_setup(test_control_bytes, begin),
        cmocka_unit_test_setup(test_long_values, begin),
        cmocka_unit_test_setup(test_under_journald, begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
