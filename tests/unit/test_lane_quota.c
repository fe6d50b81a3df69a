/*
 * test_lane_quota - limits in common: several workers, in one process where
 * the time is passed in, and forked where it is about memory, locks and
 * sudden death.
 */
#include "test.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "smtp/quota.h"

enum { WORKERS = 4, ALWAYS = 1000 * 1000 };

struct team {
    struct quota_board *board;
    struct quota one[WORKERS];
};

static struct team make(struct limits_settings s)
{
    struct team t = {.board = quota_board_new(2, WORKERS)};

    s.lanes_max = s.lanes_max ? s.lanes_max : 4;
    s.rest_ms = 1000;
    s.rest_max_ms = 30000;
    s.pause_ms = 60000;
    assert_non_null(t.board);
    quota_board_set(t.board, 0, &s, 0);
    quota_board_set(t.board, 1, &s, 0);
    for (int i = 0; i < WORKERS; i++) {
        quota_join(&t.one[i], t.board, 1, i);
    }
    return t;
}

static void drop(struct team *t)
{
    for (int i = 0; i < WORKERS; i++) {
        quota_release(&t->one[i]);
    }
    quota_board_free(t->board);
}

/* As many letters as let all lanes open. */
static void prove(struct team *t)
{
    for (int i = 0; i < 1000; i++) {
        quota_accepted(&t->one[0]);
    }
}

static void pause_us(long us)
{
    struct timespec wait = {.tv_nsec = us * 1000};

    nanosleep(&wait, NULL);
}

/* ---- forked --------------------------------------------------------------
 */

/* Memory that children write into. */
static void *common(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    assert_true(memory != MAP_FAILED);
    return memory;
}

static void wait_all(const pid_t *pids)
{
    for (int i = 0; i < WORKERS; i++) {
        int status = 0;

        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
}

/* Four processes, each with its own clock from 0 to 2000 ms: one second's
 * worth, and what two seconds earn, no more. */
static void test_rate_of_all(void **state)
{
    struct team t = make((struct limits_settings){.letters_per_s = 1000});
    atomic_int *taken = common(sizeof(*taken));
    pid_t pids[WORKERS];

    (void)state;
    for (int i = 0; i < WORKERS; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            for (int64_t now_ms = 0; now_ms <= 2000; now_ms++) {
                while (quota_take_letter(&t.one[i], now_ms)) {
                    atomic_fetch_add(taken, 1);
                }
            }
            _exit(0);
        }
    }
    wait_all(pids);
    assert_in_range(atomic_load(taken), 2999, 3000);
    munmap(taken, sizeof(*taken));
    drop(&t);
}

struct lane_watch {
    atomic_int open;
    atomic_int peak;
    atomic_int turns[WORKERS];
};

/* A worker that wants a connection all the time, and gives it back soon. */
static void work(struct quota *q, struct lane_watch *w)
{
    int64_t end_ms = clock_monotonic_ms() + 400;

    while (clock_monotonic_ms() < end_ms) {
        int open = 0;

        if (!quota_take_lane(q, clock_monotonic_ms())) {
            pause_us(20);
            continue;
        }
        open = atomic_fetch_add(&w->open, 1) + 1;
        if (open > atomic_load(&w->peak)) {
            atomic_store(&w->peak, open);
        }
        atomic_fetch_add(&w->turns[q->worker], 1);
        pause_us(100);
        atomic_fetch_sub(&w->open, 1);
        quota_give_lane(q);
    }
    quota_want_no_lane(q);
}

static void test_lanes_of_all(void **state)
{
    struct team t = make((struct limits_settings){.lanes_max = 2});
    struct lane_watch *w = common(sizeof(*w));
    pid_t pids[WORKERS];

    (void)state;
    prove(&t);
    for (int i = 0; i < WORKERS; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            work(&t.one[i], w);
            _exit(0);
        }
    }
    wait_all(pids);
    assert_int_equal(atomic_load(&w->peak), 2);
    for (int i = 0; i < WORKERS; i++) {
        assert_true(atomic_load(&w->turns[i]) > 20);
    }
    assert_int_equal(quota_lanes_used(&t.one[0]), 0);
    munmap(w, sizeof(*w));
    drop(&t);
}

/* Whatever a worker was doing when it was killed, the lock among it: the
 * others go on, and its connections are given back. */
