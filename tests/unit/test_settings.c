/*
 * test_settings - from the sources to what the rooms below want to know: what
 * goes over what, what follows from what, and what is refused.
 */
#include "test.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/problems.h"
#include "engine/settings.h"

enum { PATHS = 3 };

static char paths[PATHS][64];
static struct problems problems;

static int begin(void **state)
{
    (void)state;
    problems_init(&problems);
    for (int i = 0; i < PATHS; i++) {
        snprintf(paths[i], sizeof(paths[i]), "/tmp/test_settings.%d.%d",
                 (int)getpid(), i);
    }
    return 0;
}

static int end(void **state)
{
    (void)state;
    for (int i = 0; i < PATHS; i++) {
        unlink(paths[i]);
    }
    unsetenv("POSTBATCH_MAIL_FROM_NAME");
    unsetenv("POSTBATCH_RELAY_MAIN_PORT");
    unsetenv("POSTBATCH_RELAY_HOST");
    unsetenv("POSTBATCH_NONE_SUCH");
    problems_release(&problems);
    return 0;
}

static const char *file(int which, const char *text)
{
    FILE *out = fopen(paths[which], "we");

    assert_non_null(out);
    fputs(text, out);
    fclose(out);
    return paths[which];
}

/* Loads a file with this text; assignments end with NULL. */
static const struct settings *load(const char *text,
                                   const char *const *assignments)
{
    size_t count = 0;

    while (assignments != NULL && assignments[count] != NULL) {
        count++;
    }
    return settings_load(file(0, text), assignments, count, &problems);
}

static const struct settings *must_load(const char *text)
{
    const struct settings *s = load(text, NULL);

    if (s == NULL) {
        problems_print(&problems);
        fail_msg("settings not loaded");
    }
    return s;
}

/* Whether some problem's text holds these words. */
static bool is_said(const char *words)
{
    for (size_t i = 0; i < problems.count; i++) {
        if (strstr(problems.items[i].text, words) != NULL) {
            return true;
        }
    }
    return false;
}

/* ---- values -------------------------------------------------------------- */

static void test_presets(void **state)
{
    const struct settings *s = must_load("");

    (void)state;
    assert_string_equal(s->dsn, "");
    assert_string_equal(s->from_name, "Postbatch");
    assert_int_equal(s->processes, 1);
    assert_int_equal(s->lease_ms, 60000);
    assert_int_equal(s->letter_max, 1024 * 1024);
    assert_int_equal(s->unsure, UNSURE_RESEND);
    assert_int_equal(s->ledger_replies, LEDGER_REPLIES_TROUBLE);
    assert_true(s->router_enabled);
    assert_int_equal(s->relay_count, 0);
    /* What follows from other settings. */
    assert_string_equal(s->envelope_from, "");
    assert_string_equal(s->domain, "localhost");
    assert_string_equal(s->list_id, "localhost");
    assert_string_equal(s->site_name, "Postbatch");
    assert_true(s->templates_path[0] != '\0');
    settings_free(s);
    settings_free(NULL);
}

static void test_derived_values(void **state)
{
    const struct settings *s = NULL;

    (void)state;
    s = must_load("[mail]\nfrom_name = Jane's site\n"
                  "from_email = noreply@mail.example.org\n");
    assert_string_equal(s->envelope_from, "noreply@mail.example.org");
    assert_string_equal(s->domain, "mail.example.org");
    assert_string_equal(s->list_id, "mail.example.org");
    assert_string_equal(s->site_name, "Jane's site");
    settings_free(s);

    s = must_load("[mail]\nfrom_email = noreply@mail.example.org\n"
                  "envelope_from = bounces@example.org\n"
                  "domain = id.example.org\nsite_name = A site\n");
    assert_string_equal(s->envelope_from, "bounces@example.org");
    assert_string_equal(s->domain, "id.example.org");
    assert_string_equal(s->list_id, "id.example.org"); /* follows the domain */
    assert_string_equal(s->site_name, "A site");
    settings_free(s);
}

/* Presets, the file, the environment, the command line: each over the one
 * before. */
static void test_sources(void **state)
{
    static const char text[] = "[mail]\nfrom_name = file\n"
                               "[retry]\nfirst = 10s\nmax = 20s\n"
                               "[relay main]\nhost = file.example.org\n"
                               "tls = none\n";
    const char *const assignments[] = {"retry.max=40s",
                                       "relay.main.host=line.example.org",
                                       "worker.payload_max=64k", NULL};
    const struct settings *s = NULL;

    (void)state;
    setenv("POSTBATCH_MAIL_FROM_NAME", "environment", 1);
    setenv("POSTBATCH_RELAY_MAIN_PORT", "2525", 1);
    s = load(text, assignments);
    assert_non_null(s);
    assert_string_equal(s->from_name, "environment");
    assert_int_equal(s->retry_first_ms, 10000);
    assert_int_equal(s->retry_max_ms, 40000);
    assert_int_equal(s->payload_max, 65536);
    assert_int_equal(s->relay_count, 1);
    assert_string_equal(s->relays[0]->host, "line.example.org");
    assert_int_equal(s->relays[0]->port, 2525);
    settings_free(s);
}

