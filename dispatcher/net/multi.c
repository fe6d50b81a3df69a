/*
 * multi - libcurl's multi interface on the event loop.
 *
 * libcurl says which sockets it watches and when its clock is next due; both
 * become watchers of libev, and what libev sees goes back through
 * curl_multi_socket_action. The traps on that way, each met below:
 *
 *  - the timer callback gives integer milliseconds: the division must not be
 *    one of integers, or every timeout below a second becomes a busy loop;
 *  - handles are never added or removed inside libcurl's callbacks: done is
 *    told after the action has returned;
 *  - a message of libcurl is gone once its handle is removed, so it is read
 *    whole before anybody hears of it;
 *  - QUICK_EXIT, or removing a handle waits for its resolver thread.
 */
#include "net/multi.h"

#include <signal.h>
#include <stddef.h>

#include "base/mem.h"

struct multi {
    struct ev_loop *loop;
    CURLM *curl;
    ev_timer timer;
    bool is_telling;
    bool is_gone; /* freed by a callback while telling */
};

/* libcurl's interest in one socket. */
struct watch {
    ev_io io;
    struct multi *multi;
};

/* Tells of every transfer that ended. */
static void tell_done(struct multi *m)
{
    struct CURLMsg *msg = NULL;
    int left = 0;

    m->is_telling = true;
    while (!m->is_gone &&
           (msg = curl_multi_info_read(m->curl, &left)) != NULL) {
        char *private = NULL;
        CURLcode rc = msg->data.result;
        struct transfer *t = NULL;

        if (msg->msg == CURLMSG_DONE) {
            curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &private);
            t = (struct transfer *)(void *)private;
            t->done(t->ctx, rc);
        }
    }
    m->is_telling = false;
    if (m->is_gone) {
        mem_free(m);
    }
}

static void on_socket(struct ev_loop *loop, ev_io *io, int events)
{
    struct watch *w = io->data;
    struct multi *m = w->multi;
    int running = 0;
    int mask = (events & EV_READ ? CURL_CSELECT_IN : 0) |
               (events & EV_WRITE ? CURL_CSELECT_OUT : 0);

    (void)loop;
    curl_multi_socket_action(m->curl, io->fd, mask, &running);
    tell_done(m);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct multi *m = timer->data;
    int running = 0;

    (void)loop;
    (void)events;
    curl_multi_socket_action(m->curl, CURL_SOCKET_TIMEOUT, 0, &running);
    tell_done(m);
}

/* CURLMOPT_TIMERFUNCTION. */
static int set_timer(CURLM *curl, long timeout_ms, void *ctx)
{
    struct multi *m = ctx;

    (void)curl;
    ev_timer_stop(m->loop, &m->timer);
    if (timeout_ms >= 0) {
        ev_timer_set(&m->timer, (double)timeout_ms / 1000.0, 0.0);
        ev_timer_start(m->loop, &m->timer);
    }
    return 0;
}

/* CURLMOPT_SOCKETFUNCTION. */
static int set_socket(CURL *easy, curl_socket_t fd, int what, void *ctx,
                      void *socket_ctx)
{
    struct multi *m = ctx;
    struct watch *w = socket_ctx;
    int events = (what & CURL_POLL_IN ? EV_READ : 0) |
                 (what & CURL_POLL_OUT ? EV_WRITE : 0);

    (void)easy;
    if (w != NULL) {
        ev_io_stop(m->loop, &w->io);
    }
    if (what == CURL_POLL_REMOVE) {
        mem_free(w);
        curl_multi_assign(m->curl, fd, NULL);
        return 0;
    }
    if (w == NULL) {
        w = mem_calloc(1, sizeof(*w));
        w->multi = m;
        ev_init(&w->io, on_socket);
        w->io.data = w;
        curl_multi_assign(m->curl, fd, w);
    }
    ev_io_set(&w->io, fd, events);
    ev_io_start(m->loop, &w->io);
    return 0;
}

struct multi *multi_new(struct ev_loop *loop)
{
    struct multi *m = mem_calloc(1, sizeof(*m));

    signal(SIGPIPE, SIG_IGN);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    m->loop = loop;
    m->curl = curl_multi_init();
    ev_init(&m->timer, on_timer);
    m->timer.data = m;
    curl_multi_setopt(m->curl, CURLMOPT_SOCKETFUNCTION, set_socket);
    curl_multi_setopt(m->curl, CURLMOPT_SOCKETDATA, m);
    curl_multi_setopt(m->curl, CURLMOPT_TIMERFUNCTION, set_timer);
    curl_multi_setopt(m->curl, CURLMOPT_TIMERDATA, m);
    return m;
}

void multi_free(struct multi *m)
{
    if (m == NULL) {
        return;
    }
    curl_multi_cleanup(m->curl);
    ev_timer_stop(m->loop, &m->timer);
    curl_global_cleanup();
    m->is_gone = true;
    if (!m->is_telling) {
        mem_free(m);
    }
}

/* ---- transfers ----------------------------------------------------------- */

static void on_failed_early(struct ev_loop *loop, ev_prepare *w, int events)
{
    struct transfer *t = w->data;

    (void)loop;
    (void)events;
    t->done(t->ctx, t->early);
}

void transfer_begin(struct transfer *t, struct multi *m, CURL *easy,
                    CURLcode so_far, transfer_done_fn *done, void *ctx)
{
    *t = (struct transfer){
        .multi = m, .easy = easy, .done = done, .ctx = ctx, .early = so_far};
    ev_init(&t->failed_early, on_failed_early);
    t->failed_early.data = t;
    if (easy == NULL) {
        t->early = CURLE_OUT_OF_MEMORY;
    } else if (t->early == CURLE_OK) {
        curl_easy_setopt(easy, CURLOPT_PRIVATE, t);
        curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
        t->is_added = curl_multi_add_handle(m->curl, easy) == CURLM_OK;
        t->early = t->is_added ? CURLE_OK : CURLE_FAILED_INIT;
    }
    if (!t->is_added) {
        ev_feed_event(m->loop, &t->failed_early, EV_CUSTOM);
    }
}

void transfer_end(struct transfer *t)
{
    ev_clear_pending(t->multi->loop, &t->failed_early);
    if (t->is_added) {
        curl_multi_remove_handle(t->multi->curl, t->easy);
    }
    curl_easy_cleanup(t->easy);
    t->is_added = false;
    t->easy = NULL;
}
