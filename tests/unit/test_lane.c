/*
 * test_lane - each gear against a relay that misbehaves at each place.
 *
 * A row is one letter among twelve that meets a fault; the others must be
 * sent. The exact outcome of each letter is asserted, that no letter is
 * lost, and that the relay took a letter once when we say sent, and not at
 * all when we say deferred or failed.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "smtp_world.h"

enum { LETTERS = 12, VICTIM = 5 };

struct gear_case {
    const char *name;
    const char *offers;
    enum gear gear;
    int window;
    size_t chunk;
};

static const struct gear_case gears[] = {
    {"lockstep", "SIZE 1000000|8BITMIME", GEAR_AUTO, 8, 0},
    {"pipelined", "PIPELINING|SIZE", GEAR_AUTO, 8, 0},
    {"streamed", "PIPELINING|CHUNKING|SIZE", GEAR_AUTO, 8, 0},
    {"streamed, window 1", "PIPELINING|CHUNKING", GEAR_AUTO, 1, 0},
    {"streamed, unproven", "PIPELINING|CHUNKING", GEAR_STREAMED, 8, 0},
    {"lockstep, split", "SIZE 1000000|8BITMIME", GEAR_AUTO, 8, 1},
    {"pipelined, split", "PIPELINING|SIZE", GEAR_AUTO, 8, 1},
    {"streamed, split", "PIPELINING|CHUNKING|SIZE", GEAR_AUTO, 8, 1},
};

enum { GEARS = sizeof(gears) / sizeof(gears[0]) };

struct fault_case {
    const char *name;
    enum script_place place;
    enum script_act act;
    const char *text;
    enum verdict verdict; /* of the victim in the end */
    int code;
    bool suppress;
    bool may_arrive; /* unsure: the relay may have it or not */
    bool one_only;   /* a single fault: the letter comes again */
};

static const struct fault_case faults[] = {
    {"MAIL 451", ON_MAIL, DO_REPLY, "451 4.3.0 later\r\n", VERDICT_DEFERRED,
     451, false, false, false},
    {"MAIL 550", ON_MAIL, DO_REPLY, "550 5.7.1 not you\r\n", VERDICT_DEFERRED,
     550, false, false, false},
    {"MAIL 552", ON_MAIL, DO_REPLY, "552 5.3.4 too big\r\n", VERDICT_FAILED,
     552, false, false, false},
    {"RCPT 450", ON_RCPT, DO_REPLY, "450 4.7.1 greylisted\r\n",
     VERDICT_DEFERRED, 450, false, false, false},
    {"RCPT 550", ON_RCPT, DO_REPLY, "550-5.1.1 no\r\n550 5.1.1 such user\r\n",
     VERDICT_FAILED, 550, true, false, false},
    {"RCPT 554", ON_RCPT, DO_REPLY, "554 5.7.1 policy\r\n", VERDICT_FAILED, 554,
     false, false, false},
    {"RCPT 552 5.5.3", ON_RCPT, DO_REPLY, "552 5.5.3 too many\r\n",
     VERDICT_DEFERRED, 552, false, false, false},
    {"content 451", ON_CONTENT, DO_REPLY, "451 4.7.1 later\r\n",
     VERDICT_DEFERRED, 451, false, false, false},
    {"content 554", ON_CONTENT, DO_REPLY, "554 5.6.0 spam\r\n", VERDICT_FAILED,
     554, false, false, false},
    {"content 250 bare", ON_CONTENT, DO_REPLY, "250\r\n", VERDICT_SENT, 250,
     false, false, false},
    {"MAIL 421", ON_MAIL, DO_REPLY_CLOSE, "421 4.3.2 closing\r\n", VERDICT_SENT,
     250, false, false, true},
    {"RCPT 421", ON_RCPT, DO_REPLY_CLOSE, "421 4.3.2 closing\r\n",
     VERDICT_DEFERRED, 421, false, false, true},
    {"content 421", ON_CONTENT, DO_REPLY_CLOSE, "421 4.3.2 closing\r\n",
     VERDICT_DEFERRED, 421, false, false, true},
    {"content dropped", ON_CONTENT, DO_DROP, NULL, VERDICT_UNSURE, 0, false,
     true, true},
    {"content taken, then dropped", ON_CONTENT, DO_ACCEPT_DROP, NULL,
     VERDICT_UNSURE, 0, false, true, true},
    {"content stalls", ON_CONTENT, DO_STALL, NULL, VERDICT_UNSURE, 0, false,
     true, true},
    {"content answered by garbage", ON_CONTENT, DO_REPLY, "hello\r\n",
     VERDICT_UNSURE, 0, false, true, true},
    {"content answered by 354", ON_CONTENT, DO_REPLY, "354 what\r\n",
     VERDICT_UNSURE, 354, false, true, true},
    {"content 503", ON_CONTENT, DO_REPLY, "503 5.5.1 sequence\r\n",
     VERDICT_DEFERRED, 503, false, true, true},
};

