/*
 * lanes - the dispatcher's pool of lanes, fed with letters composed before.
 *
 * The letters of the pool are numbers; their content is one composed letter
 * whose Message-ID is written anew for each, so that the sink can count and
 * composing costs next to nothing. A letter that comes back goes out again,
 * before all others, as often as --again allows.
 */
#include <stdio.h>
#include <string.h>

#include <curl/curl.h>

#include "base/mem.h"
#include "bench/smtp/loop_watch.h"
#include "bench/smtp/smtp_bench.h"
#include "smtp/pool.h"

enum { ADDRESS_BYTES = 128 };

/* The envelope's bytes must live until the letter is done. Letters are kept
 * for use by others when they are over. */
struct bench_mail {
    struct list_node node; /* in waiting or unused */
    uint64_t number;
    int64_t tries;
    uint64_t given_at; /* count of happenings, as ended_at in its line */
    bool is_begun;
    struct span from;
    struct span to;
    char from_bytes[ADDRESS_BYTES];
    char to_bytes[ADDRESS_BYTES];
};

struct lanes {
    const struct bench_options *options;
    struct bench_result *result;
    struct ev_loop *loop;
    struct pool *pool;
    struct loop_watch watch;
    struct list waiting; /* letters that came back */
    struct list unused;
    struct buf content;
    size_t digits_at; /* where in the content its number stands */
    uint64_t given;
    uint64_t happenings; /* letters given and ended, ever */
    bool told;
};

static struct bench_mail *make_letter(struct lanes *l)
{
    struct list_node *node = list_take(&l->unused);
    struct bench_mail *p = node != NULL ? LIST_OF(node, struct bench_mail, node)
                                        : mem_alloc(sizeof(*p));

    *p = (struct bench_mail){.number = l->given++};
    p->from = bench_address(p->from_bytes, sizeof(p->from_bytes),
                            l->options->from, p->number);
    p->to = bench_address(p->to_bytes, sizeof(p->to_bytes), l->options->to,
                          p->number);
    return p;
}

static enum pool_next next(void *ctx, struct parcel *out, struct buf *content)
{
    struct lanes *l = ctx;
    struct list_node *node = list_take(&l->waiting);
    struct bench_mail *p = NULL;

    if (node != NULL) {
        p = LIST_OF(node, struct bench_mail, node);
    } else if (l->given < (uint64_t)l->options->mails) {
        p = make_letter(l);
    } else {
        return POOL_NEXT_NONE;
    }
    p->tries++;
    p->is_begun = false;
    p->given_at = l->happenings++;
    l->result->tries++;
    bench_digits(l->content.data + l->digits_at, p->number);
    *out = (struct parcel){
        .letter = p,
        .from = p->from,
        .to = p->to,
        .urgency = URGENCY_NORMAL,
    };
    buf_put(content, l->content.data, l->content.len);
    return POOL_NEXT_GIVEN;
}

static void begun(void *ctx, void *letter)
{
    struct bench_mail *p = letter;

    (void)ctx;
    p->is_begun = true;
}

static void tell(struct lanes *l, const struct bench_mail *p,
                 const char *verdict, const struct outcome *o)
{
    struct buf b;

    if (!l->options->tells_letters) {
        return;
    }
    buf_init(&b, 0);
    buf_printf(&b,
               "{\"letter\": %llu, \"verdict\": \"%s\", \"code\": %d, "
               "\"enhanced\": \"%d.%d.%d\", \"suppress\": %s, "
               "\"try\": %lld, \"begun\": %s, \"given_at\": %llu, "
               "\"ended_at\": %llu, \"text\": ",
               (unsigned long long)p->number, verdict, o->code, o->enhanced[0],
               o->enhanced[1], o->enhanced[2], o->suppress ? "true" : "false",
               (long long)p->tries, p->is_begun ? "true" : "false",
               (unsigned long long)p->given_at,
               (unsigned long long)l->happenings);
    buf_json(&b, o->text);
    buf_putc(&b, '}');
    puts(buf_cstr(&b));
    buf_release(&b);
}

static void drained(void *ctx)
{
    struct lanes *l = ctx;

    ev_break(l->loop, EVBREAK_ALL);
}

/* A letter is over. The clock stops with the last, before lanes say QUIT. */
static void end(struct lanes *l, struct bench_mail *p)
{
    list_append(&l->unused, &p->node);
    if (bench_ended(l->result) == (uint64_t)l->options->mails) {
        bench_stop(l->result);
        pool_drain(l->pool, drained);
    }
}

static void count(struct bench_result *r, enum verdict verdict)
{
    switch (verdict) {
    case VERDICT_SENT: r->sent++; break;
    case VERDICT_DEFERRED: r->deferred++; break;
    case VERDICT_FAILED: r->failed++; break;
    case VERDICT_UNSURE: r->unsure++; break;
    case VERDICT_NONE:
    case VERDICT_SKIPPED:
    case VERDICT_RESENT: break; /* no relay says these */
    }
}

