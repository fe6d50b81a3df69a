/*
 * conn - one connection: socket, delays, TLS and the session on top.
 *
 *     socket -> link (half the round trip) -> TLS -> session
 *     socket <- link (half the round trip) <- TLS <- outbox <-+
 */
#ifndef SINK_CONN_H
#define SINK_CONN_H

#include <ev.h>
#include <openssl/ssl.h>

#include "base/list.h"
#include "bench/sink/alarm.h"
#include "bench/sink/sink.h"

/* All connections of one sink. */
struct conns {
    struct sink *sink;
    struct ev_loop *loop;
    struct alarms alarms;
    SSL_CTX *tls;     /* or NULL */
    char *input;      /* where every read goes first */
    struct list open; /* struct conn.node */
    struct list dead; /* closed in this turn of the loop; freed at its end */
    ev_prepare sweep;
};

/* False (errno) when the system refuses. */
bool conns_init(struct conns *cs, struct sink *sink, struct ev_loop *loop,
                SSL_CTX *tls);
/* Closes all connections. */
void conns_release(struct conns *cs);
/* Begins a conversation on fd, which now belongs to it. tls: TLS first. */
void conns_add(struct conns *cs, int fd, bool tls);

#endif
