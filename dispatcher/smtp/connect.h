/*
 * connect - connections to relays, made by libcurl, used by lanes.
 *
 * libcurl resolves the name, connects, does TLS or STARTTLS, EHLO and AUTH;
 * then the connection is ours (CURLOPT_CONNECT_ONLY), and whatever is said
 * on it from there, QUIT included, is the caller's business. No function
 * here blocks. This is the only file of the room that knows libcurl.
 *
 * A link belongs to its connector and must be closed before it. The callback
 * of link_open comes exactly once, never from within link_open, and not
 * after link_close.
 */
#ifndef SMTP_CONNECT_H
#define SMTP_CONNECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ev.h>

#include "smtp/ehlo.h"
#include "smtp/relay.h"
#include "smtp/verdict.h"

struct connector;
struct link;

/* What became of an attempt to connect. */
struct link_result {
    bool is_ok;
    bool needs_person;  /* not ok, and waiting will not help: settings,
                           certificates, credentials */
    enum place place;   /* how far it came, when not ok */
    enum answer answer; /* ANSWER_REPLY when a reply stopped it */
    int code;           /* of that reply */
    int enhanced[3];
    bool is_tls;  /* the connection is encrypted */
    bool is_auth; /* the relay accepted our credentials */
    struct ehlo ehlo;
    char text[512]; /* ok: the greeting; else what went wrong and what to
                       do, for people; no control bytes */
};

typedef void link_done_fn(void *ctx, struct link *l,
                          const struct link_result *result);

/* One per relay: its links share a name cache and a level of security. Sets
 * SIGPIPE to be ignored, because OpenSSL writes without MSG_NOSIGNAL. */
struct connector *connector_new(struct ev_loop *loop);
/* All links must be closed before. */
void connector_free(struct connector *c);

/*
 * Begins to connect; s must stay valid until the link is closed. Never NULL:
 * what goes wrong at once is told through done as well.
 */
struct link *link_open(struct connector *c, const struct relay_settings *s,
                       link_done_fn *done, void *ctx);
/* Drops the connection at once, without QUIT and without blocking. */
void link_close(struct link *l);

/* While connecting: false, with a text for people, when it takes too long. */
bool link_in_time(struct link *l, int64_t now_ms, char *text, size_t size);

enum link_io {
    LINK_OK,     /* *count bytes were moved, at least one */
    LINK_AGAIN,  /* wait for the socket */
    LINK_CLOSED, /* the relay closed its side */
    LINK_ERROR,  /* the connection broke: link_error */
};

/*
 * Sends some of bytes. After LINK_AGAIN the next call must name the same
 * bytes at the same place, and may name more behind them (OpenSSL remembers
 * the pointer): see block.h.
 */
enum link_io link_send(struct link *l, const char *bytes, size_t len,
                       size_t *count);
/* Receives; call until LINK_AGAIN, because TLS may hold bytes that the socket
 * does not show. */
enum link_io link_recv(struct link *l, char *bytes, size_t size, size_t *count);
int link_fd(const struct link *l);
bool link_is_tls(const struct link *l);
/* The words behind the last LINK_ERROR. */
const char *link_error(const struct link *l);

#endif
