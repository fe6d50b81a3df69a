/*
 * test_lane_pool - several lanes and relays: choice, failover, rest, pause,
 * rates, drain and kill, and the one-shot probe.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "smtp/probe.h"
#include "smtp_world.h"

static const char STREAMED[] = "PIPELINING|CHUNKING|SIZE";
static const char PIPELINED[] = "PIPELINING";

static int count_verdict(const struct world *w, enum verdict verdict)
{
    int count = 0;

    for (int k = 0; k < w->count; k++) {
        count += w->letters[k].done == 1 && w->letters[k].verdict == verdict;
    }
    return count;
}

static int count_relay(const struct world *w, const char *name)
{
    int count = 0;

    for (int k = 0; k < w->count; k++) {
        count += strcmp(w->letters[k].relay, name) == 0;
    }
    return count;
}

/* A world with two relays; the second has its own priority and weight. */
static struct world *two(const char *offers, int priority, int weight)
{
    struct world *w = world_new(offers);
    struct relay_settings r = world_settings(&w->script, "one");

    r.priority = 10;
    assert_true(world_add(w, &r));
    script_start(&w->second, w->loop, offers);
    r = world_settings(&w->second, "two");
    r.priority = priority;
    r.weight = weight;
    assert_true(world_add(w, &r));
    return w;
}

static void test_lanes_open(void **state)
{
    struct world *w = world_new(PIPELINED);
    struct relay_settings r = world_settings(&w->script, "one");

    (void)state;
    r.lanes_max = 6;
    w->script.delay_ms = 2;
    assert_true(world_add(w, &r));
    assert_int_equal(pool_room(w->pool), 1);
    world_letters(w, 400);
    world_send(w, 10.0);
    assert_int_equal(count_verdict(w, VERDICT_SENT), 400);
    assert_int_equal(w->script.connections, 6);
    world_free(w);
}

/* The relay allows three connections: more are given up, nothing is lost. */
static void test_too_many_connections(void **state)
{
    struct world *w = world_new(PIPELINED);
    struct relay_settings r = world_settings(&w->script, "one");
    struct pool_stats stats;

    (void)state;
    r.lanes_max = 10;
    w->script.delay_ms = 1;
    w->script.refuse_after = 3;
    assert_true(world_add(w, &r));
    world_letters(w, 300);
    world_send(w, 10.0);
    assert_int_equal(count_verdict(w, VERDICT_SENT), 300);
    pool_counts(w->pool, &stats);
    assert_int_equal(stats.counts.connections, 3);
    assert_in_range(stats.counts.connect_failures, 1, 4);
    assert_int_equal(stats.lanes_allowed, 3);
    assert_int_equal(stats.health, RELAY_UP);
    world_free(w);
}

static void test_weights(void **state)
{
    struct world *w = two(STREAMED, 10, 3);
    int second = 0;

    (void)state;
    w->script.delay_ms = 1;
    w->second.delay_ms = 1;
    world_letters(w, 2000);
    world_send(w, 10.0);
    second = count_relay(w, "two");
    assert_int_equal(count_verdict(w, VERDICT_SENT), 2000);
    /* Both have letters; the shares hold where both have room. */
    assert_in_range(second, 800, 1700);
    world_free(w);
}

static void test_priority(void **state)
{
    struct world *w = two(STREAMED, 5, 1);

    (void)state;
    world_letters(w, 200);
    world_send(w, 10.0);
    assert_int_equal(count_relay(w, "one"), 200);
    assert_int_equal(w->second.connections, 0);
    world_free(w);
}

/* The first relay is not there: the second takes over; when the first is
 * back, it gets the letters again. */
