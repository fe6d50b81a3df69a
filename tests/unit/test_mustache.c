/*
 * mustache: what the specification leaves open, what is ours, what is hostile,
 * and what people get told.
 */
#include "test.h"

#include <stdlib.h>

#include "mail/mustache.h"

/* Partials of a test: "name\0source\0name\0source\0\0". */
static bool find_partial(void *ctx, struct span name, struct span *text,
                         const char **file)
{
    const char *at = ctx;

    while (at != NULL && *at != '\0') {
        const char *source = at + strlen(at) + 1;

        if (span_is(name, at)) {
            *text = span_of(source);
            *file = at;
            return true;
        }
        at = source + strlen(source) + 1;
    }
    return false;
}

static struct span partial_at(void *ctx, size_t i)
{
    const char *at = ctx;

    for (; at != NULL && *at != '\0' && i > 0; i--) {
        at += strlen(at) + 1;
        at += strlen(at) + 1;
    }
    return at && *at ? span_of(at) : SPAN_NONE;
}

struct fixture {
    struct template_set *set;
    struct problems problems;
    struct buf out;
    struct template_fault why;
};

static void fixture_init(struct fixture *f, const char *partials)
{
    struct template_loader loader = {.find = find_partial,
                                     .name_at = partial_at,
                                     .ctx = (void *)(uintptr_t)partials};

    f->set = template_set_new(&loader);
    f->why = (struct template_fault){0};
    problems_init(&f->problems);
    buf_init(&f->out, 1 << 16);
}

static void fixture_release(struct fixture *f)
{
    template_set_free(f->set);
    problems_release(&f->problems);
    buf_release(&f->out);
}

static struct template *compile(struct fixture *f, const char *source,
                                enum template_escape escape)
{
    return template_compile(f->set, "main", span_of(source), "main.mustache",
                            escape, &f->problems);
}

static json_t *parse(const char *text)
{
    json_t *data = json_loads(text, JSON_ALLOW_NUL | JSON_DECODE_ANY, NULL);

    assert_non_null(data);
    return data;
}

struct render_case {
    const char *source;
    const char *data;
    const char *want;
    const char *partials;
};

static void check_renders(const struct render_case *cases, size_t count,
                          enum template_escape escape)
{
    for (size_t i = 0; i < count; i++) {
        json_t *data = parse(cases[i].data);
        struct fixture f;
        struct template *t = NULL;

        fixture_init(&f, cases[i].partials);
        t = compile(&f, cases[i].source, escape);
        problems_print(&f.problems);
        assert_non_null(t);
        assert_true(template_render(t, &data, 1, &f.out, &f.why));
        assert_span(buf_view(&f.out), cases[i].want);
        fixture_release(&f);
        json_decref(data);
    }
}

#define CHECK(cases, escape) check_renders(cases, COUNT_OF(cases), escape)

static void values_are_printed(void **state)
{
    static const struct render_case cases[] = {
        {"{{x}}", "{\"x\":9223372036854775807}", "9223372036854775807", NULL},
        {"{{x}}", "{\"x\":-9223372036854775808}", "-9223372036854775808", NULL},
        {"{{x}}", "{\"x\":0}", "0", NULL},
        {"{{x}}", "{\"x\":0.1}", "0.1", NULL},
        {"{{x}}", "{\"x\":1.0}", "1.0", NULL},
        {"{{x}}", "{\"x\":1e300}", "1e+300", NULL},
        {"{{x}}", "{\"x\":0.30000000000000004}", "0.30000000000000004", NULL},
        {"{{x}}", "{\"x\":true}", "true", NULL},
        {"{{x}}", "{\"x\":false}", "false", NULL},
        {"{{x}}", "{\"x\":null}", "", NULL},
        {"{{x}}", "{\"x\":[1,\"a\"]}", "[1,\"a\"]", NULL},
        {"{{x.y}}", "{\"x\":\"text\"}", "", NULL},
        {"{{x}}{{x}}", "{\"x\":\"\\ud83d\\ude00\"}",
         "\xF0\x9F\x98\x80\xF0\x9F\x98\x80", NULL},
        {"{{x}}", "{\"x\":\"a\\u0000b\\u0000\"}",
         "a\xEF\xBF\xBD"
         "b\xEF\xBF\xBD",
         NULL},
        {"{{x}}", "{\"x\":\"<a href='x'>&\\\"\"}", "<a href='x'>&\"", NULL},
        {"{{ #x }}y{{ /x }}", "{\"x\":1}", "y", NULL},
        {"", "{}", "", NULL},
        {"a } }} b", "{}", "a } }} b", NULL},
    };

    (void)state;
    CHECK(cases, TEMPLATE_ESCAPE_NONE);
}

