/*
 * relay - an SMTP server we hand mail to: what the operator says about it,
 * and what we have learned.
 *
 * struct relay_settings is plain data that the configuration fills in; the
 * relay keeps a copy of every string. struct relay belongs to one pool.
 */
#ifndef SMTP_RELAY_H
#define SMTP_RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/problems.h"
#include "smtp/ehlo.h"
#include "smtp/quota.h"
#include "smtp/verdict.h"

enum relay_tls {
    RELAY_TLS_NONE,          /* plain text */
    RELAY_TLS_OPPORTUNISTIC, /* STARTTLS when offered; never with a password */
    RELAY_TLS_STARTTLS,      /* STARTTLS or nothing */
    RELAY_TLS_IMPLICIT,      /* TLS from the first byte, as on port 465 */
};

enum relay_tls_version { RELAY_TLS_1_2, RELAY_TLS_1_3 };

enum relay_auth {
    RELAY_AUTH_AUTO, /* PLAIN or LOGIN with a password; with a token
                        OAUTHBEARER or XOAUTH2 */
    RELAY_AUTH_PLAIN,
    RELAY_AUTH_LOGIN,
    RELAY_AUTH_XOAUTH2,
    RELAY_AUTH_OAUTHBEARER,
};

/* How a lane speaks; each needs what the one before it needs, and more. */
enum gear {
    GEAR_LOCKSTEP,  /* a command at a time */
    GEAR_PIPELINED, /* the next envelope behind the content: 1 round trip */
    GEAR_STREAMED,  /* MAIL, RCPT, BDAT LAST back to back, many in flight */
    GEAR_AUTO,      /* the best that EHLO and experience allow */
};
/* "lockstep", "pipelined", "streamed", "auto". */
const char *gear_name(enum gear gear);
bool gear_parse(struct span name, enum gear *out);
/* "none", "opportunistic", "starttls", "implicit". */
const char *relay_tls_name(enum relay_tls tls);
bool relay_tls_parse(struct span name, enum relay_tls *out);
/* "auto", "plain", "login", "xoauth2", "oauthbearer". */
const char *relay_auth_name(enum relay_auth auth);
bool relay_auth_parse(struct span name, enum relay_auth *out);

/* RFC 5321 section 4.5.3.2 asks for at least these. */
struct relay_timeouts {
    int64_t connect_ms; /* name, TCP: 30 s */
    int64_t command_ms; /* greeting, EHLO, TLS, AUTH, MAIL, RCPT: 300 s */
    int64_t data_ms;    /* DATA to its 354: 120 s */
    int64_t block_ms;   /* the relay takes no bytes: 180 s */
    int64_t dot_ms;     /* end of content to its reply: 600 s; a shorter one
                           makes twins (RFC 1047) */
    int64_t quit_ms;    /* QUIT to its reply: 5 s */
};

struct relay_settings {
    const char *name; /* for people; unique */
    const char *host; /* name or address; also the name in the certificate */
    int port;         /* 0 = 465 with implicit TLS, 587 with a user, else 25 */
    const char *unix_path; /* socket in place of host and port, or NULL */

    enum relay_tls tls;
    bool verify;           /* certificate and its name; off only for tests */
    const char *ca_file;   /* PEM, or NULL for the system's */
    const char *cert_file; /* client certificate, PEM, or NULL */
    const char *key_file;
    enum relay_tls_version min_tls;

    const char *user;     /* NULL = no AUTH */
    const char *password; /* or token, for the OAuth mechanisms */
    const char *token;
    enum relay_auth auth;
    bool allow_plain_auth; /* credentials without TLS to a distant host */

    const char *helo;           /* NULL = our host name */
    const char *source_address; /* address to connect from, or NULL */

    int priority; /* the highest that is up is used */
    int weight;   /* share among equals, from 1 */

    int lanes_min;
    int lanes_max;
    int messages_per_connection; /* 0 = no limit but the relay's own */
    int64_t connection_age_ms;   /* 0 = no limit */
    int64_t idle_ms;             /* close a connection without letters after */
    enum gear gear;
    int window_max; /* letters in flight on a streamed lane; 1 = each waits */
    size_t letter_max; /* bytes of the largest letter we compose */

