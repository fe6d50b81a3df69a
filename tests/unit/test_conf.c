/*
 * test_conf - settings: types, bounds, sources in order, errors that help.
 */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/conf.h"

struct sample {
    char *text;
    char *secret;
    int number;
    bool truth;
    int delay_ms;
    int size;
    int choice;
};

struct peer {
    char *name;
    char *host;
    int port;
};

static const char *const colours[] = {"red", "green", NULL};

static const struct conf_item items[] = {
    {"main", "text", CONF_TEXT, offsetof(struct sample, text), "abc", 0, 0,
     NULL, "A text."},
    {"main", "secret", CONF_SECRET, offsetof(struct sample, secret), "", 0, 0,
     NULL, "A secret."},
    {"main", "number", CONF_INT, offsetof(struct sample, number), "5", 1, 10,
     NULL, "A number."},
    {"main", "truth", CONF_BOOL, offsetof(struct sample, truth), "no", 0, 0,
     NULL, "A truth."},
    {"time", "delay", CONF_MS, offsetof(struct sample, delay_ms), "30s", 0, 0,
     NULL, "A delay."},
    {"time", "size", CONF_BYTES, offsetof(struct sample, size), "64k", 0, 0,
     NULL, "A size."},
    {"time", "choice", CONF_CHOICE, offsetof(struct sample, choice), "green", 0,
     0, colours, "A colour."},
};

static const struct conf_item peer_items[] = {
    {"peer", "host", CONF_TEXT, offsetof(struct peer, host), "localhost", 0, 0,
     NULL, "A host."},
    {"peer", "port", CONF_INT, offsetof(struct peer, port), "25", 1, 65535,
     NULL, "A port."},
};

static const struct conf_group peers = {
    "peer", peer_items, 2, sizeof(struct peer), offsetof(struct peer, name)};

static struct sample sample;
static struct problems problems;
static struct conf *conf;

static int begin(void **state)
{
    (void)state;
    memset(&sample, 0, sizeof(sample));
    problems_init(&problems);
    conf = conf_new(items, COUNT_OF(items), &sample, &peers);
    return 0;
}

static int end(void **state)
{
    (void)state;
    conf_free(conf);
    problems_release(&problems);
    return 0;
}

static void read_text(const char *text)
{
    char path[] = "/tmp/test_conf.XXXXXX";
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    conf_read_file(conf, path, &problems);
    unlink(path);
}

static void presets_are_applied(void **state)
{
    (void)state;
    assert_string_equal(sample.text, "abc");
    assert_int_equal(sample.number, 5);
    assert_false(sample.truth);
    assert_int_equal(sample.delay_ms, 30000);
    assert_int_equal(sample.size, 65536);
    assert_int_equal(sample.choice, 1);
}

static void the_file_sets_values_and_groups(void **state)
{
    (void)state;
    read_text("[main]\ntext = hello world\nnumber=7\ntruth = Yes\n"
              "[time]\ndelay = 250ms\nsize=1m\nchoice=RED\n"
              "[peer one]\nhost=a.example\n[peer two]\nport = 587\n");
    assert_int_equal(problems.count, 0);
    assert_string_equal(sample.text, "hello world");
    assert_int_equal(sample.number, 7);
    assert_true(sample.truth);
    assert_int_equal(sample.delay_ms, 250);
    assert_int_equal(sample.size, 1048576);
    assert_int_equal(sample.choice, 0);
    assert_int_equal(conf_group_count(conf), 2);
    assert_string_equal(((struct peer *)conf_group_at(conf, 0))->name, "one");
    assert_string_equal(((struct peer *)conf_group_at(conf, 0))->host,
                        "a.example");
    assert_int_equal(((struct peer *)conf_group_at(conf, 1))->port, 587);
}

