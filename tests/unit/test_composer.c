/*
 * composer: what is in the message of a letter, what makes an event poison,
 * and that no payload gets a line of its own into the headers.
 */
#include "test.h"

#include <stdlib.h>

#include "folder.h"
#include "mail/composer.h"

enum { EVENTS_MAX = 8 };

#define MOMENT 1795356300000000 /* 2026-11-22 14:05:00 UTC */

struct world {
    char root[FOLDER_PATH];
    struct problems problems;
    struct catalog *catalog;
    struct composer *composer;
    struct batch batch;
    struct recipient recipient;
    struct event events[EVENTS_MAX];
    struct event *order[EVENTS_MAX];
    struct letter letter;
    struct buf out;
    struct buf drift;
};

static void put(const struct world *w, const char *path, const char *text)
{
    folder_put(w->root, path, text);
}

static void on_drift(void *ctx, const struct event *event, struct span key)
{
    buf_printf(ctx, "%.*s.%.*s ", SPAN_ARG(event->type), SPAN_ARG(key));
}

#define CONTRACT(keys, more)                                                   \
    "{\"description\": \"something broke\", \"keys\": {" keys "}, "            \
    "\"samples\": {\"least\": {\"what\": \"x\"}, "                             \
    "\"fullest\": {\"what\": \"x\"}}" more "}"
#define WHAT "\"what\": {\"type\": \"string\", \"required\": true}"

static void put_types(const struct world *w)
{
    put(w, "Broke_Down/contract.json",
        CONTRACT(WHAT ", \"log\": {\"type\": \"string\", \"cut\": 10}",
                 ", \"headline\": \"{{what}} broke\", "
                 "\"thread\": \"{{what}}\", "
                 "\"headers\": {\"X-What\": \"{{what}}\", \"X-No\": \" \"}"));
    put(w, "Broke_Down/subject.mustache", "{{what}} broke\n");
    put(w, "Broke_Down/text.mustache",
        "Dear {{recipient.greeting}} <{{recipient.email}}>,\n"
        "{{#events}}{{-index}} {{event.headline}} at {{event.created_at}} "
        "({{event.type}} {{event.id}})\n{{/events}}"
        "{{event_count}}{{#several}} many{{/several}} {{log}}{{extra}}\n"
        "{{role}} of {{site.name}} {{site.url}}\n");
    put(w, "Broke_Down/html.mustache", "<p>{{what}}</p>\n");
    put(w, "Plain/contract.json", CONTRACT(WHAT, ""));
    put(w, "Plain/subject.mustache", "{{what}}");
    put(w, "Titled/contract.json", CONTRACT(WHAT, ""));
    put(w, "Titled/subject.mustache", "{{what}}");
    put(w, "Titled/text.mustache", "See the subject.\n");
    put(w, "Plain/text.mustache", "{{{what}}}\n");
    put(w, "Loop/contract.json", CONTRACT(WHAT, ""));
    put(w, "Loop/subject.mustache", "s");
    put(w, "Loop/text.mustache", "a\n{{#loop}}{{>text}}{{/loop}}");
    put(w, "Fault/contract.json", CONTRACT(WHAT, ""));
    put(w, "Fault/subject.mustache", "{{#s}}");
    put(w, "Fault/text.mustache", "t");
}

/* With more types: a path below the root and its text, NULL at the end. */
static void world_init_with(struct world *w, const char *const files[][2])
{
    const struct composer_settings settings = {
        .from_name = "Build Service",
        .from_email = "noreply@example.org",
        .domain = "mail.example.org",
        .list_id = "builds.example.org",
        .site_name = "Site",
        .site_url = "https://example.org",
        .precedence_bulk = true,
        .letter_max = 4096,
    };

    *w = (struct world){0};
    folder_make(w->root);
    problems_init(&w->problems);
    put_types(w);
    for (size_t i = 0; files[i][0] != NULL; i++) {
        put(w, files[i][0], files[i][1]);
    }
    w->catalog = catalog_load(w->root, &w->problems);
    w->composer = composer_new(&settings, w->catalog);
    composer_set_role(w->composer, 3, "bug_owner");
    buf_init(&w->drift, 0);
    composer_on_drift(w->composer, on_drift, &w->drift);
    buf_init(&w->out, 1 << 16);
    arena_init(&w->batch.arena, 4096, 1 << 16);
    w->batch.origin = 7;
    w->recipient = (struct recipient){.id = 42,
                                      .email = SPAN_LIT("zoe@example.com"),
                                      .name = SPAN_LIT("Zo\xC3\xAB"),
                                      .is_active = true};
    w->letter = (struct letter){.batch = &w->batch,
                                .recipient = &w->recipient,
                                .events = w->order,
                                .role = 3};
}