static void test_failover(void **state)
{
    struct world *w = two(STREAMED, 5, 1);
    struct pool_stats stats;
    int port = w->script.port;

    (void)state;
    w->script.greeting = "421 4.3.2 not now\r\n";
    world_letters(w, 100);
    world_send(w, 10.0);
    assert_int_equal(count_verdict(w, VERDICT_SENT), 100);
    assert_int_equal(count_relay(w, "two"), 100);
    pool_relay_counts(w->pool, 0, &stats);
    assert_true(stats.counts.connect_failures >= 1);
    assert_non_null(strstr(pool_relay(w->pool, 0)->trouble, "not now"));

    assert_int_equal(port, w->script.port);
    w->script.greeting = NULL;
    for (int i = 0; i < 20 && count_relay(w, "one") == 0; i++) {
        world_letters(w, 50);
        pool_wake(w->pool);
        world_run(w, 5.0);
        world_run(w, 0.05);
    }
    assert_true(count_relay(w, "one") > 0);
    world_free(w);
}

static void test_nobody_there(void **state)
{
    struct world *w = world_new(STREAMED);
    struct relay_settings r = world_settings(&w->script, "gone");
    int64_t cpu_us = 0;

    (void)state;
    r.port = 1; /* nothing listens there */
    assert_true(world_add(w, &r));
    world_letters(w, 10);
    cpu_us = clock_cpu_us();
    world_send(w, 0.6);
    cpu_us = clock_cpu_us() - cpu_us;
    assert_int_equal(w->given, 0);
    assert_int_equal(w->open, 10);
    assert_true(w->alarms >= 1);
    assert_int_equal(w->alarm_kind, POOL_ALARM_DOWN);
    assert_non_null(strstr(w->alarm, "127.0.0.1:1"));
    assert_non_null(strstr(w->alarm, "check that the relay runs"));
    assert_true(pool_relay(w->pool, 0)->counts.connect_failures < 20);
    assert_true(cpu_us < 300 * 1000); /* it rests, it does not spin */

    /* As long as it lasts a person hears of it, if not all the time. */
    w->alarms = 0;
    ((struct relay *)(uintptr_t)pool_relay(w->pool, 0))->alarmed_ms = 0;
    world_send(w, 0.6);
    assert_int_equal(w->alarms, 1);
    world_free(w);
}

static void test_bad_password(void **state)
{
    struct world *w = world_new("PIPELINING|AUTH PLAIN LOGIN");
    struct relay_settings r = world_settings(&w->script, "one");
    struct pool_stats stats;

    (void)state;
    r.user = "good";
    r.password = "bad";
    assert_true(world_add(w, &r));
    world_letters(w, 5);
    world_send(w, 0.3);
    assert_int_equal(w->given, 0);
    assert_int_equal(w->script.connections, 1); /* no tight loop */
    assert_int_equal(w->alarms, 1);
    assert_int_equal(w->alarm_kind, POOL_ALARM_ACCESS);
    assert_non_null(strstr(w->alarm, "535 5.7.8 bad credentials"));
    pool_counts(w->pool, &stats);
    assert_int_equal(stats.health, RELAY_PAUSED);
    assert_int_equal(pool_room(w->pool), 0);
    pool_resume(w->pool);
    world_run(w, 0.2);
    assert_int_equal(w->script.connections, 2);
    world_free(w);
}

static void test_password(void **state)
{
    static const char *const offers[] = {
        "PIPELINING|AUTH PLAIN LOGIN", /* as it should be */
        "PIPELINING",                  /* AUTH is not offered: refused */
        "PIPELINING|AUTH CRAM-MD5",    /* nothing we would use */
    };

    (void)state;
    for (int i = 0; i < 3; i++) {
        struct world *w = world_new(offers[i]);
        struct relay_settings r = world_settings(&w->script, "one");

        r.user = "good";
        r.password = "good";
        assert_true(world_add(w, &r));
        world_letters(w, 5);
        world_send(w, i == 0 ? 5.0 : 0.2);
        assert_int_equal(count_verdict(w, VERDICT_SENT), i == 0 ? 5 : 0);
        assert_int_equal(w->alarms, i == 0 ? 0 : 1);
        assert_int_equal(w->script.connections, 1);
        world_free(w);
    }
}

