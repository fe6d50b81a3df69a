/*
 * test_encode - bodies and header fields, as exact bytes and as promises.
 *
 * Tables give what is written for what. The promises (7-bit, CRLF only, line
 * lengths, no leading dot, and that decoding gives the text back) are checked
 * for every entry of the tables and for texts of every length around the line
 * limits, with decoders that share nothing with the encoders.
 */
#include "test.h"

#include "mail/chars.h"
#include "mail/encode.h"

#define TEXT(literal)                                                          \
    {                                                                          \
        literal, sizeof(literal) - 1                                           \
    }
#define FFFD "\xef\xbf\xbd"

#define X10 "xxxxxxxxxx"
#define X70 X10 X10 X10 X10 X10 X10 X10
#define X72 X70 "xx"
#define X73 X70 "xxx"
#define X74 X70 "xxxx"
#define X75 X70 "xxxxx"
#define X76 X70 "xxxxxx"

/* --- what any output must be -------------------------------------------- */

/* The first broken promise about bytes and lines, or NULL. */
static const char *fault_of(struct span out, size_t line_max)
{
    size_t begin = 0;

    for (size_t i = 0; i < out.len; i++) {
        unsigned char c = (unsigned char)out.ptr[i];

        if (c == '\n') {
            return "bare LF";
        }
        if (c == '\0' || c > 126 || (c < ' ' && c != '\t' && c != '\r')) {
            return "byte that is not 7-bit text";
        }
        if (i == begin && c == '.') {
            return "line begins with a dot";
        }
        if (c != '\r') {
            continue;
        }
        if (i + 1 == out.len || out.ptr[i + 1] != '\n') {
            return "bare CR";
        }
        if (i - begin > line_max) {
            return "line too long";
        }
        if (i > begin && strchr(" \t", out.ptr[i - 1]) != NULL) {
            return "line ends in a blank";
        }
        begin = ++i + 1;
    }
    return begin == out.len ? NULL : "last line without end";
}

/* What the text should be after decoding. The canonical form, written anew
 * and simply: utf8_length is tested by itself. */
static void put_canonical(struct buf *to, struct span text)
{
    const char *end = text.ptr + text.len;
    bool is_open = true;
    bool ok = true;
    size_t length = 0;

    for (const char *at = text.ptr; at < end; at += length) {
        length = utf8_length(at, end, &ok);
        is_open = *at != '\n' && *at != '\r';
        if (*at == '\r' && at + 1 < end && at[1] == '\n') {
            length = 2;
        }
        if (!is_open) {
            buf_puts(to, "\r\n");
        } else if (!ok || *at == '\0') {
            buf_puts(to, FFFD);
        } else {
            buf_put(to, at, length);
        }
    }
    if (is_open) {
        buf_puts(to, "\r\n");
    }
}

static int hex_of(char c)
{
    const char *digits = "0123456789ABCDEF";
    const char *at = c != '\0' ? strchr(digits, c) : NULL;

    return at != NULL ? (int)(at - digits) : -1;
}

static bool decode_qp(struct buf *to, struct span from)
{
    for (size_t i = 0; i < from.len; i++) {
        if (from.ptr[i] != '=') {
            buf_putc(to, from.ptr[i]);
            continue;
        }
        if (i + 2 >= from.len) {
            return false;
        }
        if (from.ptr[i + 1] != '\r') {
            int high = hex_of(from.ptr[i + 1]);
            int low = hex_of(from.ptr[i + 2]);

            if (high < 0 || low < 0) {
                return false;
            }
            buf_putc(to, (char)(high * 16 + low));
        }
        i += 2;
    }
    return true;
}

