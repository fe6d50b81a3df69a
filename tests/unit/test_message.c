/*
 * test_message - whole messages and their dates.
 *
 * What a mail reader makes of a message is tested by
 * tests/e2e/test_parse_mail.py; here are the exact bytes of one message, what
 * is left out and when, and that nothing hostile gets past.
 */
#include "test.h"

#include "mail/date.h"
#include "mail/message.h"

#define TEXT(literal)                                                          \
    {                                                                          \
        literal, sizeof(literal) - 1                                           \
    }

/* 2026-11-22 14:05:09.5 UTC */
#define DATE_US 1795356309500000LL

/* --- dates -------------------------------------------------------------- */

static const struct {
    int64_t us;
    const char *date;
} dates[] = {
    {0, "Thu, 01 Jan 1970 00:00:00 +0000"},
    {999999, "Thu, 01 Jan 1970 00:00:00 +0000"},
    {1000000, "Thu, 01 Jan 1970 00:00:01 +0000"},
    {-1, "Wed, 31 Dec 1969 23:59:59 +0000"},
    {-1000000, "Wed, 31 Dec 1969 23:59:59 +0000"},
    {DATE_US, "Sun, 22 Nov 2026 14:05:09 +0000"},
    {951782399000000, "Mon, 28 Feb 2000 23:59:59 +0000"},
    {951782400000000, "Tue, 29 Feb 2000 00:00:00 +0000"},
    {951868800000000, "Wed, 01 Mar 2000 00:00:00 +0000"},
    {1709164800000000, "Thu, 29 Feb 2024 00:00:00 +0000"},
    {2147483648000000, "Tue, 19 Jan 2038 03:14:08 +0000"},
    {4107542400000000, "Mon, 01 Mar 2100 00:00:00 +0000"},
    {4107542399000000, "Sun, 28 Feb 2100 23:59:59 +0000"},
    {253402300799000000, "Fri, 31 Dec 9999 23:59:59 +0000"},
    {253402300800000000, "Fri, 31 Dec 9999 23:59:59 +0000"},
    {INT64_MAX, "Fri, 31 Dec 9999 23:59:59 +0000"},
    {INT64_MIN, "Mon, 01 Jan 1900 00:00:00 +0000"},
};

static void test_date(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(dates); i++) {
        char memory[DATE_LENGTH];
        struct buf out;

        buf_wrap(&out, memory, sizeof(memory));
        date_write(&out, dates[i].us);
        assert_span(buf_view(&out), dates[i].date);
    }
}

/* Every day from 1900 to 2199 follows the one before it. */
static void test_calendar(void **state)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30,
                                  31, 31, 30, 31, 30, 31};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr",
                                         "May", "Jun", "Jul", "Aug",
                                         "Sep", "Oct", "Nov", "Dec"};
    static const char *const weekdays[] = {"Mon", "Tue", "Wed", "Thu",
                                           "Fri", "Sat", "Sun"};
    int64_t us = -2208988800000000LL;
    int count = 0;

    (void)state;
    for (int day = 0, month = 0, year = 1900; year < 2200; count++) {
        bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        char memory[DATE_LENGTH];
        char want[64];
        struct buf out;

        buf_wrap(&out, memory, sizeof(memory));
        date_write(&out, us + (int64_t)count * 86400000000LL);
        snprintf(want, sizeof(want), "%s, %02d %s %d 00:00:00 +0000",
                 weekdays[count % 7], day + 1, months[month], year);
        assert_span(buf_view(&out), want);
        if (++day == lengths[month] + (month == 1 && is_leap)) {
            day = 0;
            month = (month + 1) % 12;
            year += month == 0;
        }
    }
}

/* --- messages ----------------------------------------------------------- */

static const struct message_parts usual = {
    .from_name = TEXT("Build Service"),
    .from_email = TEXT("builds@example.org"),
    .to_name = TEXT("Jane Q. Doe"),
    .to_email = TEXT("jane@example.com"),
    .reply_to = TEXT("help@example.org"),
    .subject = TEXT("Build of kernel failed"),
    .text = TEXT("It failed.\n"),
    .html = TEXT("<p class=\"x\">It failed.</p>\n"),
    .message_id = TEXT("7.42@notify.example.org"),
    .thread_id = TEXT("thread.kernel@notify.example.org"),
    .list_id = TEXT("builds.notify.example.org"),
    .list_name = TEXT("Builds"),
    .date_us = DATE_US,
};

