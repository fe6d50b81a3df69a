/*
 * test_log - whatever comes from outside, a fact stays one line.
 */
#include "test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
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
         "\"250 ok\\x0d\\x0alevel=error msg=\\\"forged\\\"\""},
        {"tab\tbell\adel\177", "tab\\x09bell\\x07del\\x7f"},
        {"\033[2J", "\\x1b[2J"},
        {"J\303\274rgen", "J\303\274rgen"}, /* UTF-8 stays */
        {"100%s %n", "\"100%s %n\""},
        /* Latin-1, half a character, and the CSI of an eight-bit terminal. */
        {"J\374rgen", "J\\xfcrgen"},
        {"J\303", "J\\xc3"},
        {"\2332J", "\\x9b2J"},
        {"\302\2332J", "\\xc2\\x9b2J"},
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

/* No value can end itself and begin another field. */
static void test_quotes(void **state)
{
    static const struct {
        const char *value;
        const char *alone;  /* written as a=%s */
        const char *quoted; /* written as a="%s" */
    } cases[] = {
        {"plain", "plain", "\"plain\""},
        {"", "", "\"\""},
        {"two words", "\"two words\"", "\"two words\""},
        {"x level=error", "\"x level=error\"", "\"x level=error\""},
        {"b=1", "\"b=1\"", "\"b=1\""},
        {"\" b=\"1", "\"\\\" b=\\\"1\"", "\"\\\" b=\\\"1\""},
        {"end\\", "\"end\\\\\"", "\"end\\\\\""},
        {"\\x0a", "\"\\\\x0a\"", "\"\\\\x0a\""},
        {"\n", "\\x0a", "\"\\x0a\""},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char want[256];

        catch_lines();
        log_info("said", "a=%s b=\"%s\" n=%d", cases[i].value, cases[i].value,
                 7);
        snprintf(want, sizeof(want), "level=info msg=\"said\" a=%s b=%s n=7\n",
                 cases[i].alone, cases[i].quoted);
        assert_string_equal(caught_lines() + 25, want);
    }
}

static void test_conversions(void **state)
{
    (void)state;
    catch_lines();
    log_info("all",
             "d=%d ld=%ld lld=%lld u=%u lu=%lu llu=%llu zu=%zu wide=%6d "
             "f=%.0f g=%g c=%c part=%.*s cut=%.3s both=%d%% key %s=%s",
             -1, -2L, -3LL, 4U, 5UL, 6ULL, (size_t)7, 8, 2.6, 0.5, 'z', 2,
             "abc", "abcdef", 50, "n", "v");
    assert_string_equal(caught_lines() + 25,
                        "level=info msg=\"all\" d=-1 ld=-2 lld=-3 u=4 lu=5 "
                        "llu=6 zu=7 wide=8 f=3 g=0.5 c=z part=ab cut=abc "
                        "both=50% key n=v\n");
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

/* JOURNAL_STREAM counts only while standard error is what it names. */
static void test_under_journald(void **state)
{
    char stream[64];
    struct stat status;

    (void)state;
    catch_lines();
    assert_int_equal(fstat(STDERR_FILENO, &status), 0);
    snprintf(stream, sizeof(stream), "%llu:%llu",
             (unsigned long long)status.st_dev,
             (unsigned long long)status.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    log_error("a", "n=%d", 1);
    log_info("b", "n=%d", 2);
    assert_string_equal(caught_lines(), "<3>level=error msg=\"a\" n=1\n"
                                        "<6>level=info msg=\"b\" n=2\n");

    catch_lines();
    setenv("JOURNAL_STREAM", "1:1", 1);
    log_error("c", "n=%d", 3);
    assert_string_equal(caught_lines() + 25, "level=error msg=\"c\" n=3\n");
    unsetenv("JOURNAL_STREAM");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_shape, begin),
        cmocka_unit_test_setup(test_levels, begin),
        cmocka_unit_test_setup(test_control_bytes, begin),
        cmocka_unit_test_setup(test_quotes, begin),
        cmocka_unit_test_setup(test_conversions, begin),
        cmocka_unit_test_setup(test_long_values, begin),
        cmocka_unit_test_setup(test_under_journald, begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
