/*
 * test_lane_limits - rates, connections at once, rest: arithmetic with the
 * time passed in. And what a relay remembers: gears and window.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/log.h"
#include "smtp/limits.h"
#include "smtp/relay.h"

static struct limits make(struct limits_settings s)
{
    struct limits l;

    s.lanes_max = s.lanes_max ? s.lanes_max : 10;
    s.rest_ms = 1000;
    s.rest_max_ms = 30000;
    s.pause_ms = 60000;
    limits_init(&l, &s, 0, 42);
    return l;
}

static int take_all(struct limits *l, int64_t now_ms)
{
    int count = 0;

    while (count < 1000000 && limits_take_letter(l, now_ms)) {
        count++;
    }
    return count;
}

static void test_rates(void **state)
{
    struct limits l = make((struct limits_settings){.letters_per_s = 10});

    (void)state;
    assert_int_equal(take_all(&l, 0), 10);
    assert_int_equal(limits_wait_ms(&l, 0), 100);
    assert_int_equal(take_all(&l, 99), 0);
    assert_int_equal(take_all(&l, 100), 1);
    limits_give_letter(&l);
    assert_int_equal(take_all(&l, 100), 1);
    assert_int_equal(take_all(&l, 100000), 10); /* no more than a second's */

    l = make((struct limits_settings){.letters_per_min = 30});
    assert_int_equal(take_all(&l, 0), 30);
    assert_int_equal(limits_wait_ms(&l, 0), 2000);
    assert_int_equal(take_all(&l, 6000), 3);

    l = make((struct limits_settings){.letters_per_s = 0.5});
    assert_int_equal(take_all(&l, 0), 1);
    assert_int_equal(limits_wait_ms(&l, 0), 2000);

    l = make((struct limits_settings){.connects_per_s = 2});
    assert_true(limits_take_connect(&l, 0));
    assert_true(limits_take_connect(&l, 0));
    assert_false(limits_take_connect(&l, 0));
    assert_int_equal(limits_connect_wait_ms(&l, 0), 500);
    assert_int_equal(limits_wait_ms(&l, 0), 0);
}

static void test_lanes_grow(void **state)
{
    struct limits l = make((struct limits_settings){.lanes_max = 4});
    int letters = 0;

    (void)state;
    assert_int_equal(limits_lanes(&l), 1);
    limits_accepted(&l, 0);
    assert_int_equal(limits_lanes(&l), 2);
    while (limits_lanes(&l) < 4) {
        limits_accepted(&l, 0);
        letters++;
    }
    assert_in_range(letters, 4, 8); /* a round of letters for each */
    for (int i = 0; i < 100; i++) {
        limits_accepted(&l, 0);
    }
    assert_int_equal(limits_lanes(&l), 4);
    /* A fifth was refused while three work: three it is, for a while. */
    assert_int_equal(limits_failed(&l, 1000, 3), 0);
    assert_int_equal(limits_lanes(&l), 3);
    limits_accepted(&l, 2000);
    assert_int_equal(limits_lanes(&l), 3);
    for (int i = 0; i < 10; i++) {
        limits_accepted(&l, 62000);
    }
    assert_int_equal(limits_lanes(&l), 4);
}

static void test_rest(void **state)
{
    static const int64_t rests_ms[] = {1000,  4000,  9000, 16000,
                                       25000, 30000, 30000};
    struct limits l = make((struct limits_settings){.lanes_max = 4});
    int64_t now_ms = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(rests_ms) / sizeof(rests_ms[0]); i++) {
        int64_t ms = limits_failed(&l, now_ms, 0);

        assert_in_range(ms, rests_ms[i] * 9 / 10, rests_ms[i] * 11 / 10);
        assert_int_equal(limits_rest_ms(&l, now_ms), ms);
        assert_true(limits_wait_ms(&l, now_ms) >= ms);
        now_ms += ms;
        assert_int_equal(limits_rest_ms(&l, now_ms), 0);
    }
    limits_accepted(&l, now_ms);
    assert_in_range(limits_failed(&l, now_ms, 0), 900, 1100);
    limits_resume(&l);
    assert_int_equal(limits_rest_ms(&l, now_ms), 0);
    assert_in_range(limits_pause(&l, now_ms), 54000, 66000);
}

static void test_slower(void **state)
{
    struct limits l = make((struct limits_settings){.lanes_max = 8});
    int64_t first = 0;

    (void)state;
    for (int i = 0; i < 100; i++) {
        limits_accepted(&l, 0);
    }
    first = limits_slower(&l, 0);
    assert_in_range(first, 900, 1100);
    assert_int_equal(limits_lanes(&l), 4);
    /* What was in flight says the same: one request. */
    assert_int_equal(limits_slower(&l, 10), first - 10);
    assert_int_equal(limits_lanes(&l), 4);
    assert_in_range(limits_slower(&l, 2000), 1800, 2200);
    assert_int_equal(limits_lanes(&l), 2);
    /* Long quiet: it begins anew. */
    assert_in_range(limits_slower(&l, 500000), 900, 1100);
    /* Again and again, but never longer than the longest rest. */
    for (int64_t now_ms = 510000; now_ms < 1000000; now_ms += 50000) {
        assert_in_range(limits_slower(&l, now_ms), 900, 33000);
    }
}