static void test_killed(void **state)
{
    struct team t = make((struct limits_settings){
        .lanes_max = 4, .letters_per_s = ALWAYS, .connects_per_s = ALWAYS});

    (void)state;
    prove(&t);
    for (int round = 0; round < 60; round++) {
        int64_t now_ms = 1000 * (round + 1);
        int status = 0;
        pid_t pid = fork();

        if (pid == 0) {
            quota_take_lane(&t.one[1], now_ms);
            for (;;) {
                quota_take_lane(&t.one[1], now_ms);
                quota_take_letter(&t.one[1], now_ms);
                quota_give_letter(&t.one[1]);
                quota_working(&t.one[1], 2, true);
                quota_give_lane(&t.one[1]);
            }
        }
        while (quota_lanes_used(&t.one[0]) == 0) {
            pause_us(10);
        }
        pause_us(200 + 13 * round);
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        assert_true(quota_take_letter(&t.one[0], now_ms));
        quota_board_forget(t.board, 1);
        assert_int_equal(quota_lanes_used(&t.one[0]), 0);
        for (int i = 0; i < 4; i++) {
            assert_true(quota_take_lane(&t.one[0], now_ms));
        }
        assert_false(quota_take_lane(&t.one[0], now_ms));
        quota_board_forget(t.board, 0);
    }
    drop(&t);
}

/* ---- with the time passed in ---------------------------------------------
 */

static void test_who_gets_a_lane(void **state)
{
    struct team t = make((struct limits_settings){.lanes_max = 3});
    struct quota *a = &t.one[0];
    struct quota *b = &t.one[1];
    struct quota *c = &t.one[2];

    (void)state;
    assert_true(quota_take_lane(a, 1)); /* the first is given at once */
    assert_false(quota_take_lane(a, 2));
    assert_false(quota_take_lane(b, 3));
    assert_false(quota_take_lane(c, 4));
    prove(&t);
    /* Two are free and two have none: they go before the one that has. */
    assert_false(quota_take_lane(a, 5));
    assert_true(quota_take_lane(c, 6));
    assert_true(quota_take_lane(b, 7));
    assert_int_equal(quota_lanes_used(a), 3);

    /* b has two, c one, and a waits with none: b yields, for a. */
    quota_give_lane(a);
    quota_want_no_lane(a);
    assert_true(quota_take_lane(b, 10));
    assert_false(quota_must_yield(b, 11));
    assert_false(quota_take_lane(a, 12));
    assert_false(quota_take_lane(b, 12));
    assert_true(quota_must_yield(b, 13));
    assert_false(quota_must_yield(c, 13));
    quota_give_lane(b);
    assert_false(quota_take_lane(b, 14));
    assert_true(quota_take_lane(a, 15));
    /* Equal parts: nobody yields, however long. */
    assert_false(quota_take_lane(b, 60000));
    for (int i = 0; i < WORKERS; i++) {
        assert_false(quota_must_yield(&t.one[i], 60001));
    }
    /* One that waited and was not heard of since does not wait any more. */
    assert_false(quota_take_lane(&t.one[3], 70000));
    assert_true(quota_must_yield(c, 70001) + quota_must_yield(b, 70001) +
                    quota_must_yield(a, 70001) ==
                1);
    assert_false(quota_must_yield(c, 72000) || quota_must_yield(b, 72000) ||
                 quota_must_yield(a, 72000));
    drop(&t);
}

/* One connection, three workers: it goes round. */
static void test_turns(void **state)
{
    struct team t = make((struct limits_settings){.lanes_max = 1});
    int turns[WORKERS] = {0};
    int64_t now_ms = 1;

    (void)state;
    while (now_ms < 60000) {
        for (int i = 0; i < 3; i++) {
            struct quota *q = &t.one[i];

            if (quota_must_yield(q, now_ms)) {
                quota_give_lane(q);
            }
            if (quota_take_lane(q, now_ms)) {
                turns[i]++;
            }
            assert_in_range(quota_lanes_used(q), 0, 1);
        }
        now_ms += 50;
    }
    for (int i = 0; i < 3; i++) {
        assert_in_range(turns[i], 8, 12); /* 2 s each, of 60 */
    }
    drop(&t);
}