static void html_is_escaped(void **state)
{
    static const struct render_case cases[] = {
        {"{{x}}", "{\"x\":\"<a href='x'>&\\\"\"}",
         "&lt;a href=&#39;x&#39;&gt;&amp;&quot;", NULL},
        {"{{{x}}}{{&x}}", "{\"x\":\"<&\"}", "<&<&", NULL},
        {"{{x}}", "{\"x\":\"\\u0000<\"}", "\xEF\xBF\xBD&lt;", NULL},
        {"{{x}}", "{\"x\":[\"<\"]}", "[&quot;&lt;&quot;]", NULL},
        {"{{>p}}", "{\"x\":\"<\"}", "<b>&lt;</b>", "p\0<b>{{x}}</b>\0"},
    };

    (void)state;
    CHECK(cases, TEMPLATE_ESCAPE_HTML);
}

/* Escaping does not help against the scheme of an address. Whatever the way to
 * an attribute is, who begins it has to be harmless. */
static void only_web_and_mail_addresses_become_links(void **state)
{
    static const struct render_case cases[] = {
        {"<a href=\"{{a}}\">", "{\"a\": \"https://x.example/?a=1&b\"}",
         "<a href=\"https://x.example/?a=1&amp;b\">", NULL},
        {"<a href=\"{{a}}\">", "{\"a\": \"HTTP://x\"}", "<a href=\"HTTP://x\">",
         NULL},
        {"<a href=\"{{a}}\">", "{\"a\": \"mailto:a@b.example\"}",
         "<a href=\"mailto:a@b.example\">", NULL},
        {"<a href=\"{{a}}\">", "{\"a\": \"javascript:alert(1)\"}",
         "<a href=\"#\">", NULL},
        {"<a href=\"{{a}}\">", "{\"a\": \" javascript:alert(1)\"}",
         "<a href=\"#\">", NULL},
        {"<a href=\"{{a}}\">", "{\"a\": \"java\\nscript:alert(1)\"}",
         "<a href=\"#\">", NULL},
        {"<a href=\"{{a}}\">", "{\"a\": \"data:text/html,x\"}",
         "<a href=\"#\">", NULL},
        {"<a href=\"{{a}}\">", "{\"a\": \"//x.example\"}", "<a href=\"#\">",
         NULL},
        {"<a href=\"{{a}}\">", "{\"a\": \"http:x\"}", "<a href=\"#\">", NULL},
        {"<a href=\"{{a}}\">", "{\"a\": 7}", "<a href=\"#\">", NULL},
        {"<a href=\"{{a}}\">", "{\"a\": [\"http://x\"]}", "<a href=\"#\">",
         NULL},
        {"<a href=\"{{a}}\">", "{\"a\": \"\"}", "<a href=\"\">", NULL},
        {"<a href=\"{{a}}\">", "{\"a\": null}", "<a href=\"\">", NULL},
        {"<a HREF = '{{a}}'>", "{\"a\": \"vbscript:x\"}", "<a HREF = '#'>",
         NULL},
        {"<img src=\"{{a}}\">", "{\"a\": \"javascript:x\"}", "<img src=\"#\">",
         NULL},
        {"<form action=\"{{a}}\">", "{\"a\": \"javascript:x\"}",
         "<form action=\"#\">", NULL},
        {"<a href=\"{{#a}}{{.}}{{/a}}\">", "{\"a\": \"javascript:x\"}",
         "<a href=\"#\">", NULL},
        {"<a href=\"{{>p}}\">", "{\"a\": \"javascript:x\"}", "<a href=\"#\">",
         "p\0{{a}}\0"},
        {"<a href=\" {{a}}\">", "{\"a\": \"javascript:x\"}", "<a href=\" #\">",
         NULL},
        {"<a href=\"\n  {{a}}\">", "{\"a\": \"javascript:x\"}",
         "<a href=\"\n  #\">", NULL},
        {"<a href=\"\" title=\" {{a}}\">", "{\"a\": \"x\"}",
         "<a href=\"\" title=\" x\">", NULL},
        {"<a href=\"\" {{a}}>", "{\"a\": \"x\"}", "<a href=\"\" x>", NULL},
        {"<a href=\"{{nothing}}{{a}}\">", "{\"a\": \"javascript:x\"}",
         "<a href=\"#\">", NULL},
        {"<a href=\"{{#a}}{{.}}{{/a}}\">", "{\"a\": [\"java\",\"script:x\"]}",
         "<a href=\"#script:x\">", NULL},
        {"<a href=\"https://x/{{a}}\">", "{\"a\": \"javascript:x\"}",
         "<a href=\"https://x/javascript:x\">", NULL},
        {"<p>{{a}}</p>", "{\"a\": \"javascript:x\"}", "<p>javascript:x</p>",
         NULL},
        {"<p title=\"{{a}}\">", "{\"a\": \"javascript:x\"}",
         "<p title=\"javascript:x\">", NULL},
        {"{{a}}{{b}}", "{\"a\": \"href=\\\"\", \"b\": \"javascript:x\"}",
         "href=&quot;javascript:x", NULL},
    };
    static const struct render_case plain[] = {
        {"<a href=\"{{a}}\">", "{\"a\":\"javascript:x\"}",
         "<a href=\"javascript:x\">", NULL},
    };

    (void)state;
    CHECK(cases, TEMPLATE_ESCAPE_HTML);
    CHECK(plain, TEMPLATE_ESCAPE_NONE);
}