static void mistakes_are_refused_with_their_line(void **state)
{
    static const struct {
        const char *text;
        int line;
        const char *words;
    } cases[] = {
        {"[main]\nnumber = 11\n", 2, "expected a whole number from 1 to 10"},
        {"[main]\nnumber = 0x\n", 2, "expected a whole number"},
        {"[main]\ntruth = maybe\n", 2, "yes or no"},
        {"[time]\n\ndelay = 5 weeks\n", 3, "a time with its unit"},
        {"[time]\ndelay = 5\n", 2, "a time with its unit"},
        {"[time]\nchoice = blue\n", 2, "expected one of red, green"},
        {"[main]\nnothing = 1\n", 2, "unknown setting main.nothing"},
        {"[nowhere]\nx = 1\n", 2, "unknown setting nowhere.x"},
        {"[main]\njust words\n", 2, "neither [section] nor name = value"},
        {"[time]\nsize = 99999999999999999999\n", 2, "a size in bytes"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        size_t before = problems.count;

        read_text(cases[i].text);
        assert_true(problems.count > before);
        assert_int_equal(problems.items[before].line, cases[i].line);
        if (strstr(problems.items[before].text, cases[i].words) == NULL) {
            fail_msg("got \"%s\", want \"%s\"", problems.items[before].text,
                     cases[i].words);
        }
    }
    assert_int_equal(sample.number, 5);
}

static void a_line_too_long_is_an_error_not_a_cut(void **state)
{
    char text[600];

    (void)state;
    memset(text, 'x', sizeof(text));
    memcpy(text, "[main]\ntext = ", 14);
    strcpy(text + 500, "\nnumber = 9\n");
    read_text(text);
    assert_true(problems.errors >= 1);
    assert_int_equal(problems.items[0].line, 2);
    assert_int_equal(sample.number, 9);
}

static void environment_and_command_line_go_over_the_file(void **state)
{
    const char *environment[] = {"PATH=/bin", "POSTBATCH_MAIN_NUMBER=3",
                                 "POSTBATCH_PEER_ONE_PORT=99",
                                 "POSTBATCH_PEER_HOST=b.example", NULL};

    (void)state;
    read_text("[main]\nnumber = 8\n[peer one]\nport = 26\n");
    conf_read_environment(conf, environment, &problems);
    assert_int_equal(problems.count, 0);
    assert_int_equal(sample.number, 3);
    assert_int_equal(((struct peer *)conf_group_at(conf, 0))->port, 99);
    assert_string_equal(((struct peer *)conf_group_at(conf, 1))->name,
                        "default");
    conf_read_assignment(conf, "main.number=4", &problems);
    conf_read_assignment(conf, "peer.one.port=100", &problems);
    assert_int_equal(problems.count, 0);
    assert_int_equal(sample.number, 4);
    assert_int_equal(((struct peer *)conf_group_at(conf, 0))->port, 100);
    conf_read_assignment(conf, "main.number", &problems);
    assert_int_equal(problems.count, 1);
}

static void an_unknown_variable_is_an_error(void **state)
{
    const char *environment[] = {"POSTBATCH_MAIN_NUMBR=3", NULL};

    (void)state;
    conf_read_environment(conf, environment, &problems);
    assert_int_equal(problems.errors, 1);
}

static void values_are_printed_with_origin_and_without_secrets(void **state)
{
    char text[4096] = "";
    FILE *out = fmemopen(text, sizeof(text), "w");

    (void)state;
    conf_read_assignment(conf, "main.secret=hunter2", &problems);
    conf_print_values(conf, out);
    conf_print_reference(conf, out);
    fclose(out);
    assert_null(strstr(text, "hunter2"));
    assert_non_null(strstr(text, "secret = ***    ; command line"));
    assert_non_null(strstr(text, "delay = 30s    ; preset"));
    assert_non_null(strstr(text, "size = 64k"));
    assert_non_null(strstr(text, "A colour. One of: red, green."));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(presets_are_applied, begin, end),
        cmocka_unit_test_setup_teardown(the_file_sets_values_and_groups, begin,
                                        end),
        cmocka_unit_test_setup_teardown(mistakes_are_refused_with_their_line,
                                        begin, end),
        cmocka_unit_test_setup_teardown(a_line_too_long_is_an_error_not_a_cut,
                                        begin, end),
        cmocka_unit_test_setup_teardown(
            environment_and_command_line_go_over_the_file, begin, end),
        cmocka_unit_test_setup_teardown(an_unknown_variable_is_an_error, begin,
                                        end),
        cmocka_unit_test_setup_teardown(
            values_are_printed_with_origin_and_without_secrets, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
