/*
 * conn_in - bytes from the client: late by half the round trip, decrypted,
 * then to the session.
 *
 * With no delay, bytes go from one big read straight to the session and the
 * replies to all of them leave in one write. With --rtt each read becomes a
 * packet that the session sees half the round trip later, and each write one
 * that leaves half the round trip later.
 */
#include "bench/sink/conn_parts.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/mem.h"

/* Bytes of TLS: decrypts them and passes on what they say. */
static void take_tls(struct conn *c, const char *bytes, size_t n, bool early)
{
    bool was_open = c->tls.is_open;
    struct buf wire;
    bool good = false;

    buf_init(&wire, 0);
    buf_clear(&c->plain);
    good = tls_take(&c->tls, bytes, n, &c->plain, &wire);
    if (wire.len > 0) {
        conn_send(c, wire.data, wire.len, END_NONE);
    }
    buf_release(&wire);
    if (!was_open && c->tls.is_open) {
        c->all->sink->tally.handshakes++;
        if (c->tls_first) {
            session_greet(&c->session);
        } else {
            session_secured(&c->session);
        }
    }
    if (c->plain.len > 0) {
        session_feed(&c->session, c->plain.data, c->plain.len, early);
    }
    if (!good && !c->is_dead) {
        outbox_end(&c->out, OUTBOX_CLOSE);
    }
}

/* Bytes that arrived at sent_us (with rtt; else 0) reach the server. */
static void take(struct conn *c, const char *bytes, size_t n, int64_t sent_us)
{
    bool early = c->wire.len > 0 || !list_is_empty(&c->back.packets) ||
                 (sent_us > 0 && sent_us < c->wrote_us);

    if (c->has_tls && !c->tls.is_open && early && !c->tls_first) {
        /* Sent before the client can have seen the 220 to STARTTLS. */
        session_feed(&c->session, bytes, n, early);
    }
    if (c->has_tls) {
        /* Bytes of TLS itself, tickets among them, are no replies. */
        take_tls(c, bytes, n, early && c->has_spoken);
    } else {
        session_feed(&c->session, bytes, n, early);
    }
    conn_flush(c);
}

/* The client has closed its side: what is due to it still goes out. */
static void take_eof(struct conn *c)
{
    if (c->lingers || !outbox_is_pending(&c->out)) {
        conn_send(c, NULL, 0, END_EOF);
        return;
    }
    outbox_end(&c->out, OUTBOX_CLOSE);
    conn_flush(c);
}

void conn_on_arrive(struct alarm *a)
{
    struct conn *c = a->owner;
    int64_t now_us = clock_monotonic_us();
    struct packet *p = NULL;

    while (!c->is_dead && (p = link_take(&c->in, now_us)) != NULL) {
        if (p->signal != END_NONE) {
            take_eof(c);
        } else {
            take(c, p->bytes, p->len, p->sent_us);
        }
        mem_free(p);
    }
    if (!c->is_dead && link_due_us(&c->in) >= 0) {
        alarm_set(&c->all->alarms, &c->arrive, link_due_us(&c->in));
    }
    conn_watch(c);
}

void conn_on_start(struct alarm *a)
{
    struct conn *c = a->owner;

    if (c->lingers) {
        conn_close(c);
        return;
    }
    session_greet(&c->session);
    conn_flush(c);
    conn_watch(c);
}

void conn_on_readable(struct ev_loop *loop, ev_io *w, int events)
{
    struct conn *c = w->data;
    ssize_t n = recv(c->fd, c->all->input, CONN_INPUT_BYTES, 0);

    (void)loop;
    (void)events;
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n < 0 || (n == 0 && c->lingers)) {
        conn_close(c);
        return;
    }
    if (c->lingers) {
        return;
    }
    c->input_over = n == 0;
    if (conn_has_rtt(c)) {
        link_put(&c->in, c->all->input, (size_t)n, n == 0 ? END_EOF : END_NONE,
                 clock_monotonic_us());
        alarm_set(&c->all->alarms, &c->arrive, link_due_us(&c->in));
    } else if (n == 0) {
        take_eof(c);
    } else {
        take(c, c->all->input, (size_t)n, 0);
    }
    conn_watch(c);
}