static void data_is_never_a_template(void **state)
{
    static const struct render_case cases[] = {
        {"{{x}}", "{\"x\":\"{{y}}\",\"y\":\"bad\"}", "{{y}}", NULL},
        {"{{{x}}}", "{\"x\":\"{{{y}}}\",\"y\":\"bad\"}", "{{{y}}}", NULL},
        {"{{#x}}{{.}}{{/x}}", "{\"x\":[\"{{>p}}\"]}", "{{>p}}", "p\0bad\0"},
        {"{{>*x}}", "{\"x\":\"../../etc/passwd\"}", "", NULL},
        {"{{>*x}}", "{\"x\":\"p\\u0000\"}", "", "p\0bad\0"},
    };

    (void)state;
    CHECK(cases, TEMPLATE_ESCAPE_NONE);
}

static void falsehood(void **state)
{
    static const char *const values[] = {
        "null", "false", "0", "0.0", "-0.0", "\"\"", "[]",
    };
    static const char *const truths[] = {
        "true", "1", "-1", "0.5", "\" \"", "[0]", "{}", "\"0\"",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(values) + COUNT_OF(truths); i++) {
        bool is_truth = i >= COUNT_OF(values);
        char data[64];
        struct render_case one = {"{{#x}}yes{{/x}}{{^x}}no{{/x}}", data,
                                  is_truth ? "yes" : "no", NULL};

        snprintf(data, sizeof(data), "{\"x\":%s}",
                 is_truth ? truths[i - COUNT_OF(values)] : values[i]);
        check_renders(&one, 1, TEMPLATE_ESCAPE_NONE);
    }
}

static void list_items_know_their_place(void **state)
{
    static const struct render_case cases[] = {
        {"{{#l}}{{.}}{{^-last}}, {{/-last}}{{/l}}", "{\"l\":[\"a\",\"b\"]}",
         "a, b", NULL},
        {"{{#l}}{{-index}}{{#-first}}!{{/-first}} {{/l}}", "{\"l\":[5,6,7]}",
         "1! 2 3 ", NULL},
        {"{{#l}}{{#o}}{{n}}{{^-last}};{{/-last}}{{/o}}{{/l}}",
         "{\"l\":[{\"o\":{\"n\":1}},{\"o\":{\"n\":2}}]}", "1;2", NULL},
        {"{{#l}}{{#m}}{{-index}}{{/m}}:{{-index}} {{/l}}",
         "{\"l\":[{\"m\":[1,1]},{\"m\":[1]}]}", "12:1 1:2 ", NULL},
        {"[{{-index}}{{-first}}{{^-last}}x{{/-last}}]", "{}", "[x]", NULL},
        {"{{#l}}{{-last}} {{/l}}", "{\"l\":[1,2]}", "false true ", NULL},
        {"{{#l}}{{>p}}{{/l}}", "{\"l\":[1,2]}", "1;2",
         "p\0{{.}}{{^-last}};"
         "{{/-last}}\0"},
    };

    (void)state;
    CHECK(cases, TEMPLATE_ESCAPE_NONE);
}

