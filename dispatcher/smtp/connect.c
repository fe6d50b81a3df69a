/*
 * connect - connections to relays, made by libcurl, used by lanes.
 *
 * libcurl's own mail transfer is not used: it blocks the thread while it
 * waits for the reply to the final dot (curl issue 8555). What is used is
 * its way to a connection, driven by libev through the socket and timer
 * callbacks of the multi interface. The traps on that way, each met below:
 *
 *  - an easy handle stays in its multi as long as the connection is used:
 *    removing it is closing it. For CONNECT_ONLY that happens without QUIT,
 *    which libcurl would otherwise send and wait for, blocking the loop;
 *  - QUICK_EXIT, or removing a handle waits for its resolver thread;
 *  - the timer callback gives integer milliseconds: the division must not be
 *    one of integers, or every timeout below a second becomes a busy loop;
 *  - handles are never added or removed inside libcurl's callbacks;
 *  - the connection is received from at once after it is made, which ties
 *    it to its handle; an idle one could be closed as unused (lane.c does);
 *  - a relay that offers no AUTH is used by libcurl without credentials:
 *    here it is refused unless the 235 was seen;
 *  - USE_SSL defaults to none, and "try" would send a password in the clear.
 */
#include "smtp/connect.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "smtp/connect_parts.h"

struct connector {
    struct ev_loop *loop;
    CURLM *multi;
    ev_timer timer;
};

/* libcurl's interest in one socket. */
struct watch {
    ev_io io;
    struct connector *connector;
};

/* Tells who waits of every transfer that ended. */
static void tell_done(struct connector *c);

static void on_socket(struct ev_loop *loop, ev_io *io, int events)
{
    struct watch *w = io->data;
    struct connector *c = w->connector;
    int running = 0;
    int mask = (events & EV_READ ? CURL_CSELECT_IN : 0) |
               (events & EV_WRITE ? CURL_CSELECT_OUT : 0);

    (void)loop;
    curl_multi_socket_action(c->multi, io->fd, mask, &running);
    tell_done(c);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct connector *c = timer->data;
    int running = 0;

    (void)loop;
    (void)events;
    curl_multi_socket_action(c->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    tell_done(c);
}

/* CURLMOPT_TIMERFUNCTION. */
static int set_timer(CURLM *multi, long timeout_ms, void *ctx)
{
    struct connector *c = ctx;

    (void)multi;
    ev_timer_stop(c->loop, &c->timer);
    if (timeout_ms >= 0) {
        ev_timer_set(&c->timer, (double)timeout_ms / 1000.0, 0.0);
        ev_timer_start(c->loop, &c->timer);
    }
    return 0;
}

/* CURLMOPT_SOCKETFUNCTION. */
static int set_socket(CURL *easy, curl_socket_t fd, int what, void *ctx,
                      void *socket_ctx)
{
    struct connector *c = ctx;
    struct watch *w = socket_ctx;
    int events = (what & CURL_POLL_IN ? EV_READ : 0) |
                 (what & CURL_POLL_OUT ? EV_WRITE : 0);

    (void)easy;
    if (w != NULL) {
        ev_io_stop(c->loop, &w->io);
    }
    if (what == CURL_POLL_REMOVE) {
        mem_free(w);
        curl_multi_assign(c->multi, fd, NULL);
        return 0;
    }
    if (w == NULL) {
        w = mem_calloc(1, sizeof(*w));
        w->connector = c;
        ev_init(&w->io, on_socket);
        w->io.data = w;
        curl_multi_assign(c->multi, fd, w);
    }
    ev_io_set(&w->io, fd, events);
    ev_io_start(c->loop, &w->io);
    return 0;
}

struct connector *connector_new(struct ev_loop *loop)
{
    struct connector *c = mem_calloc(1, sizeof(*c));

    signal(SIGPIPE, SIG_IGN);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    c->loop = loop;
    c->multi = curl_multi_init();
    ev_init(&c->timer, on_timer);
    c->timer.data = c;
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, set_socket);
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, set_timer);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
    return c;
}

void connector_free(struct connector *c)
{
    if (c != NULL) {
        curl_multi_cleanup(c->multi);
        ev_timer_stop(c->loop, &c->timer);
        curl_global_cleanup();
        mem_free(c);
    }
}

static void finish(struct link *l, CURLcode rc);

static void on_failed_early(struct ev_loop *loop, ev_prepare *w, int events)
{
    struct link *l = w->data;

    (void)loop;
    (void)events;
    finish(l, l->early);
}

