/*
 * test_pg_errors - the words of an error and what they tell a program.
 */
#include "test.h"

#include "base/mem.h"
#include "store/pg.h"
#include "store/pg_inner.h"

static void words_are_one_line(void **state)
{
    static const struct {
        const char *text;
        const char *line;
    } cases[] = {
        {"ERROR:  no\nDETAIL:  none\n", "ERROR:  no DETAIL:  none"},
        {"one\n\n\n", "one"},
        {"\n", ""},
        {"", ""},
        {"as it is", "as it is"},
        {NULL, "unknown error"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *line = pg_one_line(cases[i].text);

        assert_string_equal(line, cases[i].line);
        mem_free(line);
    }
}

static void the_sqlstate_is_at_the_end(void **state)
{
    static const struct {
        const char *error;
        const char *state;
        bool is_passing;
    } cases[] = {
        {"ERROR:  deadlock detected (SQLSTATE 40P01)", "40P01)", true},
        {"ERROR:  canceling statement due to lock timeout (SQLSTATE 55P03)",
         "55P03)", true},
        {"FATAL:  terminating connection (SQLSTATE 57P01)", "57P01)", true},
        /* Fewer events may help it. */
        {"ERROR:  canceling statement due to statement timeout "
         "(SQLSTATE 57014)",
         "57014)", false},
        {"ERROR:  division by zero (SQLSTATE 22012)", "22012)", false},
        /* What a payload says does not count. */
        {"ERROR:  invalid input: \"x (SQLSTATE 53100)\" (SQLSTATE 22P02)",
         "22P02)", false},
        {"ERROR:  relation \"(SQLSTATE 40P01)\" (SQLSTATE 42P01)", "42P01)",
         false},
        {"connection closed", "", false},
        {"", "", false},
        {"(SQLSTATE 40P01)", "", false},
        {" (SQLSTATE )", "", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_string_equal(pg_sqlstate(cases[i].error), cases[i].state);
        assert_int_equal(pg_is_passing(cases[i].error), cases[i].is_passing);
    }
}

/* A result without a code, as libpq makes it of a connection that broke. */
static void no_code_is_told_as_such(void **state)
{
    PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_FATAL_ERROR);
    char *words = pg_error_words(result);

    (void)state;
    assert_string_equal(pg_sqlstate(words), "\?\?\?\?\?)");
    assert_false(pg_is_passing(words));
    mem_free(words);
    PQclear(result);
}

static void what_passes_is_nobodys_fault(void **state)
{
    static const struct {
        const char *code;
        bool is_passing;
    } cases[] = {
        {"08006", true},  /* the connection broke */
        {"25006", true},  /* read only: a standby */
        {"28P01", true},  /* a password that is being changed */
        {"40001", true},  /* could not serialize */
        {"40P01", true},  /* deadlock */
        {"53100", true},  /* the disk is full */
        {"55P03", true},  /* a lock was not to be had */
        {"57P01", true},  /* shut down by an operator */
        {"58030", true},  /* I/O */
        {"XX000", true},  /* inside the server */
        {"57014", false}, /* it took too long: fewer data may help */
        {"22P02", false}, /* the data */
        {"23505", false}, /* a constraint */
        {"42P01", false}, /* the statement */
        {"P0001", false}, /* raised on purpose */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *words = mem_printf("ERROR:  no (SQLSTATE %s)", cases[i].code);

        assert_int_equal(pg_is_passing(words), cases[i].is_passing);
        mem_free(words);
    }
    assert_false(pg_is_passing("connection lost"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_one_line),
        cmocka_unit_test(the_sqlstate_is_at_the_end),
        cmocka_unit_test(no_code_is_told_as_such),
        cmocka_unit_test(what_passes_is_nobodys_fault),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
