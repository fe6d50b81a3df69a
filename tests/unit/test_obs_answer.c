/*
 * test_obs_answer - answers of the source server: both views, odd and hostile
 * ones.
 */
#include "test.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "web/obs_answer.h"

enum { MEMORY = 1024 * 1024 };

/* The rows on one line each: "type@time key=value key=value". */
static const char *told(const struct obs_answer *a)
{
    static char text[4096];
    struct buf b;

    buf_wrap(&b, text, sizeof(text));
    for (struct obs_notification *n = a->first; n != NULL; n = n->next) {
        buf_printf(&b, "%.*s@%lld", SPAN_ARG(n->type), (long long)n->time_s);
        for (struct obs_pair *p = n->pairs; p != NULL; p = p->next) {
            buf_printf(&b, " %.*s%s%.*s", SPAN_ARG(p->key),
                       p->is_json ? ":" : "=", SPAN_ARG(p->value));
        }
        buf_puts(&b, ";");
    }
    return buf_cstr(&b);
}

static const struct good {
    const char *name;
    enum obs_view view;
    const char *text;
    int64_t next;
    bool is_sync_lost;
    bool is_limit_reached;
    const char *rows;
} good[] = {
    {"the form of the manual", OBS_VIEW_XML,
     "<notifications next=\"4712\">\n"
     "  <notification type=\"SRCSRV_SERVICE_SUCCESS\" time=\"1513240000\">\n"
     "    <data key=\"comment\"></data>\n"
     "    <data key=\"package\">hello</data>\n"
     "    <data key=\"user\"/>\n"
     "  </notification>\n"
     "  <notification type=\"COMMIT\" time=\"5\"/>\n"
     "</notifications>\n",
     4712, false, false,
     "SRCSRV_SERVICE_SUCCESS@1513240000 comment= package=hello user=;"
     "COMMIT@5;"},
    {"nothing new", OBS_VIEW_XML, "<notifications next='7'/>", 7, false, false,
     ""},
    {"lost", OBS_VIEW_XML,
     "<?xml version='1.0' encoding='UTF-8'?>"
     "<notifications next='9' sync='lost'/>",
     9, true, false, ""},
    {"limit", OBS_VIEW_XML, "<notifications limit_reached='1' next='9'/>", 9,
     false, true, ""},
    {"escapes and line breaks", OBS_VIEW_XML,
     "<notifications next='2'><notification type='A' time='1'>"
     "<data key='a&amp;b'>1 &lt; 2 &#38; x&#10;\ty</data>"
     "</notification></notifications>",
     2, false, false, "A@1 a&b=1 < 2 & x\n\ty;"},
    {"a declared encoding that is none of its own", OBS_VIEW_XML,
     "<?xml version='1.0' encoding='UTF-16'?><notifications next='2'>"
     "<notification type='A' time='1'><data key='k'>\xc3\xa9\xe9</data>"
     "</notification></notifications>",
     2, false, false, "A@1 k=\xc3\xa9\xef\xbf\xbd;"},
    {"control bytes", OBS_VIEW_XML,
     "<notifications next='2'><notification type='A' time='1'>"
     "<data key='k'>a\x01"
     "b\xef\xbf\xbf</data></notification></notifications>",
     2, false, false,
     "A@1 k=a\xef\xbf\xbd"
     "b\xef\xbf\xbd;"},
    {"other elements are passed over", OBS_VIEW_XML,
     "<notifications next='2' color='red'><news><notification type='no'/>"
     "</news><notification type='A' time='1'><x>no<data key='no'/></x>"
     "<data key='k'>a<b>no</b>c</data></notification></notifications>",
     2, false, false, "A@1 k=ac;"},
    {"time that is none", OBS_VIEW_XML,
     "<notifications next='2'><notification type='A' time='soon'/>"
     "<notification/></notifications>",
     2, false, false, "A@0;@0;"},
    {"equal keys", OBS_VIEW_XML,
     "<notifications next='2'><notification type='A' time='1'>"
     "<data key='k'>1</data><data key='k'>2</data>"
     "</notification></notifications>",
     2, false, false, "A@1 k=1 k=2;"},
    {"JSON", OBS_VIEW_JSON,
     "{\"next\":\"4712\",\"limit_reached\":1,\"notification\":["
     "{\"type\":\"A\",\"time\":\"15\",\"data\":{\"a\":\"x\",\"b\":\"\"}},"
     "{\"type\":\"B\",\"time\":16}]}",
     4712, false, true, "A@15 a=x b=;B@16;"},
    {"JSON lost", OBS_VIEW_JSON,
     "{\"next\":3,\"sync\":\"lost\",\"limit_reached\":0,\"notification\":[]}",
     3, true, false, ""},
    {"JSON values", OBS_VIEW_JSON,
     "{\"next\":3,\"limit_reached\":false,\"notification\":[{\"type\":\"A\","
     "\"time\":1,\"data\":{\"n\":12,\"t\":true,\"z\":null,\"l\":[1, \"x\"],"
     "\"s\":\"a\\u0000\\u0007b\"}}]}",
     3, false, false,
     "A@1 n=12 t=true z= l:[1,\"x\"] s=a\xef\xbf\xbd\xef\xbf\xbd"
     "b;"},
    {"JSON with bad bytes", OBS_VIEW_JSON,
     "{\"next\":3,\"notification\":[{\"type\":\"A\",\"time\":1,"
     "\"data\":{\"k\":\"\xff\x02\"}}]}",
     3, false, false, "A@1 k=\xef\xbf\xbd\xef\xbf\xbd;"},
    {"JSON with escapes that are no characters", OBS_VIEW_JSON,
     "{\"next\":3,\"notification\":[{\"type\":\"A\",\"time\":1,"
     "\"data\":{\"a\\u0000b\":\"\\ud800x\",\"c\":\"\\uDC00\\ud83d\\ud83D"
     "\\uDE00\",\"d\":\"\\\\u0000\",\"e\":\"\\u00e9\\\\\",\"f\":\"\\ud83d\"}}]"
     "}",
     3, false, false,
     "A@1 a\xef\xbf\xbd"
     "b=\xef\xbf\xbdx c=\xef\xbf\xbd\xef\xbf\xbd\xf0\x9f\x98\x80 d=\\u0000 "
     "e=\xc3\xa9\\ f=\xef\xbf\xbd;"},
};