    double rate_per_s; /* letters; 0 = no limit */
    double rate_per_min;
    double connect_rate_per_s;

    int64_t rest_ms;     /* first rest of a relay that is not there */
    int64_t rest_max_ms; /* longest rest */
    int64_t pause_ms;    /* rest of a relay that refuses us */
    int doubts_max;      /* policy refusals in a row that pause it */
    struct relay_timeouts timeouts;
};

/* All members set to what a relay on this host wants; name and host NULL. */
void relay_settings_default(struct relay_settings *s);
/* The port to use: the one set, or the usual one. */
int relay_settings_port(const struct relay_settings *s);
/* True for a socket in the file system and addresses of this host. */
bool relay_settings_is_local(const struct relay_settings *s);
/*
 * Adds a problem for every setting that cannot work or is not safe; true
 * when there was none. Names the relay in each text.
 */
bool relay_settings_check(const struct relay_settings *s, struct problems *p);

enum relay_health {
    RELAY_UP,      /* letters may be given */
    RELAY_RESTING, /* not there, or it asked for less: for a while */
    RELAY_PAUSED,  /* it refuses us: a person must look */
};
const char *relay_health_name(enum relay_health health);

/* What happened, ever since the start. */
struct relay_counts {
    uint64_t connections;
    uint64_t connect_failures;
    uint64_t sent;
    uint64_t deferred;
    uint64_t failed;
    uint64_t unsure;
    uint64_t returned;
    uint64_t bytes_out;
    uint64_t bytes_in;
};

/* Which gears this relay has lost by experience, and until when. */
struct relay_gears {
    enum gear best;   /* GEAR_AUTO = nothing is held against it */
    int64_t until_ms; /* when it gets another chance */
    int times;        /* how often that was: each rest is twice as long */
    bool is_proven;   /* it swallows a refused chunk */
};

struct connector;

struct relay {
    struct relay_settings settings; /* strings are ours */
    struct quota quota; /* what it may be given; shared with other workers */
    struct ehlo ehlo;   /* of the newest connection */
    bool is_known;      /* ehlo is valid */
    struct relay_gears gears;
    double window;      /* letters in flight that a streamed lane may have */
    double window_slow; /* above it, growth is by one a round */
    int64_t alarmed_ms; /* when a person was last told; 0 = never */
    int doubts;         /* policy refusals since a letter was taken */
    double share;       /* letters taken / weight: the least goes first */
    struct list lanes;
    int lanes_live;       /* of them, connecting or able to take letters */
    int lanes_connecting; /* of them, not ready yet */
    bool is_short;        /* a connection is wanted that others have */
    struct connector *connector;
    struct relay_counts counts;
    size_t in_flight;  /* letters */
    char trouble[256]; /* the last one, for people; "" = none */
};

/* Copies the strings. connector is the caller's. */
void relay_init(struct relay *r, const struct relay_settings *s,
                int64_t now_ms);
/* Secrets are wiped. */
void relay_release(struct relay *r);

/* What limits.h wants to know of s. */
struct limits_settings relay_limits(const struct relay_settings *s);

enum relay_health relay_health(const struct relay *r, int64_t now_ms);
/* "smtp.example.com:587" or the path of the socket. */
const char *relay_where(const struct relay *r, char *memory, size_t size);

/* The gear for a connection that offers e. Never one that was not offered,
 * whatever the settings say (RFC 2920: it is not allowed to guess). */
enum gear relay_gear(struct relay *r, const struct ehlo *e, int64_t now_ms);
/* The gear did harm: the next slower one for a while, longer each time. */
void relay_demote(struct relay *r, enum gear gear, int64_t now_ms,
                  const char *why);

/* Letters in flight that a streamed lane may have now, from 1. */
int relay_window(const struct relay *r);
void relay_window_grow(struct relay *r);
void relay_window_halve(struct relay *r);

/* Writes trouble; control bytes become '?'. */
void relay_set_trouble(struct relay *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