static void layouts_are_indented(void **state)
{
    static const struct render_case cases[] = {
        /* an empty line stays empty */
        {"  {{>p}}\n", "{}", "  a\n\n  b\n", "p\0a\n\nb\n\0"},
        {"  {{>p}}\n", "{}", "  a\r\n\r\n  b\r\n", "p\0a\r\n\r\nb\r\n\0"},
        /* tags at the start of a line get the indentation, values do not */
        {"  {{>p}}\n", "{\"x\":\"1\\n2\"}", "  1\n2.\n", "p\0{{x}}.\n\0"},
        {"  {{>p}}\n", "{\"x\":1}", "  a\n  b\n",
         "p\0{{#x}}\na\n{{/x}}\nb\n\0"},
        {"  {{>p}}\n", "{}", "    q\n", "p\0  {{>q}}\n\0q\0q\n\0"},
        /* argument in a list, in a layout, with its own sections */
        {"{{<l}}\n  {{$b}}\n    {{#x}}\n    - {{.}}\n    {{/x}}\n"
         "      end\n  {{/b}}\n{{/l}}\n",
         "{\"x\":[1,2]}", "<\n  - 1\n  - 2\n    end\n>\n",
         "l\0<\n  {{$b}}\n  none\n  {{/b}}\n>\n\0"},
        {"{{<l}}{{$b}}{{$b}}own{{/b}}{{/b}}{{/l}}", "{}", "[own]",
         "l\0[{{$b}}default{{/b}}]\0"},
        {"{{<l}}{{$b}}\n  {{x}} y\n  z\n{{/b}}{{/l}}", "{\"x\":1}",
         "a 1 y\nz\n", "l\0a {{$b}}{{/b}}\0"},
        {"{{<*n}}{{$b}}B{{/b}}{{/*n}}", "{\"n\":\"l\"}", "(B)",
         "l\0({{$b}}{{/b}})\0"},
    };

    (void)state;
    CHECK(cases, TEMPLATE_ESCAPE_NONE);
}

static void the_stack_is_searched_from_the_top(void **state)
{
    json_t *stack[2];
    struct fixture f;

    (void)state;
    fixture_init(&f, NULL);
    stack[0] = parse("{\"a\":\"outer\",\"b\":\"outer\",\"n\":1}");
    stack[1] = parse("{\"a\":\"inner\",\"n\":null}");
    assert_true(template_render(
        compile(&f, "{{a}} {{b}} [{{n}}]", TEMPLATE_ESCAPE_NONE), stack, 2,
        &f.out, &f.why));
    assert_span(buf_view(&f.out), "inner outer []");
    json_decref(stack[0]);
    json_decref(stack[1]);
    fixture_release(&f);
}

struct problem_case {
    const char *source;
    int line;
    const char *text; /* part of the message */
    const char *partials;
};

static void mistakes_are_told(void **state)
{
    static const struct problem_case cases[] = {
        {"a\n{{#x}}\n", 2, "'x' is opened here and never closed", NULL},
        {"{{#x}}\n{{/y}}", 2, "'y' is closed here, but 'x' of line 1", NULL},
        {"\n\n{{/y}}", 3, "'y' is closed but was never opened", NULL},
        {"a\nb {{x", 2, "'}}' is missing", NULL},
        {"{{{x}}", 1, "never closed", NULL},
        {"{{}}", 1, "without a name", NULL},
        {"{{a b}}", 1, "white space in the name 'a b'", NULL},
        {"{{a..b}}", 1, "parts in the name", NULL},
        {"{{=x=}}", 1, "bad delimiters", NULL},
        {"{{=a b c=}}", 1, "bad delimiters", NULL},
        {"x\n{{>footr}}", 2, "did you mean 'footer'?", "footer\0x\0"},
        {"{{>zzz}}", 1, "there is no partial 'zzz'", "footer\0x\0"},
        {"{{>p}}", 2, "there is no partial 'q'", "p\0\n{{>q}}\0"},
        {"{{<*a}}{{/a}}", 1, "still open", NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct fixture f;

        fixture_init(&f, cases[i].partials);
        assert_null(compile(&f, cases[i].source, TEMPLATE_ESCAPE_NONE));
        assert_int_equal(f.problems.errors, 1);
        assert_int_equal(f.problems.items[0].line, cases[i].line);
        if (strstr(f.problems.items[0].text, cases[i].text) == NULL) {
            fail_msg("got \"%s\", want \"%s\"", f.problems.items[0].text,
                     cases[i].text);
        }
        fixture_release(&f);
    }
}

static void a_broken_partial_breaks_who_comes_later(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f, "p\0{{#x}}\0");
    assert_null(compile(&f, "{{>p}}", TEMPLATE_ESCAPE_NONE));
    assert_null(compile(&f, "{{>p}}", TEMPLATE_ESCAPE_NONE));
    assert_non_null(compile(&f, "{{x}}", TEMPLATE_ESCAPE_NONE));
    fixture_release(&f);
}

static void text_inside_a_parent_is_warned_about(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f, "p\0x\0");
    assert_non_null(
        compile(&f, "{{<p}} text {{lost}} {{/p}}", TEMPLATE_ESCAPE_NONE));
    assert_int_equal(f.problems.errors, 0);
    assert_int_equal(f.problems.count, 1);
    fixture_release(&f);
}

