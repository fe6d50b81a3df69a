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
#include <strings.h>

#include <curl/curl.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "smtp/reply.h"

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

struct link {
    struct connector *connector;
    const struct relay_settings *settings;
    CURL *easy;
    link_done_fn *done;
    void *ctx;
    ev_prepare failed_early; /* fed, never started: tells of a failed start */
    CURLcode early;
    int64_t opened_ms;
    int fd;
    int greetings; /* replies with 220: the second is STARTTLS's */
    int replies;   /* whole ones */
    bool is_added;
    bool is_auth;
    struct reply reply; /* the last one */
    struct ehlo ehlo;
    char greeting[128];
    char error[CURL_ERROR_SIZE];
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

/* CURLOPT_HEADERFUNCTION: one line of a reply, with its line end. */
static size_t on_line(char *line, size_t size, size_t count, void *ctx)
{
    struct link *l = ctx;
    size_t len = size * count;
    size_t used = 0;
    bool is_first = l->reply.is_over;
    enum reply_state state = reply_feed(&l->reply, line, len, &used);

    if (l->reply.code == 250 && len > 4) {
        /* Only EHLO, and HELO, are answered by 250 while connecting. */
        if (is_first) {
            ehlo_clear(&l->ehlo);
        } else {
            ehlo_line(&l->ehlo, span_trim(span_make(line + 4, len - 4)));
        }
    }
    if (state != REPLY_DONE) {
        return len;
    }
    if (l->replies++ == 0) {
        char memory[REPLY_TEXT_MAX];

        snprintf(l->greeting, sizeof(l->greeting), "%.*s",
                 SPAN_ARG(reply_text(&l->reply, memory)));
    }
    l->greetings += l->reply.code == 220;
    l->is_auth = l->is_auth || l->reply.code == 235;
    return len;
}

/* CURLOPT_WRITEFUNCTION: nothing is written while connecting. */
static size_t on_body(char *bytes, size_t size, size_t count, void *ctx)
{
    (void)bytes;
    (void)ctx;
    return size * count;
}

/* Which of libcurl's security levels; a password makes "try" a "must". */
static long ssl_level(const struct relay_settings *s)
{
    bool has_secret = s->user != NULL && !relay_settings_is_local(s) &&
                      !s->allow_plain_auth;

    switch (s->tls) {
    case RELAY_TLS_NONE: return CURLUSESSL_NONE;
    case RELAY_TLS_OPPORTUNISTIC:
        return has_secret ? CURLUSESSL_ALL : CURLUSESSL_TRY;
    case RELAY_TLS_STARTTLS: return CURLUSESSL_ALL;
    case RELAY_TLS_IMPLICIT: return CURLUSESSL_ALL;
    }
    return CURLUSESSL_ALL;
}

/* "smtp://host:port/helo": libcurl takes the EHLO name from the path. */
static CURLcode set_url(struct link *l)
{
    const struct relay_settings *s = l->settings;
    const char *host = s->host != NULL ? s->host : "localhost";
    bool is_bare_v6 = strchr(host, ':') != NULL && host[0] != '[';
    char *helo = s->helo != NULL ? curl_easy_escape(l->easy, s->helo, 0) : NULL;
    char *url = mem_printf("%s://%s%s%s:%d/%s",
                           s->tls == RELAY_TLS_IMPLICIT ? "smtps" : "smtp",
                           is_bare_v6 ? "[" : "", host, is_bare_v6 ? "]" : "",
                           relay_settings_port(s), helo != NULL ? helo : "");
    CURLcode rc = curl_easy_setopt(l->easy, CURLOPT_URL, url);

    curl_free(helo);
    mem_free(url);
    return rc;
}

static const char *login_options(const struct relay_settings *s)
{
    switch (s->auth) {
    case RELAY_AUTH_AUTO:
        return s->token != NULL ? "AUTH=OAUTHBEARER;AUTH=XOAUTH2"
                                : "AUTH=PLAIN;AUTH=LOGIN";
    case RELAY_AUTH_PLAIN: return "AUTH=PLAIN";
    case RELAY_AUTH_LOGIN: return "AUTH=LOGIN";
    case RELAY_AUTH_XOAUTH2: return "AUTH=XOAUTH2";
    case RELAY_AUTH_OAUTHBEARER: return "AUTH=OAUTHBEARER";
    }
    return "AUTH=PLAIN";
}

/* Sets one option unless an earlier one failed. */
#define SET(rc, easy, option, value)                                           \
    do {                                                                       \
        if ((rc) == CURLE_OK) {                                                \
            (rc) = curl_easy_setopt((easy), (option), (value));                \
        }                                                                      \
    } while (0)

static CURLcode set_security(struct link *l)
{
    const struct relay_settings *s = l->settings;
    CURLcode rc = CURLE_OK;

    SET(rc, l->easy, CURLOPT_USE_SSL, ssl_level(s));
    SET(rc, l->easy, CURLOPT_SSL_VERIFYPEER, s->verify ? 1L : 0L);
    SET(rc, l->easy, CURLOPT_SSL_VERIFYHOST, s->verify ? 2L : 0L);
    SET(rc, l->easy, CURLOPT_SSLVERSION,
        s->min_tls == RELAY_TLS_1_3 ? (long)CURL_SSLVERSION_TLSv1_3
                                    : (long)CURL_SSLVERSION_TLSv1_2);
    if (s->ca_file != NULL) {
        SET(rc, l->easy, CURLOPT_CAINFO, s->ca_file);
        SET(rc, l->easy, CURLOPT_CAPATH, NULL);
    }
    if (s->cert_file != NULL) {
        SET(rc, l->easy, CURLOPT_SSLCERT, s->cert_file);
        SET(rc, l->easy, CURLOPT_SSLKEY, s->key_file);
    }
    if (s->user != NULL) {
        SET(rc, l->easy, CURLOPT_USERNAME, s->user);
        SET(rc, l->easy, CURLOPT_LOGIN_OPTIONS, login_options(s));
        SET(rc, l->easy, CURLOPT_SASL_IR, 1L);
        if (s->token != NULL) {
            SET(rc, l->easy, CURLOPT_XOAUTH2_BEARER, s->token);
        } else {
            SET(rc, l->easy, CURLOPT_PASSWORD, s->password);
        }
    }
    return rc;
}

static CURLcode set_connection(struct link *l)
{
    const struct relay_settings *s = l->settings;
    const struct relay_timeouts *t = &s->timeouts;
    CURLcode rc = set_url(l);

    SET(rc, l->easy, CURLOPT_CONNECT_ONLY, 1L);
    SET(rc, l->easy, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    SET(rc, l->easy, CURLOPT_NOSIGNAL, 1L);
    SET(rc, l->easy, CURLOPT_QUICK_EXIT, 1L);
    SET(rc, l->easy, CURLOPT_TCP_KEEPALIVE, 1L);
    /* Not from the environment: mail must not take a web proxy's way. */
    SET(rc, l->easy, CURLOPT_PROXY, "");
    SET(rc, l->easy, CURLOPT_CONNECTTIMEOUT_MS,
        (long)(t->connect_ms + t->command_ms));
    SET(rc, l->easy, CURLOPT_SERVER_RESPONSE_TIMEOUT,
        (long)(t->command_ms / 1000 + 1));
    SET(rc, l->easy, CURLOPT_ERRORBUFFER, l->error);
    SET(rc, l->easy, CURLOPT_HEADERFUNCTION, on_line);
    SET(rc, l->easy, CURLOPT_HEADERDATA, l);
    SET(rc, l->easy, CURLOPT_WRITEFUNCTION, on_body);
    SET(rc, l->easy, CURLOPT_PRIVATE, l);
    if (s->unix_path != NULL) {
        SET(rc, l->easy, CURLOPT_UNIX_SOCKET_PATH, s->unix_path);
    }
    if (s->source_address != NULL) {
        SET(rc, l->easy, CURLOPT_INTERFACE, s->source_address);
    }
    return rc;
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
    l->early = l->easy == NULL ? CURLE_OUT_OF_MEMORY : set_connection(l);
    if (l->early == CURLE_OK) {
        l->early = set_security(l);
    }
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

/* What libcurl's codes mean for an operator. */
static const struct trouble {
    CURLcode rc;
    enum place place;
    bool needs_person;
    const char *what;
    const char *advice;
} troubles[] = {
    {CURLE_COULDNT_RESOLVE_HOST, PLACE_GREETING, false,
     "the host name was not found", "check host and the name service"},
    {CURLE_COULDNT_CONNECT, PLACE_GREETING, false, "no connection",
     "check that the relay runs, host and port, and the firewall"},
    {CURLE_OPERATION_TIMEDOUT, PLACE_GREETING, false, "no answer in time",
     "check host, port and tls: a relay that speaks first does not answer a "
     "TLS handshake, and the other way round"},
    {CURLE_SSL_CONNECT_ERROR, PLACE_STARTTLS, false, "TLS failed",
     "check port and tls: implicit is for port 465, starttls for 587 and 25"},
    {CURLE_PEER_FAILED_VERIFICATION, PLACE_STARTTLS, true,
     "the certificate was not accepted",
     "check that host is the name in the certificate, or set ca_file"},
    {CURLE_SSL_CACERT_BADFILE, PLACE_STARTTLS, true,
     "the file of authorities could not be read", "check ca_file"},
    {CURLE_SSL_CERTPROBLEM, PLACE_STARTTLS, true,
     "our own certificate could not be used", "check cert_file and key_file"},
    {CURLE_USE_SSL_FAILED, PLACE_STARTTLS, true, "STARTTLS was expected",
     "set tls to implicit for port 465, or to none for a relay on this host"},
    {CURLE_LOGIN_DENIED, PLACE_AUTH, true,
     "the credentials were not accepted", "check user, password and auth"},
    {CURLE_REMOTE_ACCESS_DENIED, PLACE_EHLO, false, "EHLO was refused",
     "check helo"},
    {CURLE_WEIRD_SERVER_REPLY, PLACE_GREETING, false,
     "no SMTP greeting", "check host and port"},
    {CURLE_GOT_NOTHING, PLACE_GREETING, false, "the relay closed at once",
     "check host and port, and whether the relay refuses this host"},
    {CURLE_RECV_ERROR, PLACE_GREETING, false, "the connection broke",
     "look at the relay's log"},
    {CURLE_SEND_ERROR, PLACE_GREETING, false, "the connection broke",
     "look at the relay's log"},
    {CURLE_INTERFACE_FAILED, PLACE_GREETING, true,
     "source_address cannot be used", "check source_address"},
    {CURLE_OK, PLACE_GREETING, false, "no connection",
     "look at the relay's log"}, /* any other */
};

static const struct trouble *find_trouble(CURLcode rc)
{
    const struct trouble *t = troubles;

    while (t->rc != rc && t->rc != CURLE_OK) {
        t++;
    }
    return t;
}

/* One line without control bytes. */
static void put_text(char *out, size_t size, const char *text)
{
    size_t len = strlen(text);

    len = len < size - 1 ? len : size - 1;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];

        out[i] = c < 0x20 || c == 0x7f ? ' ' : text[i];
    }
    out[len] = '\0';
}

static void describe(const struct link *l, CURLcode rc,
                     struct link_result *result)
{
    const struct relay_settings *s = l->settings;
    const struct trouble *t = find_trouble(rc);
    const char *detail = l->error[0] ? l->error : curl_easy_strerror(rc);
    char memory[REPLY_TEXT_MAX];
    char *text = NULL;