/* patience_ms: how long a relay may be silent. */
static struct world *begin_patient(const struct gear_case *g, int patience_ms)
{
    struct world *w = world_new(g->offers);
    struct relay_settings r = world_settings(&w->script, "script");

    r.gear = g->gear;
    r.window_max = g->window;
    r.timeouts.dot_ms = patience_ms;
    r.timeouts.command_ms = patience_ms;
    r.timeouts.data_ms = patience_ms;
    w->script.chunk = g->chunk;
    assert_true(world_add(w, &r));
    world_letters(w, LETTERS);
    return w;
}

static struct world *begin(const struct gear_case *g)
{
    return begin_patient(g, 5000);
}

/* No letter is lost, none has two outcomes, and the relay agrees. */
static void check_letters(struct world *w, const char *what)
{
    struct pool_stats stats;
    int errors = 0;

    pool_counts(w->pool, &stats);
    for (int k = 0; k < w->count; k++) {
        struct world_letter *l = &w->letters[k];
        int arrived = w->script.arrived[k] + w->second.arrived[k];
        bool is_wrong =
            l->done != 1 || (l->verdict == VERDICT_SENT && arrived != 1) ||
            (l->verdict == VERDICT_UNSURE && arrived > 1) ||
            ((l->verdict == VERDICT_DEFERRED || l->verdict == VERDICT_FAILED) &&
             arrived != 0);

        if (is_wrong) {
            print_error("%s: letter %d: done %d, %s %d \"%s\", arrived %d\n",
                        what, k, l->done, verdict_name(l->verdict), l->code,
                        l->text, arrived);
            errors++;
        }
    }
    assert_int_equal(errors, 0);
    assert_int_equal(w->script.strays, 0);
    assert_int_equal(stats.counts.sent + stats.counts.deferred +
                         stats.counts.failed + stats.counts.unsure,
                     w->count);
    assert_int_equal(stats.in_flight, 0);
}

static void check_victim(struct world *w, const struct fault_case *f,
                         const char *what)
{
    struct world_letter *v = &w->letters[VICTIM];

    if (v->verdict != f->verdict || v->code != f->code ||
        v->suppress != f->suppress) {
        print_error("%s: got %s %d suppress %d \"%s\"; want %s %d suppress "
                    "%d\n",
                    what, verdict_name(v->verdict), v->code, v->suppress,
                    v->text, verdict_name(f->verdict), f->code, f->suppress);
        fail();
    }
    for (int k = 0; k < w->count; k++) {
        struct world_letter *l = &w->letters[k];
        /* Others may share a dropped window, and only then be unsure. */
        bool is_fine = k == VICTIM || l->verdict == VERDICT_SENT ||
                       (f->may_arrive && l->verdict == VERDICT_UNSURE);

        if (!is_fine) {
            print_error("%s: letter %d: %s %d \"%s\"\n", what, k,
                        verdict_name(l->verdict), l->code, l->text);
            fail();
        }
    }
}

static void test_faults(void **state)
{
    (void)state;
    for (size_t g = 0; g < GEARS; g++) {
        for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
            struct fault fault = {.letter = VICTIM,
                                  .place = faults[i].place,
                                  .act = faults[i].act,
                                  .text = faults[i].text,
                                  .times = faults[i].one_only ? 1 : 0};
            struct world *w = begin_patient(
                &gears[g], faults[i].act == DO_STALL ? 250 : 5000);
            char what[128];

            snprintf(what, sizeof(what), "%s, %s", gears[g].name,
                     faults[i].name);
            if (getenv("TEST_DEBUG")) {
                print_message("--- %s\n", what);
            }
            w->script.faults = &fault;
            w->script.fault_count = 1;
            world_send(w, 5.0);
            check_letters(w, what);
            check_victim(w, &faults[i], what);
            world_free(w);
        }
    }
}

