/*
 * test_address - which addresses pass, in which form, and what is said of
 * those that do not.
 */
#include "test.h"

#include "mail/address.h"

#define A16 "aaaaaaaaaaaaaaaa"
#define A61 A16 A16 A16 "aaaaaaaaaaaaa"
#define A63 A61 "aa"
#define A64 A61 "aaa"

/* 64 + 1 + 189 bytes: as long as an address may be. */
#define LONGEST A64 "@" A63 "." A63 "." A61

#define TEXT(literal)                                                          \
    {                                                                          \
        literal, sizeof(literal) - 1                                           \
    }

static const struct {
    struct span address;
    enum address_kind kind;
    const char *why; /* a part of the reason; NULL = none is given */
} checks[] = {
    {TEXT("jane@example.org"), ADDRESS_OK, NULL},
    {TEXT("jane.doe+obs@mail.example.org"), ADDRESS_OK, NULL},
    {TEXT("o'hara_x{y}|z~#$%&*/?=^`!-@example.org"), ADDRESS_OK, NULL},
    {TEXT("UPPER@EXAMPLE.ORG"), ADDRESS_OK, NULL},
    {TEXT("a@b"), ADDRESS_OK, NULL},
    {TEXT("root@localhost"), ADDRESS_OK, NULL},
    {TEXT("a@1a.2b"), ADDRESS_OK, NULL},
    {TEXT("a@xn--bcher-kva.example"), ADDRESS_OK, NULL},
    {TEXT(A64 "@example.org"), ADDRESS_OK, NULL},
    {TEXT("a@" A63 ".org"), ADDRESS_OK, NULL},
    {TEXT(LONGEST), ADDRESS_OK, NULL},

    {TEXT("jane@b\xc3\xbc"
          "cher.example"),
     ADDRESS_IDN_DOMAIN, NULL},
    {TEXT("jane@\xe4\xbe\x8b\xe3\x81\x88.jp"), ADDRESS_IDN_DOMAIN, NULL},
    {TEXT("j\xc3\xbcrgen@example.org"), ADDRESS_NEEDS_SMTPUTF8, "SMTPUTF8"},
    {TEXT("j\xc3\xbc@b\xc3\xbc.example"), ADDRESS_NEEDS_SMTPUTF8, "SMTPUTF8"},

    {TEXT(""), ADDRESS_INVALID, "is empty"},
    {TEXT("jane"), ADDRESS_INVALID, "no @"},
    {TEXT("@example.org"), ADDRESS_INVALID, "before the @"},
    {TEXT("jane@"), ADDRESS_INVALID, "behind the @"},
    {TEXT("@"), ADDRESS_INVALID, "before the @"},
    {TEXT("a@b@c"), ADDRESS_INVALID, "more than one @"},
    {TEXT(A64 "a@example.org"), ADDRESS_INVALID, "64 bytes"},
    {TEXT("a@" A63 "a.org"), ADDRESS_INVALID, "63 bytes"},
    {TEXT(LONGEST "a"), ADDRESS_INVALID, "254 bytes"},
    {TEXT(".a@b.org"), ADDRESS_INVALID, "dot"},
    {TEXT("a.@b.org"), ADDRESS_INVALID, "dot"},
    {TEXT("a..b@c.org"), ADDRESS_INVALID, "dot"},
    {TEXT("a@.org"), ADDRESS_INVALID, "empty part"},
    {TEXT("a@b..org"), ADDRESS_INVALID, "empty part"},
    {TEXT("a@b.org."), ADDRESS_INVALID, "empty part"},
    {TEXT("a@-b.org"), ADDRESS_INVALID, "hyphen"},
    {TEXT("a@b-.org"), ADDRESS_INVALID, "hyphen"},
    {TEXT("a@b_c.org"), ADDRESS_INVALID, "letters, digits and hyphens"},
    {TEXT("a@127.0.0.1"), ADDRESS_INVALID, "number"},
    {TEXT("a@[127.0.0.1]"), ADDRESS_INVALID, "literal"},
    {TEXT("\"jane doe\"@example.org"), ADDRESS_INVALID, "quoted"},
    {TEXT("jane doe@example.org"), ADDRESS_INVALID, "space"},
    {TEXT(" jane@example.org"), ADDRESS_INVALID, "space"},
    {TEXT("<jane@example.org>"), ADDRESS_INVALID, "angle bracket"},
    {TEXT("a@b.org,c@d.org"), ADDRESS_INVALID, "comma"},
    {TEXT("a@b.org;c@d.org"), ADDRESS_INVALID, "semicolon"},
    {TEXT("a(b)@c.org"), ADDRESS_INVALID, "parenthesis"},
    {TEXT("a\\@b.org"), ADDRESS_INVALID, "backslash"},
    {TEXT("a:b@c.org"), ADDRESS_INVALID, "colon"},
    {TEXT("=?x?q?a=40b.org=3e?=@c.org"), ADDRESS_INVALID, "encoded word"},

    /* Injection. */
    {TEXT("a@b.org\r\n"), ADDRESS_INVALID, "control byte"},
    {TEXT("a@b.org\n"), ADDRESS_INVALID, "control byte"},
    {TEXT("a@b.org\r"), ADDRESS_INVALID, "control byte"},
    {TEXT("a@b.org\0"), ADDRESS_INVALID, "control byte"},
    {TEXT("\0a@b.org"), ADDRESS_INVALID, "control byte"},
    {TEXT("a\tb@c.org"), ADDRESS_INVALID, "control byte"},
    {TEXT("a\x7f@c.org"), ADDRESS_INVALID, "control byte"},
    {TEXT("a@b>\r\nRCPT TO:<evil@x.org"), ADDRESS_INVALID, "angle"},
    {TEXT("\"a\r\nb\"@c.org"), ADDRESS_INVALID, "quoted"},
    {TEXT("a@b.org SIZE=1"), ADDRESS_INVALID, "space"},

    /* Not UTF-8, and characters that some readers take for line ends. */
    {TEXT("a\xff@b.org"), ADDRESS_INVALID, "UTF-8"},
    {TEXT("a\xc3@b.org"), ADDRESS_INVALID, "UTF-8"},
    {TEXT("a@b\xff.org"), ADDRESS_INVALID, "international"},
    {TEXT("a\xc2\x85@b.org"), ADDRESS_INVALID, "control character"},
    {TEXT("a\xe2\x80\xa8@b.org"), ADDRESS_INVALID, "control character"},
    {TEXT("a@b\xe2\x80\xa8.org"), ADDRESS_INVALID, "international"},
    /* Full-width "@" and "." are mapped to their ASCII twins. */
    {TEXT("a@b\xef\xbc\xa0"
          "c.org"),
     ADDRESS_INVALID, "domain"},
    {TEXT("a@\xef\xbc\x8e.org"), ADDRESS_INVALID, "domain"},
};

