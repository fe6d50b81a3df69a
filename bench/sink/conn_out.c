/*
 * conn_out - bytes to the client: replies that are due, encrypted, late by
 * half the round trip, then the end of the stream.
 */
#include "bench/sink/conn_parts.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/mem.h"

enum { LINGER_US = 2000000 }; /* for the client to end it too */

/* Ends our side for good; wire is empty. */
static void do_ending(struct conn *c, enum ending ending)
{
    const struct linger now = {1, 0};

    switch (ending) {
    case END_NONE: return;
    case END_RESET:
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
        conn_close(c);
        return;
    case END_EOF:
    case END_CLOSE: conn_close(c); return;
    case END_FIN:
    case END_QUIT:
        /* Closing now would turn bytes under way to us into a reset. */
        shutdown(c->fd, SHUT_WR);
        c->lingers = true;
        if (c->input_over) {
            conn_close(c);
            return;
        }
        alarm_set(&c->all->alarms, &c->start, clock_monotonic_us() + LINGER_US);
        return;
    }
}

/* Writes to the socket, now, and keeps what it does not take. */
static void write_wire(struct conn *c, const char *bytes, size_t n, bool more)
{
    ssize_t wrote = 0;

    if (conn_has_rtt(c)) {
        c->wrote_us = clock_monotonic_us();
    }
    if (c->wire.len == 0) {
        wrote = send(c->fd, bytes, n, MSG_NOSIGNAL | (more ? MSG_MORE : 0));
        if (wrote < 0 && errno != EAGAIN && errno != EINTR) {
            conn_close(c);
            return;
        }
        wrote = wrote < 0 ? 0 : wrote;
    }
    buf_put(&c->wire, bytes + wrote, n - (size_t)wrote);
}

/* Bytes, then an ending, to the client: at once or by the slow wire. */
void conn_send(struct conn *c, const char *bytes, size_t n, enum ending ending)
{
    if (conn_has_rtt(c)) {
        int64_t now_us = clock_monotonic_us();

        if (n > 0) {
            link_put(&c->back, bytes, n, END_NONE, now_us);
        }
        if (ending != END_NONE) {
            link_put(&c->back, NULL, 0, (int)ending, now_us);
        }
        alarm_set(&c->all->alarms, &c->leave, link_due_us(&c->back));
        return;
    }
    if (n > 0 && !c->is_dead) {
        write_wire(c, bytes, n, ending == END_FIN);
    }
    if (ending != END_NONE && !c->is_dead) {
        if (c->wire.len > 0) {
            c->ending = ending;
        } else {
            do_ending(c, ending);
        }
    }
}

/* Gives what is ready to the wire, encrypted when TLS stands between. */
static void push(struct conn *c, enum ending ending)
{
    struct buf wire;

    c->has_spoken = true;
    if (!c->has_tls) {
        conn_send(c, c->out.ready.data, c->out.ready.len, ending);
        buf_clear(&c->out.ready);
        return;
    }
    buf_init(&wire, 0);
    tls_give(&c->tls, c->out.ready.data, c->out.ready.len, &wire);
    buf_clear(&c->out.ready);
    if (ending == END_FIN || ending == END_QUIT) {
        tls_bye(&c->tls, &wire);
    }
    conn_send(c, wire.data, wire.len, ending);
    buf_release(&wire);
}

void conn_begin_tls(struct conn *c)
{
    if (c->all->tls == NULL || !tls_init(&c->tls, c->all->tls)) {
        conn_close(c);
        return;
    }
    c->has_tls = true;
    c->has_spoken = false;
}

/* Sends all replies that are due; asks to be woken for the next one. */
void conn_flush(struct conn *c)
{
    static const enum ending endings[] = {
        [OUTBOX_FIN] = END_FIN,
        [OUTBOX_QUIT] = END_QUIT,
        [OUTBOX_CLOSE] = END_CLOSE,
        [OUTBOX_RESET] = END_RESET,
    };
    bool is_late = c->out.first < c->out.count;
    int64_t now_us = is_late ? clock_monotonic_us() : 0;

    while (is_late && !c->is_dead) {
        enum outbox_step step = outbox_next(&c->out, now_us);

        if (step == OUTBOX_NOTHING) {
            break;
        }
        push(c, step >= OUTBOX_FIN ? endings[step] : END_NONE);
        if (step == OUTBOX_TLS && !c->is_dead) {
            conn_begin_tls(c);
        }
    }
    if (c->is_dead) {
        return;
    }
    if (c->out.ready.len > 0) {
        push(c, END_NONE);
    }
    if (!c->is_dead && outbox_due_us(&c->out) >= 0) {
        alarm_set(&c->all->alarms, &c->hold, outbox_due_us(&c->out));
    }
}

void conn_on_leave(struct alarm *a)
{
    struct conn *c = a->owner;
    int64_t now_us = clock_monotonic_us();
    struct packet *p = NULL;

    while (!c->is_dead && (p = link_take(&c->back, now_us)) != NULL) {
        const struct list_node *next = list_first(&c->back.packets);
        bool more = next != NULL &&
                    LIST_OF(next, struct packet, node)->signal == END_FIN;

        if (p->signal == END_NONE) {
            write_wire(c, p->bytes, p->len, more);
        } else if (c->wire.len > 0) {
            c->ending = (enum ending)p->signal;
        } else {
            do_ending(c, (enum ending)p->signal);
        }
        mem_free(p);
    }
    if (!c->is_dead && link_due_us(&c->back) >= 0) {
        alarm_set(&c->all->alarms, &c->leave, link_due_us(&c->back));
    }
    conn_watch(c);
}

void conn_on_hold(struct alarm *a)
{
    struct conn *c = a->owner;

    conn_flush(c);
    conn_watch(c);
}

void conn_on_writable(struct ev_loop *loop, ev_io *w, int events)
{
    struct conn *c = w->data;
    size_t left = c->wire.len - c->wire_at;
    ssize_t wrote = send(c->fd, c->wire.data + c->wire_at, left,
                         MSG_NOSIGNAL | (c->ending == END_FIN ? MSG_MORE : 0));

    (void)loop;
    (void)events;
    if (wrote < 0) {
        if (errno != EAGAIN && errno != EINTR) {
            conn_close(c);
        }
        return;
    }
    c->wire_at += (size_t)wrote;
    if (c->wire_at == c->wire.len) {
        buf_clear(&c->wire);
        c->wire_at = 0;
        do_ending(c, c->ending);
    }
    conn_watch(c);
}