static void test_all_well(void **state)
{
    (void)state;
    for (size_t g = 0; g < GEARS; g++) {
        struct world *w = begin(&gears[g]);

        world_letters(w, 300);
        world_send(w, 5.0);
        check_letters(w, gears[g].name);
        assert_int_equal(w->script.connections, 1);
        for (int k = 0; k < w->count; k++) {
            assert_int_equal(w->letters[k].verdict, VERDICT_SENT);
            assert_int_equal(w->letters[k].begun, 1);
            assert_int_equal(w->letters[k].returned, 0);
            assert_string_equal(w->letters[k].text, "2.0.0 Ok: queued");
        }
        world_free(w);
    }
}

/* Every second recipient is refused, with and without a relay that keeps a
 * refused transaction open: nobody must get a letter of somebody else. */
static void test_many_refused(void **state)
{
    (void)state;
    for (size_t g = 0; g < GEARS; g++) {
        for (int keeps = 0; keeps < 2; keeps++) {
            struct fault many[60];
            struct world *w = begin(&gears[g]);

            world_letters(w, 108);
            for (int i = 0; i < 60; i++) {
                many[i] = (struct fault){.letter = 2 * i,
                                         .place = i % 2 ? ON_RCPT : ON_CONTENT,
                                         .act = DO_REPLY,
                                         .text = i % 2 ? "550 5.1.1 no\r\n"
                                                       : "554 5.6.0 no\r\n"};
            }
            w->script.faults = many;
            w->script.fault_count = 60;
            w->script.keeps_refused = keeps;
            world_send(w, 5.0);
            check_letters(w, gears[g].name);
            for (int k = 0; k < w->count; k++) {
                assert_int_equal(w->letters[k].verdict,
                                 k % 2 ? VERDICT_SENT : VERDICT_FAILED);
            }
            assert_int_equal(w->script.connections, 1);
            world_free(w);
        }
    }
}

/* A pipelining relay that says 354 although it refused the recipient. */
static void test_lone_dot(void **state)
{
    struct gear_case g = {"lax", "PIPELINING|LAX", GEAR_AUTO, 8, 0};
    struct fault f = {VICTIM, ON_RCPT, DO_REPLY, "550 5.1.1 no\r\n", 0};
    struct world *w = begin(&g);

    (void)state;
    w->script.faults = &f;
    w->script.fault_count = 1;
    world_send(w, 5.0);
    check_letters(w, "lone dot");
    assert_int_equal(w->letters[VICTIM].verdict, VERDICT_FAILED);
    assert_int_equal(w->letters[VICTIM].begun, 0);
    assert_int_equal(w->script.connections, 1);
    world_free(w);
}

static void test_data_refused(void **state)
{
    (void)state;
    for (size_t g = 0; g < 2; g++) {
        struct fault f = {VICTIM, ON_DATA, DO_REPLY, "451 4.7.1 no\r\n", 0};
        struct world *w = begin(&gears[g]);

        w->script.faults = &f;
        w->script.fault_count = 1;
        world_send(w, 5.0);
        check_letters(w, "DATA 451");
        assert_int_equal(w->letters[VICTIM].verdict, VERDICT_DEFERRED);
        assert_int_equal(w->letters[VICTIM].code, 451);
        assert_int_equal(w->letters[VICTIM].begun, 0);
        world_free(w);
    }
}

/* A drop before the content costs nothing: the letter comes again. */
static void test_dropped_before_content(void **state)
{
    static const enum script_place places[] = {ON_MAIL, ON_RCPT, ON_DATA};

    (void)state;
    for (size_t g = 0; g < 2; g++) {
        for (int i = 0; i < 3; i++) {
            struct fault f = {VICTIM, places[i], DO_DROP, NULL, 1};
            struct world *w = begin(&gears[g]);

            w->script.faults = &f;
            w->script.fault_count = 1;
            world_send(w, 5.0);
            check_letters(w, "dropped before content");
            assert_int_equal(w->letters[VICTIM].verdict, VERDICT_SENT);
            assert_true(w->letters[VICTIM].returned >= 1);
            world_free(w);
        }
    }
}

