/*
 * test_verdict - the policy, row by row, as an operator would read it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "smtp/verdict.h"

struct row {
    enum place place;
    enum answer answer;
    enum given given;
    int code;
    int enhanced[3];
    enum fate fate;
    enum lane_effect lane;
    enum relay_effect relay;
    bool suppress;
};

#define SAID(place, code, a, b, c)                                             \
    (place), ANSWER_REPLY, GIVEN_NOTHING, (code),                              \
    {                                                                          \
        (a), (b), (c)                                                          \
    }
#define KEEP  EFFECT_KEEP
#define RSET  EFFECT_RSET
#define DRAIN EFFECT_DRAIN
#define CLOSE EFFECT_CLOSE

/* clang-format off */
static const struct row rows[] = {
  /* the usual day */
  {SAID(PLACE_MAIL, 250, 2,1,0), FATE_GO_ON, KEEP, RELAY_NOTHING, false},
  {SAID(PLACE_RCPT, 251, 0,0,0), FATE_GO_ON, KEEP, RELAY_NOTHING, false},
  {SAID(PLACE_RCPT, 252, 0,0,0), FATE_GO_ON, KEEP, RELAY_NOTHING, false},
  {SAID(PLACE_DATA, 354, 0,0,0), FATE_GO_ON, KEEP, RELAY_NOTHING, false},
  {SAID(PLACE_CONTENT, 250, 2,0,0), FATE_SENT, KEEP, RELAY_NOTHING, false},
  {SAID(PLACE_CONTENT, 200, 0,0,0), FATE_SENT, KEEP, RELAY_NOTHING, false},
  {SAID(PLACE_RSET, 250, 0,0,0), FATE_GO_ON, KEEP, RELAY_NOTHING, false},
  /* before any letter */
  {SAID(PLACE_GREETING, 421, 0,0,0), FATE_RETURNED, CLOSE, RELAY_SLOWER, false},
  {SAID(PLACE_GREETING, 554, 0,0,0), FATE_RETURNED, CLOSE, RELAY_PAUSE, false},
  {SAID(PLACE_EHLO, 451, 0,0,0), FATE_RETURNED, CLOSE, RELAY_SLOWER, false},
  {SAID(PLACE_STARTTLS, 454, 4,7,0), FATE_RETURNED, CLOSE, RELAY_SLOWER, false},
  {SAID(PLACE_AUTH, 535, 5,7,8), FATE_RETURNED, DRAIN, RELAY_PAUSE, false},
  {SAID(PLACE_AUTH, 454, 4,7,0), FATE_RETURNED, CLOSE, RELAY_SLOWER, false},
  {SAID(PLACE_AUTH, 432, 4,3,2), FATE_RETURNED, CLOSE, RELAY_SLOWER, false},
  /* the sender */
  {SAID(PLACE_MAIL, 451, 4,1,8), FATE_DEFERRED, KEEP, RELAY_SLOWER, false},
  {SAID(PLACE_MAIL, 454, 0,0,0), FATE_DEFERRED, KEEP, RELAY_SLOWER, false},
  {SAID(PLACE_MAIL, 550, 5,7,1), FATE_DEFERRED, KEEP, RELAY_ALARM, false},
  {SAID(PLACE_MAIL, 553, 0,0,0), FATE_DEFERRED, KEEP, RELAY_ALARM, false},
  {SAID(PLACE_MAIL, 555, 5,5,4), FATE_DEFERRED, KEEP, RELAY_ALARM, false},
  {SAID(PLACE_MAIL, 452, 4,5,3), FATE_RETURNED, DRAIN, RELAY_NOTHING, false},
  {SAID(PLACE_MAIL, 552, 5,3,4), FATE_FAILED, RSET, RELAY_NOTHING, false},
  {SAID(PLACE_MAIL, 552, 0,0,0), FATE_FAILED, RSET, RELAY_NOTHING, false},
  {SAID(PLACE_MAIL, 550, 5,6,7), FATE_FAILED, RSET, RELAY_NOTHING, false},
  {SAID(PLACE_MAIL, 530, 5,7,0), FATE_RETURNED, DRAIN, RELAY_PAUSE, false},
  {SAID(PLACE_MAIL, 421, 4,4,2), FATE_RETURNED, CLOSE, RELAY_NOTHING, false},
  {SAID(PLACE_MAIL, 503, 5,5,1), FATE_RETURNED, CLOSE, RELAY_SLOWER, false},
  {SAID(PLACE_RCPT, 550, 5,1,8), FATE_DEFERRED, RSET, RELAY_ALARM, false},
  {SAID(PLACE_RCPT, 553, 5,1,7), FATE_DEFERRED, RSET, RELAY_ALARM, false},
  /* the recipient */
  {SAID(PLACE_RCPT, 550, 0,0,0), FATE_FAILED, RSET, RELAY_NOTHING, false},
  {SAID(PLACE_RCPT, 550, 5,1,1), FATE_FAILED, RSET, RELAY_NOTHING, true},
  {SAID(PLACE_RCPT, 550, 5,1,2), FATE_FAILED, RSET, RELAY_NOTHING, true},
  {SAID(PLACE_RCPT, 553, 5,1,3), FATE_FAILED, RSET, RELAY_NOTHING, true},
  {SAID(PLACE_RCPT, 551, 5,1,6), FATE_FAILED, RSET, RELAY_NOTHING, true},
  {SAID(PLACE_RCPT, 556, 5,1,10), FATE_FAILED, RSET, RELAY_NOTHING, true},
  {SAID(PLACE_RCPT, 550, 5,2,1), FATE_FAILED, RSET, RELAY_NOTHING, true},
  {SAID(PLACE_RCPT, 552, 5,2,2), FATE_FAILED, RSET, RELAY_NOTHING, false},
  {SAID(PLACE_RCPT, 554, 5,7,1), FATE_FAILED, RSET, RELAY_DOUBT, false},
  {SAID(PLACE_RCPT, 452, 4,5,3), FATE_DEFERRED, RSET, RELAY_NOTHING, false},
  {SAID(PLACE_RCPT, 552, 5,5,3), FATE_DEFERRED, RSET, RELAY_NOTHING, false},
  {SAID(PLACE_RCPT, 450, 4,7,1), FATE_DEFERRED, RSET, RELAY_NOTHING, false},
  {SAID(PLACE_RCPT, 450, 4,1,1), FATE_DEFERRED, RSET, RELAY_NOTHING, false},
  {SAID(PLACE_RCPT, 451, 4,3,0), FATE_DEFERRED, RSET, RELAY_STRAIN, false},
  {SAID(PLACE_RCPT, 451, 4,3,2), FATE_DEFERRED, RSET, RELAY_SLOWER, false},
  {SAID(PLACE_RCPT, 451, 4,3,5), FATE_DEFERRED, RSET, RELAY_STRAIN, false},
  {SAID(PLACE_RCPT, 454, 0,0,0), FATE_DEFERRED, RSET, RELAY_SLOWER, false},
  {SAID(PLACE_RCPT, 421, 4,7,0), FATE_DEFERRED, CLOSE, RELAY_NOTHING, false},
  {SAID(PLACE_RCPT, 500, 0,0,0), FATE_RETURNED, CLOSE, RELAY_SLOWER, false},
  /* DATA */
  {SAID(PLACE_DATA, 250, 0,0,0), FATE_RETURNED, CLOSE, RELAY_SLOWER, false},
  {SAID(PLACE_DATA, 451, 4,7,1), FATE_DEFERRED, RSET, RELAY_NOTHING, false},
  {SAID(PLACE_DATA, 454, 4,7,0), FATE_DEFERRED, RSET, RELAY_SLOWER, false},
  {SAID(PLACE_DATA, 554, 5,5,1), FATE_DEFERRED, CLOSE, RELAY_SLOWER, false},
  /* the content */
  {SAID(PLACE_CONTENT, 451, 0,0,0), FATE_DEFERRED, RSET, RELAY_NOTHING, false},
  {SAID(PLACE_CONTENT, 451, 4,3,0), FATE_DEFERRED, RSET, RELAY_STRAIN, false},
  {SAID(PLACE_CONTENT, 452, 4,3,1), FATE_DEFERRED, RSET, RELAY_SLOWER, false},
  {SAID(PLACE_CONTENT, 454, 4,3,2), FATE_DEFERRED, RSET, RELAY_SLOWER, false},
  {SAID(PLACE_CONTENT, 554, 5,7,1), FATE_FAILED, RSET, RELAY_DOUBT, false},
  {SAID(PLACE_CONTENT, 550, 5,7,26), FATE_FAILED, RSET, RELAY_DOUBT, false},
  {SAID(PLACE_CONTENT, 550, 5,1,1), FATE_FAILED, RSET, RELAY_NOTHING, true},
  {SAID(PLACE_CONTENT, 552, 5,3,4), FATE_FAILED, RSET, RELAY_NOTHING, false},
  {SAID(PLACE_CONTENT, 552, 5,2,3), FATE_FAILED, RSET, RELAY_NOTHING, false},
  {SAID(PLACE_CONTENT, 552, 5,5,3), FATE_DEFERRED, RSET, RELAY_NOTHING, false},
  {SAID(PLACE_CONTENT, 503, 5,5,1), FATE_DEFERRED, CLOSE, RELAY_SLOWER, false},
  {SAID(PLACE_CONTENT, 421, 4,3,0), FATE_DEFERRED, CLOSE, RELAY_NOTHING, false},
  {SAID(PLACE_CONTENT, 530, 5,7,0), FATE_DEFERRED, DRAIN, RELAY_PAUSE, false},
  /* no reply */
  {PLACE_CONTENT, ANSWER_LOST, GIVEN_ALL, 0, {0}, FATE_UNSURE, CLOSE,
   RELAY_NOTHING, false},
  {PLACE_CONTENT, ANSWER_LOST, GIVEN_PART, 0, {0}, FATE_DEFERRED, CLOSE,
   RELAY_NOTHING, false},
  {PLACE_MAIL, ANSWER_LOST, GIVEN_NOTHING, 0, {0}, FATE_RETURNED, CLOSE,
   RELAY_NOTHING, false},
  {PLACE_CONTENT, ANSWER_TIMEOUT, GIVEN_ALL, 0, {0}, FATE_UNSURE, CLOSE,
   RELAY_SLOWER, false},
  {PLACE_RCPT, ANSWER_TIMEOUT, GIVEN_NOTHING, 0, {0}, FATE_RETURNED, CLOSE,
   RELAY_SLOWER, false},
  {PLACE_CONTENT, ANSWER_GARBAGE, GIVEN_ALL, 0, {0}, FATE_UNSURE, CLOSE,
   RELAY_SLOWER, false},
  {PLACE_CONTENT, ANSWER_CLOSING, GIVEN_ALL, 0, {0}, FATE_RETURNED, CLOSE,
   RELAY_NOTHING, false},
  {PLACE_CONTENT, ANSWER_STOPPED, GIVEN_ALL, 0, {0}, FATE_UNSURE, CLOSE,
   RELAY_NOTHING, false},
  {PLACE_CONTENT, ANSWER_STOPPED, GIVEN_PART, 0, {0}, FATE_RETURNED, CLOSE,
   RELAY_NOTHING, false},
  {PLACE_CONTENT, ANSWER_REPLY, GIVEN_ALL, 354, {0}, FATE_UNSURE, CLOSE,
   RELAY_SLOWER, false},
};
/* clang-format on */

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *r = &rows[i];
        struct question q = {.place = r->place,
                             .answer = r->answer,
                             .code = r->code,
                             .enhanced = r->enhanced,
                             .given = r->given};
        struct judgement j = verdict_judge(&q);

        if (j.fate != r->fate || j.lane != r->lane || j.relay != r->relay ||
            j.suppress != r->suppress) {
            print_error("%s %d %d.%d.%d: got fate %d lane %d relay %d "
                        "suppress %d (%s), want %d %d %d %d\n",
                        place_name(r->place), r->code, r->enhanced[0],
                        r->enhanced[1], r->enhanced[2], j.fate, j.lane, j.relay,
                        j.suppress, j.why, r->fate, r->lane, r->relay,
                        r->suppress);
            fail();
        }
    }
}

