/*
 * conn - one connection.
 *
 * With no delay, bytes go from one big read straight to the session and the
 * replies to all of them leave in one write. With --rtt each read becomes a
 * packet that the session sees half the round trip later, and each write one
 * that leaves half the round trip later.
 *
 * When a client does not read its replies, the sink stops reading its
 * commands, as a server that blocks on its output would.
 */
#include "bench/sink/conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "bench/sink/link.h"
#include "bench/sink/outbox.h"
#include "bench/sink/session.h"
#include "bench/sink/tls.h"

enum {
    INPUT_BYTES = 256 * 1024,
    LINK_BYTES = 16 * 1024 * 1024, /* on the way in; more is not read */
    LINGER_US = 2000000            /* for the client to end it too */
};

/* How a connection may end; also what goes over the links beside bytes. */
enum ending { END_NONE, END_EOF, END_FIN, END_QUIT, END_CLOSE, END_RESET };

struct conn {
    struct list_node node; /* on open or dead */
    struct conns *all;
    int fd;
    ev_io reader;
    ev_io writer;
    struct outbox out;
    struct session session;
    struct tls tls;
    bool has_tls;   /* TLS stands between link and session */
    bool tls_first; /* the greeting waits for the handshake */
    bool is_dead;
    bool input_over;    /* the client sends no more */
    bool lingers;       /* our end is closed; what comes is dropped */
    enum ending ending; /* to be done when wire is empty */
    struct link in;
    struct link back;
    struct buf wire;     /* bytes the socket did not take yet */
    size_t wire_at;      /* first of them */
    struct buf plain;    /* decrypted input */
    int64_t wrote_us;    /* when the last bytes went to the socket; with rtt */
    struct alarm start;  /* greet, or give up lingering */
    struct alarm hold;   /* the outbox has something late */
    struct alarm arrive; /* a packet arrives in */
    struct alarm leave;  /* a packet arrives back */
};

static bool has_rtt(const struct conn *c)
{
    return c->in.delay_us > 0;
}

/* The one door out: everything stops; the memory goes at the end of the turn,
 * because callers further up still hold c. */
static void close_conn(struct conn *c)
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

static void watch(struct conn *c)
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

/* Ends our side for good; wire is empty. */
static void do_ending(struct conn *c, enum ending ending)
{
    const struct linger now = {1, 0};

    switch (ending) {
    case END_NONE: return;
    case END_RESET:
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
        close_conn(c);
        return;
    case END_EOF:
    case END_CLOSE: close_conn(c); return;
    case END_FIN:
    case END_QUIT:
        /* Closing now would turn bytes under way to us into a reset. */
        shutdown(c->fd, SHUT_WR);
        c->lingers = true;
        if (c->input_over) {
            close_conn(c);
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

    if (has_rtt(c)) {
        c->wrote_us = clock_monotonic_us();
    }
    if (c->wire.len == 0) {
        wrote = send(c->fd, bytes, n, MSG_NOSIGNAL | (more ? MSG_MORE : 0));
        if (wrote < 0 && errno != EAGAIN && errno != EINTR) {
            close_conn(c);
            return;
        }
        wrote = wrote < 0 ? 0 : wrote;
    }
    buf_put(&c->wire, bytes + wrote, n - (size_t)wrote);
}

/* Bytes, then an ending, to the client: at once or by the slow wire. */
static void send_back(struct conn *c, const char *bytes, size_t n,
                      enum ending ending)
{
    if (has_rtt(c)) {
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

    if (!c->has_tls) {
        send_back(c, c->out.ready.data, c->out.ready.len, ending);
        buf_clear(&c->out.ready);
        return;
    }
    buf_init(&wire, 0);
    tls_give(&c->tls, c->out.ready.data, c->out.ready.len, &wire);
    buf_clear(&c->out.ready);
    if (ending == END_FIN || ending == END_QUIT) {
        tls_bye(&c->tls, &wire);
    }
    send_back(c, wire.data, wire.len, ending);
    buf_release(&wire);
}

static void begin_tls(struct conn *c)
{
    if (c->all->tls == NULL || !tls_init(&c->tls, c->all->tls)) {
        close_conn(c);
        return;
    }
    c->has_tls = true;
}

/* Sends all replies that are due; asks to be woken for the next one. */
static void flush(struct conn *c)
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
            begin_tls(c);
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
        send_back(c, wire.data, wire.len, END_NONE);
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
        take_tls(c, bytes, n, early);
    } else {
        session_feed(&c->session, bytes, n, early);
    }
    flush(c);
}

/* The client has closed its side: what is due to it still goes out. */
static void take_eof(struct conn *c)
{
    if (c->lingers || !outbox_is_pending(&c->out)) {
        send_back(c, NULL, 0, END_EOF);
        return;
    }
    outbox_end(&c->out, OUTBOX_CLOSE);
    flush(c);
}

static void on_arrive(struct alarm *a)
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
    watch(c);
}