static void test_good(void **state)
{
    struct obs_answer a;

    (void)state;
    obs_answer_init(&a, MEMORY);
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        const struct good *g = &good[i];

        if (!obs_answer_read(&a, g->view, span_of(g->text))) {
            fail_msg("%s: %s", g->name, a.error);
        }
        if (a.next != g->next || a.is_sync_lost != g->is_sync_lost ||
            a.is_limit_reached != g->is_limit_reached ||
            strcmp(told(&a), g->rows) != 0) {
            fail_msg("%s: got next %lld, lost %d, limit %d, %s", g->name,
                     (long long)a.next, a.is_sync_lost, a.is_limit_reached,
                     told(&a));
        }
    }
    obs_answer_release(&a);
}

static const struct bad {
    const char *text;
    enum obs_view view;
    const char *error;
} bad[] = {
    {"", OBS_VIEW_XML, "line 1, column 1: no element found"},
    {"<html><body>502</body></html>", OBS_VIEW_XML,
     "it begins with <html>, expected <notifications>"},
    {"<notifications/>", OBS_VIEW_XML, "it has no \"next\""},
    {"<notifications next=''/>", OBS_VIEW_XML, "next is \"\", expected"},
    {"<notifications next='-1'/>", OBS_VIEW_XML, "next is \"-1\", expected"},
    {"<notifications next='0'/>", OBS_VIEW_XML, "next is \"0\", expected"},
    {"<notifications next='9999999999999999999'/>", OBS_VIEW_XML,
     "next is \"9999999999999999999\""},
    {"<notifications next='2'><notification type='A'", OBS_VIEW_XML,
     "line 1, column 25: unclosed token"},
    {"<notifications next='2'><notification type='A'/>", OBS_VIEW_XML,
     "no element found"},
    {"<notifications next='2'><notification><data>x</data></notification>"
     "</notifications>",
     OBS_VIEW_XML, "line 1: <data> has no attribute \"key\""},
    {"<notifications next='2'><notification><data/></notification>"
     "</notifications>",
     OBS_VIEW_XML, "line 1: <data> has no attribute \"key\""},
    {"<!DOCTYPE notifications [<!ENTITY a 'aaaa'>"
     "<!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;'>]>"
     "<notifications next='2'><notification type='&b;'/></notifications>",
     OBS_VIEW_XML, "document type declaration"},
    {"<!DOCTYPE notifications [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>"
     "<notifications next='2'><notification><data key='k'>&x;</data>"
     "</notification></notifications>",
     OBS_VIEW_XML, "document type declaration"},
    {"<!DOCTYPE notifications SYSTEM 'http://127.0.0.1/x.dtd'>"
     "<notifications next='2'/>",
     OBS_VIEW_XML, "document type declaration"},
    {"<notifications next='2'><notification type='&x;'/></notifications>",
     OBS_VIEW_XML, "undefined entity"},
    {"<notifications next='2'><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a>",
     OBS_VIEW_XML, "nested deeper than 16"},
    {"", OBS_VIEW_JSON, "line 1, column 0: "},
    {"[]", OBS_VIEW_JSON, "it is a list, expected an object"},
    {"{}", OBS_VIEW_JSON, "it has no \"next\""},
    {"{\"next\":1.5}", OBS_VIEW_JSON, "next is \"1.5\", expected"},
    {"{\"next\":2,\"notification\":{}}", OBS_VIEW_JSON,
     "notification is an object, expected a list"},
    {"{\"next\":2,\"notification\":[{},7]}", OBS_VIEW_JSON,
     "notification 2 is a number, expected an object"},
    {"{\"next\":2,\"notification\":[{\"data\":[]}]}", OBS_VIEW_JSON,
     "notification 1: data is a list, expected an object"},
    {"<notifications next='2'/>", OBS_VIEW_JSON, "line 1, column 1: "},
};

