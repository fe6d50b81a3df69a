/*
 * relay_settings - what an operator may say about a relay, and what of it
 * cannot work or is not safe.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <strings.h>

#include "smtp/relay.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const char *const tls_names[] = {
    [RELAY_TLS_NONE] = "none",
    [RELAY_TLS_OPPORTUNISTIC] = "opportunistic",
    [RELAY_TLS_STARTTLS] = "starttls",
    [RELAY_TLS_IMPLICIT] = "implicit",
};

static const char *const auth_names[] = {
    [RELAY_AUTH_AUTO] = "auto",
    [RELAY_AUTH_PLAIN] = "plain",
    [RELAY_AUTH_LOGIN] = "login",
    [RELAY_AUTH_XOAUTH2] = "xoauth2",
    [RELAY_AUTH_OAUTHBEARER] = "oauthbearer",
};

const char *relay_tls_name(enum relay_tls tls)
{
    return tls_names[tls];
}

const char *relay_auth_name(enum relay_auth auth)
{
    return auth_names[auth];
}

bool relay_tls_parse(struct span name, enum relay_tls *out)
{
    for (size_t i = 0; i < COUNT(tls_names); i++) {
        if (span_is(name, tls_names[i])) {
            *out = (enum relay_tls)i;
            return true;
        }
    }
    return false;
}

bool relay_auth_parse(struct span name, enum relay_auth *out)
{
    for (size_t i = 0; i < COUNT(auth_names); i++) {
        if (span_is(name, auth_names[i])) {
            *out = (enum relay_auth)i;
            return true;
        }
    }
    return false;
}

bool gear_parse(struct span name, enum gear *out)
{
    for (int i = GEAR_LOCKSTEP; i <= GEAR_AUTO; i++) {
        if (span_is(name, gear_name((enum gear)i))) {
            *out = (enum gear)i;
            return true;
        }
    }
    return false;
}

void relay_settings_default(struct relay_settings *s)
{
    *s = (struct relay_settings){
        .tls = RELAY_TLS_STARTTLS,
        .verify = true,
        .min_tls = RELAY_TLS_1_2,
        .auth = RELAY_AUTH_AUTO,
        .weight = 1,
        .lanes_max = 10,
        .connection_age_ms = 10 * 60 * 1000,
        .idle_ms = 60 * 1000,
        .gear = GEAR_AUTO,
        .window_max = 8,
        .letter_max = 10 * 1024 * 1024,
        .rest_ms = 1000,
        .rest_max_ms = 5 * 60 * 1000,
        .pause_ms = 5 * 60 * 1000,
        .doubts_max = 20,
        .timeouts = {.connect_ms = 30 * 1000,
                     .command_ms = 300 * 1000,
                     .data_ms = 120 * 1000,
                     .block_ms = 180 * 1000,
                     .dot_ms = 600 * 1000,
                     .quit_ms = 5 * 1000},
    };
}

static bool is_set(const char *text)
{
    return text != NULL && text[0] != '\0';
}

int relay_settings_port(const struct relay_settings *s)
{
    if (s->port > 0) {
        return s->port;
    }
    if (s->tls == RELAY_TLS_IMPLICIT) {
        return 465;
    }
    return is_set(s->user) ? 587 : 25;
}

/* 127.0.0.0/8, and not a name like 127.example.org. */
static bool is_loopback_v4(const char *host)
{
    struct in_addr address;

    return inet_pton(AF_INET, host, &address) == 1 &&
           ntohl(address.s_addr) >> 24 == 127;
}

bool relay_settings_is_local(const struct relay_settings *s)
{
    if (is_set(s->unix_path)) {
        return true;
    }
    return is_set(s->host) &&
           (strcasecmp(s->host, "localhost") == 0 || is_loopback_v4(s->host) ||
            strcmp(s->host, "::1") == 0 || strcmp(s->host, "[::1]") == 0);
}

/* Letters, digits and what names and addresses need: nothing that could
 * leave the URL or the EHLO line it is put into. */
static bool is_host_text(const char *text)
{
    size_t len = strlen(text);

    return len > 0 && len <= 255 &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                        "0123456789.-_:[]%") == len;
}

static bool has_control(const char *text)
{
    for (const char *p = text; p != NULL && *p != '\0'; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f) {
            return true;
        }
    }
    return false;
}

