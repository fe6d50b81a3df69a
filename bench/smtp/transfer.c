/*
 * transfer - libcurl's own mail transfer, driven as its manual recommends.
 *
 * The multi interface on libev (curl_multi_socket_action), as many easy
 * handles as lanes, each used again and again, so that connections are too.
 * This is the yardstick that the lanes are measured against.
 */
#include <stdio.h>
#include <string.h>

#include <curl/curl.h>
#include <ev.h>

#include "base/mem.h"
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
    struct ev_loop *loop;
    CURLM *multi;
    ev_timer timer;
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
    curl_multi_add_handle(t->multi, h->easy);
}

static void end(struct transfer *t, CURL *easy, CURLcode code)
{
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
    curl_multi_remove_handle(t->multi, easy);
    begin(h);
}

static void reap(struct transfer *t)
{
    CURLMsg *message = NULL;
    int left = 0;

    while ((message = curl_multi_info_read(t->multi, &left)) != NULL) {
        if (message->msg == CURLMSG_DONE) {
            end(t, message->easy_handle, message->data.result);
        }
    }
    if (bench_ended(t->result) == (uint64_t)t->options->mails) {
        ev_break(t->loop, EVBREAK_ALL);
    }
}

static void on_socket(struct ev_loop *loop, ev_io *w, int events)
{
    struct transfer *t = w->data;
    int running = 0;
    int what = (events & EV_READ ? CURL_CSELECT_IN : 0) |
               (events & EV_WRITE ? CURL_CSELECT_OUT : 0);

    (void)loop;
    curl_multi_socket_action(t->multi, w->fd, what, &running);
    reap(t);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int events)
{
    struct transfer *t = w->data;
    int running = 0;

    (void)loop;
    (void)events;
    curl_multi_socket_action(t->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    reap(t);
}

static int want_socket(CURL *easy, curl_socket_t fd, int what, void *ctx,
                       void *known)
{
    struct transfer *t = ctx;
    ev_io *w = known;

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (w != NULL) {
            ev_io_stop(t->loop, w);
            mem_free(w);
            curl_multi_assign(t->multi, fd, NULL);
        }
        return 0;
    }
    if (w == NULL) {
        w = mem_calloc(1, sizeof(*w));
        ev_init(w, on_socket);
        w->data = t;
        curl_multi_assign(t->multi, fd, w);
    }
    ev_io_stop(t->loop, w);
    ev_io_set(w, fd,
              (what & CURL_POLL_IN ? EV_READ : 0) |
                  (what & CURL_POLL_OUT ? EV_WRITE : 0));
    ev_io_start(t->loop, w);
    return 0;
}

static int want_timer(CURLM *multi, long timeout_ms, void *ctx)
{
    struct transfer *t = ctx;

    (void)multi;
    ev_timer_stop(t->loop, &t->timer);
    if (timeout_ms >= 0) {
        ev_timer_set(&t->timer, (double)timeout_ms / 1000.0, 0.);
        ev_timer_start(t->loop, &t->timer);
    }
    return 0;
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
    struct transfer t = {.options = o, .result = r, .loop = EV_DEFAULT};

    curl_global_init(CURL_GLOBAL_DEFAULT);
    t.multi = curl_multi_init();
    t.handles = mem_calloc((size_t)o->lanes, sizeof(*t.handles));
    snprintf(t.url, sizeof(t.url), "smtp://%s:%d/bench.example",
             o->relays[0].host, o->relays[0].port);
    ev_init(&t.timer, on_timer);
    t.timer.data = &t;
    curl_multi_setopt(t.multi, CURLMOPT_SOCKETFUNCTION, want_socket);
    curl_multi_setopt(t.multi, CURLMOPT_SOCKETDATA, &t);
    curl_multi_setopt(t.multi, CURLMOPT_TIMERFUNCTION, want_timer);
    curl_multi_setopt(t.multi, CURLMOPT_TIMERDATA, &t);
    curl_multi_setopt(t.multi, CURLMOPT_MAXCONNECTS, o->lanes);
    bench_start(r);
    for (int i = 0; i < o->lanes; i++) {
        set_up_handle(&t, &t.handles[i]);
        begin(&t.handles[i]);
    }
    ev_run(t.loop, 0);
    bench_stop(r);
    for (int i = 0; i < o->lanes; i++) {
        curl_easy_cleanup(t.handles[i].easy);
        curl_slist_free_all(t.handles[i].to);
        buf_release(&t.handles[i].letter);
    }
    curl_multi_cleanup(t.multi);
    mem_free(t.handles);
    curl_global_cleanup();
    return true;
}
