/*
 * lanes - the dispatcher's pool of lanes, fed with letters composed before.
 *
 * The letters of the pool are numbers; their content is one composed letter
 * whose Message-ID is written anew for each, so that the sink can count and
 * composing costs next to nothing.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <curl/curl.h>

#include "base/mem.h"
#include "bench/smtp/smtp_bench.h"
#include "smtp/pool.h"

enum { DIGITS = 12, TO_BYTES = 64 };

/* The envelope's bytes must live until the letter is done: one place for
 * each letter in flight, kept on a chain of free ones. */
struct address_slot {
    struct address_slot *next_free;
    size_t to_len;
    char to[TO_BYTES];
};

struct lanes {
    const struct bench_options *options;
    struct bench_result *result;
    struct ev_loop *loop;
    struct pool *pool;
    struct address_slot *slots; /* free ones */
    struct buf letter;
    size_t digits_at; /* where in the letter its number stands */
    uint64_t given;
    bool told;
};

static struct address_slot *take_slot(struct lanes *l)
{
    struct address_slot *p = l->slots;

    if (p == NULL) {
        return mem_alloc(sizeof(*p));
    }
    l->slots = p->next_free;
    return p;
}

static void free_slot(struct lanes *l, struct address_slot *p)
{
    p->next_free = l->slots;
    l->slots = p;
}

static void write_digits(char *at, uint64_t number)
{
    for (int i = DIGITS - 1; i >= 0; i--) {
        at[i] = (char)('0' + number % 10);
        number /= 10;
    }
}

static enum pool_next next(void *ctx, struct parcel *out, struct buf *content)
{
    struct lanes *l = ctx;
    static const char to[] = "reader-000000000000@bench.example";
    struct address_slot *p = NULL;

    if (l->given == l->options->mails) {
        return POOL_NEXT_NONE;
    }
    p = take_slot(l);
    memcpy(p->to, to, sizeof(to));
    p->to_len = sizeof(to) - 1;
    write_digits(p->to + strlen("reader-"), l->given);
    write_digits(l->letter.data + l->digits_at, l->given++);
    *out = (struct parcel){
        .letter = p,
        .from = SPAN_LIT(BENCH_SENDER),
        .to = span_make(p->to, p->to_len),
        .urgency = URGENCY_NORMAL,
    };
    buf_put(content, l->letter.data, l->letter.len);
    return POOL_NEXT_GIVEN;
}

static void begun(void *ctx, void *letter)
{
    (void)ctx;
    (void)letter;
}

static void end(struct lanes *l, void *letter)
{
    free_slot(l, letter);
    if (l->result->sent + l->result->not_sent == l->options->mails) {
        ev_break(l->loop, EVBREAK_ALL);
    }
}

static void done(void *ctx, void *letter, const struct outcome *o,
                 const struct relay *r)
{
    struct lanes *l = ctx;

    (void)r;
    if (o->verdict == VERDICT_SENT) {
        l->result->sent++;
    } else {
        l->result->not_sent++;
        if (!l->told) {
            fprintf(stderr, "bench-smtp: first failure: %s %.*s\n",
                    verdict_name(o->verdict), SPAN_ARG(o->text));
            l->told = true;
        }
    }
    end(l, letter);
}

/* Counted as not sent: the bench does not try again. */
static void returned(void *ctx, void *letter)
{
    struct lanes *l = ctx;

    l->result->not_sent++;
    end(l, letter);
}

static void alarmed(void *ctx, const struct relay *r, const char *what)
{
    (void)ctx;
    (void)r;
    fprintf(stderr, "bench-smtp: %s\n", what);
}

static const struct pool_ops ops = {
    .next = next,
    .begun = begun,
    .done = done,
    .returned = returned,
    .alarm = alarmed,
};

static bool add_relay(struct lanes *l)
{
    const struct bench_options *o = l->options;
    struct relay_settings s;
    struct problems problems;
    bool added = false;

    relay_settings_default(&s);
    s.name = "bench";
    s.host = o->host;
    s.port = o->port;
    s.tls = RELAY_TLS_NONE;
    s.helo = "bench.example";
    s.lanes_min = o->lanes;
    s.lanes_max = o->lanes;
    s.window_max = o->window;
    s.messages_per_connection = 0;
    if (!gear_parse(span_of(o->gear), &s.gear)) {
        fprintf(stderr, "bench-smtp: %s: not a gear\n", o->gear);
        return false;
    }
    problems_init(&problems);
    added = pool_add_relay(l->pool, &s, &problems);
    problems_print(&problems);
    problems_release(&problems);
    return added;
}

/* The letter whose number has always the same count of digits. */
static void compose(struct lanes *l)
{
    static const char nines[] = "999999999999";
    char *found = NULL;

    buf_init(&l->letter, 0);
    bench_letter(&l->letter, UINT64_C(999999999999), l->options->size);
    found = memmem(l->letter.data, l->letter.len, nines, DIGITS);
    l->digits_at = (size_t)(found - l->letter.data);
}

bool lanes_run(const struct bench_options *o, struct bench_result *r)
{
    struct lanes l = {.options = o, .result = r, .loop = EV_DEFAULT};
    struct pool_stats stats = {0};
    bool good = false;

    curl_global_init(CURL_GLOBAL_DEFAULT);
    compose(&l);
    l.pool = pool_new(l.loop, &ops, &l);
    good = add_relay(&l);
    bench_start(r);
    if (good) {
        pool_start(l.pool);
        pool_wake(l.pool);
        ev_run(l.loop, 0);
        bench_stop(r);
        pool_counts(l.pool, &stats);
        r->connections = stats.counts.connections;
    }
    pool_free(l.pool);
    while (l.slots != NULL) {
        mem_free(take_slot(&l));
    }
    buf_release(&l.letter);
    curl_global_cleanup();
    return good;
}