static void world_init(struct world *w)
{
    static const char *const none[][2] = {{NULL, NULL}};

    world_init_with(w, none);
}

static void drop_events(struct world *w)
{
    for (uint32_t i = 0; i < w->letter.event_count; i++) {
        event_release(&w->events[i]);
        event_release(&w->events[i]); /* twice is no harm */
    }
    w->letter.event_count = 0;
}

static void world_release(struct world *w)
{
    drop_events(w);
    composer_free(w->composer);
    catalog_free(w->catalog);
    problems_release(&w->problems);
    buf_release(&w->out);
    buf_release(&w->drift);
    arena_release(&w->batch.arena);
    folder_remove(w->root);
}

static void add_event(struct world *w, const char *type, const char *payload)
{
    uint32_t i = w->letter.event_count++;

    w->events[i] = (struct event){.id = 100 + i,
                                  .created_us = MOMENT + 60000000 * (int64_t)i,
                                  .type = span_of(type),
                                  .payload = span_of(payload)};
    w->order[i] = &w->events[i];
}

static enum compose_result compose(struct world *w)
{
    buf_clear(&w->out);
    return composer_write(w->composer, &w->letter, &w->out);
}

static void assert_has(struct world *w, const char *text)
{
    if (strstr(buf_cstr(&w->out), text) == NULL) {
        fail_msg("no \"%s\" in:\n%s", text, buf_cstr(&w->out));
    }
}

static void assert_has_not(struct world *w, const char *text)
{
    if (strstr(buf_cstr(&w->out), text) != NULL) {
        fail_msg("\"%s\" in:\n%s", text, buf_cstr(&w->out));
    }
}

/* The laws of every message: CRLF, no other control bytes, no dot first. */
static void check_wire(const struct buf *out)
{
    assert_true(out->len > 2);
    assert_memory_equal(out->data + out->len - 2, "\r\n", 2);
    for (size_t i = 0; i < out->len; i++) {
        bool starts_line = i == 0 || out->data[i - 1] == '\n';

        assert_true(out->data[i] != '\0');
        assert_false(starts_line && out->data[i] == '.');
        assert_true(out->data[i] != '\n' || (i && out->data[i - 1] == '\r'));
        assert_true(out->data[i] != '\r' || out->data[i + 1] == '\n');
    }
}

static void a_letter_becomes_a_message(void **state)
{
    static const char *const parts[] = {
        "From: Build Service <noreply@example.org>\r\n",
        "<zoe@example.com>\r\n",
        "Subject: pkg broke\r\n",
        "Date: Sun, 22 Nov 2026 14:05:00 +0000\r\n",
        "Message-ID: <pb.7.42.100@mail.example.org>\r\n",
        "References: <thread.pkg@mail.example.org>\r\n",
        "In-Reply-To: <thread.pkg@mail.example.org>\r\n",
        "List-Id: something broke <broke_down.builds.example.org>\r\n",
        "Precedence: bulk\r\n",
        "X-Postbatch-Type: Broke_Down\r\n",
        "X-Postbatch-Role: bug_owner\r\n",
        "X-Postbatch-Event: 100\r\n",
        "X-What: pkg\r\n",
        "Dear Zo=C3=AB <zoe@example.com>,\r\n",
        "1 pkg broke at 2026-11-22 14:05 UTC (Broke_Down 100)\r\n",
        "1 0123456789\r\n",
        "bug owner of Site https://example.org\r\n",
        "<p>pkg</p>\r\n",
    };
    struct world w;

    (void)state;
    world_init(&w);
    add_event(&w, "Broke_Down",
              "{\"what\": \"pkg\", \"log\": \"0123456789abc\"}");
    assert_int_equal(compose(&w), COMPOSE_DONE);
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        assert_has(&w, parts[i]);
    }
    assert_has_not(&w, "X-No");
    check_wire(&w.out);
    world_release(&w);
}

static void the_same_letter_gives_the_same_bytes(void **state)
{
    struct world w;
    char *first = NULL;

    (void)state;
    world_init(&w);
    add_event(&w, "Broke_Down", "{\"what\": \"pkg\"}");
    assert_int_equal(compose(&w), COMPOSE_DONE);
    first = strdup(buf_cstr(&w.out));
    drop_events(&w);
    add_event(&w, "Plain", "{\"what\": \"between\"}");
    w.recipient.name = SPAN_NONE;
    assert_int_equal(compose(&w), COMPOSE_DONE);
    drop_events(&w);
    add_event(&w, "Broke_Down", "{\"what\": \"pkg\"}");
    w.recipient.name = SPAN_LIT("Zo\xC3\xAB");
    assert_int_equal(compose(&w), COMPOSE_DONE);
    assert_string_equal(buf_cstr(&w.out), first);
    free(first);
    world_release(&w);
}

