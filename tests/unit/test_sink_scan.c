/*
 * test_sink_scan - the sink's content scanner against one that is too simple
 * to be wrong, on mail cut anywhere.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

/* The sink is a program, no library: its scanner is built in here. */
#include "bench/sink/scan.c"

enum {
    BIT_CR = 1 << SCAN_BARE_CR,
    BIT_LF = 1 << SCAN_BARE_LF,
    BIT_NUL = 1 << SCAN_NUL,
    BIT_LONG = 1 << SCAN_LONG_LINE,
    BIT_DOT = 1 << SCAN_LONE_DOT,
    BIT_HIGH = 1 << SCAN_EIGHT_BIT
};

struct seen {
    size_t used;
    unsigned found;
    uint64_t stuffed;
    bool ended;
};

/* An octet at a time, with the whole content at hand. */
static struct seen look_simply(const char *p, size_t n, bool dots)
{
    struct seen s = {0};
    size_t line = 0;

    for (size_t i = 0; i < n; i++) {
        bool begins =
            i == 0 || (i >= 2 && p[i - 1] == '\n' && p[i - 2] == '\r');

        if (begins) {
            line = i;
        }
        if (dots && begins && p[i] == '.') {
            if (i + 2 < n && p[i + 1] == '\r' && p[i + 2] == '\n') {
                s.ended = true;
                s.used = i + 3;
                return s;
            }
            s.stuffed += i + 1 < n && p[i + 1] == '.';
            /* Undecided when the octets run out. */
            if ((i + 1 < n && p[i + 1] != '.' && p[i + 1] != '\r') ||
                (i + 2 < n && p[i + 1] == '\r')) {
                s.found |= BIT_DOT;
            }
            line = i + 1;
        }
        s.found |= p[i] == '\0' ? BIT_NUL : 0;
        s.found |= (unsigned char)p[i] >= 0x80 ? BIT_HIGH : 0;
        s.found |= p[i] == '\n' && (i == 0 || p[i - 1] != '\r') ? BIT_LF : 0;
        s.found |= i > 0 && p[i - 1] == '\r' && p[i] != '\n' ? BIT_CR : 0;
        if (p[i] == '\n' && i > 0 && p[i - 1] == '\r' &&
            i - 1 > line + LINE_OCTETS) {
            s.found |= BIT_LONG;
        }
        if (i + 1 - line > LINE_OCTETS + 2) {
            s.found |= BIT_LONG;
        }
    }
    s.used = n;
    return s;
}

static struct seen look(const char *p, size_t n, bool dots, size_t most)
{
    struct seen seen = {0};
    struct scan s;

    scan_start(&s, dots);
    while (seen.used < n && !s.ended) {
        size_t piece = 1 + (size_t)rand() % most;
        size_t took = 0;

        if (piece > n - seen.used) {
            piece = n - seen.used;
        }
        took = scan_feed(&s, p + seen.used, piece);
        assert_true(took == piece || s.ended);
        seen.used += took;
    }
    seen.found = s.seen;
    seen.stuffed = s.stuffed;
    seen.ended = s.ended;
    return seen;
}

static void assert_same(const char *p, size_t n, bool dots, size_t most)
{
    struct seen wanted = look_simply(p, n, dots);
    struct seen got = look(p, n, dots, most);

    assert_int_equal(got.used, wanted.used);
    assert_int_equal(got.found, wanted.found);
    assert_int_equal(got.stuffed, wanted.stuffed);
    assert_int_equal(got.ended, wanted.ended);
}

/* Short soups of the octets that matter: every state meets every other. */
static void test_soup(void **state)
{
    static const char octets[] = {'\r', '\n', '.', 'x', '\r', '\n'};
    char p[200];

    (void)state;
    srand(1);
    for (int round = 0; round < 100000; round++) {
        size_t n = 1 + (size_t)rand() % (round % 10 ? 20 : sizeof(p));

        for (size_t i = 0; i < n; i++) {
            p[i] = octets[(size_t)rand() % sizeof(octets)];
        }
        assert_same(p, n, round % 2, 1 + (size_t)rand() % n);
    }
}

/* Mail-like content with one thing wrong somewhere. */
static void test_mail(void **state)
{
    static const char *const bad[] = {"\r",        "\n",      "\r\r\n",
                                      "\r\n.x",    "\r\n..",  "\xc3\xa9",
                                      "\r\n.\r\n", "\r\n.\r."};
    char p[9000];

    (void)state;
    srand(2);
    for (int round = 0; round < 5000; round++) {
        size_t n = 0;

        while (n < sizeof(p) - 1200) {
            size_t len = (size_t)rand() % (rand() % 30 ? 80 : 1100);

            memset(p + n, 'a', len);
            memcpy(p + n + len, "\r\n", 2);
            n += len + 2;
        }
        const char *what = bad[(size_t)rand() % (sizeof(bad) / sizeof(bad[0]))];

        memcpy(p + (size_t)rand() % (n - 10), what, strlen(what));
        if (round % 5 == 0) {
            p[(size_t)rand() % n] = '\0';
        }
        assert_same(p, n, round % 2, round % 3 ? n : 300);
    }
}

/* What stands behind the end of DATA belongs to the next command. */
static void test_end(void **state)
{
    static const char text[] = "a\r\n.\r\nMAIL FROM:<\xc3\xa9>\n\r";
    struct scan s;

    (void)state;
    scan_start(&s, true);
    assert_int_equal(scan_feed(&s, text, sizeof(text) - 1), 6);
    assert_true(s.ended);
    assert_int_equal(s.seen, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_soup),
        cmocka_unit_test(test_mail),
        cmocka_unit_test(test_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