static bool decode_base64(struct buf *to, struct span from)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned bits = 0;
    unsigned count = 0;
    size_t i = 0;

    for (; i < from.len && from.ptr[i] != '='; i++) {
        const char *at = strchr(digits, from.ptr[i]);

        if (from.ptr[i] == '\r' || from.ptr[i] == '\n') {
            continue;
        }
        if (at == NULL || *at == '\0') {
            return false;
        }
        bits = bits << 6 | (unsigned)(at - digits);
        count += 6;
        if (count >= 8) {
            count -= 8;
            buf_putc(to, (char)(bits >> count));
        }
    }
    for (; i < from.len; i++) {
        if (strchr("=\r\n", from.ptr[i]) == NULL) {
            return false;
        }
    }
    return true;
}

static void check_body(struct span text, enum encode_transfer transfer)
{
    struct buf out;
    struct buf got;
    struct buf want;
    const char *fault = NULL;
    bool ok = false;

    buf_init(&out, 0);
    buf_init(&got, 0);
    buf_init(&want, 0);
    if (transfer == ENCODE_QP) {
        encode_qp(&out, text);
        ok = decode_qp(&got, buf_view(&out));
    } else {
        encode_base64(&out, text);
        ok = decode_base64(&got, buf_view(&out));
    }
    fault = fault_of(buf_view(&out), ENCODE_LINE);
    put_canonical(&want, text);
    if (!ok || fault != NULL || !buf_ok(&out) ||
        !span_equal(buf_view(&got), buf_view(&want))) {
        fail_msg("%zu bytes \"%.*s\": %s\n%.*s", text.len, SPAN_ARG(text),
                 fault ? fault : "does not decode", SPAN_ARG(buf_view(&out)));
    }
    buf_release(&out);
    buf_release(&got);
    buf_release(&want);
}

/* --- UTF-8 -------------------------------------------------------------- */

static const struct {
    struct span bytes;
    size_t length;
    bool ok;
} characters[] = {
    {TEXT("a"), 1, true},
    {TEXT("\0"), 1, true},
    {TEXT("\x7f"), 1, true},
    {TEXT("\xc2\x80"), 2, true},
    {TEXT("\xdf\xbf!"), 2, true},
    {TEXT("\xe0\xa0\x80"), 3, true},
    {TEXT("\xed\x9f\xbf"), 3, true},
    {TEXT("\xee\x80\x80"), 3, true},
    {TEXT("\xef\xbf\xbf"), 3, true},
    {TEXT("\xf0\x90\x80\x80"), 4, true},
    {TEXT("\xf4\x8f\xbf\xbf!"), 4, true},

    {TEXT("\x80"), 1, false},
    {TEXT("\xbf\xbf"), 1, false},
    {TEXT("\xc0\x80"), 1, false},         /* overlong */
    {TEXT("\xc1\xbf"), 1, false},         /* overlong */
    {TEXT("\xe0\x9f\xbf"), 1, false},     /* overlong */
    {TEXT("\xf0\x8f\xbf\xbf"), 1, false}, /* overlong */
    {TEXT("\xed\xa0\x80"), 1, false},     /* surrogate */
    {TEXT("\xf4\x90\x80\x80"), 1, false}, /* above U+10FFFF */
    {TEXT("\xf5\x80\x80\x80"), 1, false},
    {TEXT("\xff"), 1, false},
    {TEXT("\xc3"), 1, false},
    {TEXT("\xc3("), 1, false},
    {TEXT("\xe2\x82"), 2, false}, /* the beginning of a character */
    {TEXT("\xe2\x82("), 2, false},
    {TEXT("\xf0\x9f\x98"), 3, false},
    {TEXT("\xf0\x9f\x98("), 3, false},
    {TEXT("\xf0\x9f("), 2, false},
};

static void test_utf8(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(characters); i++) {
        struct span s = characters[i].bytes;
        bool ok = !characters[i].ok;

        assert_int_equal(utf8_length(s.ptr, s.ptr + s.len, &ok),
                         characters[i].length);
        assert_int_equal(ok, characters[i].ok);
    }
}

/* --- quoted-printable --------------------------------------------------- */

