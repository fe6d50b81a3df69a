/*
 * preview: the parts of it that are pure.
 */
#include "test.h"

#include "folder.h"
#include "preview/preview.h"
#include "preview/scheme.h"
#include "web/listen.h"

#include <errno.h>
#include <unistd.h>

/* --- colours ------------------------------------------------------------ */

static const struct {
    const char *html;
    const char *dark;
    const char *light;
} schemes[] = {
    {"", "", ""},
    {"<p>dark</p>", "<p>dark</p>", "<p>dark</p>"},
    {"@media (prefers-color-scheme: dark) {", "@media (min-width: 0px) {",
     "@media (max-width: 0px) {"},
    {"@media screen and (prefers-color-scheme:light){",
     "@media screen and (max-width: 0px){",
     "@media screen and (min-width: 0px){"},
    {"( prefers-color-scheme :\n dark )", "(min-width: 0px)",
     "(max-width: 0px)"},
    {":root { color-scheme: light dark; }", ":root { color-scheme: dark; }",
     ":root { color-scheme: light; }"},
    {"color-scheme: dark", "color-scheme: dark", "color-scheme: dark"},
    /* what only looks like it, and what ends too early */
    {"(prefers-color-scheme: no-preference)",
     "(prefers-color-scheme: no-preference)",
     "(prefers-color-scheme: no-preference)"},
    {"(prefers-color-scheme: dark", "(prefers-color-scheme: dark",
     "(prefers-color-scheme: dark"},
    {"((prefers-color-scheme", "((prefers-color-scheme",
     "((prefers-color-scheme"},
    {"(", "(", "("},
    {"c", "c", "c"},
};

static void assert_scheme(const char *html, enum scheme scheme,
                          const char *wanted)
{
    /* A copy that ends at the edge, for the sanitizers to see. */
    const size_t len = strlen(html);
    char *copy = test_malloc(len > 0 ? len : 1);
    struct buf out;

    memcpy(copy, html, len);
    buf_init(&out, 0);
    scheme_force(&out, span_make(copy, len), scheme);
    assert_string_equal(buf_cstr(&out), wanted);
    buf_release(&out);
    test_free(copy);
}

static void a_scheme_is_forced(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(schemes); i++) {
        assert_scheme(schemes[i].html, SCHEME_DARK, schemes[i].dark);
        assert_scheme(schemes[i].html, SCHEME_LIGHT, schemes[i].light);
        assert_scheme(schemes[i].html, SCHEME_AS_IS, schemes[i].html);
    }
    assert_int_equal(scheme_of(SPAN_LIT("dark")), SCHEME_DARK);
    assert_int_equal(scheme_of(SPAN_LIT("light")), SCHEME_LIGHT);
    assert_int_equal(scheme_of(SPAN_LIT("")), SCHEME_AS_IS);
    assert_int_equal(scheme_of(SPAN_LIT("darker")), SCHEME_AS_IS);
}

/* --- where to listen ---------------------------------------------------- */

static const struct {
    const char *where;
    bool is_exposed;
    bool is_open;
} places[] = {
    {"127.0.0.1:0", false, true},    {"127.1.2.3:0", false, true},
    {"localhost:0", false, true},    {"0.0.0.0:0", true, true},
    {"0.0.0.0:0", false, false},     {"192.0.2.1:0", false, false},
    {"127.0.0.1", false, false},     {"127.0.0.1:", false, false},
    {"127.0.0.1:x", false, false},   {"127.0.0.1:65536", false, false},
    {"127.0.0.1:+1", false, false},  {"127.0.0.1:123456", false, false},
    {":80", false, false},           {"", false, false},
    {"[::1", false, false},          {"[::1]x:0", false, false},
    {"::1:0", false, false},         {"[]:0", false, false},
    {"example.org:0", false, false},
};

static void places_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(places); i++) {
        struct listening l;
        struct buf why;
        bool is_open = false;

        buf_init(&why, 0);
        is_open =
            listening_open(&l, places[i].where, places[i].is_exposed, &why);
        if (is_open != places[i].is_open) {
            fail_msg("%s: %s", places[i].where, buf_cstr(&why));
        }
        if (is_open) {
            assert_int_equal(strncmp(l.url, "http://", 7), 0);
            close(l.fd);
        } else {
            assert_int_equal(errno, EINVAL);
            assert_true(why.len > 0);
        }
        buf_release(&why);
    }
}