/* STARTTLS is wanted and not offered: no letter leaves in the clear. */
static void test_starttls_missing(void **state)
{
    struct world *w = world_new(STREAMED);
    struct relay_settings r = world_settings(&w->script, "one");

    (void)state;
    r.tls = RELAY_TLS_STARTTLS;
    assert_true(world_add(w, &r));
    world_letters(w, 5);
    world_send(w, 0.2);
    assert_int_equal(w->given, 0);
    assert_int_equal(w->alarms, 1);
    assert_int_equal(w->alarm_kind, POOL_ALARM_ACCESS);
    assert_non_null(strstr(w->alarm, "STARTTLS was expected"));
    world_free(w);
}

static void test_settings(void **state)
{
    static const struct {
        const char *host;
        enum relay_tls tls;
        const char *user, *password, *helo;
        int lanes_max;
        bool is_fine;
    } rows[] = {
        {"mail.example.org", RELAY_TLS_STARTTLS, "u", "p", NULL, 1, true},
        {"mail.example.org", RELAY_TLS_NONE, NULL, NULL, NULL, 1, true},
        {"mail.example.org", RELAY_TLS_NONE, "u", "p", NULL, 1, false},
        {"localhost", RELAY_TLS_NONE, "u", "p", NULL, 1, true},
        {"localhost", RELAY_TLS_NONE, "u", NULL, NULL, 1, false},
        {"localhost", RELAY_TLS_NONE, "u", "p\n", NULL, 1, false},
        {"ho st", RELAY_TLS_NONE, NULL, NULL, NULL, 1, false},
        {"host/path", RELAY_TLS_NONE, NULL, NULL, NULL, 1, false},
        {"u@host", RELAY_TLS_NONE, NULL, NULL, NULL, 1, false},
        {"", RELAY_TLS_NONE, NULL, NULL, NULL, 1, false},
        {"::1", RELAY_TLS_NONE, NULL, NULL, "[::1]", 1, true},
        {"h", RELAY_TLS_NONE, NULL, NULL, "a\r\nMAIL FROM:<x>", 1, false},
        {"h", RELAY_TLS_NONE, NULL, NULL, NULL, 0, false},
        {"h", RELAY_TLS_NONE, NULL, NULL, NULL, 5000, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct relay_settings r;
        struct problems p;

        relay_settings_default(&r);
        problems_init(&p);
        r.name = "one";
        r.host = rows[i].host;
        r.tls = rows[i].tls;
        r.user = rows[i].user;
        r.password = rows[i].password;
        r.helo = rows[i].helo;
        r.lanes_max = rows[i].lanes_max;
        assert_int_equal(relay_settings_check(&r, &p), rows[i].is_fine);
        assert_int_equal(p.errors == 0, rows[i].is_fine);
        problems_release(&p);
    }
}

static void test_rate(void **state)
{
    struct world *w = world_new(STREAMED);
    struct relay_settings r = world_settings(&w->script, "one");
    int64_t began_ms = clock_monotonic_ms();

    (void)state;
    r.rate_per_s = 100;
    assert_true(world_add(w, &r));
    world_letters(w, 130); /* a second's worth at once, then 10 ms each */
    world_send(w, 5.0);
    assert_int_equal(count_verdict(w, VERDICT_SENT), 130);
    assert_in_range(clock_monotonic_ms() - began_ms, 250, 2000);
    world_free(w);
}

/* A relay that throttles rests and is asked again; letters wait. */
static void test_throttled(void **state)
{
    struct fault f = {-1, ON_MAIL, DO_REPLY, "454 4.7.0 Throttling\r\n", 3};
    struct world *w = world_new(PIPELINED);
    struct relay_settings r = world_settings(&w->script, "one");
    int deferred = 0;

    (void)state;
    w->script.faults = &f;
    w->script.fault_count = 1;
    assert_true(world_add(w, &r));
    world_letters(w, 50);
    world_send(w, 5.0);
    deferred = count_verdict(w, VERDICT_DEFERRED);
    assert_int_equal(deferred, 3);
    assert_int_equal(count_verdict(w, VERDICT_SENT), 47);
    world_free(w);
}

/* Trouble with a letter now and then: the others do not wait for it. With
 * every letter: it rests as a relay that asks for less. */
static void test_strained(void **state)
{
    struct fault some[10];
    struct fault all = {-1, ON_CONTENT, DO_REPLY, "451 4.3.0 Oops\r\n", 0};
    struct world *w = world_new(STREAMED);
    struct relay_settings r = world_settings(&w->script, "one");

    (void)state;
    for (int i = 0; i < 10; i++) {
        some[i] = all;
        some[i].letter = i * 20 + 3;
    }
    w->script.faults = some;
    w->script.fault_count = 10;
    r.rest_ms = 20 * 1000; /* one rest would be the end of this test */
    assert_true(world_add(w, &r));
    world_letters(w, 200);
    world_send(w, 5.0);
    assert_int_equal(count_verdict(w, VERDICT_DEFERRED), 10);
    assert_int_equal(count_verdict(w, VERDICT_SENT), 190);
    world_free(w);

    w = world_new(STREAMED);
    r = world_settings(&w->script, "one");
    w->script.faults = &all;
    w->script.fault_count = 1;
    r.rest_ms = 20 * 1000;
    assert_true(world_add(w, &r));
    world_letters(w, 500);
    world_send(w, 0.3);
    assert_in_range(count_verdict(w, VERDICT_DEFERRED), 8, 50);
    world_free(w);
}

/* "Relay access denied" for everybody: paused before all have failed. */
static void test_doubts(void **state)
{
    struct fault f = {-1, ON_RCPT, DO_REPLY,
                      "554 5.7.1 Relay access denied\r\n", 0};
    struct world *w = world_new(STREAMED);
    struct relay_settings r = world_settings(&w->script, "one");

    (void)state;
    r.doubts_max = 10;
    w->script.faults = &f;
    w->script.fault_count = 1;
    assert_true(world_add(w, &r));
    world_letters(w, 500);
    world_send(w, 0.3);
    assert_in_range(count_verdict(w, VERDICT_FAILED), 10, 20);
    assert_int_equal(w->alarms, 1);
    assert_int_equal(w->alarm_kind, POOL_ALARM_PAUSED);
    assert_non_null(strstr(w->alarm, "Relay access denied"));
    world_free(w);
}

static void test_smtputf8(void **state)
{
    struct world *w = world_new(STREAMED);
    struct relay_settings r = world_settings(&w->script, "plain");

    (void)state;
    r.priority = 10;
    assert_true(world_add(w, &r));
    w->utf8_odd = true;
    world_letters(w, 20);
    world_send(w, 5.0);
    assert_int_equal(count_verdict(w, VERDICT_SENT), 10);
    assert_int_equal(count_verdict(w, VERDICT_FAILED), 10);
    assert_int_equal(w->letters[1].enhanced[1], 6);
    assert_int_equal(w->letters[1].enhanced[2], 7);
    world_free(w);

    /* A relay of a lower priority that offers it gets them. */
    w = world_new(STREAMED);
    r.port = w->script.port;
    assert_true(world_add(w, &r));
    script_start(&w->second, w->loop, "PIPELINING|8BITMIME|SMTPUTF8");
    r = world_settings(&w->second, "utf8");
    assert_true(world_add(w, &r));
    w->utf8_odd = true;
    world_letters(w, 20);
    world_send(w, 5.0);
    assert_int_equal(count_verdict(w, VERDICT_SENT), 20);
    assert_int_equal(count_relay(w, "utf8"), 10);
    world_free(w);
}

static void test_idle_and_age(void **state)
{
    struct world *w = world_new(STREAMED);
    struct relay_settings r = world_settings(&w->script, "one");
    struct pool_stats stats;

    (void)state;
    r.idle_ms = 40;
    assert_true(world_add(w, &r));
    world_letters(w, 3);
    world_send(w, 5.0);
    pool_counts(w->pool, &stats);
    assert_int_equal(stats.ready + stats.sending, 1);
    world_run(w, 0.25);
    pool_counts(w->pool, &stats);
    assert_int_equal(stats.ready + stats.sending + stats.closing, 0);
    assert_int_equal(w->script.open, 0);
    assert_int_equal(w->alarms, 0);
    /* And again, on a new connection. */
    world_letters(w, 3);
    pool_wake(w->pool);
    world_run(w, 5.0);
    assert_int_equal(count_verdict(w, VERDICT_SENT), 6);
    assert_int_equal(w->script.connections, 2);
    world_free(w);
}

static void test_lanes_min(void **state)
{
    struct world *w = world_new(STREAMED);
    struct relay_settings r = world_settings(&w->script, "one");
    struct pool_stats stats;

    (void)state;
    r.lanes_min = 2;
    r.lanes_max = 4;
    r.idle_ms = 20;
    assert_true(world_add(w, &r));
    pool_start(w->pool);
    world_run(w, 0.15);
    pool_counts(w->pool, &stats);
    assert_int_equal(stats.ready, 2);
    assert_int_equal(w->script.connections, 2);
    world_free(w);
}

/* Every gear: drained means all in flight answered, QUIT said, no new. */
static void test_drain(void **state)
{
    static const char *const offers[] = {"SIZE", PIPELINED, STREAMED};

    (void)state;
    for (int i = 0; i < 3; i++) {
        struct world *w = world_new(offers[i]);
        struct relay_settings r = world_settings(&w->script, "one");
        struct pool_stats stats;

        r.lanes_max = 3;
        w->script.delay_ms = 3;
        assert_true(world_add(w, &r));
        world_letters(w, 600);
        w->done_before_stop = 50;
        world_send(w, 5.0);
        world_drain(w, 5.0);
        assert_true(w->is_drained);
        pool_counts(w->pool, &stats);
        assert_int_equal(stats.in_flight, 0);
        assert_int_equal(stats.counts.unsure, 0);
        assert_int_equal(count_verdict(w, VERDICT_SENT), w->given);
        assert_true(w->given < 600);
        assert_int_equal(pool_room(w->pool), 0);
        world_run(w, 0.02);
        assert_int_equal(w->script.open, 0);
        world_free(w);
    }
}

static void test_drain_idle(void **state)
{
    struct world *w = world_new(STREAMED);
    struct relay_settings r = world_settings(&w->script, "one");

    (void)state;
    assert_true(world_add(w, &r));
    world_drain(w, 2.0);
    assert_true(w->is_drained);
    world_free(w);
}

/* Killed: what was wholly given is unsure, the rest returns, none twice. */
static void test_kill(void **state)
{
    static const char *const offers[] = {"SIZE", PIPELINED, STREAMED};

    (void)state;
    for (int i = 0; i < 3; i++) {
        struct world *w = world_new(offers[i]);
        struct relay_settings r = world_settings(&w->script, "one");
        int ended = 0;

        r.lanes_max = 3;
        w->parks = true;
        w->script.delay_ms = 3;
        assert_true(world_add(w, &r));
        world_letters(w, 600);
        w->done_before_stop = 50;
        world_send(w, 5.0);
        pool_kill(w->pool);
        assert_int_equal(pool_in_flight(w->pool), 0);
        for (int k = 0; k < w->count; k++) {
            struct world_letter *l = &w->letters[k];

            assert_true(l->done + l->returned <= 1);
            ended += l->done + l->returned;
            if (l->done && l->verdict == VERDICT_UNSURE) {
                assert_int_equal(l->begun, 1);
            }
            if (l->returned && i < 2) {
                assert_int_equal(w->script.arrived[k], 0);
            }
        }
        assert_int_equal(ended, w->given);
        world_free(w);
    }
}

struct probed {
    struct ev_loop *loop;
    struct relay_report report;
    int calls;
};

static void on_probed(void *ctx, const struct relay_report *report)
{
    struct probed *p = ctx;

    p->report = *report;
    p->calls++;
    ev_break(p->loop, EVBREAK_ALL);
}

static void test_probe(void **state)
{
    struct world *w = world_new("PIPELINING|CHUNKING|AUTH PLAIN");
    struct relay_settings r = world_settings(&w->script, "one");
    struct probed p = {.loop = w->loop};

    (void)state;
    relay_probe(w->loop, &r, on_probed, &p);
    world_run(w, 2.0);
    assert_int_equal(p.calls, 1);
    assert_true(p.report.is_ok);
    assert_false(p.report.is_auth);
    assert_int_equal(p.report.gear, GEAR_STREAMED);
    assert_string_equal(p.report.text, "script.test ESMTP");
    assert_string_equal(p.report.ehlo.auth, "PLAIN");

    r.user = "good";
    r.password = "bad";
    relay_probe(w->loop, &r, on_probed, &p);
    world_run(w, 2.0);
    assert_int_equal(p.calls, 2);
    assert_false(p.report.is_ok);
    assert_non_null(strstr(p.report.text, "535 5.7.8"));

    r.port = 1;
    relay_probe(w->loop, &r, on_probed, &p);
    world_run(w, 2.0);
    assert_int_equal(p.calls, 3);
    assert_false(p.report.is_ok);

    /* A server that does not speak first, and never will. */
    w->script.greeting = "\r\n";
    r.port = w->script.port;
    r.timeouts.connect_ms = 50;
    r.timeouts.command_ms = 100;
    relay_probe(w->loop, &r, on_probed, &p);
    world_run(w, 3.0);
    assert_int_equal(p.calls, 4);
    assert_false(p.report.is_ok);
    world_free(w);
}

/* Behind refused credentials libcurl says QUIT and waits, blocking all, for
 * its answer; not so on connections that are ours. And a relay that does not
 * answer our QUIT is left. */
static void test_no_blocking(void **state)
{
    struct world *w = world_new("PIPELINING|AUTH PLAIN");
    struct relay_settings r = world_settings(&w->script, "one");
    int64_t began_ms = clock_monotonic_ms();

    (void)state;
    r.user = "good";
    r.password = "bad";
    w->script.is_mute_to_quit = true;
    assert_true(world_add(w, &r));
    world_letters(w, 1);
    world_send(w, 0.1);
    assert_int_equal(w->alarms, 1);
    assert_true(clock_monotonic_ms() - began_ms < 1000);
    world_free(w);

    w = world_new("PIPELINING");
    r = world_settings(&w->script, "one");
    r.timeouts.quit_ms = 50;
    w->script.is_mute_to_quit = true;
    assert_true(world_add(w, &r));
    world_letters(w, 1);
    world_send(w, 2.0);
    began_ms = clock_monotonic_ms();
    world_drain(w, 2.0);
    assert_true(w->is_drained);
    assert_in_range(clock_monotonic_ms() - began_ms, 45, 500);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lanes_open),
        cmocka_unit_test(test_too_many_connections),
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_priority),
        cmocka_unit_test(test_failover),
        cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_bad_password),
        cmocka_unit_test(test_password),
        cmocka_unit_test(test_starttls_missing),
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_rate),
        cmocka_unit_test(test_throttled),
        cmocka_unit_test(test_strained),
        cmocka_unit_test(test_doubts),
        cmocka_unit_test(test_smtputf8),
        cmocka_unit_test(test_idle_and_age),
        cmocka_unit_test(test_lanes_min),
        cmocka_unit_test(test_drain),
        cmocka_unit_test(test_drain_idle),
        cmocka_unit_test(test_kill),
        cmocka_unit_test(test_probe),
        cmocka_unit_test(test_no_blocking),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