static void test_bad(void **state)
{
    struct obs_answer a;

    (void)state;
    obs_answer_init(&a, MEMORY);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_false(obs_answer_read(&a, bad[i].view, span_of(bad[i].text)));
        if (strstr(a.error, bad[i].error) == NULL) {
            fail_msg("%s: got \"%s\", want \"%s\"", bad[i].text, a.error,
                     bad[i].error);
        }
        assert_null(a.first);
        assert_int_equal(a.count, 0);
    }
    obs_answer_release(&a);
}

/* When memory runs out the answer is refused: it never comes shortened. */
static void test_no_memory(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        const struct good *g = &good[i];
        bool is_read = false;

        for (long n = 0; !is_read; n++) {
            struct obs_answer a;

            obs_answer_init(&a, MEMORY);
            mem_fail_after(n);
            is_read = obs_answer_read(&a, g->view, span_of(g->text));
            mem_fail_after(-1);
            if (is_read && strcmp(told(&a), g->rows) != 0) {
                fail_msg("%s, allocation %ld: %s", g->name, n, told(&a));
            }
            if (!is_read && a.error[0] == '\0') {
                fail_msg("%s, allocation %ld: no reason", g->name, n);
            }
            obs_answer_release(&a);
        }
    }
}

/* Memory and number are bounded, and a good answer is read after that. */
static void test_bounds(void **state)
{
    struct obs_answer a;
    struct buf text;

    (void)state;
    obs_answer_init(&a, MEMORY);
    buf_init(&text, 0);
    buf_puts(&text, "<notifications next='2'><notification type='A' time='1'>"
                    "<data key='k'>");
    for (int i = 0; i < MEMORY; i++) {
        buf_putc(&text, 'x');
    }
    buf_puts(&text, "</data></notification></notifications>");
    assert_false(obs_answer_read(&a, OBS_VIEW_XML, buf_view(&text)));
    assert_non_null(strstr(a.error, "more than the 1048576 bytes"));
    buf_clear(&text);
    buf_puts(&text, "<notifications next='2'>");
    for (int i = 0; i < 10001; i++) {
        buf_puts(&text, "<notification/>");
    }
    buf_puts(&text, "</notifications>");
    obs_answer_release(&a);
    obs_answer_init(&a, 16 * MEMORY);
    assert_false(obs_answer_read(&a, OBS_VIEW_XML, buf_view(&text)));
    assert_non_null(strstr(a.error, "more than 10000 notifications"));
    assert_true(obs_answer_read(&a, OBS_VIEW_XML,
                                SPAN_LIT("<notifications next='2'/>")));
    assert_string_equal(a.error, "");
    buf_release(&text);
    obs_answer_release(&a);
}

static void test_repair(void **state)
{
    static const struct {
        const char *from;
        const char *to;
    } cases[] = {
        {"", ""},
        {"plain\t\r\n", "plain\t\r\n"},
        {"\xf0\x9f\x98\x80 \xc3\xa9", "\xf0\x9f\x98\x80 \xc3\xa9"},
        {"\x01"
         "a\x1f",
         "\xef\xbf\xbd"
         "a\xef\xbf\xbd"},
        {"\xc3", "\xef\xbf\xbd"},
        {"\xed\xa0\x80x", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdx"},
        {"\xef\xbf\xbe|\xef\xbf\xbd|\xef\xbe\xbf",
         "\xef\xbf\xbd|\xef\xbf\xbd|\xef\xbe\xbf"},
    };
    struct buf out;

    (void)state;
    buf_init(&out, 0);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        buf_clear(&out);
        utf8_repair(&out, span_of(cases[i].from));
        assert_span(buf_view(&out), cases[i].to);
    }
    utf8_repair(&out, SPAN_NONE);
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),      cmocka_unit_test(test_bad),
        cmocka_unit_test(test_no_memory), cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_repair),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
