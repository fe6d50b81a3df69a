/*
 * compose - what composing costs: CPU time a letter, without database and
 * relays.
 *
 *     bench-compose [-n LETTERS] [-t FOLDER] [-p PART]
 *
 * Composes letters of the type `measure` as a worker does: 500 events at a
 * time, a letter for each, their JSON as PostgreSQL prints jsonb. Three loops
 * are timed, and what the steps cost is the difference between them:
 *
 *     whole    composed from payload text, and released
 *     again    composed with payloads that were parsed before
 *     render   the templates alone
 *
 *     parse    whole - again: parsing, contract, headline, release
 *     write    again - render: context, ids, header fields, encoding
 *
 * PART runs one loop only, for tools that count instructions:
 *
 *     valgrind --tool=callgrind build/bench-compose -n 5000 -p whole
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "mail/composer.h"
#include "mail/payload.h"

enum { BATCH = 500, ROUNDS = 5, OUT_MAX = 1 << 20 };

#define MOMENT 1795356300000000 /* 2026-11-22 14:05:00 UTC */
#define WORDS                                                                  \
    "The build ended on worker obs-arm-7 after 214 s; it had waited 12 s "     \
    "for a free machine. Nothing changed in its dependencies since the "       \
    "last run. "

struct bench {
    struct catalog *catalog;
    struct composer *composer;
    struct arena arena; /* owns payloads and addresses */
    struct event events[BATCH];
    struct recipient recipients[BATCH];
    struct batch batch;
    struct buf out;
    size_t bytes; /* of the last letter */
};

/* --- one batch ---------------------------------------------------------- */

static void fill(struct bench *b)
{
    arena_init(&b->arena, 64 * 1024, 0);
    arena_init(&b->batch.arena, 64 * 1024, 0);
    b->batch.origin = 7;
    for (int i = 0; i < BATCH; i++) {
        const int number = 10000 + i;

        b->events[i] = (struct event){
            .id = number,
            .created_us = MOMENT + (int64_t)i * 1000,
            .type = SPAN_LIT("measure"),
            .payload = span_of(arena_printf(
                &b->arena,
                "{\"state\": \"built\", \"words\": \"%s\", \"number\": %d, "
                "\"package\": \"make-%d\", \"project\": \"devel:tools\", "
                "\"recipient\": %d}",
                WORDS WORDS WORDS WORDS, number, number % 100, number)),
        };
        b->recipients[i] = (struct recipient){
            .id = number,
            .email =
                span_of(arena_printf(&b->arena, "user%d@example.net", number)),
            .name = span_of(arena_printf(&b->arena, "User %d", number)),
            .is_active = true,
        };
    }
}

static void compose(struct bench *b, int i)
{
    struct event *events[] = {&b->events[i]};
    struct letter letter = {
        .batch = &b->batch,
        .recipient = &b->recipients[i],
        .recipient_id = b->recipients[i].id,
        .events = events,
        .event_count = 1,
        .role = 1,
    };

    buf_clear(&b->out);
    if (composer_write(b->composer, &letter, &b->out) != COMPOSE_DONE) {
        fprintf(stderr, "compose: %.*s\n",
                SPAN_ARG(b->events[i].poison_reason));
        exit(EX_SOFTWARE);
    }
    b->bytes = b->out.len;
}

static void release(struct bench *b)
{
    for (int i = 0; i < BATCH; i++) {
        event_release(&b->events[i]);
    }
}

/* --- the loops; each gives CPU microseconds ----------------------------- */

static int64_t run_whole(struct bench *b, long batches)
{
    const int64_t began = clock_cpu_us();

    for (; batches > 0; batches--) {
        for (int i = 0; i < BATCH; i++) {
            compose(b, i);
        }
        release(b);
    }
    return clock_cpu_us() - began;
}

static int64_t run_again(struct bench *b, long batches)
{
    int64_t began = 0;
    int64_t spent = 0;

    for (int i = 0; i < BATCH; i++) {
        compose(b, i);
    }
    began = clock_cpu_us();
    for (; batches > 0; batches--) {
        for (int i = 0; i < BATCH; i++) {
            compose(b, i);
        }
    }
    spent = clock_cpu_us() - began;
    release(b);
    return spent;
}

static void render(const struct template *t, json_t *const *stack,
                   struct buf *out)
{
    struct template_fault why;

    if (t != NULL && !template_render(t, stack, 2, out, &why)) {
        fprintf(stderr, "compose: %s\n", why.reason);
        exit(EX_SOFTWARE);
    }
}

