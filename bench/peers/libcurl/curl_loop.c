/*
 * curl_loop - libcurl's multi interface on libev.
 *
 * libcurl says which sockets it waits for and when its next timeout is; each
 * socket has a watcher that libcurl keeps for us (curl_multi_assign).
 */
#include "bench/peers/libcurl/curl_loop.h"

#include "base/mem.h"

static void reap(struct curl_loop *l)
{
    CURLMsg *message = NULL;
    int left = 0;

    while ((message = curl_multi_info_read(l->multi, &left)) != NULL) {
        if (message->msg == CURLMSG_DONE) {
            CURL *easy = message->easy_handle;
            CURLcode code = message->data.result;

            curl_multi_remove_handle(l->multi, easy);
            l->ended(l->ctx, easy, code);
        }
    }
}

static void on_socket(struct ev_loop *loop, ev_io *w, int events)
{
    struct curl_loop *l = w->data;
    int running = 0;
    int what = (events & EV_READ ? CURL_CSELECT_IN : 0) |
               (events & EV_WRITE ? CURL_CSELECT_OUT : 0);

    (void)loop;
    curl_multi_socket_action(l->multi, w->fd, what, &running);
    reap(l);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int events)
{
    struct curl_loop *l = w->data;
    int running = 0;

    (void)loop;
    (void)events;
    curl_multi_socket_action(l->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    reap(l);
}

static int want_socket(CURL *easy, curl_socket_t fd, int what, void *ctx,
                       void *known)
{
    struct curl_loop *l = ctx;
    ev_io *w = known;

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (w != NULL) {
            ev_io_stop(l->loop, w);
            mem_free(w);
            curl_multi_assign(l->multi, fd, NULL);
        }
        return 0;
    }
    if (w == NULL) {
        w = mem_calloc(1, sizeof(*w));
        ev_init(w, on_socket);
        w->data = l;
        curl_multi_assign(l->multi, fd, w);
    }
    ev_io_stop(l->loop, w);
    ev_io_set(w, fd,
              (what & CURL_POLL_IN ? EV_READ : 0) |
                  (what & CURL_POLL_OUT ? EV_WRITE : 0));
    ev_io_start(l->loop, w);
    return 0;
}

static int want_timer(CURLM *multi, long timeout_ms, void *ctx)
{
    struct curl_loop *l = ctx;

    (void)multi;
    ev_timer_stop(l->loop, &l->timer);
    if (timeout_ms >= 0) {
        ev_timer_set(&l->timer, (double)timeout_ms / 1000.0, 0.);
        ev_timer_start(l->loop, &l->timer);
    }
    return 0;
}

void curl_loop_init(struct curl_loop *l, struct ev_loop *loop, long connections,
                    void (*ended)(void *ctx, CURL *easy, CURLcode code),
                    void *ctx)
{
    *l = (struct curl_loop){.loop = loop, .ended = ended, .ctx = ctx};
    l->multi = curl_multi_init();
    ev_init(&l->timer, on_timer);
    l->timer.data = l;
    curl_multi_setopt(l->multi, CURLMOPT_SOCKETFUNCTION, want_socket);
    curl_multi_setopt(l->multi, CURLMOPT_SOCKETDATA, l);
    curl_multi_setopt(l->multi, CURLMOPT_TIMERFUNCTION, want_timer);
    curl_multi_setopt(l->multi, CURLMOPT_TIMERDATA, l);
    curl_multi_setopt(l->multi, CURLMOPT_MAXCONNECTS, connections);
}

void curl_loop_add(struct curl_loop *l, CURL *easy)
{
    curl_multi_add_handle(l->multi, easy);
}

void curl_loop_release(struct curl_loop *l)
{
    ev_timer_stop(l->loop, &l->timer);
    curl_multi_cleanup(l->multi);
}