static void test_rest_is_for_all(void **state)
{
    struct team t = make((struct limits_settings){.lanes_max = 4});
    int64_t first_ms = 0;
    bool is_news = false;

    (void)state;
    assert_true(quota_take_lane(&t.one[0], 0));
    quota_working(&t.one[0], 1, true);
    /* It cannot get a second one, but one works: no rest. */
    assert_int_equal(quota_failed(&t.one[1], 0), 0);
    quota_working(&t.one[0], 0, false);
    quota_give_lane(&t.one[0]);
    first_ms = quota_failed(&t.one[0], 10);
    assert_in_range(first_ms, 900, 1100);
    assert_int_equal(quota_rest_ms(&t.one[3], 10), first_ms);
    assert_int_equal(quota_failures(&t.one[3]), 1);
    assert_false(quota_take_lane(&t.one[3], 20));
    /* Others that were connecting meanwhile have seen the same failure. */
    assert_int_equal(quota_failed(&t.one[1], 20), first_ms - 10);
    assert_int_equal(quota_failures(&t.one[1]), 1);
    /* When the rest is over one tries, and only one. */
    assert_true(quota_take_lane(&t.one[3], 2000));
    assert_false(quota_take_lane(&t.one[1], 2001));
    assert_in_range(quota_failed(&t.one[3], 2010), 3600, 4400);
    quota_give_lane(&t.one[3]);

    quota_pause(&t.one[1], 10000, &is_news);
    assert_true(is_news);
    quota_pause(&t.one[2], 10001, &is_news);
    assert_false(is_news);
    assert_true(quota_is_paused(&t.one[0]));
    quota_accepted(&t.one[3]);
    assert_false(quota_is_paused(&t.one[0]));
    drop(&t);
}

static void test_hosts_divide(void **state)
{
    static const struct {
        int hosts, letters, lanes;
    } cases[] = {{1, 90, 6}, {2, 45, 3}, {3, 30, 2}, {9, 10, 1}, {1, 90, 6}};
    struct team t =
        make((struct limits_settings){.lanes_max = 6, .letters_per_s = 90});
    int64_t now_ms = 0;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int letters = 0;

        quota_share(&t.one[i % WORKERS], cases[i].hosts, now_ms);
        prove(&t);
        now_ms += 60000;
        while (quota_take_letter(&t.one[letters % WORKERS], now_ms)) {
            letters++;
        }
        assert_int_equal(letters, cases[i].letters);
        for (int ms = 0; ms < 1000; ms++) {
            now_ms++;
            letters += quota_take_letter(&t.one[0], now_ms);
        }
        assert_in_range(letters, 2 * cases[i].letters - 1,
                        2 * cases[i].letters);
        assert_int_equal(quota_lanes(&t.one[0]), cases[i].lanes);
    }
    /* Those that are open and too many are closed, one after the other. */
    for (int i = 0; i < 6; i++) {
        assert_true(quota_take_lane(&t.one[i % 2], now_ms));
    }
    quota_share(&t.one[0], 3, now_ms);
    for (int used = 6; used > 2; used--) {
        bool a = quota_must_yield(&t.one[0], now_ms);

        assert_true(a != quota_must_yield(&t.one[1], now_ms));
        quota_give_lane(&t.one[a ? 0 : 1]);
    }
    assert_false(quota_must_yield(&t.one[0], now_ms));
    assert_false(quota_must_yield(&t.one[1], now_ms));
    drop(&t);
}

/* A worker without a board: the same arithmetic. */
static void test_alone(void **state)
{
    const struct limits_settings s = {.letters_per_s = 5, .lanes_max = 2};
    struct quota q;
    int letters = 0;

    (void)state;
    quota_init(&q, &s, 0, 1);
    while (quota_take_letter(&q, 0)) {
        letters++;
    }
    assert_int_equal(letters, 5);
    assert_true(quota_take_lane(&q, 0));
    assert_false(quota_take_lane(&q, 0));
    quota_accepted(&q);
    assert_true(quota_take_lane(&q, 0));
    assert_false(quota_must_yield(&q, 100000));
    quota_release(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alone),
        cmocka_unit_test(test_who_gets_a_lane),
        cmocka_unit_test(test_turns),
        cmocka_unit_test(test_rest_is_for_all),
        cmocka_unit_test(test_hosts_divide),
        cmocka_unit_test(test_rate_of_all),
        cmocka_unit_test(test_lanes_of_all),
        cmocka_unit_test(test_killed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
