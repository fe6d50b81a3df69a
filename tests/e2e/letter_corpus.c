/*
 * letter_corpus - composes letters for another program to read.
 *
 *     letter_corpus TEMPLATES
 *
 * Reads from standard input, once and again: a line "TYPE BYTES REPEAT" and the
 * payload of so many bytes; each byte 1 in it becomes REPEAT letters "x".
 * Answers each on standard output: a line "RESULT BYTES NOTE" and so many
 * bytes: the message when RESULT is "done", else the reason. NOTE is how many
 * bytes of notes the event got. At the end it says how much memory it took at
 * most, in kB: "peak KB". tests/e2e/test_hostile.py talks to it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/mem.h"
#include "mail/composer.h"

enum { TYPE_MAX = 200, OUT_MAX = 8 << 20 };

static const struct composer_settings settings = {
    .from_name = "Build Service",
    .from_email = "notify@example.org",
    .domain = "notify.example.org",
    .list_id = "example.org",
    .site_name = "A site",
    .site_url = "https://site.example",
    .settings_url = "https://site.example/settings",
    .precedence_bulk = true,
};

/* The payload that follows on standard input. */
static bool read_payload(struct buf *out, size_t bytes, size_t repeat)
{
    for (; bytes > 0; bytes--) {
        const int c = getchar();

        if (c == EOF) {
            return false;
        }
        if (c == 1 && buf_room(out, repeat)) {
            memset(out->data + out->len, 'x', repeat);
            out->len += repeat;
        } else {
            buf_putc(out, (char)c);
        }
    }
    return buf_ok(out);
}

static void answer(const char *result, struct span bytes, size_t note)
{
    printf("%s %zu %zu\n", result, bytes.len, note);
    fwrite(bytes.ptr ? bytes.ptr : "", 1, bytes.len, stdout);
    fflush(stdout);
}

static void compose(struct composer *composer, struct span type,
                    struct span payload, struct buf *out)
{
    struct recipient recipient = {.id = 1,
                                  .email = SPAN_LIT("jane@example.org"),
                                  .name = SPAN_LIT("Jane Doe"),
                                  .is_active = true};
    struct event event = {.id = 7,
                          .created_us = 1795356300000000,
                          .type = type,
                          .payload = payload};
    struct event *events[] = {&event};
    struct batch batch = {.id = 1, .origin = 1};
    struct letter letter = {.batch = &batch,
                            .recipient = &recipient,
                            .recipient_id = 1,
                            .events = events,
                            .event_count = 1,
                            .role = 1};

    arena_init(&batch.arena, 4096, 0);
    buf_clear(out);
    switch (composer_write(composer, &letter, out)) {
    case COMPOSE_DONE: answer("done", buf_view(out), event.note.len); break;
    case COMPOSE_POISON:
    case COMPOSE_NO_EVENTS: answer("poison", event.poison_reason, 0); break;
    case COMPOSE_ADDRESS: answer("address", letter.outcome.text, 0); break;
    case COMPOSE_NO_ROOM: answer("room", SPAN_NONE, 0); break;
    }
    event_release(&event);
    arena_release(&batch.arena);
}

static void answer_all(struct composer *composer)
{
    char type[TYPE_MAX + 1];
    size_t bytes = 0;
    size_t repeat = 0;
    struct buf payload;
    struct buf out;

    buf_init(&out, OUT_MAX);
    while (scanf("%200s %zu %zu", type, &bytes, &repeat) == 3 &&
           getchar() == '\n') {
        buf_init(&payload, 0);
        if (!read_payload(&payload, bytes, repeat)) {
            fputs("letter_corpus: the payload ends too early\n", stderr);
            exit(1);
        }
        compose(composer, span_of(type), buf_view(&payload), &out);
        buf_release(&payload);
    }
    buf_release(&out);
}

int main(int argc, char **argv)
{
    struct problems problems;
    struct catalog *catalog = NULL;
    struct composer *composer = NULL;
    struct rusage usage;

    if (argc != 2) {
        fputs("usage: letter_corpus TEMPLATES\n", stderr);
        return 2;
    }
    problems_init(&problems);
    catalog = catalog_load(argv[1], &problems);
    problems_print(&problems);
    composer = composer_new(&settings, catalog);
    composer_set_role(composer, 1, "reader");
    answer_all(composer);
    getrusage(RUSAGE_SELF, &usage);
    printf("peak %ld\n", usage.ru_maxrss);
    composer_free(composer);
    catalog_free(catalog);
    problems_release(&problems);
    return 0;
}