static const struct {
    struct span text;
    const char *qp;
} bodies[] = {
    {TEXT(""), "\r\n"},
    {TEXT("a"), "a\r\n"},
    {TEXT("a\n"), "a\r\n"},
    {TEXT("a\nb"), "a\r\nb\r\n"},
    {TEXT("a=b"), "a=3Db\r\n"},
    {TEXT("~ !"), "~ !\r\n"},
    {TEXT("a\x01\x7f\x0b\x0c"), "a=01=7F=0B=0C\r\n"},
    {TEXT("caf\xc3\xa9"), "caf=C3=A9\r\n"},
    {TEXT("\xf0\x9f\x98\x80\n"), "=F0=9F=98=80\r\n"},

    /* Line ends: LF, CRLF, CR and all mixed. */
    {TEXT("a\r\nb\r\n"), "a\r\nb\r\n"},
    {TEXT("a\rb\r"), "a\r\nb\r\n"},
    {TEXT("\n"), "\r\n"},
    {TEXT("\r\n"), "\r\n"},
    {TEXT("\r"), "\r\n"},
    {TEXT("\n\n\n"), "\r\n\r\n\r\n"},
    {TEXT("\r\r\n\n\r"), "\r\n\r\n\r\n\r\n"},
    {TEXT("a\n\rb"), "a\r\n\r\nb\r\n"},

    /* Leading dots, and what would end the mail. */
    {TEXT("."), "=2E\r\n"},
    {TEXT(".\n"), "=2E\r\n"},
    {TEXT("..a"), "=2E.a\r\n"},
    {TEXT("a\n.\nQUIT\n"), "a\r\n=2E\r\nQUIT\r\n"},
    {TEXT("a\r\n.\r\n"), "a\r\n=2E\r\n"},
    {TEXT("a\r.\r\n"), "a\r\n=2E\r\n"},
    {TEXT("a\n.\r\nMAIL FROM:<>"), "a\r\n=2E\r\nMAIL FROM:<>\r\n"},
    {TEXT("a.\n.b"), "a.\r\n=2Eb\r\n"},
    {TEXT(X75 ".x"), X75 "=\r\n=2Ex\r\n"},
    {TEXT("From me"), "=46rom me\r\n"},
    {TEXT("a\nFrom me"), "a\r\n=46rom me\r\n"},
    {TEXT("From"), "From\r\n"},
    {TEXT("Fromage"), "Fromage\r\n"},
    {TEXT(X75 "From x"), X75 "=\r\n=46rom x\r\n"},

    /* Blanks: only the last of a line is in danger. */
    {TEXT("a "), "a=20\r\n"},
    {TEXT("a \n"), "a=20\r\n"},
    {TEXT("a  \r\nb"), "a =20\r\nb\r\n"},
    {TEXT("a\t\n"), "a=09\r\n"},
    {TEXT("\ta\tb"), "\ta\tb\r\n"},
    {TEXT(" \n"), "=20\r\n"},
    {TEXT(" "), "=20\r\n"},
    {TEXT("-- \nme"), "--=20\r\nme\r\n"},

    /* The limit of 76. */
    {TEXT(X75), X75 "\r\n"},
    {TEXT(X76), X76 "\r\n"},
    {TEXT(X76 "\n"), X76 "\r\n"},
    {TEXT(X76 "\r\n"), X76 "\r\n"},
    {TEXT(X76 "y"), X75 "=\r\nxy\r\n"},
    {TEXT(X75 " "), X75 "=\r\n=20\r\n"},
    {TEXT(X74 " "), X74 "=\r\n=20\r\n"},
    {TEXT(X73 " "), X73 "=\r\n=20\r\n"},
    {TEXT(X72 " "), X72 "=20\r\n"},
    {TEXT(X72 "="), X72 "=3D\r\n"},
    {TEXT(X73 "="), X73 "=\r\n=3D\r\n"},
    {TEXT(X75 "="), X75 "=\r\n=3D\r\n"},
    {TEXT(X75 "\ta"), X75 "=\r\n=09a\r\n"},
    {TEXT(X72 "\xc3\xa9"), X72 "=C3=\r\n=A9\r\n"},

    /* NUL and ill-formed UTF-8 become U+FFFD. */
    {TEXT("a\0b"), "a=EF=BF=BDb\r\n"},
    {TEXT("a\xff"
          "b"),
     "a=EF=BF=BDb\r\n"},
    {TEXT("\xe2\x82"), "=EF=BF=BD\r\n"},
    {TEXT("\xe2\x82\n"), "=EF=BF=BD\r\n"},

    /* What some readers take for line ends is a character like others. */
    {TEXT("a\xe2\x80\xa8"
          "b"),
     "a=E2=80=A8b\r\n"},
    {TEXT("a\xc2\x85.b"), "a=C2=85.b\r\n"},
    {TEXT("%0d%0a.%0d%0a"), "%0d%0a.%0d%0a\r\n"},
};