static void done(void *ctx, void *letter, const struct outcome *o,
                 const struct relay *r)
{
    struct lanes *l = ctx;

    (void)r;
    tell(l, letter, verdict_name(o->verdict), o);
    l->happenings++;
    count(l->result, o->verdict);
    if (o->verdict != VERDICT_SENT && !l->told && !l->options->tells_letters) {
        fprintf(stderr, "bench-smtp: first failure: %s %.*s\n",
                verdict_name(o->verdict), SPAN_ARG(o->text));
        l->told = true;
    }
    end(l, letter);
}

static void returned(void *ctx, void *letter)
{
    static const struct outcome none = {.text = {"", 0}};
    struct lanes *l = ctx;
    struct bench_mail *p = letter;

    tell(l, p, "returned", &none);
    l->happenings++;
    if (p->tries <= l->options->again) {
        list_prepend(&l->waiting, &p->node);
        pool_wake(l->pool);
        return;
    }
    l->result->returned++;
    end(l, p);
}

static void alarmed(void *ctx, const struct relay *r, enum pool_alarm alarm,
                    const char *what)
{
    (void)ctx;
    (void)alarm;
    fprintf(stderr, "bench-smtp: %s: %s\n", r->settings.name, what);
}

static const struct pool_ops ops = {
    .next = next,
    .begun = begun,
    .done = done,
    .returned = returned,
    .alarm = alarmed,
};

static bool settle_settings(struct relay_settings *s,
                            const struct bench_options *o)
{
    relay_settings_default(s);
    s->helo = "bench.example";
    s->lanes_min = (int)o->lanes;
    s->lanes_max = (int)o->lanes;
    s->window_max = (int)o->window;
    s->messages_per_connection = (int)o->each;
    s->doubts_max = (int)o->doubts;
    s->rest_ms = o->rest_ms;
    s->rest_max_ms = o->rest_ms;
    s->pause_ms = o->rest_ms;
    s->ca_file = o->ca_file;
    s->verify = o->ca_file != NULL;
    if (o->timeout_ms > 0) {
        s->timeouts.connect_ms = o->timeout_ms;
        s->timeouts.command_ms = o->timeout_ms;
        s->timeouts.data_ms = o->timeout_ms;
        s->timeouts.block_ms = o->timeout_ms;
        s->timeouts.dot_ms = o->timeout_ms;
        s->timeouts.quit_ms = o->timeout_ms;
    }
    if (!gear_parse(span_of(o->gear), &s->gear)) {
        fprintf(stderr, "bench-smtp: %s: not a gear\n", o->gear);
        return false;
    }
    if (!relay_tls_parse(span_of(o->tls), &s->tls)) {
        fprintf(stderr, "bench-smtp: %s: not a way of TLS\n", o->tls);
        return false;
    }
    return true;
}

static bool add_relays(struct lanes *l)
{
    const struct bench_options *o = l->options;
    struct relay_settings s;
    struct problems problems;
    bool added = settle_settings(&s, o);
    char name[32];

    problems_init(&problems);
    for (int i = 0; added && i < o->relay_count; i++) {
        snprintf(name, sizeof(name), "relay-%d", i + 1);
        s.name = name;
        s.host = o->relays[i].host;
        s.port = o->relays[i].port;
        added = pool_add_relay(l->pool, &s, &problems);
    }
    problems_print(&problems);
    problems_release(&problems);
    return added;
}

/* The letter whose number has always the same count of digits. */
static void compose(struct lanes *l)
{
    static const char nines[] = "999999999999";
    char *found = NULL;

    buf_init(&l->content, 0);
    bench_letter(&l->content, UINT64_C(999999999999), (size_t)l->options->size);
    found = memmem(l->content.data, l->content.len, nines, BENCH_DIGITS);
    l->digits_at = (size_t)(found - l->content.data);
}

static void run(struct lanes *l)
{
    struct pool_stats stats = {0};

    bench_start(l->result);
    if (l->options->watches_loop) {
        loop_watch_start(&l->watch, l->loop);
    }
    pool_start(l->pool);
    pool_wake(l->pool);
    ev_run(l->loop, 0);
    if (l->options->watches_loop) {
        loop_watch_stop(&l->watch, l->loop);
        l->result->longest_block_us = l->watch.longest_block_us;
        l->result->longest_late_us = l->watch.longest_late_us;
    }
    pool_counts(l->pool, &stats);
    l->result->connections = stats.counts.connections;
}

bool lanes_run(const struct bench_options *o, struct bench_result *r)
{
    struct lanes l = {.options = o, .result = r, .loop = EV_DEFAULT};
    struct list_node *node = NULL;
    bool good = false;

    curl_global_init(CURL_GLOBAL_DEFAULT);
    list_init(&l.waiting);
    list_init(&l.unused);
    compose(&l);
    l.pool = pool_new(l.loop, &ops, &l);
    good = add_relays(&l);
    if (good) {
        run(&l);
    }
    pool_free(l.pool);
    while ((node = list_take(&l.unused)) != NULL) {
        mem_free(LIST_OF(node, struct bench_mail, node));
    }
    buf_release(&l.content);
    curl_global_cleanup();
    return good;
}