static void nesting_is_limited(void **state)
{
    struct fixture f;
    char source[1024] = "";
    size_t at = 0;

    (void)state;
    fixture_init(&f, NULL);
    for (int i = 0; i < 100; i++) {
        at += (size_t)snprintf(source + at, sizeof(source) - at, "{{#a}}");
    }
    assert_null(compile(&f, source, TEMPLATE_ESCAPE_NONE));
    assert_non_null(strstr(f.problems.items[0].text, "too deep"));
    fixture_release(&f);
}

struct fault_case {
    const char *source;
    const char *data;
    const char *text;
    const char *partials;
};

static void runaway_renders_fail(void **state)
{
    static const struct fault_case cases[] = {
        {"{{>p}}", "{}", "include itself", "p\0{{>p}}\0"},
        {"{{>p}}", "{\"a\":{}}", "include itself", "p\0{{#a}}{{>p}}{{/a}}\0"},
        {"{{>p}}", "{\"a\":1}", "nested more than",
         "p\0{{#a}}{{#a}}{{#a}}{{#a}}{{>p}}{{/a}}{{/a}}{{/a}}{{/a}}\0"},
        {"{{>p}}", "{}", "indented by more", "p\0          {{>p}}\n\0"},
        {"{{#a}}{{#a}}{{#a}}{{#a}}{{#a}}{{#a}}{{#a}}{{/a}}{{/a}}{{/a}}{{/a}}"
         "{{/a}}{{/a}}{{/a}}",
         "{\"a\":[1,2,3,4,5,6,7,8,9,10,11,12]}", "operations", NULL},
        {"{{#a}}{{#a}}{{#a}}{{#a}}{{#a}}xxxxx{{/a}}{{/a}}{{/a}}{{/a}}{{/a}}",
         "{\"a\":[1,2,3,4,5,6,7,8,9,10,11,12]}", "output is larger", NULL},
        {"{{<p}}{{$b}}{{<p}}{{/p}}{{/b}}{{/p}}", "{}", "nested more than",
         "p\0{{$b}}{{/b}}{{>p}}\0"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        json_t *data = parse(cases[i].data);
        struct fixture f;
        struct template *t = NULL;

        fixture_init(&f, cases[i].partials);
        t = compile(&f, cases[i].source, TEMPLATE_ESCAPE_NONE);
        assert_non_null(t);
        assert_false(template_render(t, &data, 1, &f.out, &f.why));
        if (strstr(f.why.reason, cases[i].text) == NULL) {
            fail_msg("got \"%s\", want \"%s\"", f.why.reason, cases[i].text);
        }
        assert_non_null(f.why.file);
        json_decref(data);
        fixture_release(&f);
    }
}

static void note_name(void *ctx, const struct template_name *n)
{
    buf_printf(ctx, "%.*s%s@%d/%u:%s ", SPAN_ARG(n->name),
               n->is_section ? "#" : "", n->line, n->depth, n->file);
}

static void names_are_listed(void **state)
{
    struct fixture f;
    struct buf names;

    (void)state;
    fixture_init(&f, "p\0{{d.e}}{{>p}}\0");
    buf_init(&names, 0);
    template_names(compile(&f,
                           "{{a.b}}\n{{#l}}{{c}}{{-last}}{{>p}}{{/l}}"
                           "{{^m}}{{.}}{{/m}}{{>*g.h}}{{>p}}",
                           TEMPLATE_ESCAPE_NONE),
                   note_name, &names);
    assert_span(buf_view(&names),
                "a.b@1/0:main.mustache l#@2/0:main.mustache "
                "c@2/1:main.mustache d.e@1/1:p m#@2/0:main.mustache "
                ".@2/0:main.mustache g.h@2/0:main.mustache d.e@1/0:p ");
    buf_release(&names);
    fixture_release(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_printed),
        cmocka_unit_test(html_is_escaped),
        cmocka_unit_test(only_web_and_mail_addresses_become_links),
        cmocka_unit_test(data_is_never_a_template),
        cmocka_unit_test(falsehood),
        cmocka_unit_test(list_items_know_their_place),
        cmocka_unit_test(layouts_are_indented),
        cmocka_unit_test(the_stack_is_searched_from_the_top),
        cmocka_unit_test(mistakes_are_told),
        cmocka_unit_test(a_broken_partial_breaks_who_comes_later),
        cmocka_unit_test(text_inside_a_parent_is_warned_about),
        cmocka_unit_test(nesting_is_limited),
        cmocka_unit_test(runaway_renders_fail),
        cmocka_unit_test(names_are_listed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