static void several_events_make_one_letter(void **state)
{
    struct world w;

    (void)state;
    world_init(&w);
    add_event(&w, "Broke_Down", "{\"what\": \"one\"}");
    add_event(&w, "Plain", "{\"what\": \"two\"}");
    add_event(&w, "Broke_Down", "{\"what\": \"three\"}");
    assert_int_equal(compose(&w), COMPOSE_DONE);
    assert_has(&w, "Subject: three broke\r\n");
    assert_has(&w, "1 one broke at 2026-11-22 14:05 UTC");
    assert_has(&w, "2 something broke at 2026-11-22 14:06 UTC (Plain 101)");
    assert_has(&w, "3 three broke at 2026-11-22 14:07 UTC");
    assert_has(&w, "3 many");
    assert_has(&w, "X-Postbatch-Event: 100 101 102\r\n");
    assert_has(&w, "Message-ID: <pb.7.42.100@mail.example.org>");
    assert_has(&w, "Date: Sun, 22 Nov 2026 14:07:00 +0000");
    world_release(&w);
}

static void several_types_make_a_digest(void **state)
{
    static const char *const files[][2] = {
        {"digest/contract.json",
         "{\"description\": \"what waited\", \"samples\": {\"least\": {}, "
         "\"fullest\": {}}}"},
        {"digest/subject.mustache", "{{event_count}} events {{what}}"},
        {"digest/text.mustache",
         "{{#events}}* {{event.headline}} {{what}}\n{{/events}}{{what}}\n"},
        {"Herd/contract.json",
         CONTRACT(WHAT, ", \"batching\": {\"rule\": \"gather\"}")},
        {"Herd/subject.mustache", "herd {{what}}"},
        {"Herd/text.mustache", "{{#events}}<{{what}}>{{/events}}\n"},
        {NULL, NULL},
    };
    struct world w;

    (void)state;
    world_init_with(&w, files);
    add_event(&w, "Broke_Down", "{\"what\": \"one\"}");
    add_event(&w, "Plain", "{\"what\": \"two\"}");
    assert_int_equal(compose(&w), COMPOSE_DONE);
    assert_has(&w, "Subject: 2 events\r\n"); /* none of a payload's keys */
    assert_has(&w, "* one broke one\r\n* something broke two\r\n\r\n");
    assert_has(&w, "X-Postbatch-Type: digest\r\n");
    assert_has(&w, "X-Postbatch-Event: 100 101\r\n");
    assert_has(&w, "Message-ID: <pb.7.42.100@mail.example.org>");
    assert_has(&w, "digest.builds.example.org");
    drop_events(&w);

    /* Several of a type that cannot list them, too. */
    add_event(&w, "Plain", "{\"what\": \"one\"}");
    add_event(&w, "Plain", "{\"what\": \"two\"}");
    assert_int_equal(compose(&w), COMPOSE_DONE);
    assert_has(&w, "X-Postbatch-Type: digest\r\n");
    drop_events(&w);

    /* What gathers lists them itself; one event is its own mail. */
    add_event(&w, "Herd", "{\"what\": \"one\"}");
    add_event(&w, "Herd", "{\"what\": \"two\"}");
    assert_int_equal(compose(&w), COMPOSE_DONE);
    assert_has(&w, "<one><two>");
    drop_events(&w);
    add_event(&w, "Broke_Down", "{\"what\": \"one\"}");
    add_event(&w, "Plain", "{\"what\": 2}");
    assert_int_equal(compose(&w), COMPOSE_POISON);
    assert_int_equal(compose(&w), COMPOSE_DONE);
    assert_has(&w, "Subject: one broke\r\n");
    world_release(&w);
}