static const struct {
    const char *host;
    bool is_meant;
} hosts[] = {
    {"localhost", true},
    {"LocalHost:80", true},
    {"127.0.0.1:8025", true},
    {"127.9.9.9", true},
    {"[::1]", true},
    {"[::1]:8025", true},
    {"example.org", false},
    {"example.org:8025", false},
    {"localhost.example", false},
    {"127.0.0.1.example", false},
    {"0.0.0.0", false},
    {"10.0.0.1", false},
    {"", false},
    {":80", false},
    {"[::1", false},
    {"::1", false},
    {"127.0.0.1 ", false},
    {NULL, false},
};

static void only_what_is_meant_for_us_is_answered(void **state)
{
    struct listening l = {.fd = -1};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(hosts); i++) {
        if (listening_is_meant(&l, hosts[i].host) != hosts[i].is_meant) {
            fail_msg("Host: %s", hosts[i].host ? hosts[i].host : "(none)");
        }
    }
    l.is_exposed = true;
    assert_true(listening_is_meant(&l, "example.org"));
}

/* --- letters ------------------------------------------------------------ */

static const char contract[] =
    "{\"description\": \"d\", \"roles\": [\"first_role\", \"second\"], "
    "\"keys\": {\"who\": {\"type\": \"string\", \"required\": true}}, "
    "\"batching\": {\"rule\": \"gather\"}, "
    "\"samples\": {\"least\": {\"who\": \"one\"}, "
    "\"fullest\": {\"who\": \"two\"}}}";

struct world {
    char folder[FOLDER_PATH];
    const struct settings *settings;
    struct preview preview;
};

static int set_up(void **state)
{
    static struct world w;
    struct problems problems;

    folder_make(w.folder);
    folder_put(w.folder, "group/Good/contract.json", contract);
    folder_put(w.folder, "group/Good/subject.mustache", "{{who}}");
    folder_put(w.folder, "group/Good/text.mustache",
               "{{#events}}{{who}} {{/events}}{{role}} {{site.url}}");
    folder_put(w.folder, "Broken/contract.json", contract);
    folder_put(w.folder, "Broken/subject.mustache", "s");
    folder_put(w.folder, "Broken/text.mustache", "one\n{{#who}}\n");
    problems_init(&problems);
    w.settings = settings_load("/dev/null", NULL, 0, &problems);
    assert_non_null(w.settings);
    problems_release(&problems);
    preview_load(&w.preview, w.settings, w.folder);
    *state = &w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    preview_release(&w->preview);
    settings_free(w->settings);
    folder_remove(w->folder);
    return 0;
}

static void types_are_found_or_explained(void **state)
{
    struct world *w = *state;
    const struct event_type *good = NULL;
    struct buf why;

    buf_init(&why, 0);
    good = preview_type(&w->preview, SPAN_LIT("Good"), &why);
    assert_non_null(good);
    assert_span(preview_group(&w->preview, good), "group");
    assert_null(preview_type(&w->preview, SPAN_LIT("Goed"), &why));
    assert_non_null(strstr(buf_cstr(&why), "did you mean \"Good\"?"));
    buf_clear(&why);
    assert_null(preview_type(&w->preview, SPAN_LIT("Broken"), &why));
    assert_non_null(strstr(buf_cstr(&why), "Broken/text.mustache:2: "));
    buf_release(&why);
}

static void assert_letter(struct world *w, const char *sample,
                          const char *subject, const char *text)
{
    struct preview_letter letter;
    struct buf why;
    bool is_done = false;

    buf_init(&why, 0);
    preview_letter_init(&letter);
    is_done = preview_sample(&w->preview,
                             preview_type(&w->preview, SPAN_LIT("Good"), &why),
                             span_of(sample), trial_recipient(), &letter);
    if (subject == NULL) {
        assert_false(is_done);
        assert_non_null(strstr(buf_cstr(&letter.why), text));
    } else {
        assert_true(is_done);
        assert_span(letter.subject, subject);
        assert_span(span_trim(letter.text), text);
        assert_span(letter.role, "first_role");
        assert_true(letter.message.len > 0);
    }
    preview_letter_release(&letter);
    buf_release(&why);
}

static void samples_become_letters(void **state)
{
    struct world *w = *state;

    assert_true(w->preview.stands_in);
    assert_letter(w, "", "two", "two first role https://example.org");
    assert_letter(w, "least", "one", "one first role https://example.org");
    assert_letter(w, PREVIEW_TOGETHER, "two",
                  "one two first role https://example.org");
    assert_letter(w, "leats", NULL, "did you mean \"least\"?");
    assert_letter(w, "none at all", NULL, "; there are \"least\", \"fullest\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_scheme_is_forced),
        cmocka_unit_test(places_are_read),
        cmocka_unit_test(only_what_is_meant_for_us_is_answered),
        cmocka_unit_test_setup_teardown(types_are_found_or_explained, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(samples_become_letters, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
