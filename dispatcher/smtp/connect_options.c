/*
 * connect_options - all that libcurl is told before a connection begins, and
 * what it tells us on the way.
 *
 * Every option is named, even where the default would do, when a wrong value
 * would cost security: the level of TLS, verification, the protocols.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "smtp/connect_parts.h"

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
    bool has_secret =
        s->user != NULL && !relay_settings_is_local(s) && !s->allow_plain_auth;

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
    if (s->unix_path != NULL) {
        SET(rc, l->easy, CURLOPT_UNIX_SOCKET_PATH, s->unix_path);
    }
    if (s->source_address != NULL) {
        SET(rc, l->easy, CURLOPT_INTERFACE, s->source_address);
    }
    return rc;
}

CURLcode link_set_options(struct link *l)
{
    CURLcode rc = set_connection(l);

    return rc == CURLE_OK ? set_security(l) : rc;
}