/* For every place and every code: what must never happen. */
static void test_never(void **state)
{
    (void)state;
    for (int place = 0; place < PLACE_COUNT; place++) {
        for (int code = 200; code < 600; code++) {
            for (int detail = 0; detail < 20; detail++) {
                int enhanced[3] = {code / 100, 7, detail};
                struct question q = {.place = (enum place)place,
                                     .answer = ANSWER_REPLY,
                                     .code = code,
                                     .enhanced = enhanced,
                                     .given = GIVEN_ALL};
                struct judgement j = verdict_judge(&q);
                bool is_sent = j.fate == FATE_SENT;

                /* Sent by a 2yz to the content, and by nothing else. */
                assert_int_equal(is_sent, place == PLACE_CONTENT && code < 300);
                /* Policy never suppresses. */
                assert_false(j.suppress);
                /* Nobody fails for 2yz, 3yz, 4yz, or outside a letter. */
                if (j.fate == FATE_FAILED) {
                    assert_true(code >= 500);
                    assert_in_range(place, PLACE_MAIL, PLACE_CONTENT);
                }
                assert_non_null(j.why);
            }
        }
    }
}

static void test_delay(void **state)
{
    static const struct {
        const char *text;
        int seconds;
    } delays[] = {
        {"4.7.1 Greylisted, try again in 300 seconds", 300},
        {"try again in 5 minutes", 300},
        {"Please retry after 10m", 600},
        {"come back in 00:04:59", 299},
        {"Greylisting in action, please come back in 00:00:30", 30},
        {"try again in 01:00:00.", 3600},
        {"wait 2 hours", 7200},
        {"retry in about 90 sec.", 90},
        {"blocked for at least 1 day", 86400},
        {"blocked for 30 days", 86400},
        {"try later", 0},
        {"in 5 lines", 0},
        {"4.5.3 too many recipients", 0},
        {"host 192.0.2.1 said 300 seconds", 0},
        {"in 99999999999999 seconds", 0},
        {"in ", 0},
        {"", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(delays) / sizeof(delays[0]); i++) {
        int got = verdict_delay_s(span_of(delays[i].text));

        if (got != delays[i].seconds) {
            print_error("\"%s\": got %d, want %d\n", delays[i].text, got,
                        delays[i].seconds);
            fail();
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_never),
        cmocka_unit_test(test_delay),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