static void test_qp(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        struct buf out;

        buf_init(&out, 0);
        encode_qp(&out, bodies[i].text);
        assert_span(buf_view(&out), bodies[i].qp);
        buf_release(&out);
        check_body(bodies[i].text, ENCODE_QP);
        check_body(bodies[i].text, ENCODE_BASE64);
    }
}

/* Each troublesome piece, with each filler before it, at each distance. */
static void test_bodies_of_every_length(void **state)
{
    static const struct span pieces[] = {
        TEXT("."),     TEXT("\n."),
        TEXT("\r.\r"), TEXT(" \n"),
        TEXT("\t"),    TEXT("From a"),
        TEXT("="),     TEXT("\xc3\xa9"),
        TEXT("\r\n"),  TEXT("\xf0\x9f\x98\x80"),
        TEXT("\0"),    TEXT("\xff\xff"),
    };
    static const char fillers[] = "x .=\t";
    char memory[256];

    (void)state;
    for (size_t f = 0; f < sizeof(fillers) - 1; f++) {
        for (size_t p = 0; p < COUNT_OF(pieces); p++) {
            for (size_t n = 0; n < 160; n++) {
                struct span text = {memory, n + 2 * pieces[p].len + 1};

                memset(memory, fillers[f], n);
                memcpy(memory + n, pieces[p].ptr, pieces[p].len);
                memory[n + pieces[p].len] = 'y';
                memcpy(memory + n + pieces[p].len + 1, pieces[p].ptr,
                       pieces[p].len);
                check_body(text, ENCODE_QP);
                check_body(text, ENCODE_BASE64);
            }
        }
    }
}

static void test_long_lines(void **state)
{
    static const size_t lengths[] = {997, 998, 999, 1000, 5000, 70000};
    static char memory[70000];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(lengths); i++) {
        struct span text = {memory, lengths[i]};

        memset(memory, 'x', lengths[i]);
        check_body(text, ENCODE_QP);
        memset(memory, '.', lengths[i]);
        check_body(text, ENCODE_QP);
        memset(memory, '\0', lengths[i]);
        check_body(text, ENCODE_QP);
        memset(memory, '\xff', lengths[i]);
        check_body(text, ENCODE_QP);
        check_body(text, ENCODE_BASE64);
    }
}