/* A reply nobody asked for: no letter may be believed sent because of it. */
static void test_extra_reply(void **state)
{
    (void)state;
    for (size_t g = 0; g < GEARS; g++) {
        struct fault f = {VICTIM, ON_CONTENT, DO_EXTRA, "250 2.0.0 Ok\r\n", 1};
        struct world *w = begin(&gears[g]);

        w->script.faults = &f;
        w->script.fault_count = 1;
        world_send(w, 5.0);
        /* In the streamed gear a reply too many cannot be seen before the
         * pipe runs dry; then all is closed, and nothing is lost. */
        for (int k = 0; k < w->count; k++) {
            assert_int_equal(w->letters[k].done, 1);
        }
        assert_true(w->script.connections >= 1);
        world_free(w);
    }
}

static void test_message_cap(void **state)
{
    (void)state;
    for (size_t g = 0; g < GEARS; g++) {
        for (int how = 0; how < 2; how++) {
            char offers[128];
            struct gear_case c = gears[g];
            struct world *w = NULL;
            struct relay_settings r;

            snprintf(offers, sizeof(offers), "%s%s", c.offers,
                     how ? "|limits MailMax=5 RCPTMAX=9 X=1" : "");
            w = world_new(offers);
            r = world_settings(&w->script, "capped");
            r.gear = c.gear;
            r.window_max = c.window;
            r.messages_per_connection = how ? 0 : 5;
            assert_true(world_add(w, &r));
            world_letters(w, 20);
            world_send(w, 5.0);
            check_letters(w, c.name);
            assert_int_equal(w->script.connections, 4);
            for (int k = 0; k < w->count; k++) {
                assert_int_equal(w->letters[k].returned, 0);
            }
            world_free(w);
        }
    }
}

/* 421 and FIN behind each fourth letter: what follows is not counted. */
static void test_idle_close(void **state)
{
    (void)state;
    for (size_t g = 0; g < GEARS; g++) {
        struct world *w = begin(&gears[g]);

        w->script.close_idle_after = 4;
        world_send(w, 5.0);
        check_letters(w, gears[g].name);
        for (int k = 0; k < w->count; k++) {
            assert_int_equal(w->letters[k].verdict, VERDICT_SENT);
        }
        assert_int_equal(w->script.connections, 3);
        world_free(w);
    }
}

/* The relay takes three letters a connection and answers MAIL with 421. */
static void test_mail_421(void **state)
{
    (void)state;
    for (size_t g = 0; g < GEARS; g++) {
        struct world *w = begin(&gears[g]);

        w->script.mail_421_after = 3;
        world_send(w, 5.0);
        check_letters(w, gears[g].name);
        for (int k = 0; k < w->count; k++) {
            assert_int_equal(w->letters[k].verdict, VERDICT_SENT);
        }
        world_free(w);
    }
}

/* A relay that takes a refused chunk for commands is found out before any
 * letter is at stake. */
static void test_does_not_swallow(void **state)
{
    struct fault f = {VICTIM, ON_RCPT, DO_REPLY, "550 5.1.1 no\r\n", 0};
    struct world *w = begin(&gears[2]);

    (void)state;
    w->script.does_not_swallow = true;
    w->script.faults = &f;
    w->script.fault_count = 1;
    world_send(w, 5.0);
    check_letters(w, "does not swallow");
    assert_int_equal(w->script.bdats, 1); /* the proof */
    assert_int_equal(w->letters[VICTIM].verdict, VERDICT_FAILED);
    assert_int_equal(w->letters[VICTIM].returned, 0);
    world_free(w);
}