static void headers_cannot_be_injected(void **state)
{
    static const char *const payloads[] = {
        "{\"what\": \"a\\r\\nBcc: evil@example.com\\r\\n\\r\\nbody\"}",
        "{\"what\": \"a\\nBcc: evil@example.com\"}",
        "{\"what\": \"a\\rBcc: evil@example.com\"}",
        "{\"what\": \"a\\u0000\\r\\n.\\r\\nBcc: evil@example.com\"}",
        "{\"what\": \"a\\u2028\\u0085\\r\\nBcc: \\ud83d\\ude00\"}",
    };
    struct world w;

    (void)state;
    world_init(&w);
    for (size_t i = 0; i < COUNT_OF(payloads); i++) {
        add_event(&w, i % 2 ? "Broke_Down" : "Plain", payloads[i]);
        w.recipient.name = SPAN_LIT("Z\r\nBcc: evil@example.com\r\n\r\n.");
        assert_int_equal(compose(&w), COMPOSE_DONE);
        buf_cstr(&w.out);
        *strstr(w.out.data, "\r\n\r\n") = '\0'; /* headers only */
        assert_null(strstr(w.out.data, "\nBcc:"));
        buf_clear(&w.out);
        assert_int_equal(compose(&w), COMPOSE_DONE);
        check_wire(&w.out);
        drop_events(&w);
    }
    world_release(&w);
}

static void data_is_printed_as_it_is(void **state)
{
    struct world w;

    (void)state;
    world_init(&w);
    add_event(&w, "Broke_Down",
              "{\"what\": \"{{site.name}} <b>\", \"site\": {\"url\": \"evil\"},"
              "\"recipient\": {\"name\": \"evil\"}, \"event\": {\"id\": 1}}");
    assert_int_equal(compose(&w), COMPOSE_DONE);
    assert_has(&w, "Subject: {{site.name}} <b> broke\r\n");
    assert_has(&w, "<p>{{site.name}} &lt;b&gt;</p>");
    assert_has(&w, "(Broke_Down 100)");
    assert_has_not(&w, "evil");
    world_release(&w);
}

struct poison_case {
    const char *type;
    const char *payload;
    const char *stage;
    const char *reason; /* part of it */
};