static void test_base64(void **state)
{
    static const struct {
        const char *text;
        const char *base64;
    } cases[] = {
        {"", "DQo=\r\n"},
        {"a\n", "YQ0K\r\n"},
        {"ab", "YWINCg==\r\n"},
        {"\xd0\xb4\xd0\xb0", "0LTQsA0K\r\n"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buf out;

        buf_init(&out, 0);
        encode_base64(&out, span_of(cases[i].text));
        assert_span(buf_view(&out), cases[i].base64);
        buf_release(&out);
    }
}

static void test_plan(void **state)
{
    static const struct {
        const char *text;
        enum encode_transfer transfer;
    } cases[] = {
        {"", ENCODE_QP},
        {"Hello\n", ENCODE_QP},
        {"\n\n\n\n\n\n\n\n\n\n", ENCODE_QP},
        {"1\n2\n3\n4\n5\n6\n7\n8\n9\n", ENCODE_QP},
        {"Sch\xc3\xb6ne Gr\xc3\xbc\xc3\x9f"
         "e aus M\xc3\xbcnchen, wo die Sonne scheint\n",
         ENCODE_QP},
        {"\xd0\x94\xd0\xbe\xd0\xb1\xd1\x80\xd1\x8b\xd0\xb9\n", ENCODE_BASE64},
        {"\xe4\xbd\xa0\xe5\xa5\xbd\n", ENCODE_BASE64},
        {"a=b=c=d=e=f", ENCODE_BASE64},
        /* 1.4 exactly, and one more. */
        {"xxxxxxxx==", ENCODE_QP},
        {"xxxxxxxx===", ENCODE_BASE64},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_int_equal(encode_plan(span_of(cases[i].text)).transfer,
                         cases[i].transfer);
    }
    assert_string_equal(encode_transfer_name(ENCODE_QP), "quoted-printable");
    assert_string_equal(encode_transfer_name(ENCODE_BASE64), "base64");
}

static void test_bodies_without_room(void **state)
{
    char memory[90];
    struct buf out;

    (void)state;
    buf_wrap(&out, memory, sizeof(memory));
    encode_qp(&out, SPAN_LIT(X75));
    assert_false(buf_ok(&out));
    assert_int_equal(out.len, 0);
    buf_wrap(&out, memory, sizeof(memory));
    encode_base64(&out, SPAN_LIT(X75));
    assert_false(buf_ok(&out));
}

/* --- header fields ------------------------------------------------------ */

#define E_ACUTE "\xc3\xa9"
#define GRIN    "\xf0\x9f\x98\x80"
#define E10                                                                    \
    E_ACUTE E_ACUTE E_ACUTE E_ACUTE E_ACUTE E_ACUTE E_ACUTE E_ACUTE E_ACUTE    \
        E_ACUTE

static const struct {
    struct span value;
    const char *field;
} fields[] = {
    {TEXT("Hello"), "Subject: Hello\r\n"},
    {TEXT("a, \"b\" <c@d> (e)"), "Subject: a, \"b\" <c@d> (e)\r\n"},
    {TEXT(""), ""},
    {TEXT(" \t\r\n"), ""},

    /* Control characters and white space. */
    {TEXT("a\r\nBcc: evil@x"), "Subject: a Bcc: evil@x\r\n"},
    {TEXT("a\nb"), "Subject: a b\r\n"},
    {TEXT("a\rb"), "Subject: a b\r\n"},
    {TEXT("a\0b"), "Subject: a b\r\n"},
    {TEXT("a\r\n\r\n.\r\nb"), "Subject: a . b\r\n"},
    {TEXT("\r\na\r\n"), "Subject: a\r\n"},
    {TEXT("  a  b\tc  "), "Subject: a b c\r\n"},
    {TEXT("a\x1b[31mb\x7f"), "Subject: a [31mb\r\n"},
    {TEXT("a\xc2\x85"
          "b"),
     "Subject: a b\r\n"},
    {TEXT("a\xe2\x80\xa8"
          "b\xe2\x80\xa9"),
     "Subject: a b\r\n"},
    {TEXT("%0d%0aBcc: x"), "Subject: %0d%0aBcc: x\r\n"},

    /* Encoded words: the shorter of Q and B. */
    {TEXT("caf" E_ACUTE), "Subject: =?UTF-8?B?Y2Fmw6k=?=\r\n"},
    {TEXT("caf" E_ACUTE " ol" E_ACUTE " a=b?"),
     "Subject: =?UTF-8?B?Y2Fmw6kgb2zDqSBhPWI/?=\r\n"},
    {TEXT("the caf" E_ACUTE " is open, ok"),
     "Subject: =?UTF-8?Q?the_caf=C3=A9_is_open,_ok?=\r\n"},
    {TEXT(GRIN), "Subject: =?UTF-8?B?8J+YgA==?=\r\n"},
    {TEXT("\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d"),
     "Subject: =?UTF-8?B?16nXnNeV150=?=\r\n"},
    {TEXT("a\xff"
          "b"),
     "Subject: =?UTF-8?B?Ye+/vWI=?=\r\n"},
    {TEXT("=?utf-8?Q?x?="), "Subject: =?UTF-8?B?PT91dGYtOD9RP3g/PQ==?=\r\n"},
    {TEXT("really=?"), "Subject: =?UTF-8?Q?really=3D=3F?=\r\n"},

    /* The first line takes 39 bytes of B, the others 45. */
    {TEXT(E10 E10),
     "Subject: =?UTF-8?B?w6nDqcOpw6nDqcOpw6nDqcOpw6nDqcOpw6nDqcOpw6nDqcOpw6k=?="
     "\r\n =?UTF-8?B?w6k=?=\r\n"},

    /* Folding at spaces. */
    {TEXT(X70 " abc"), "Subject:\r\n " X70 " abc\r\n"},
    {TEXT("abc " X70 " def"), "Subject: abc\r\n " X70 " def\r\n"},
    {TEXT("abc " X70 X70 " def"), "Subject: abc\r\n " X70 X70 "\r\n def\r\n"},
    {TEXT(X70 X70 " def"), "Subject: " X70 X70 "\r\n def\r\n"},
    {TEXT(X10 " " X10 " " X10 " " X10 " " X10 " " X10 " abc"),
     "Subject: " X10 " " X10 " " X10 " " X10 " " X10 " " X10 " abc\r\n"},
    {TEXT(X10 " " X10 " " X10 " " X10 " " X10 " " X10 " abcd"),
     "Subject: " X10 " " X10 " " X10 " " X10 " " X10 " " X10 "\r\n abcd\r\n"},
};

static void test_field(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        struct buf out;

        buf_init(&out, 0);
        encode_field(&out, SPAN_LIT("Subject"), fields[i].value);
        assert_span(buf_view(&out), fields[i].field);
        buf_release(&out);
    }
}

