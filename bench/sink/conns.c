/*
 * conns - connections come and go.
 *
 * When a client does not read its replies, the sink stops reading its
 * commands, as a server that blocks on its output would.
 */
#include "bench/sink/conn_parts.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

enum { LINK_BYTES = 16 * 1024 * 1024 }; /* on the way in; more is not read */

/* The one door out: everything stops; the memory goes at the end of the turn,
 * because callers further up still hold c. */
void conn_close(struct conn *c)
{
    struct alarms *as = &c->all->alarms;

    if (c->is_dead) {
        return;
    }
    c->is_dead = true;
    session_ended(&c->session);
    ev_io_stop(c->all->loop, &c->reader);
    ev_io_stop(c->all->loop, &c->writer);
    alarm_clear(as, &c->start);
    alarm_clear(as, &c->hold);
    alarm_clear(as, &c->arrive);
    alarm_clear(as, &c->leave);
    close(c->fd);
    list_remove(&c->all->open, &c->node);
    list_append(&c->all->dead, &c->node);
    c->all->sink->tally.open--;
    if (log_wants(LOG_LEVEL_DEBUG)) {
        log_debug("closed", "connection=%llu",
                  (unsigned long long)c->session.number);
    }
}

static void free_conn(struct conn *c)
{
    session_release(&c->session);
    outbox_release(&c->out);
    link_release(&c->in);
    link_release(&c->back);
    buf_release(&c->wire);
    buf_release(&c->plain);
    if (c->has_tls) {
        tls_release(&c->tls);
    }
    mem_free(c);
}

void conn_watch(struct conn *c)
{
    bool is_full = c->wire.len > 0 || c->in.bytes > LINK_BYTES;

    if (c->is_dead) {
        return;
    }
    if (c->input_over || (is_full && !c->lingers)) {
        ev_io_stop(c->all->loop, &c->reader);
    } else {
        ev_io_start(c->all->loop, &c->reader);
    }
    if (c->wire.len > 0) {
        ev_io_start(c->all->loop, &c->writer);
    } else {
        ev_io_stop(c->all->loop, &c->writer);
    }
}

static void set_alarm(struct conn *c, struct alarm *a,
                      void (*ring)(struct alarm *a))
{
    *a = (struct alarm){.ring = ring, .owner = c};
}

static struct conn *new_conn(struct conns *cs, int fd, uint64_t number,
                             bool tls)
{
    struct conn *c = mem_calloc(1, sizeof(*c));
    int64_t rtt_us = cs->sink->options.rtt_us;

    c->all = cs;
    c->fd = fd;
    c->tls_first = tls;
    outbox_init(&c->out);
    session_init(&c->session, cs->sink, &c->out, number, tls);
    link_init(&c->in, rtt_us / 2);
    link_init(&c->back, rtt_us / 2);
    buf_init(&c->wire, 0);
    buf_init(&c->plain, 0);
    set_alarm(c, &c->start, conn_on_start);
    set_alarm(c, &c->hold, conn_on_hold);
    set_alarm(c, &c->arrive, conn_on_arrive);
    set_alarm(c, &c->leave, conn_on_leave);
    ev_io_init(&c->reader, conn_on_readable, fd, EV_READ);
    ev_io_init(&c->writer, conn_on_writable, fd, EV_WRITE);
    c->reader.data = c;
    c->writer.data = c;
    list_append(&cs->open, &c->node);
    return c;
}

void conns_add(struct conns *cs, int fd, bool tls)
{
    const struct options *o = &cs->sink->options;
    struct tally *t = &cs->sink->tally;
    const int yes = 1;
    struct conn *c = new_conn(cs, fd, ++t->connections, tls);

    /* Fails on Unix sockets, which do not wait to fill segments anyway. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    t->open++;
    if (t->open > t->max_open) {
        t->max_open = t->open;
    }
    if (log_wants(LOG_LEVEL_DEBUG)) {
        log_debug("accepted", "connection=%llu open=%llu",
                  (unsigned long long)t->connections,
                  (unsigned long long)t->open);
    }
    if (o->connections > 0 && t->open > o->connections) {
        /* In plain text even where TLS is expected: nobody waits for it. */
        session_turn_away(&c->session);
        conn_flush(c);
    } else if (tls) {
        conn_begin_tls(c);
    } else if (o->rtt_us > 0) {
        /* The kernel has shaken hands at once; on a real wire that takes the
         * client one round trip and us another half. */
        alarm_set(&cs->alarms, &c->start,
                  clock_monotonic_us() + o->rtt_us + o->rtt_us / 2);
    } else {
        session_greet(&c->session);
        conn_flush(c);
    }
    conn_watch(c);
}

static void on_sweep(struct ev_loop *loop, ev_prepare *w, int events)
{
    struct conns *cs = w->data;
    struct list_node *node = NULL;

    (void)loop;
    (void)events;
    while ((node = list_take(&cs->dead)) != NULL) {
        free_conn(LIST_OF(node, struct conn, node));
    }
    /* Once a turn of the loop: logs can be followed, and cost little. */
    store_flush(&cs->sink->store);
}

bool conns_init(struct conns *cs, struct sink *sink, struct ev_loop *loop,
                SSL_CTX *tls)
{
    *cs = (struct conns){.sink = sink, .loop = loop, .tls = tls};
    list_init(&cs->open);
    list_init(&cs->dead);
    if (!alarms_init(&cs->alarms, loop)) {
        return false;
    }
    cs->input = mem_alloc(CONN_INPUT_BYTES);
    ev_prepare_init(&cs->sweep, on_sweep);
    cs->sweep.data = cs;
    ev_prepare_start(loop, &cs->sweep);
    return true;
}

void conns_release(struct conns *cs)
{
    struct list_node *node = NULL;

    while ((node = list_first(&cs->open)) != NULL) {
        conn_close(LIST_OF(node, struct conn, node));
    }
    on_sweep(cs->loop, &cs->sweep, 0);
    ev_prepare_stop(cs->loop, &cs->sweep);
    alarms_release(&cs->alarms);
    mem_free(cs->input);
}