static void on_leave(struct alarm *a)
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
    watch(c);
}

static void on_hold(struct alarm *a)
{
    struct conn *c = a->owner;

    flush(c);
    watch(c);
}

static void on_start(struct alarm *a)
{
    struct conn *c = a->owner;

    if (c->lingers) {
        close_conn(c);
        return;
    }
    session_greet(&c->session);
    flush(c);
    watch(c);
}

static void on_readable(struct ev_loop *loop, ev_io *w, int events)
{
    struct conn *c = w->data;
    ssize_t n = recv(c->fd, c->all->input, INPUT_BYTES, 0);

    (void)loop;
    (void)events;
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n < 0 || (n == 0 && c->lingers)) {
        close_conn(c);
        return;
    }
    if (c->lingers) {
        return;
    }
    c->input_over = n == 0;
    if (has_rtt(c)) {
        link_put(&c->in, c->all->input, (size_t)n, n == 0 ? END_EOF : END_NONE,
                 clock_monotonic_us());
        alarm_set(&c->all->alarms, &c->arrive, link_due_us(&c->in));
    } else if (n == 0) {
        take_eof(c);
    } else {
        take(c, c->all->input, (size_t)n, 0);
    }
    watch(c);
}

static void on_writable(struct ev_loop *loop, ev_io *w, int events)
{
    struct conn *c = w->data;
    size_t left = c->wire.len - c->wire_at;
    ssize_t wrote = send(c->fd, c->wire.data + c->wire_at, left,
                         MSG_NOSIGNAL | (c->ending == END_FIN ? MSG_MORE : 0));

    (void)loop;
    (void)events;
    if (wrote < 0) {
        if (errno != EAGAIN && errno != EINTR) {
            close_conn(c);
        }
        return;
    }
    c->wire_at += (size_t)wrote;
    if (c->wire_at == c->wire.len) {
        buf_clear(&c->wire);
        c->wire_at = 0;
        do_ending(c, c->ending);
    }
    watch(c);
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
    set_alarm(c, &c->start, on_start);
    set_alarm(c, &c->hold, on_hold);
    set_alarm(c, &c->arrive, on_arrive);
    set_alarm(c, &c->leave, on_leave);
    ev_io_init(&c->reader, on_readable, fd, EV_READ);
    ev_io_init(&c->writer, on_writable, fd, EV_WRITE);
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
        flush(c);
    } else if (tls) {
        begin_tls(c);
    } else if (o->rtt_us > 0) {
        /* The kernel has shaken hands at once; on a real wire that takes the
         * client one round trip and us another half. */
        alarm_set(&cs->alarms, &c->start,
                  clock_monotonic_us() + o->rtt_us + o->rtt_us / 2);
    } else {
        session_greet(&c->session);
        flush(c);
    }
    watch(c);
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
    cs->input = mem_alloc(INPUT_BYTES);
    ev_prepare_init(&cs->sweep, on_sweep);
    cs->sweep.data = cs;
    ev_prepare_start(loop, &cs->sweep);
    return true;
}

void conns_release(struct conns *cs)
{
    struct list_node *node = NULL;

    while ((node = list_first(&cs->open)) != NULL) {
        close_conn(LIST_OF(node, struct conn, node));
    }
    on_sweep(cs->loop, &cs->sweep, 0);
    ev_prepare_stop(cs->loop, &cs->sweep);
    alarms_release(&cs->alarms);
    mem_free(cs->input);
}
