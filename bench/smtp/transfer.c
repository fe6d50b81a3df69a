/*
 * transfer - libcurl's own mail transfer, driven as its manual recommends.
 *
 * The multi interface on libev (curl_loop), as many easy handles as lanes,
 * each used again and again, so that connections are too.
 * This is the yardstick that the lanes are measured against.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "bench/peers/libcurl/curl_loop.h"
#include "bench/smtp/smtp_bench.h"

struct transfer;

/* One easy handle and the letter it sends. */
struct handle {
    struct transfer *all;
    CURL *easy;
    struct curl_slist *to;
    struct buf letter;
    size_t at; /* octets given to libcurl */
};

struct transfer {
    const struct bench_options *options;
    struct bench_result *result;
    struct curl_loop curl;
    struct handle *handles;
    char url[300];
    uint64_t begun;
    bool told; /* the first failure was shown */
};

static size_t give_letter(char *memory, size_t size, size_t count, void *ctx)
{
    struct handle *h = ctx;
    size_t n = size * count;

    if (n > h->letter.len - h->at) {
        n = h->letter.len - h->at;
    }
    memcpy(memory, h->letter.data + h->at, n);
    h->at += n;
    return n;
}

/* The next letter, if any is left. */
static void begin(struct handle *h)
{
    struct transfer *t = h->all;
    char to[128];
    struct span address;

    if (t->begun == (uint64_t)t->options->mails) {
        return;
    }
    buf_clear(&h->letter);
    h->at = 0;
    bench_letter(&h->letter, t->begun, (size_t)t->options->size);
    address = bench_address(to, sizeof(to) - 1, t->options->to, t->begun++);
    to[address.len] = '\0';
    curl_slist_free_all(h->to);
    h->to = curl_slist_append(NULL, to);
    curl_easy_setopt(h->easy, CURLOPT_MAIL_RCPT, h->to);
    curl_easy_setopt(h->easy, CURLOPT_INFILESIZE_LARGE,
                     (curl_off_t)h->letter.len);
    curl_loop_add(&t->curl, h->easy);
}

static void end(void *ctx, CURL *easy, CURLcode code)
{
    struct transfer *t = ctx;
    struct handle *h = NULL;
    long connects = 0;

    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&h);
    curl_easy_getinfo(easy, CURLINFO_NUM_CONNECTS, &connects);
    t->result->connections += (uint64_t)connects;
    if (code == CURLE_OK) {
        t->result->sent++;
    } else {
        t->result->failed++;
        if (!t->told) {
            fprintf(stderr, "bench-smtp: first failure: %s\n",
                    curl_easy_strerror(code));
            t->told = true;
        }
    }
    begin(h);
    if (bench_ended(t->result) == (uint64_t)t->options->mails) {
        ev_break(t->curl.loop, EVBREAK_ALL);
    }
}

static void set_up_handle(struct transfer *t, struct handle *h)
{
    *h = (struct handle){.all = t, .easy = curl_easy_init()};
    buf_init(&h->letter, 0);
    curl_easy_setopt(h->easy, CURLOPT_URL, t->url);
    curl_easy_setopt(h->easy, CURLOPT_PRIVATE, h);
    curl_easy_setopt(h->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(h->easy, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(h->easy, CURLOPT_READFUNCTION, give_letter);
    curl_easy_setopt(h->easy, CURLOPT_READDATA, h);
    curl_easy_setopt(h->easy, CURLOPT_MAIL_FROM, t->options->from);
}

bool transfer_run(const struct bench_options *o, struct bench_result *r)
{
    struct transfer t = {.options = o, .result = r};

    curl_global_init(CURL_GLOBAL_DEFAULT);
    t.handles = mem_calloc((size_t)o->lanes, sizeof(*t.handles));
    snprintf(t.url, sizeof(t.url), "smtp://%s:%d/bench.example",
             o->relays[0].host, o->relays[0].port);
    curl_loop_init(&t.curl, EV_DEFAULT, (long)o->lanes, end, &t);
    bench_start(r);
    for (int i = 0; i < o->lanes; i++) {
        set_up_handle(&t, &t.handles[i]);
        begin(&t.handles[i]);
    }
    ev_run(t.curl.loop, 0);
    bench_stop(r);
    for (int i = 0; i < o->lanes; i++) {
        curl_easy_cleanup(t.handles[i].easy);
        curl_slist_free_all(t.handles[i].to);
        buf_release(&t.handles[i].letter);
    }
    curl_loop_release(&t.curl);
    mem_free(t.handles);
    curl_global_cleanup();
    return true;
}