struct link *link_open(struct connector *c, const struct relay_settings *s,
                       link_done_fn *done, void *ctx)
{
    struct link *l = mem_calloc(1, sizeof(*l));

    l->connector = c;
    l->settings = s;
    l->done = done;
    l->ctx = ctx;
    l->fd = -1;
    l->opened_ms = clock_monotonic_ms();
    reply_clear(&l->reply);
    ev_init(&l->failed_early, on_failed_early);
    l->failed_early.data = l;
    l->easy = curl_easy_init();
    l->early = l->easy == NULL ? CURLE_OUT_OF_MEMORY : link_set_options(l);
    if (l->early == CURLE_OK) {
        l->is_added = curl_multi_add_handle(c->multi, l->easy) == CURLM_OK;
        l->early = l->is_added ? CURLE_OK : CURLE_FAILED_INIT;
    }
    if (!l->is_added) {
        ev_feed_event(c->loop, &l->failed_early, EV_CUSTOM);
    }
    return l;
}

void link_close(struct link *l)
{
    if (l == NULL) {
        return;
    }
    ev_clear_pending(l->connector->loop, &l->failed_early);
    if (l->is_added) {
        curl_multi_remove_handle(l->connector->multi, l->easy);
    }
    curl_easy_cleanup(l->easy);
    mem_free(l);
}

/* The connection is there: is it what we asked for? */
static void check_result(struct link *l, struct link_result *result)
{
    curl_socket_t fd = CURL_SOCKET_BAD;

    result->is_tls = link_is_tls(l);
    result->is_auth = l->is_auth;
    result->ehlo = l->ehlo;
    if (l->settings->user != NULL && !l->is_auth) {
        l->reply.code = 250;
        snprintf(l->error, sizeof(l->error), "%s", "AUTH was not offered");
        link_describe(l, CURLE_LOGIN_DENIED, result);
        return;
    }
    curl_easy_getinfo(l->easy, CURLINFO_ACTIVESOCKET, &fd);
    if (fd == CURL_SOCKET_BAD) {
        link_describe(l, CURLE_COULDNT_CONNECT, result);
        return;
    }
    l->fd = fd;
    result->is_ok = true;
    link_put_text(result->text, sizeof(result->text), l->greeting);
}

static void finish(struct link *l, CURLcode rc)
{
    struct link_result result = {.is_ok = false};

    if (rc == CURLE_OK) {
        check_result(l, &result);
    } else {
        link_describe(l, rc, &result);
    }
    l->done(l->ctx, l, &result); /* may close l */
}

static void tell_done(struct connector *c)
{
    struct CURLMsg *msg = NULL;
    int left = 0;

    while ((msg = curl_multi_info_read(c->multi, &left)) != NULL) {
        char *private = NULL;

        if (msg->msg == CURLMSG_DONE) {
            CURLcode rc = msg->data.result;

            curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &private);
            finish((struct link *)(void *)private, rc);
        }
    }
}

bool link_in_time(struct link *l, int64_t now_ms, char *text, size_t size)
{
    const struct relay_settings *s = l->settings;
    int64_t waited_ms = now_ms - l->opened_ms;
    curl_off_t connected_us = 0;

    if (waited_ms <= s->timeouts.connect_ms || l->fd >= 0) {
        return true;
    }
    if (l->is_added) {
        curl_easy_getinfo(l->easy, CURLINFO_CONNECT_TIME_T, &connected_us);
    }
    if (connected_us > 0) {
        return true; /* from here libcurl watches the time */
    }
    snprintf(text, size,
             "%s:%d: no connection within %.1f s; check that the relay runs, "
             "host and port, and the firewall",
             s->unix_path ? s->unix_path : s->host, relay_settings_port(s),
             (double)waited_ms / 1000.0);
    return false;
}

enum link_io link_send(struct link *l, const char *bytes, size_t len,
                       size_t *count)
{
    CURLcode rc = curl_easy_send(l->easy, bytes, len, count);

    if (rc == CURLE_OK) {
        return *count > 0 ? LINK_OK : LINK_AGAIN;
    }
    *count = 0;
    if (rc == CURLE_AGAIN) {
        return LINK_AGAIN;
    }
    if (l->error[0] == '\0') {
        link_put_text(l->error, sizeof(l->error), curl_easy_strerror(rc));
    }
    return LINK_ERROR;
}

enum link_io link_recv(struct link *l, char *bytes, size_t size, size_t *count)
{
    CURLcode rc = curl_easy_recv(l->easy, bytes, size, count);

    if (rc == CURLE_OK) {
        return *count > 0 ? LINK_OK : LINK_CLOSED;
    }
    *count = 0;
    if (rc == CURLE_AGAIN) {
        return LINK_AGAIN;
    }
    if (l->error[0] == '\0') {
        link_put_text(l->error, sizeof(l->error), curl_easy_strerror(rc));
    }
    return LINK_ERROR;
}

int link_fd(const struct link *l)
{
    return l->fd;
}

bool link_is_tls(const struct link *l)
{
    return l->settings->tls == RELAY_TLS_IMPLICIT || l->greetings > 1;
}

const char *link_error(const struct link *l)
{
    return l->error[0] != '\0' ? l->error : "the connection broke";
}