static void render_letter(struct bench *b, json_t *const *stack)
{
    const struct event_type *type =
        catalog_find(b->catalog, SPAN_LIT("measure"));

    buf_clear(&b->out);
    render(type->text, stack, &b->out);
    render(type->html, stack, &b->out);
    render(type->subject, stack, &b->out);
    render(type->thread, stack, &b->out);
    for (size_t i = 0; i < type->contract->header_count; i++) {
        render(type->headers[i], stack, &b->out);
    }
}

static int64_t run_render(struct bench *b, long batches)
{
    struct payload_fault why;
    json_t *base = json_pack("{s:{s:s}, s:{s:s}, s:s}", "recipient", "greeting",
                             "User 1", "site", "url", "", "role", "addressee");
    json_t *stack[] = {base, payload_parse(b->events[0].payload, NULL, &why)};
    int64_t spent = 0;
    const int64_t began = clock_cpu_us();

    for (long i = batches * BATCH; i > 0; i--) {
        render_letter(b, stack);
    }
    spent = clock_cpu_us() - began;
    json_decref(stack[0]);
    json_decref(stack[1]);
    return spent;
}

/* --- the program -------------------------------------------------------- */

static const struct {
    const char *name;
    int64_t (*run)(struct bench *b, long batches);
} parts[] = {
    {"whole", run_whole},
    {"again", run_again},
    {"render", run_render},
};

enum { WHOLE, AGAIN, RENDER, PARTS };

static void print_step(const char *name, double ns)
{
    printf("  %-7s %7.0f ns a letter\n", name, ns);
}

/* Rounds take turns, and the best of each counts: others may be using the
 * machine. */
static void measure(struct bench *b, long batches, const char *part)
{
    double best[PARTS] = {0};

    for (int round = 0; round < (part ? 1 : ROUNDS); round++) {
        for (size_t i = 0; i < PARTS; i++) {
            double ns = 0;

            if (part != NULL && strcmp(part, parts[i].name) != 0) {
                continue;
            }
            ns = (double)parts[i].run(b, batches) * 1000.0 /
                 (double)(batches * BATCH);
            best[i] = round == 0 || ns < best[i] ? ns : best[i];
        }
    }
    for (size_t i = 0; i < PARTS; i++) {
        if (part == NULL || strcmp(part, parts[i].name) == 0) {
            print_step(parts[i].name, best[i]);
        }
    }
    if (part == NULL) {
        printf("of which\n");
        print_step("parse", best[WHOLE] - best[AGAIN]);
        print_step("render", best[RENDER]);
        print_step("write", best[AGAIN] - best[RENDER]);
        printf("payload %zu bytes, letter %zu bytes\n",
               b->events[0].payload.len, b->bytes);
    }
}

static void open_bench(struct bench *b, const char *folder)
{
    const struct composer_settings settings = {
        .from_name = "Postbatch",
        .from_email = "notify@example.org",
        .domain = "example.org",
        .list_id = "example.org",
        .precedence_bulk = true,
    };
    struct problems problems;

    problems_init(&problems);
    b->catalog = catalog_load(folder, &problems);
    if (catalog_find(b->catalog, SPAN_LIT("measure")) == NULL) {
        fprintf(stderr, "compose: no type measure in %s\n", folder);
        exit(EX_NOINPUT);
    }
    problems_release(&problems);
    b->composer = composer_new(&settings, b->catalog);
    composer_set_role(b->composer, 1, "addressee");
    buf_init(&b->out, OUT_MAX);
    fill(b);
}

static void close_bench(struct bench *b)
{
    buf_release(&b->out);
    composer_free(b->composer);
    catalog_free(b->catalog);
    arena_release(&b->batch.arena);
    arena_release(&b->arena);
}

int main(int argc, char **argv)
{
    const char *folder = "bench/templates";
    const char *part = NULL;
    long letters = 50000;
    struct bench *b = mem_calloc(1, sizeof(*b));
    int option = 0;

    while ((option = getopt(argc, argv, "n:t:p:")) != -1) {
        switch (option) {
        case 'n': letters = strtol(optarg, NULL, 10); break;
        case 't': folder = optarg; break;
        case 'p': part = optarg; break;
        default:
            fputs("usage: bench-compose [-n LETTERS] [-t FOLDER] "
                  "[-p whole|again|render]\n",
                  stderr);
            return EX_USAGE;
        }
    }
    open_bench(b, folder);
    measure(b, letters < BATCH ? 1 : letters / BATCH, part);
    close_bench(b);
    mem_free(b);
    return EX_OK;
}
