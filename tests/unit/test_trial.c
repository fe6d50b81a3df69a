/*
 * trial: letters while memory runs out. Every allocation of the JSON library
 * fails once: there is no letter then, or the right one, and nothing is left
 * behind.
 */
#include "test.h"

#include <jansson.h>
#include <stdlib.h>

#include "mail/trial.h"

enum { NEVER = -1 };

static long countdown = NEVER; /* allocations until one fails */
static long live;

static void *count_malloc(size_t size)
{
    if (countdown >= 0 && countdown-- == 0) {
        return NULL;
    }
    live++;
    return malloc(size);
}

static void count_free(void *memory)
{
    live -= memory != NULL;
    free(memory);
}

#define NOTICE "{\"recipient\": 1, \"subject\": \"A\", \"body\": \"b\\n\"}"
/* A key of a name that is ours, an escape, a number beyond 64 bits. */
#define RELATION                                                               \
    "{\"who\": \"a\", \"project\": \"p\\u00e9\", \"role\": \"reader\", "       \
    "\"notifiable_id\": 123456789012345678901}"
#define OURS                                                                   \
    "{\"recipient\": 1, \"subject\": \"A\", \"body\": \"\", \"site\": 1}"

static const struct {
    const char *types[2]; /* of the events, NULL = one only */
    const char *payloads[2];
} letters[] = {
    {{"notice", NULL}, {NOTICE, NULL}},
    {{"notice", NULL}, {OURS, NULL}},
    {{"gathered_notice", "gathered_notice"}, {NOTICE, OURS}},
    {{"notice", "gathered_notice"}, {NOTICE, NOTICE}},
    {{"RelationshipCreate", NULL}, {RELATION, NULL}},
    {{"RelationshipCreate", "notice"}, {RELATION, NOTICE}},
};

static bool write_letter(struct composer *composer, size_t which,
                         struct buf *message)
{
    struct trial_event events[2];
    struct trial trial = {.to = trial_recipient(), .events = events};
    struct buf why;
    bool is_done = false;

    for (size_t i = 0; i < 2 && letters[which].types[i] != NULL; i++) {
        events[trial.count++] = (struct trial_event){
            .id = (int64_t)i + 1,
            .created_us = TRIAL_US,
            .type = span_of(letters[which].types[i]),
            .payload = span_of(letters[which].payloads[i])};
    }
    buf_init(&why, 0);
    buf_clear(message);
    is_done = trial_write(composer, &trial, message, &why, NULL);
    assert_true(is_done || why.len > 0);
    assert_string_not_equal(buf_cstr(&why), "payload is not valid JSON: ");
    buf_release(&why);
    return is_done;
}

/* Fails allocation after allocation, until the letter needs no more. */
static long torture(struct composer *composer, size_t which)
{
    struct buf whole;
    struct buf message;
    long before = 0;

    buf_init(&whole, TRIAL_MESSAGE_MAX);
    buf_init(&message, TRIAL_MESSAGE_MAX);
    assert_true(write_letter(composer, which, &whole));
    before = live;
    for (long n = 0;; n++) {
        bool is_done = false;

        countdown = n;
        is_done = write_letter(composer, which, &message);
        if (countdown >= 0) {
            countdown = NEVER;
            assert_true(is_done);
            buf_release(&whole);
            buf_release(&message);
            return n;
        }
        if (live != before) {
            fail_msg("letter %zu, allocation %ld: %ld are left", which, n,
                     live - before);
        }
        /* And the next letter is as it always was. */
        assert_true(write_letter(composer, which, &message));
        assert_span(buf_view(&message), buf_cstr(&whole));
    }
}

static void memory_may_run_out_anywhere(void **state)
{
    static const struct composer_settings settings = {
        .from_email = "a@example.org", .domain = "example.org"};
    struct problems problems;
    struct catalog *catalog = NULL;
    struct composer *composer = NULL;

    (void)state;
    json_set_alloc_funcs(count_malloc, count_free);
    problems_init(&problems);
    catalog = catalog_load("templates", &problems);
    assert_int_equal(problems.errors, 0);
    composer = composer_new(&settings, catalog);
    for (size_t i = 0; i < COUNT_OF(letters); i++) {
        assert_true(torture(composer, i) > 5);
    }
    composer_free(composer);
    catalog_free(catalog);
    problems_release(&problems);
    assert_int_equal(live, 0);
    json_set_alloc_funcs(malloc, free);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_may_run_out_anywhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