/* Content that is refused by ourselves before it can do harm. */
static void test_unsafe(void **state)
{
    static const struct {
        const char *from, *to, *content;
        int enhanced[3];
    } rows[] = {
        {"a@b", "x@y>\r\nRCPT TO:<evil@x", NULL, {5, 1, 3}},
        {"a@b", "x y@z", NULL, {5, 1, 3}},
        {"a@b", "", NULL, {5, 1, 3}},
        {"a@b", "x@y\x7f", NULL, {5, 1, 3}},
        {"a@b> SIZE=1", "x@y", NULL, {5, 1, 7}},
        {"a\n@b", "x@y", NULL, {5, 1, 7}},
        {"a@b", "x@y", "A: b\r\n\r\n.\r\nMAIL FROM:<>\r\n", {5, 6, 0}},
        {"a@b", "x@y", ".\r\n", {5, 6, 0}},
        {"a@b", "x@y", "A: b\r\n\r\nbare\nline\r\n", {5, 6, 0}},
        {"a@b", "x@y", "A: b\r\n\r\nbare\rreturn\r\n", {5, 6, 0}},
        {"a@b", "x@y", "A: b\r\n\r\nno end", {5, 6, 0}},
        {"a@b", "x@y", "A: b\r\n\r\nlf end\n", {5, 6, 0}},
        {"a@b", "x@y", "", {5, 6, 0}},
        {"a@b", "x\xc3\xa4@y", NULL, {5, 6, 7}},
    };

    (void)state;
    for (size_t g = 0; g < GEARS; g++) {
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            struct world *w = world_new(gears[g].offers);
            struct relay_settings r = world_settings(&w->script, "script");

            r.gear = gears[g].gear;
            assert_true(world_add(w, &r));
            world_letters(w, 1);
            snprintf(w->letters[0].from, 64, "%s", rows[i].from);
            snprintf(w->letters[0].to, 64, "%s", rows[i].to);
            w->content = rows[i].content;
            world_send(w, 5.0);
            assert_int_equal(w->letters[0].done, 1);
            assert_int_equal(w->letters[0].verdict, VERDICT_FAILED);
            assert_int_equal(w->letters[0].code, 0);
            assert_memory_equal(w->letters[0].enhanced, rows[i].enhanced,
                                sizeof(rows[i].enhanced));
            assert_int_equal(w->letters[0].begun, 0);
            world_free(w);
        }
    }
}

/* Letters larger than all buffers on the way, and a limit on them. */
static void test_large(void **state)
{
    (void)state;
    for (size_t g = 0; g < 5; g++) {
        struct world *w = begin(&gears[g]);

        w->content_size = 700 * 1000;
        world_send(w, 10.0);
        check_letters(w, gears[g].name);
        for (int k = 0; k < w->count; k++) {
            assert_int_equal(w->letters[k].verdict, VERDICT_SENT);
        }
        world_free(w);
    }
    for (size_t g = 0; g < 3; g++) {
        struct world *w = world_new("PIPELINING|CHUNKING|SIZE 1000");
        struct relay_settings r = world_settings(&w->script, "small");

        r.gear = (enum gear)g;
        assert_true(world_add(w, &r));
        w->content_size = 2000;
        world_letters(w, 3);
        world_send(w, 5.0);
        for (int k = 0; k < 3; k++) {
            assert_int_equal(w->letters[k].verdict, VERDICT_FAILED);
            assert_int_equal(w->letters[k].enhanced[1], 3);
            assert_int_equal(w->letters[k].enhanced[2], 4);
        }
        world_free(w);
    }
}

static void test_retry_after(void **state)
{
    struct fault f = {VICTIM, ON_RCPT, DO_REPLY,
                      "450 4.7.1 Greylisted, try again in 5 minutes\r\n", 0};
    struct world *w = begin(&gears[1]);

    (void)state;
    w->script.faults = &f;
    w->script.fault_count = 1;
    world_send(w, 5.0);
    assert_int_equal(w->letters[VICTIM].retry_after_s, 300);
    assert_string_equal(w->letters[VICTIM].text,
                        "4.7.1 Greylisted, try again in 5 minutes");
    world_free(w);
}

/* The next envelope goes behind the content in one write. */
static void test_glued(void **state)
{
    struct world *w = begin(&gears[2]);

    (void)state;
    world_letters(w, 200);
    world_send(w, 5.0);
    assert_true(w->script.groups_max > 3);
    assert_true(w->script.rsets > 0);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_well),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_many_refused),
        cmocka_unit_test(test_lone_dot),
        cmocka_unit_test(test_data_refused),
        cmocka_unit_test(test_dropped_before_content),
        cmocka_unit_test(test_extra_reply),
        cmocka_unit_test(test_message_cap),
        cmocka_unit_test(test_idle_close),
        cmocka_unit_test(test_mail_421),
        cmocka_unit_test(test_does_not_swallow),
        cmocka_unit_test(test_unsafe),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_retry_after),
        cmocka_unit_test(test_glued),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