static const char usual_message[] =
    "Date: Sun, 22 Nov 2026 14:05:09 +0000\r\n"
    "From: Build Service <builds@example.org>\r\n"
    "To: \"Jane Q. Doe\" <jane@example.com>\r\n"
    "Reply-To: <help@example.org>\r\n"
    "Subject: Build of kernel failed\r\n"
    "Message-ID: <7.42@notify.example.org>\r\n"
    "In-Reply-To: <thread.kernel@notify.example.org>\r\n"
    "References: <thread.kernel@notify.example.org>\r\n"
    "Auto-Submitted: auto-generated\r\n"
    "X-Auto-Response-Suppress: OOF, DR, RN, NRN, AutoReply\r\n"
    "List-Id: Builds <builds.notify.example.org>\r\n"
    "MIME-Version: 1.0\r\n"
    "Content-Type: multipart/alternative; "
    "boundary=\"=_pb_3220fd672d46a69f\"\r\n"
    "\r\n"
    "--=_pb_3220fd672d46a69f\r\n"
    "Content-Type: text/plain; charset=utf-8\r\n"
    "Content-Transfer-Encoding: quoted-printable\r\n"
    "\r\n"
    "It failed.\r\n"
    "\r\n"
    "--=_pb_3220fd672d46a69f\r\n"
    "Content-Type: text/html; charset=utf-8\r\n"
    "Content-Transfer-Encoding: quoted-printable\r\n"
    "\r\n"
    "<p class=3D\"x\">It failed.</p>\r\n"
    "\r\n"
    "--=_pb_3220fd672d46a69f--\r\n";

static void test_usual(void **state)
{
    struct buf out;

    (void)state;
    buf_init(&out, 0);
    assert_true(message_write(&out, &usual));
    assert_span(buf_view(&out), usual_message);
    /* Appended, and the same again. */
    assert_true(message_write(&out, &usual));
    assert_span(span_make(out.data + out.len / 2, out.len / 2), usual_message);
    buf_release(&out);
}

/* How often a line begins with start in the header. */
static int count_fields(struct span message, const char *start)
{
    const char *end = memmem(message.ptr, message.len, "\r\n\r\n", 4);
    size_t length = strlen(start);
    int count = 0;

    for (const char *at = message.ptr; at != NULL && at < end;) {
        count += strncasecmp(at, start, length) == 0;
        at = memmem(at, (size_t)(end - at), "\r\n", 2);
        at = at != NULL ? at + 2 : NULL;
    }
    return count;
}

static bool has(struct span message, const char *text)
{
    return memmem(message.ptr, message.len, text, strlen(text)) != NULL;
}

struct change {
    const char *name;
    size_t field; /* offset of a span in struct message_parts */
    struct span value;
    const char *has;   /* NULL = do not look */
    const char *lacks; /* NULL = do not look */
};

#define FIELD(name) offsetof(struct message_parts, name)