static void test_check(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(checks); i++) {
        const char *why = NULL;
        enum address_kind kind = address_check(checks[i].address, &why);

        if (kind != checks[i].kind || (why == NULL) != !checks[i].why ||
            (why != NULL && strstr(why, checks[i].why) == NULL)) {
            fail_msg("%.*s: kind %d, %s", SPAN_ARG(checks[i].address),
                     (int)kind, why ? why : "no reason");
        }
        assert_int_equal(address_check(checks[i].address, NULL), kind);
        assert_int_equal(address_is_valid(checks[i].address),
                         kind == ADDRESS_OK);
    }
}

/* No byte but these may stand in a local part or in a domain. */
static void test_every_byte(void **state)
{
    static const char local[] = "!#$%&'*+-/=?^_`{|}~.";
    char address[] = "a?b@c?d.org";

    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        char c = (char)byte;
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                         (c >= '0' && c <= '9');
        bool is_atext = is_letter || (c != '\0' && strchr(local, c) != NULL);

        address[1] = c;
        address[5] = 'x';
        assert_int_equal(address_is_valid(span_make(address, 11)), is_atext);
        address[1] = 'x';
        address[5] = c;
        assert_int_equal(address_is_valid(span_make(address, 11)),
                         is_letter || c == '-' || c == '.');
    }
}

static const struct {
    const char *address;
    const char *ascii; /* NULL = there is none */
} conversions[] = {
    {"jane@example.org", "jane@example.org"},
    {"Jane@Example.ORG", "Jane@Example.ORG"},
    {"jane@b\xc3\xbc"
     "cher.example",
     "jane@xn--bcher-kva.example"},
    /* Decomposed: u and a combining diaeresis. */
    {"jane@bu\xcc\x88"
     "cher.example",
     "jane@xn--bcher-kva.example"},
    {"jane@B\xc3\x9c"
     "CHER.example",
     "jane@xn--bcher-kva.example"},
    /* Non-transitional: the sharp s stays itself. */
    {"jane@fa\xc3\x9f.de", "jane@xn--fa-hia.de"},
    {"jane@\xe4\xbe\x8b\xe3\x81\x88.jp", "jane@xn--r8jz45g.jp"},
    {"j\xc3\xbc@example.org", NULL},
    {"jane@example..org", NULL},
    {"", NULL},
};

static void test_to_ascii(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(conversions); i++) {
        struct buf out;
        bool ok = false;

        buf_init(&out, 0);
        ok = address_to_ascii(span_of(conversions[i].address), &out);
        assert_int_equal(ok, conversions[i].ascii != NULL);
        assert_string_equal(buf_cstr(&out), ok ? conversions[i].ascii : "");
        assert_int_equal(address_is_valid(buf_view(&out)), ok);
        buf_release(&out);
    }
}

static void test_to_ascii_without_room(void **state)
{
    char memory[8];
    struct buf out;

    (void)state;
    buf_wrap(&out, memory, sizeof(memory));
    assert_false(address_to_ascii(span_of("jane@example.org"), &out));
    assert_int_equal(out.len, 0);
}

/* A label takes 3 bytes in UTF-8 and 8 as "xn--tda.". */
static void long_in_ascii(const char *beginning)
{
    char address[ADDRESS_MAX];
    const char *why = NULL;
    const size_t begin = strlen(beginning);
    size_t len = begin;

    memcpy(address, beginning, begin);
    for (size_t labels = 0; labels < 60; labels++, len += 3) {
        bool is_short = begin + 8 * labels + 2 <= ADDRESS_MAX;

        memcpy(address + len, "jp", 2);
        if (labels > 0) {
            assert_int_equal(address_check(span_make(address, len + 2), &why),
                             is_short ? ADDRESS_IDN_DOMAIN : ADDRESS_INVALID);
        }
        memcpy(address + len, "\xc3\xbc.", 3);
    }
    assert_string_equal(why, "is longer than 254 bytes (in ASCII)");
}

static void test_long_in_ascii(void **state)
{
    (void)state;
    long_in_ascii("a@");
    long_in_ascii(A64 "@");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_every_byte),
        cmocka_unit_test(test_to_ascii),
        cmocka_unit_test(test_to_ascii_without_room),
        cmocka_unit_test(test_long_in_ascii),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