/* Decodes a field of nothing but encoded words; false when it is not one, or
 * when a word is too long or holds half a character. */
static bool decode_words(struct buf *to, struct span field, size_t name_len)
{
    size_t i = name_len;

    while (i + 2 < field.len) {
        struct span word = SPAN_NONE;
        const char *end = NULL;
        size_t begin = to->len;
        size_t length = 0;
        bool ok = true;

        i += field.ptr[i] == '\r' ? 2 : 0;
        if (memcmp(field.ptr + i, " =?UTF-8?", 9) != 0) {
            return false;
        }
        end = memmem(field.ptr + i + 11, field.len - i - 11, "?=", 2);
        if (end == NULL || end + 2 - (field.ptr + i + 1) > 75) {
            return false;
        }
        word = span_make(field.ptr + i + 11, 0);
        word.len = (size_t)(end - word.ptr);
        ok = field.ptr[i + 9] == 'Q' ? decode_qp(to, word)
                                     : decode_base64(to, word);
        for (size_t at = begin; at < to->len && ok; at += length) {
            length = utf8_length(to->data + at, to->data + to->len, &ok);
        }
        if (!ok) {
            return false;
        }
        i += 11 + word.len + 2;
    }
    return true;
}

/* A character of each length at each place of the words. No "_" in these, so
 * that Q decodes as a body does. */