    result->place = t->place;
    result->needs_person = t->needs_person;
    result->answer =
        rc == CURLE_OPERATION_TIMEDOUT ? ANSWER_TIMEOUT : ANSWER_LOST;
    if (l->replies > 0 && l->reply.is_over && l->reply.code >= 400) {
        result->answer = ANSWER_REPLY;
        result->needs_person = false; /* the reply code says it better */
        result->code = l->reply.code;
        memcpy(result->enhanced, l->reply.enhanced, sizeof(result->enhanced));
        text = mem_printf("%s:%d: %s: \"%d %.*s\"; %s",
                          s->unix_path ? s->unix_path : s->host,
                          relay_settings_port(s), t->what, l->reply.code,
                          SPAN_ARG(reply_text(&l->reply, memory)), t->advice);
    } else {
        text = mem_printf("%s:%d: %s (%s); %s",
                          s->unix_path ? s->unix_path : s->host,
                          relay_settings_port(s), t->what, detail, t->advice);
    }
    put_text(result->text, sizeof(result->text), text);
    mem_free(text);
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
        describe(l, CURLE_LOGIN_DENIED, result);
        return;
    }
    curl_easy_getinfo(l->easy, CURLINFO_ACTIVESOCKET, &fd);
    if (fd == CURL_SOCKET_BAD) {
        describe(l, CURLE_COULDNT_CONNECT, result);
        return;
    }
    l->fd = fd;
    result->is_ok = true;
    put_text(result->text, sizeof(result->text), l->greeting);
}

static void finish(struct link *l, CURLcode rc)
{
    struct link_result result = {.is_ok = false};

    if (rc == CURLE_OK) {
        check_result(l, &result);
    } else {
        describe(l, rc, &result);
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
        put_text(l->error, sizeof(l->error), curl_easy_strerror(rc));
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
        put_text(l->error, sizeof(l->error), curl_easy_strerror(rc));
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