static void poison_has_a_reason(void **state)
{
    static const struct poison_case cases[] = {
        {"Nobody", "{}", "type", "no event type"},
        {"Fault", "{}", "type", "Fault/subject.mustache:1: 's' is opened"},
        {"Plain", "{", "parse", "not valid JSON"},
        {"Plain", "[]", "parse", "not a JSON object"},
        {"Plain", "{}", "contract", "required key 'what' is missing"},
        {"Plain", "{\"what\": 1}", "contract", "not of type string"},
        {"Loop", "{\"what\": \"x\", \"loop\": true}", "render",
         "Loop/text.mustache:2: partials nested"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct world w;

        world_init(&w);
        add_event(&w, "Plain", "{\"what\": \"good\"}");
        add_event(&w, cases[i].type, cases[i].payload);
        add_event(&w, "Plain", "{\"what\": \"better\"}");
        w.order[1] = &w.events[2]; /* the bad one is the newest */
        w.order[2] = &w.events[1];
        assert_int_equal(compose(&w), COMPOSE_POISON);
        assert_false(w.events[0].is_poison);
        assert_true(w.events[1].is_poison);
        assert_span(w.events[1].poison_stage, cases[i].stage);
        if (strstr(w.events[1].poison_reason.ptr, cases[i].reason) == NULL) {
            fail_msg("got \"%s\", want \"%s\"", w.events[1].poison_reason.ptr,
                     cases[i].reason);
        }
        assert_int_equal(w.out.len, 0);
        /* the others go on, under the name the letter always had */
        assert_int_equal(compose(&w), COMPOSE_DONE);
        assert_has(&w, "Subject: better\r\n");
        assert_has(&w, "X-Postbatch-Event: 100 102\r\n");
        assert_has(&w, "pb.7.42.100@");
        w.events[0].is_poison = true;
        w.events[2].is_poison = true;
        assert_int_equal(compose(&w), COMPOSE_NO_EVENTS);
        world_release(&w);
    }
}

static void a_letter_too_large_loses_its_largest_event(void **state)
{
    static char large[6000];
    struct world w;

    (void)state;
    snprintf(large, sizeof(large), "{\"what\": \"%05000d\"}", 0);
    world_init(&w);
    add_event(&w, "Plain", "{\"what\": \"good\"}");
    add_event(&w, "Plain", large);
    assert_int_equal(compose(&w), COMPOSE_POISON);
    assert_true(w.events[1].is_poison);
    assert_non_null(strstr(w.events[1].poison_reason.ptr, "larger than 4096"));
    assert_int_equal(compose(&w), COMPOSE_DONE);
    world_release(&w);
}

static void bad_addresses_are_told(void **state)
{
    static const char *const addresses[] = {
        "", "nobody", "a@b@c", "x@example.org\r\nRCPT TO:<y>", "a b@c.de",
    };
    struct world w;

    (void)state;
    world_init(&w);
    add_event(&w, "Plain", "{\"what\": \"x\"}");
    for (size_t i = 0; i < COUNT_OF(addresses); i++) {
        w.recipient.email = span_of(addresses[i]);
        assert_int_equal(compose(&w), COMPOSE_ADDRESS);
        assert_true(span_starts(w.letter.outcome.text, SPAN_LIT("the addr")));
        assert_int_equal(w.out.len, 0);
    }
    w.letter.recipient = NULL;
    assert_int_equal(compose(&w), COMPOSE_ADDRESS);
    assert_span(w.letter.outcome.text, "the recipient is gone");
    world_release(&w);
}

/* Of each event once, and not again when its letter is tried again. */
static void drift_is_told_of_each_event(void **state)
{
    struct world w;

    (void)state;
    world_init(&w);
    for (int i = 0; i < 3; i++) {
        w.letter.batch->attempt = i == 2;
        add_event(&w, "Broke_Down",
                  "{\"what\": \"x\", \"extra\": \"seen\", \"site\": 1}");
        assert_int_equal(compose(&w), COMPOSE_DONE);
        assert_int_equal(compose(&w), COMPOSE_DONE);
        event_release(&w.events[0]); /* a lane has it, and gives it back */
        assert_int_equal(compose(&w), COMPOSE_DONE);
        assert_has(&w, "seen");
        drop_events(&w);
    }
    w.letter.batch->attempt = 0;
    add_event(&w, "Plain", "{\"what\": \"x\", \"extra\": 1}");
    assert_int_equal(compose(&w), COMPOSE_DONE);
    assert_span(buf_view(&w.drift),
                "Broke_Down.extra Broke_Down.site "
                "Broke_Down.extra Broke_Down.site Plain.extra ");
    world_release(&w);
}

/* What is too long for a header is cut: the mail goes out, and it is said. */
static void long_subjects_are_cut(void **state)
{
    struct world w;
    char payload[20100];
    int len = snprintf(payload, sizeof(payload), "{\"what\": \"");

    (void)state;
    memset(payload + len, 'w', 20000);
    snprintf(payload + len + 20000, 80, "\"}");
    world_init(&w);
    add_event(&w, "Titled", payload);
    assert_int_equal(compose(&w), COMPOSE_DONE);
    assert_span(w.events[0].note, "subject cut to 4096 bytes");
    assert_int_equal(compose(&w), COMPOSE_DONE);
    assert_span(w.events[0].note, "subject cut to 4096 bytes");
    world_release(&w);
}

static void a_full_buf_is_left_as_it_was(void **state)
{
    char memory[300];
    struct buf small;
    struct world w;

    (void)state;
    world_init(&w);
    buf_wrap(&small, memory, sizeof(memory));
    buf_puts(&small, "before");
    add_event(&w, "Plain", "{\"what\": \"x\"}");
    assert_int_equal(composer_write(w.composer, &w.letter, &small),
                     COMPOSE_NO_ROOM);
    assert_span(buf_view(&small), "before");
    assert_true(buf_ok(&small));
    assert_false(w.events[0].is_poison);
    world_release(&w);
}

static void little_settings_are_enough(void **state)
{
    const struct composer_settings settings = {.from_email = "a@example.org",
                                               .domain = "example.org"};
    struct composer *c = NULL;
    struct world w;

    (void)state;
    world_init(&w);
    c = composer_new(&settings, w.catalog);
    add_event(&w, "Broke_Down", "{\"what\": \"x\"}");
    w.letter.role = 0;
    assert_int_equal(composer_write(c, &w.letter, &w.out), COMPOSE_DONE);
    assert_has_not(&w, "List-Id");
    assert_has_not(&w, "X-Postbatch-Role");
    check_wire(&w.out);
    composer_free(c);
    world_release(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_letter_becomes_a_message),
        cmocka_unit_test(the_same_letter_gives_the_same_bytes),
        cmocka_unit_test(several_events_make_one_letter),
        cmocka_unit_test(several_types_make_a_digest),
        cmocka_unit_test(headers_cannot_be_injected),
        cmocka_unit_test(data_is_printed_as_it_is),
        cmocka_unit_test(poison_has_a_reason),
        cmocka_unit_test(a_letter_too_large_loses_its_largest_event),
        cmocka_unit_test(bad_addresses_are_told),
        cmocka_unit_test(long_subjects_are_cut),
        cmocka_unit_test(drift_is_told_of_each_event),
        cmocka_unit_test(a_full_buf_is_left_as_it_was),
        cmocka_unit_test(little_settings_are_enough),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
