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
 *  - the connection is received from at once after it is made, which ties
 *    it to its handle; an idle one could be closed as unused (lane.c does);
 *  - a relay that offers no AUTH is used by libcurl without credentials:
 *    here it is refused unless the 235 was seen;
 *  - USE_SSL defaults to none, and "try" would send a password in the clear.
 */
#include "smtp/connect.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "smtp/connect_parts.h"

struct connector {
    struct multi *multi;
};

struct connector *connector_new(struct ev_loop *loop)
{
    struct connector *c = mem_calloc(1, sizeof(*c));

    c->multi = multi_new(loop);
    return c;
}

void connector_free(struct connector *c)
{
    if (c != NULL) {
        multi_free(c->multi);
        mem_free(c);
    }
}

static void on_done(void *ctx, CURLcode rc);

struct link *link_open(struct connector *c, const struct relay_settings *s,
                       link_done_fn *done, void *ctx)
{
    struct link *l = mem_calloc(1, sizeof(*l));

    l->settings = s;
    l->done = done;
    l->ctx = ctx;
    l->fd = -1;
    l->opened_ms = clock_monotonic_ms();
    reply_clear(&l->reply);
    l->easy = curl_easy_init();
    transfer_begin(&l->transfer, c->multi, l->easy,
                   l->easy == NULL ? CURLE_OUT_OF_MEMORY : link_set_options(l),
                   on_done, l);
    return l;
}

void link_close(struct link *l)
{
    if (l != NULL) {
        transfer_end(&l->transfer);
        mem_free(l);
    }
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

/* Of net/multi: the way to the connection ended so. */
static void on_done(void *ctx, CURLcode rc)
{
    struct link *l = ctx;
    struct link_result result = {.is_ok = false};

    if (rc == CURLE_OK) {
        check_result(l, &result);
    } else {
        link_describe(l, rc, &result);
    }
    l->done(l->ctx, l, &result); /* may close l */
}

bool link_in_time(struct link *l, int64_t now_ms, char *text, size_t size)
{
    const struct relay_settings *s = l->settings;
    int64_t waited_ms = now_ms - l->opened_ms;
    curl_off_t connected_us = 0;

    if (waited_ms <= s->timeouts.connect_ms || l->fd >= 0) {
        return true;
    }
    if (l->transfer.is_added) {
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
