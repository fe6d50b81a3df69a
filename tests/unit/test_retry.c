/*
 * test_retry - waits grow, are capped, obey the relay, and end.
 */
#include "test.h"

#include "engine/retry.h"

static void waits_follow_the_policy(void **state)
{
    const struct retry_policy policy = {60000, 600000, 8, 86400000};
    static const struct {
        int attempts;
        int64_t age_ms;
        int64_t asked_ms;
        double spread;
        int64_t want_ms;
    } cases[] = {
        {1, 0, 0, 0, 60000},
        {2, 0, 0, 0, 120000},
        {4, 0, 0, 0, 480000},
        {5, 0, 0, 0, 600000},
        {7, 0, 0, 0, 600000},
        {8, 0, 0, 0, RETRY_GIVE_UP},
        {1, 0, 0, 0.5, 66000},
        {1, 0, 300000, 0, 300000},
        {3, 0, 1000, 0, 240000},
        {1, 86400000 - 60000, 0, 0, 60000},
        {1, 86400000 - 59999, 0, 0, RETRY_GIVE_UP},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_int_equal(retry_delay_ms(&policy, cases[i].attempts,
                                        cases[i].age_ms, cases[i].asked_ms,
                                        cases[i].spread),
                         cases[i].want_ms);
    }
}

static void without_limits_it_never_gives_up(void **state)
{
    const struct retry_policy policy = {1000, 5000, 0, 0};

    (void)state;
    assert_int_equal(retry_delay_ms(&policy, 1000000, INT64_MAX / 2, 0, 0),
                     5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_follow_the_policy),
        cmocka_unit_test(without_limits_it_never_gives_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