/* One letter in twenty: no rest, and no fewer connections in the end. All of
 * them: a request for less, once a round or eight have said so. */
static void test_strained(void **state)
{
    struct limits l = make((struct limits_settings){.lanes_max = 12});
    int strains = 0;

    (void)state;
    for (int i = 1; i < 2000; i++) {
        if (i % 20 == 0) {
            assert_false(limits_strained(&l, i));
        } else {
            limits_accepted(&l, i);
        }
    }
    assert_int_equal(limits_rest_ms(&l, 2000), 0);
    assert_int_equal(limits_lanes(&l), 12);

    while (!limits_strained(&l, 3000)) {
        strains++;
        assert_true(strains < 12);
    }
    assert_int_equal(strains + 1, 11); /* the round has shrunk by one */
    assert_in_range(limits_slower(&l, 3000), 900, 1100);
    /* What was in flight says the same and takes nothing more. */
    strains = limits_lanes(&l);
    for (int i = 0; i < 100; i++) {
        assert_false(limits_strained(&l, 3001));
    }
    assert_int_equal(limits_lanes(&l), strains);

    l = make((struct limits_settings){.lanes_max = 1});
    for (int i = 0; i < 7; i++) {
        assert_false(limits_strained(&l, 0));
    }
    assert_true(limits_strained(&l, 0));
}

static void test_gears(void **state)
{
    struct relay_settings s;
    struct relay r;
    struct ehlo all = {.offers = EHLO_PIPELINING | EHLO_CHUNKING};
    struct ehlo some = {.offers = EHLO_PIPELINING};
    struct ehlo odd = {.offers = EHLO_CHUNKING};
    const int64_t minute_ms = 60 * 1000;

    (void)state;
    log_set_level(LOG_LEVEL_ERROR);
    relay_settings_default(&s);
    s.name = "one";
    s.host = "h";
    relay_init(&r, &s, 0);
    assert_int_equal(relay_gear(&r, &all, 0), GEAR_STREAMED);
    assert_int_equal(relay_gear(&r, &some, 0), GEAR_PIPELINED);
    assert_int_equal(relay_gear(&r, &odd, 0), GEAR_LOCKSTEP);
    relay_demote(&r, GEAR_STREAMED, 0, "test");
    assert_int_equal(relay_gear(&r, &all, 9 * minute_ms), GEAR_PIPELINED);
    assert_int_equal(relay_gear(&r, &all, 10 * minute_ms), GEAR_STREAMED);
    relay_demote(&r, GEAR_STREAMED, 10 * minute_ms, "test");
    relay_demote(&r, GEAR_STREAMED, 10 * minute_ms, "another lane");
    assert_int_equal(relay_gear(&r, &all, 29 * minute_ms), GEAR_PIPELINED);
    assert_int_equal(relay_gear(&r, &all, 30 * minute_ms), GEAR_STREAMED);
    relay_release(&r);

    s.gear = GEAR_PIPELINED; /* the operator's word, where it was offered */
    relay_init(&r, &s, 0);
    assert_int_equal(relay_gear(&r, &all, 0), GEAR_PIPELINED);
    assert_int_equal(relay_gear(&r, &odd, 0), GEAR_LOCKSTEP);
    relay_release(&r);
}

static void test_window(void **state)
{
    struct relay_settings s;
    struct relay r;

    (void)state;
    relay_settings_default(&s);
    s.name = "one";
    s.host = "h";
    s.window_max = 64;
    relay_init(&r, &s, 0);
    assert_int_equal(relay_window(&r), 1);
    for (int i = 0; i < 63; i++) {
        relay_window_grow(&r);
    }
    assert_int_equal(relay_window(&r), 64);
    relay_window_grow(&r);
    assert_int_equal(relay_window(&r), 64);
    relay_window_halve(&r);
    assert_int_equal(relay_window(&r), 32);
    for (int i = 0; i < 33; i++) { /* a round gives one */
        relay_window_grow(&r);
    }
    assert_in_range(relay_window(&r), 33, 34);
    for (int i = 0; i < 20; i++) {
        relay_window_halve(&r);
    }
    assert_int_equal(relay_window(&r), 1);
    relay_release(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rates),    cmocka_unit_test(test_lanes_grow),
        cmocka_unit_test(test_rest),     cmocka_unit_test(test_slower),
        cmocka_unit_test(test_strained), cmocka_unit_test(test_gears),
        cmocka_unit_test(test_window),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