/* ---- relays -------------------------------------------------------------- */

static void test_relays(void **state)
{
    const struct settings *s = must_load(
        "[mail]\nletter_max = 2m\n"
        "[relay first]\nhost = one.example.org\nlanes = 7\ngear = pipelined\n"
        "dot_timeout = 3m\n"
        "[relay second]\nunix_path = /run/relay\ntls = none\npriority = 20\n"
        "[relay FIRST]\nweight = 3\n"); /* the same relay again */

    (void)state;
    assert_int_equal(s->relay_count, 2);
    assert_string_equal(s->relays[0]->name, "first");
    assert_string_equal(s->relays[0]->host, "one.example.org");
    assert_int_equal(s->relays[0]->lanes_max, 7);
    assert_int_equal(s->relays[0]->weight, 3);
    assert_int_equal(s->relays[0]->gear, GEAR_PIPELINED);
    assert_int_equal(s->relays[0]->tls, RELAY_TLS_STARTTLS);
    assert_true(s->relays[0]->verify);
    assert_int_equal(s->relays[0]->timeouts.dot_ms, 180000);
    assert_int_equal(s->relays[0]->timeouts.quit_ms, 2000);
    assert_int_equal(s->relays[0]->letter_max, 2 * 1024 * 1024);
    assert_null(s->relays[0]->user); /* empty is none */
    assert_null(s->relays[0]->unix_path);
    assert_string_equal(s->relays[1]->unix_path, "/run/relay");
    assert_int_equal(s->relays[1]->priority, 20);
    assert_int_equal(s->relays[1]->lanes_max, 4); /* not its neighbour's */
    settings_free(s);
}

/* In a container there is often no file at all. */
static void test_a_relay_of_the_environment(void **state)
{
    const struct settings *s = NULL;

    (void)state;
    setenv("POSTBATCH_RELAY_HOST", "relay.example.org", 1);
    s = must_load("");
    assert_int_equal(s->relay_count, 1);
    assert_string_equal(s->relays[0]->name, "default");
    assert_string_equal(s->relays[0]->host, "relay.example.org");
    settings_free(s);
}

static void test_secrets(void **state)
{
    char text[512];
    const struct settings *s = NULL;

    (void)state;
    file(1, "p=a s\\s;#\r\nsecond line\n");
    file(2, "token without newline");
    snprintf(text, sizeof(text),
             "[relay a]\nhost = a.example.org\nuser = jane\n"
             "password = from the file of settings\npassword_file = %s\n"
             "[relay b]\nhost = b.example.org\nuser = jane\ntoken_file = %s\n",
             paths[1], paths[2]);
    s = must_load(text);
    assert_string_equal(s->relays[0]->password, "p=a s\\s;#");
    assert_null(s->relays[0]->token);
    assert_string_equal(s->relays[1]->token, "token without newline");
    assert_null(s->relays[1]->password);
    settings_free(s);
}

/* A token that is cut would only be refused by the relay, for no reason that
 * anybody could see. */
static void test_secrets_are_whole_or_refused(void **state)
{
    enum { MOST = 8192 };
    char token[MOST + 2];
    char text[512];
    const struct settings *s = NULL;

    (void)state;
    memset(token, 't', sizeof(token));
    token[MOST + 1] = '\0';
    snprintf(text, sizeof(text),
             "[relay a]\nhost = a.example.org\nuser = jane\n"
             "token_file = %s\n",
             paths[1]);
    file(1, token);
    assert_null(load(text, NULL));
    assert_true(is_said("longer than 8192 bytes"));
    problems_release(&problems);
    token[MOST] = '\0';
    file(1, token);
    s = must_load(text);
    assert_string_equal(s->relays[0]->token, token);
    settings_free(s);
    token[MOST - 1] = '\n';
    file(1, token);
    s = must_load(text);
    assert_int_equal(strlen(s->relays[0]->token), MOST - 1);
    settings_free(s);
}

static void test_secrets_are_not_printed(void **state)
{
    char text[16384];
    FILE *out = tmpfile();
    size_t len = 0;
    const struct settings *s = must_load(
        "[database]\ndsn = host=db password=hunter2\n"
        "[relay a]\nhost = a.example.org\nuser = jane\npassword = sesame\n");

    (void)state;
    settings_print_values(s, out);
    rewind(out);
    len = fread(text, 1, sizeof(text) - 1, out);
    text[len] = '\0';
    fclose(out);
    assert_null(strstr(text, "hunter2"));
    assert_null(strstr(text, "sesame"));
    assert_non_null(strstr(text, "dsn = ***"));
    assert_non_null(strstr(text, "user = jane"));
    settings_free(s);
}