static void test_words_of_every_length(void **state)
{
    static const char *const pieces[] = {E_ACUTE, "\xe2\x82\xac", GRIN,
                                         "=?" E_ACUTE};
    static const char *const fillers[] = {"x", E_ACUTE, ","};
    static const char *const names[] = {
        "Subject", "X",
        "X-Quite-A-Long-Name-Of-A-Field-That-Leaves-Little-Room-For-Words-12"};

    (void)state;
    for (size_t c = 0; c < COUNT_OF(pieces) * COUNT_OF(fillers) * 3; c++) {
        const char *piece = pieces[c % 4];
        const char *filler = fillers[c / 4 % 3];
        struct span name = span_of(names[c / 12]);

        for (size_t n = 0; n < 130; n++) {
            struct buf text;
            struct buf out;
            struct buf got;

            buf_init(&text, 0);
            buf_init(&out, 0);
            buf_init(&got, 0);
            for (size_t i = 0; i < n; i++) {
                buf_puts(&text, filler);
            }
            buf_puts(&text, piece);
            buf_puts(&text, filler);
            encode_field(&out, name, buf_view(&text));
            assert_null(fault_of(buf_view(&out), ENCODE_LINE));
            assert_true(decode_words(&got, buf_view(&out), name.len + 1));
            assert_true(span_equal(buf_view(&got), buf_view(&text)));
            buf_release(&text);
            buf_release(&out);
            buf_release(&got);
        }
    }
}

static void test_long_values(void **state)
{
    static char memory[2 * ENCODE_VALUE_MAX];

    (void)state;
    for (size_t n = 1; n <= sizeof(memory); n = n < 1100 ? n + 1 : n * 2) {
        struct buf out;

        buf_init(&out, 0);
        memset(memory, 'x', n);
        encode_field(&out, SPAN_LIT("Subject"), span_make(memory, n));
        assert_null(fault_of(buf_view(&out), ENCODE_LINE_MAX));
        buf_clear(&out);
        for (size_t i = 0; i < n; i++) {
            memory[i] = i % 7 == 6 ? ' ' : '.';
        }
        encode_field(&out, SPAN_LIT("Subject"), span_make(memory, n));
        assert_null(fault_of(buf_view(&out), ENCODE_FOLD));
        buf_clear(&out);
        memset(memory, '\x80', n);
        encode_field(&out, SPAN_LIT("Subject"), span_make(memory, n));
        assert_null(fault_of(buf_view(&out), ENCODE_LINE));
        assert_true(out.len > 10);
        buf_release(&out);
    }
}

/* Cut between characters, at the limit. */
static void test_cut(void **state)
{
    char memory[ENCODE_VALUE_MAX + 2];
    struct buf out;
    struct buf got;

    (void)state;
    buf_init(&out, 0);
    buf_init(&got, 0);
    memset(memory, 'x', sizeof(memory));
    memcpy(memory + ENCODE_VALUE_MAX - 2, GRIN, 4);
    memcpy(memory, E_ACUTE, 2);
    encode_field(&out, SPAN_LIT("Subject"), span_make(memory, sizeof(memory)));
    assert_true(decode_words(&got, buf_view(&out), strlen("Subject:")));
    assert_int_equal(got.len, ENCODE_VALUE_MAX - 2);
    buf_release(&out);
    buf_release(&got);
}

#define NAME60 X10 X10 X10 X10 X10 X10

