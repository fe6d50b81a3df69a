/*
 * test_reply - the reply parser: every row is fed whole and split at every
 * byte, and must give the same.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "smtp/ehlo.h"
#include "smtp/reply.h"

struct row {
    const char *bytes;
    int code; /* 0 = garbage */
    int enhanced[3];
    const char *text;
};

static const struct row rows[] = {
    {"250 Ok\r\n", 250, {0, 0, 0}, "Ok"},
    {"250 2.1.0 Ok\r\n", 250, {2, 1, 0}, "2.1.0 Ok"},
    {"250\r\n", 250, {0, 0, 0}, ""},
    {"250\n", 250, {0, 0, 0}, ""},
    {"250 \r\n", 250, {0, 0, 0}, ""},
    {"354 go\n", 354, {0, 0, 0}, "go"},
    {"250-a\r\n250-b\r\n250 c\r\n", 250, {0, 0, 0}, "a b c"},
    {"250-a\r\n250\r\n", 250, {0, 0, 0}, "a"},
    {"550-5.1.1 no\r\n550 5.1.1 user\r\n",
     550,
     {5, 1, 1},
     "5.1.1 no 5.1.1 "
     "user"},
    {"550 5.1.10 null MX\r\n", 550, {5, 1, 10}, "5.1.10 null MX"},
    {"421 4.7.28 slow\r\n", 421, {4, 7, 28}, "4.7.28 slow"},
    {"550 4.1.1 class differs\r\n", 550, {0, 0, 0}, "4.1.1 class differs"},
    {"550 5.01.1 leading zero\r\n", 550, {0, 0, 0}, "5.01.1 leading zero"},
    {"550 5.1234.1 long\r\n", 550, {0, 0, 0}, "5.1234.1 long"},
    {"550 5.1.1no space\r\n", 550, {0, 0, 0}, "5.1.1no space"},
    {"550 5.1.1\r\n", 550, {5, 1, 1}, "5.1.1"},
    {"550 5.1 short\r\n", 550, {0, 0, 0}, "5.1 short"},
    {"250 a\rb\x01\x1b[31m\r\n", 250, {0, 0, 0}, "a\\x0db\\x01\\x1b[31m"},
    {"250 gr\xc3\xbc\xc3\x9f\r\n", 250, {0, 0, 0}, "gr\xc3\xbc\xc3\x9f"},
    {"250 \xff\xc0\x80\xc2\x85\r\n",
     250,
     {0, 0, 0},
     "\\xff\\xc0\\x80\\xc2\\x85"},
    {"hello\r\n", 0, {0}, NULL},
    {"250x\r\n", 0, {0}, NULL},
    {"2500 x\r\n", 0, {0}, NULL},
    {"25 x\r\n", 0, {0}, NULL},
    {"150 x\r\n", 0, {0}, NULL},
    {"650 x\r\n", 0, {0}, NULL},
    {"\r\n", 0, {0}, NULL},
    {" 250 x\r\n", 0, {0}, NULL},
    {"250-a\r\n550 b\r\n", 0, {0}, NULL},
    {"250-a\r\nb\r\n", 0, {0}, NULL},
    {"\x16\x03\x01\x02", 0, {0}, NULL},
};

static void check(const struct row *row, size_t split)
{
    struct reply r;
    char memory[REPLY_TEXT_MAX];
    size_t len = strlen(row->bytes);
    size_t at = 0;
    enum reply_state state = REPLY_MORE;

    reply_clear(&r);
    while (at < len && state == REPLY_MORE) {
        size_t n = at < split ? split - at : len - at;
        size_t used = 0;

        state = reply_feed(&r, row->bytes + at, n, &used);
        at += used;
    }
    if (row->code == 0) {
        assert_int_equal(state, REPLY_GARBAGE);
        return;
    }
    assert_int_equal(state, REPLY_DONE);
    assert_int_equal(at, len);
    assert_int_equal(r.code, row->code);
    assert_memory_equal(r.enhanced, row->enhanced, sizeof(r.enhanced));
    assert_true(span_is(reply_text(&r, memory), row->text));
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t split = 1; split <= strlen(rows[i].bytes); split++) {
            check(&rows[i], split);
        }
    }
}