static void check_secrets(const struct relay_settings *s, struct problems *p)
{
    if (has_control(s->user) || has_control(s->password) ||
        has_control(s->token)) {
        problems_add(p, SEVERITY_ERROR, NULL, 0,
                     "relay %s: user, password and token must not hold control "
                     "characters; look for a line end in the secret's file",
                     s->name);
    }
    if (is_set(s->user) && !is_set(s->password) && !is_set(s->token)) {
        problems_add(p, SEVERITY_ERROR, NULL, 0,
                     "relay %s: user is set but neither password nor token",
                     s->name);
    }
    if ((s->auth == RELAY_AUTH_XOAUTH2 || s->auth == RELAY_AUTH_OAUTHBEARER) &&
        is_set(s->user) && !is_set(s->token)) {
        problems_add(p, SEVERITY_ERROR, NULL, 0,
                     "relay %s: auth %s needs a token", s->name,
                     relay_auth_name(s->auth));
    }
    if (is_set(s->user) && s->tls == RELAY_TLS_NONE &&
        !relay_settings_is_local(s) && !s->allow_plain_auth) {
        problems_add(p, SEVERITY_ERROR, NULL, 0,
                     "relay %s: a password would go to %s in plain text; set "
                     "tls to starttls or implicit",
                     s->name, is_set(s->host) ? s->host : "it");
    }
    if (!s->verify && !relay_settings_is_local(s)) {
        problems_add(p, SEVERITY_WARNING, NULL, 0,
                     "relay %s: verify is off, anybody on the way can read "
                     "and change the mail; set ca_file for a private "
                     "authority instead",
                     s->name);
    }
}

static void check_numbers(const struct relay_settings *s, struct problems *p)
{
    const struct {
        const char *name;
        double value, least, most;
    } bounds[] = {
        {"port", s->port, 0, 65535},
        {"weight", s->weight, 1, 1000000},
        {"lanes_max", s->lanes_max, 1, 1000},
        {"lanes_min", s->lanes_min, 0, s->lanes_max},
        {"window_max", s->window_max, 1, 1024},
        {"messages_per_connection", s->messages_per_connection, 0, 1e9},
        {"rate_per_s", s->rate_per_s, 0, 1e9},
        {"rate_per_min", s->rate_per_min, 0, 1e9},
        {"connect_rate_per_s", s->connect_rate_per_s, 0, 1e6},
        {"idle", (double)s->idle_ms, 1, 1e12},
        {"connection_age", (double)s->connection_age_ms, 0, 1e12},
        {"rest", (double)s->rest_ms, 1, 1e12},
        {"rest_max", (double)s->rest_max_ms, 1, 1e12},
        {"pause", (double)s->pause_ms, 1, 1e12},
        {"doubts_max", s->doubts_max, 1, 1e9},
        {"letter_max", (double)s->letter_max, 1024, 1024.0 * 1024 * 1024},
        {"connect timeout", (double)s->timeouts.connect_ms, 1, 1e9},
        {"command timeout", (double)s->timeouts.command_ms, 1, 1e9},
        {"data timeout", (double)s->timeouts.data_ms, 1, 1e9},
        {"block timeout", (double)s->timeouts.block_ms, 1, 1e9},
        {"dot timeout", (double)s->timeouts.dot_ms, 1, 1e9},
        {"quit timeout", (double)s->timeouts.quit_ms, 1, 1e9},
    };

    for (size_t i = 0; i < COUNT(bounds); i++) {
        if (!(bounds[i].value >= bounds[i].least) ||
            !(bounds[i].value <= bounds[i].most)) {
            problems_add(p, SEVERITY_ERROR, NULL, 0,
                         "relay %s: %s is %g, but must be from %g to %g",
                         s->name, bounds[i].name, bounds[i].value,
                         bounds[i].least, bounds[i].most);
        }
    }
}

bool relay_settings_check(const struct relay_settings *s, struct problems *p)
{
    size_t before = p->errors;
    struct relay_settings named = *s;

    if (!is_set(s->name)) {
        named.name = "(unnamed)";
        problems_add(p, SEVERITY_ERROR, NULL, 0, "a relay has no name");
    }
    if (!is_set(s->host) && !is_set(s->unix_path)) {
        problems_add(p, SEVERITY_ERROR, NULL, 0,
                     "relay %s: neither host nor unix_path is set", named.name);
    }
    if (is_set(s->host) && !is_host_text(s->host)) {
        problems_add(p, SEVERITY_ERROR, NULL, 0,
                     "relay %s: host is not a host name or address",
                     named.name);
    }
    if (is_set(s->helo) && !is_host_text(s->helo)) {
        problems_add(p, SEVERITY_ERROR, NULL, 0,
                     "relay %s: helo is not a host name or [address]",
                     named.name);
    }
    if (is_set(s->cert_file) != is_set(s->key_file)) {
        problems_add(p, SEVERITY_ERROR, NULL, 0,
                     "relay %s: cert_file and key_file go together",
                     named.name);
    }
    check_secrets(&named, p);
    check_numbers(&named, p);
    return p->errors == before;
}
