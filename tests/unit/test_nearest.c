/*
 * nearest: which slips of the pen are understood. file: whole files.
 */
#include "test.h"

#include <errno.h>

#include "base/file.h"
#include "base/nearest.h"

#define LONG_WORD "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void distances(void **state)
{
    static const struct {
        const char *a;
        const char *b;
        size_t want;
    } cases[] = {
        {"", "", 0},         {"a", "", 1},
        {"", "abc", 3},      {"role", "role", 0},
        {"rloe", "role", 1}, {"roles", "role", 1},
        {"rule", "role", 1}, {"kitten", "sitting", 3},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_int_equal(
            nearest_distance(span_of(cases[i].a), span_of(cases[i].b)),
            cases[i].want);
        assert_int_equal(
            nearest_distance(span_of(cases[i].b), span_of(cases[i].a)),
            cases[i].want);
    }
}

static void the_best_candidate_wins(void **state)
{
    static const char *const words[] = {"frequency", "urgency", "thread"};
    static const struct {
        const char *word;
        const char *want; /* "" = none is near */
    } cases[] = {
        {"frequncy", "frequency"},
        {"urgncy", "urgency"},
        {"tread", "thread"},
        {"headline", ""},
        {"", ""},
        {"x", ""},
        /* A third of it is more than the distance that stands for "too long
         * to tell". */
        {LONG_WORD LONG_WORD LONG_WORD LONG_WORD, ""},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct nearest near = nearest_to(span_of(cases[i].word));

        for (size_t j = 0; j < COUNT_OF(words); j++) {
            nearest_offer(&near, span_of(words[j]));
        }
        assert_span(near.best, cases[i].want);
    }
}

static void long_words_are_never_near(void **state)
{
    char word[NEAREST_WORD_MAX + 2];

    (void)state;
    memset(word, 'a', sizeof(word));
    assert_true(nearest_distance(span_make(word, sizeof(word)),
                                 span_make(word, sizeof(word))) >
                NEAREST_WORD_MAX);
}

static void files_are_read_or_not(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 1 << 20);
    assert_true(file_read("/proc/self/status", &b));
    assert_true(b.len > 100);
    assert_false(file_read("/nonexistent", &b));
    assert_int_equal(errno, ENOENT);
    assert_false(file_read("/tmp", &b));
    assert_int_equal(errno, EISDIR);
    buf_release(&b);
    buf_init(&b, 10);
    assert_false(file_read("/proc/self/status", &b));
    assert_int_equal(errno, EFBIG);
    buf_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(distances),
        cmocka_unit_test(the_best_candidate_wins),
        cmocka_unit_test(long_words_are_never_near),
        cmocka_unit_test(files_are_read_or_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