static const struct change changes[] = {
    {"no names", FIELD(from_name), TEXT(""), "From: <builds@", NULL},
    {"no reply", FIELD(reply_to), TEXT(""), NULL, "\r\nReply-To"},
    {"no thread", FIELD(thread_id), TEXT(""), NULL, "References"},
    {"root of thread", FIELD(thread_id), TEXT("7.42@notify.example.org"), NULL,
     "In-Reply-To"},
    {"no list", FIELD(list_id), TEXT(""), NULL, "List-Id"},
    {"no list name", FIELD(list_name), TEXT(""), "List-Id: <builds.", NULL},
    {"no subject", FIELD(subject), TEXT(""), NULL, "Subject"},
    {"text only", FIELD(html), TEXT(""), "Content-Type: text/plain",
     "multipart"},
    {"html only", FIELD(text), TEXT(""), "Content-Type: text/html",
     "multipart"},
    {"base64", FIELD(text), TEXT("\xd0\x94\xd0\xb0\n"),
     "Encoding: base64\r\n\r\n0JTQsA0K\r\n\r\n--", NULL},
    {"domain outside ASCII", FIELD(to_email), TEXT("a@b\xc3\xbc.org"),
     "To: \"Jane Q. Doe\" <a@xn--b-eha.org>\r\n", NULL},

    {"bad to", FIELD(to_email), TEXT("a@b\r\nBcc: evil@x"), NULL, "evil"},
    {"smuggled to", FIELD(to_email), TEXT("a@b>\r\n.\r\n"), NULL, "\r\nTo:"},
    {"utf-8 to", FIELD(to_email), TEXT("\xc3\xbc@b.org"),
     "To: \"Jane Q. Doe\" <\xc3\xbc@b.org>\r\n", NULL},
    {"controls to", FIELD(to_email), TEXT("\xc2\x85@b.org"), NULL, "\r\nTo:"},
    {"utf-8 reply", FIELD(reply_to), TEXT("\xc3\xbc@b"), NULL, "\r\nReply-"},
    {"bad from", FIELD(from_email), TEXT("a b@c"), NULL, "\r\nFrom:"},
    {"bad reply", FIELD(reply_to), TEXT("\"a\r\nb\"@c"), NULL, "\r\nReply-To:"},
    {"bad id", FIELD(message_id), TEXT("a@b>\r\nX: <c"), NULL, "\r\nX:"},
    {"id with space", FIELD(message_id), TEXT("a b@c"), NULL, "Message-ID"},
    {"id without @", FIELD(message_id), TEXT("abc"), NULL, "Message-ID"},
    {"id with two @", FIELD(message_id), TEXT("a@b@c"), NULL, "Message-ID"},
    {"id with dots", FIELD(message_id), TEXT("a..b@c"), NULL, "Message-ID"},
    {"id with end dot", FIELD(message_id), TEXT("a@c."), NULL, "Message-ID"},
    {"id without left", FIELD(message_id), TEXT("@c"), NULL, "Message-ID"},
    {"id with UTF-8", FIELD(message_id), TEXT("\xc3\xa9@c"), NULL,
     "Message-ID"},
    {"id that looks encoded", FIELD(message_id), TEXT("=?utf-8?q?x?=@c"), NULL,
     "Message-ID"},
    {"list that looks encoded", FIELD(list_id), TEXT("=?utf-8?q?x?="), NULL,
     "List-Id"},
    {"bad thread", FIELD(thread_id), TEXT("a@b\n"), NULL, "References"},
    {"bad list", FIELD(list_id), TEXT("a b"), NULL, "List-Id"},
    {"bad list 2", FIELD(list_id), TEXT("a@b"), NULL, "List-Id"},
    {"bad list name", FIELD(list_name), TEXT("x\r\nBcc: evil@x"),
     "List-Id: \"x Bcc: evil@x\" <", NULL},
    {"bad from name", FIELD(from_name), TEXT("x\nBcc: evil@x"),
     "From: \"x Bcc: evil@x\" <", NULL},
    {"bad subject", FIELD(subject), TEXT("x\rBcc: evil@x\r\n\r\nbody"),
     "Subject: x Bcc: evil@x body\r\n", NULL},
    {"smuggling text", FIELD(text), TEXT("a\n.\r\nMAIL FROM:<>\r\n"),
     "\r\na\r\n=2E\r\nMAIL FROM", NULL},
    {"boundary in text", FIELD(text), TEXT("--=_pb_3220fd672d46a69f--\n"),
     "\r\n--=3D_pb_3220fd672d46a69f--\r\n", NULL},
};

static void test_changes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(changes); i++) {
        const struct change *c = &changes[i];
        struct message_parts parts = usual;
        struct buf out;

        memcpy((char *)&parts + c->field, &c->value, sizeof(c->value));
        buf_init(&out, 0);
        assert_true(message_write(&out, &parts));
        if ((c->has != NULL && !has(buf_view(&out), c->has)) ||
            (c->lacks != NULL && has(buf_view(&out), c->lacks))) {
            fail_msg("%s:\n%.*s", c->name, SPAN_ARG(buf_view(&out)));
        }
        assert_int_equal(count_fields(buf_view(&out), "Date:"), 1);
        assert_int_equal(count_fields(buf_view(&out), "Bcc:"), 0);
        buf_release(&out);
    }
}

static void test_precedence(void **state)
{
    struct message_parts parts = usual;
    struct buf out;

    (void)state;
    parts.precedence_bulk = true;
    buf_init(&out, 0);
    assert_true(message_write(&out, &parts));
    assert_true(has(buf_view(&out), "\r\nPrecedence: bulk\r\n"));
    buf_release(&out);
}

static const struct message_header extra[] = {
    {TEXT("X-Package"), TEXT("kernel")},
    {TEXT("x-package"), TEXT("again")},
    {TEXT("X-Empty"), TEXT("")},
    {TEXT("X-Name"), TEXT("J\xc3\xb6rg")},
    {TEXT("X-Lines"), TEXT("a\r\nBcc: evil@x\r\n\r\nbody")},
    {TEXT("List-Unsubscribe"), TEXT("<https://example.org/u/1>")},
    {TEXT(""), TEXT("evil")},
    {TEXT("X Y"), TEXT("evil")},
    {TEXT("X:Y"), TEXT("evil")},
    {TEXT("X\r\nBcc"), TEXT("evil")},
    {TEXT("X\0"), TEXT("evil")},
    {TEXT("X\xc3\xa9"), TEXT("evil")},
    {TEXT(".X"), TEXT("evil")},
    {TEXT(
         "X23456789X123456789X123456789X123456789X123456789X123456789X123456789"
         "X123456"),
     TEXT("fits")},
    {TEXT(
         "X23456789X123456789X123456789X123456789X123456789X123456789X123456789"
         "X1234567"),
     TEXT("evil")},
    {TEXT("subject"), TEXT("evil")},
    {TEXT("BCC"), TEXT("evil")},
    {TEXT("To"), TEXT("evil")},
    {TEXT("Content-Type"), TEXT("evil")},
    {TEXT("content-language"), TEXT("evil")},
    {TEXT("Resent-From"), TEXT("evil")},
    {TEXT("MIME-version"), TEXT("evil")},
    {TEXT("Auto-Submitted"), TEXT("evil")},
    {TEXT("X-Auto-Response-Suppress"), TEXT("evil")},
    {TEXT("Received"), TEXT("evil")},
    {TEXT("Return-Path"), TEXT("evil")},
    {TEXT("Message-Id"), TEXT("evil")},
};