static void test_two_in_one(void **state)
{
    static const char bytes[] = "250-a\r\n250 b\r\n550 5.1.1 c\r\n42";
    struct reply r;
    size_t used = 0;
    size_t at = 0;

    (void)state;
    reply_clear(&r);
    assert_int_equal(reply_feed(&r, bytes, sizeof(bytes) - 1, &used),
                     REPLY_DONE);
    assert_int_equal(used, 14);
    at += used;
    assert_int_equal(reply_feed(&r, bytes + at, sizeof(bytes) - 1 - at, &used),
                     REPLY_DONE);
    assert_int_equal(r.code, 550);
    assert_int_equal(r.enhanced[2], 1);
    at += used;
    assert_int_equal(reply_feed(&r, bytes + at, sizeof(bytes) - 1 - at, &used),
                     REPLY_MORE);
    assert_int_equal(reply_feed(&r, "1 4.3.2 bye\r\n", 13, &used), REPLY_DONE);
    assert_int_equal(r.code, 421);
}

static enum reply_state feed_long(size_t line_len, size_t lines)
{
    struct reply r;
    char *line = malloc(line_len + 8);
    enum reply_state state = REPLY_MORE;

    reply_clear(&r);
    memset(line, 'x', line_len + 8);
    memcpy(line, "250-", 4);
    memcpy(line + line_len - 2, "\r\n", 2);
    for (size_t i = 0; i < lines && state == REPLY_MORE; i++) {
        size_t used = 0;

        line[3] = i + 1 == lines ? ' ' : '-';
        state = reply_feed(&r, line, line_len, &used);
    }
    free(line);
    return state;
}

static void test_limits(void **state)
{
    (void)state;
    assert_int_equal(feed_long(600, 1), REPLY_DONE);
    assert_int_equal(feed_long(REPLY_LINE_MAX, 1), REPLY_DONE);
    assert_int_equal(feed_long(REPLY_LINE_MAX + 3, 1), REPLY_GARBAGE);
    assert_int_equal(feed_long(1000, 60), REPLY_DONE);
    assert_int_equal(feed_long(1000, 70), REPLY_GARBAGE);
}

static void test_ehlo(void **state)
{
    static const char *const lines[] = {
        "pipelining",
        "CHUNKING",
        "Size 10240000",
        "8bitmime",
        "SMTPUTF8",
        "AUTH plain LOGIN",
        "auth=XOAUTH2",
        "Ok",
        "LIMITS mailmax=7 RCPTMAX=50000 FOO=1 =3 BAR= MAILMAXX=9",
        "PIPELININGX",
        "",
        "   ",
    };
    struct ehlo e;
    char memory[512];
    struct buf out;

    (void)state;
    ehlo_clear(&e);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        ehlo_line(&e, span_of(lines[i]));
    }
    assert_int_equal(e.offers, EHLO_PIPELINING | EHLO_CHUNKING | EHLO_SIZE |
                                   EHLO_8BITMIME | EHLO_SMTPUTF8 | EHLO_AUTH |
                                   EHLO_LIMITS);
    assert_int_equal(e.size_max, 10240000);
    assert_int_equal(e.mail_max, 7);
    assert_int_equal(e.rcpt_max, 50000);
    assert_string_equal(e.auth, "PLAIN LOGIN XOAUTH2");
    buf_wrap(&out, memory, sizeof(memory));
    ehlo_describe(&e, &out);
    assert_string_equal(buf_cstr(&out),
                        "PIPELINING CHUNKING SIZE=10240000 8BITMIME SMTPUTF8 "
                        "AUTH(PLAIN LOGIN XOAUTH2) LIMITS(MAILMAX=7)");
    ehlo_line(&e, span_of("SIZE 99999999999999999999999"));
    assert_true(e.size_max == UINT64_MAX);
    ehlo_line(&e, span_of("SIZE 12x"));
    assert_int_equal(e.size_max, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_two_in_one),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_ehlo),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