static const struct {
    struct span display;
    const char *field;
} mailboxes[] = {
    {TEXT(""), "To: <a@b.org>\r\n"},
    {TEXT("\r\n"), "To: <a@b.org>\r\n"},
    {TEXT("Jane Doe"), "To: Jane Doe <a@b.org>\r\n"},
    {TEXT("O'Hara"), "To: O'Hara <a@b.org>\r\n"},
    {TEXT("Jane Q. Doe"), "To: \"Jane Q. Doe\" <a@b.org>\r\n"},
    {TEXT("Doe, Jane"), "To: \"Doe, Jane\" <a@b.org>\r\n"},
    {TEXT("Jane \"J\" D\\oe"), "To: \"Jane \\\"J\\\" D\\\\oe\" <a@b.org>\r\n"},
    {TEXT("\""), "To: \"\\\"\" <a@b.org>\r\n"},
    {TEXT("jane@doe.org"), "To: \"jane@doe.org\" <a@b.org>\r\n"},
    {TEXT("x\r\nBcc: evil@x"), "To: \"x Bcc: evil@x\" <a@b.org>\r\n"},
    {TEXT("x>\r\nRCPT TO:<y"), "To: \"x> RCPT TO:<y\" <a@b.org>\r\n"},
    {TEXT("x\0y"), "To: x y <a@b.org>\r\n"},
    {TEXT("Jos" E_ACUTE " X"), "To: =?UTF-8?Q?Jos=C3=A9_X?= <a@b.org>\r\n"},
    {TEXT("Jos" E_ACUTE " M.Q."),
     "To: =?UTF-8?B?Sm9zw6kgTS5RLg==?= <a@b.org>\r\n"},
    {TEXT("\"" GRIN ", x\""), "To: =?UTF-8?B?IvCfmIAsIHgi?= <a@b.org>\r\n"},
    {TEXT("\xd7\x90\xd7\x91"), "To: =?UTF-8?B?15DXkQ==?= <a@b.org>\r\n"},
    {TEXT("=?UTF-8?Q?x?="),
     "To: =?UTF-8?B?PT9VVEYtOD9RP3g/PQ==?= <a@b.org>\r\n"},
    {TEXT(NAME60), "To: " NAME60 " <a@b.org>\r\n"},
    {TEXT(NAME60 "xxxxx"),
     "To: =?UTF-8?Q?" NAME60 "?=\r\n =?UTF-8?Q?xxxxx?= <a@b.org>\r\n"},
};

static void test_mailbox(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(mailboxes); i++) {
        struct buf out;

        buf_init(&out, 0);
        encode_mailbox(&out, SPAN_LIT("To"), mailboxes[i].display,
                       SPAN_LIT("a@b.org"));
        assert_span(buf_view(&out), mailboxes[i].field);
        assert_null(fault_of(buf_view(&out), ENCODE_FOLD));
        buf_release(&out);
    }
}

/* Every name fits, with an address that is as long as can be. */
static void test_long_mailboxes(void **state)
{
    static const char *const fillers[] = {"x",  "\"", "\\",  E_ACUTE,
                                          GRIN, "x ", "\xff"};
    char inside[254];

    (void)state;
    memset(inside, 'a', sizeof(inside));
    for (size_t f = 0; f < COUNT_OF(fillers); f++) {
        struct buf display;

        buf_init(&display, 0);
        for (size_t n = 0; n < 300; n++) {
            struct buf out;

            buf_init(&out, 0);
            buf_puts(&display, fillers[f]);
            encode_mailbox(&out, SPAN_LIT("Reply-To"), buf_view(&display),
                           span_make(inside, sizeof(inside)));
            assert_null(fault_of(buf_view(&out), 4 + sizeof(inside)));
            buf_clear(&out);
            encode_mailbox(&out, SPAN_LIT("Reply-To"), buf_view(&display),
                           SPAN_LIT("a@b.org"));
            assert_null(fault_of(buf_view(&out), 140));
            buf_release(&out);
        }
        buf_release(&display);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_qp),
        cmocka_unit_test(test_bodies_of_every_length),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_base64),
        cmocka_unit_test(test_plan),
        cmocka_unit_test(test_bodies_without_room),
        cmocka_unit_test(test_field),
        cmocka_unit_test(test_words_of_every_length),
        cmocka_unit_test(test_long_values),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_mailbox),
        cmocka_unit_test(test_long_mailboxes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