static void test_extra(void **state)
{
    struct message_parts parts = usual;
    struct buf out;
    struct span message = SPAN_NONE;

    (void)state;
    parts.extra = extra;
    parts.extra_count = COUNT_OF(extra);
    buf_init(&out, 0);
    assert_true(message_write(&out, &parts));
    message = buf_view(&out);
    assert_true(has(message, "\r\nX-Package: kernel\r\n"
                             "X-Name: =?UTF-8?B?SsO2cmc=?=\r\n"
                             "X-Lines: a Bcc: evil@x body\r\n"
                             "List-Unsubscribe: <https://example.org/u/1>\r\n"
                             "X23456789X123456789"));
    assert_true(has(message, "X123456:\r\n fits\r\nMIME-Version: 1.0\r\n"));
    assert_false(has(message, ": evil\r\n"));
    assert_int_equal(count_fields(message, "x-package:"), 1);
    assert_int_equal(count_fields(message, "bcc:"), 0);
    for (size_t i = 0; i < COUNT_OF(extra); i++) {
        bool is_evil = span_is(extra[i].value, "evil");

        assert_int_equal(message_takes_header(extra[i].name), !is_evil);
    }
    buf_release(&out);
}

/* At every size but one that is enough, false and no byte outside. */
static void test_without_room(void **state)
{
    char memory[4096];
    size_t size = 0;
    bool ok = false;

    (void)state;
    for (size = 0; size < sizeof(memory) && !ok; size++) {
        struct buf out;

        memset(memory, '#', sizeof(memory));
        buf_wrap(&out, memory, size);
        ok = message_write(&out, &usual);
        for (size_t i = size; i < sizeof(memory); i++) {
            assert_int_equal(memory[i], '#');
        }
    }
    assert_true(ok);
    assert_in_range(size, sizeof(usual_message), sizeof(usual_message) + 64);
}

static const struct {
    struct span text;
    const char *part;
} id_parts[] = {
    {TEXT(""), "_"},
    {TEXT("pr-123"), "pr-123"},
    {TEXT("a.b"), "a.b"},
    {TEXT(".a."), "_2Ea_2E"},
    {TEXT("a..b"), "a._2Eb"},
    {TEXT("_"), "_5F"},
    {TEXT("home:jane/kernel default"), "home_3Ajane_2Fkernel_20default"},
    {TEXT("a@b>\r\n\0"), "a_40b_3E_0D_0A_00"},
    {TEXT("\xc3\xa9"), "_C3_A9"},
};

static void test_id_part(void **state)
{
    char text[400];
    struct buf one;
    struct buf two;

    (void)state;
    buf_init(&one, 0);
    buf_init(&two, 0);
    for (size_t i = 0; i < COUNT_OF(id_parts); i++) {
        buf_clear(&one);
        message_id_part(&one, id_parts[i].text);
        assert_span(buf_view(&one), id_parts[i].part);
    }
    for (size_t n = 1; n <= sizeof(text); n++) {
        memset(text, n % 2 ? 'x' : '/', n);
        buf_clear(&one);
        buf_clear(&two);
        message_id_part(&one, span_make(text, n));
        assert_in_range(one.len, 1, MESSAGE_ID_PART_MAX);
        text[n - 1] = 'y';
        message_id_part(&two, span_make(text, n));
        assert_false(span_equal(buf_view(&one), buf_view(&two)));
    }
    buf_release(&one);
    buf_release(&two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_date),         cmocka_unit_test(test_calendar),
        cmocka_unit_test(test_usual),        cmocka_unit_test(test_changes),
        cmocka_unit_test(test_precedence),   cmocka_unit_test(test_extra),
        cmocka_unit_test(test_without_room), cmocka_unit_test(test_id_part),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