/* ---- mistakes ------------------------------------------------------------ */

static void test_mistakes(void **state)
{
    static const struct {
        const char *text;
        const char *words;
    } cases[] = {
        {"[mail]\nfrom_mail = a@b.org\n", "unknown setting mail.from_mail"},
        {"[nowhere]\nx = 1\n", "unknown setting nowhere.x"},
        {"[worker]\nprocesses = 0\n", "expected a whole number from 1 to 64"},
        {"[worker]\nprocesses = 2 or 3\n", "expected a whole number"},
        {"[worker]\nlease = 60\n", "expected a time with its unit"},
        {"[worker]\nlease = 99999999999999999999s\n", "expected a time"},
        {"[router]\nenabled = perhaps\n", "expected yes or no"},
        {"[retry]\nunsure = throw\n", "expected one of resend, hold"},
        {"nothing\n", "neither [section] nor name = value"},
        {"[mail]\nfrom_email = two@example.org, more@example.org\n",
         "mail.from_email: the address"},
        {"[mail]\nfrom_email = jane@b\303\274cher.example\n",
         "mail.from_email: the address must be ASCII"},
        {"[mail]\nenvelope_from = not an address\n",
         "mail.envelope_from: the address"},
        {"[mail]\nreply_to = help\n", "mail.reply_to: the address"},
        {"[mail]\ndomain = exa mple\n", "mail.domain is not a domain name"},
        {"[mail]\nlist_id = a>b\n", "mail.list_id is not a domain name"},
        {"[mail]\nsite_url = javascript:alert(1)\n", "mail.site_url"},
        {"[mail]\nsettings_url = https://a b/\n", "mail.settings_url"},
        {"[relay a]\nhost = \n", "neither host nor unix_path"},
        {"[relay a]\ncert_file = /x.pem\n",
         "cert_file and key_file go together"},
        {"[relay a]\nport = 65536\n", "from 0 to 65535"},
        {"[relay a]\npassword_file = /nowhere/at/all\n",
         "the secret of relay \"a\" cannot be read"},
        {"[relay a]\ntoken_file = /dev/null\n", "empty file"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const struct settings *s = load(cases[i].text, NULL);

        if (s != NULL || !is_said(cases[i].words)) {
            problems_print(&problems);
            fail_msg("%s: want \"%s\"", cases[i].text, cases[i].words);
        }
        problems_release(&problems);
    }
}

/* All mistakes are told at once, each with its place. */
static void test_all_at_once(void **state)
{
    const char *const assignments[] = {"mail.from_name", "worker.grace=soon",
                                       NULL};

    (void)state;
    setenv("POSTBATCH_NONE_SUCH", "1", 1);
    assert_null(load("[worker]\nlease = no\n\nprocesses = 65\n", assignments));
    assert_int_equal(problems.errors, 5);
    assert_string_equal(problems.items[0].file, paths[0]);
    assert_int_equal(problems.items[0].line, 2);
    assert_int_equal(problems.items[1].line, 4);
    assert_string_equal(problems.items[2].file, "POSTBATCH_NONE_SUCH");
    assert_string_equal(problems.items[3].file, "command line");
    assert_true(is_said("\"mail.from_name\": expected section.name=value"));
}

static void test_no_file(void **state)
{
    (void)state;
    assert_null(settings_load("/nowhere/at/all.ini", NULL, 0, &problems));
    assert_int_equal(problems.errors, 1);
    assert_true(is_said("cannot be read"));
}

/* The wrong value of a secret is not repeated for everybody to read. */
static void test_a_long_line_is_refused(void **state)
{
    char text[512] = "[database]\ndsn = host=db password=";

    (void)state;
    memset(text + strlen(text), 'x', 300);
    assert_null(load(text, NULL));
    assert_true(is_said("line longer than"));
    assert_false(is_said("xxxx"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_presets, begin, end),
        cmocka_unit_test_setup_teardown(test_derived_values, begin, end),
        cmocka_unit_test_setup_teardown(test_sources, begin, end),
        cmocka_unit_test_setup_teardown(test_relays, begin, end),
        cmocka_unit_test_setup_teardown(test_a_relay_of_the_environment, begin,
                                        end),
        cmocka_unit_test_setup_teardown(test_secrets, begin, end),
        cmocka_unit_test_setup_teardown(test_secrets_are_whole_or_refused,
                                        begin, end),
        cmocka_unit_test_setup_teardown(test_secrets_are_not_printed, begin,
                                        end),
        cmocka_unit_test_setup_teardown(test_mistakes, begin, end),
        cmocka_unit_test_setup_teardown(test_all_at_once, begin, end),
        cmocka_unit_test_setup_teardown(test_no_file, begin, end),
        cmocka_unit_test_setup_teardown(test_a_long_line_is_refused, begin,
                                        end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
