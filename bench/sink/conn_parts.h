/*
 * conn_parts - what the parts of a connection share: conns.c (coming and
 * going), conn_in.c (bytes from the client) and conn_out.c (bytes to it).
 */
#ifndef SINK_CONN_PARTS_H
#define SINK_CONN_PARTS_H

#include "bench/sink/conn.h"
#include "bench/sink/link.h"
#include "bench/sink/outbox.h"
#include "bench/sink/session.h"
#include "bench/sink/tls.h"

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
    bool has_tls;    /* TLS stands between link and session */
    bool has_spoken; /* a reply was given out since TLS began, if it did */
    bool tls_first;  /* the greeting waits for the handshake */
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

static inline bool conn_has_rtt(const struct conn *c)
{
    return c->in.delay_us > 0;
}

enum { CONN_INPUT_BYTES = 256 * 1024 };

/* conns.c. The one door out: everything stops; the memory goes at the end of
 * the loop's turn, because callers further up still hold c. */
void conn_close(struct conn *c);
/* Sets the watchers to what the connection can do now. */
void conn_watch(struct conn *c);

/* conn_out.c. Bytes, then an ending, to the client: at once or by the slow
 * wire. */
void conn_send(struct conn *c, const char *bytes, size_t n, enum ending ending);
/* Sends all replies that are due; asks to be woken for the next one. */
void conn_flush(struct conn *c);
/* From now on TLS stands between link and session. */
void conn_begin_tls(struct conn *c);
void conn_on_writable(struct ev_loop *loop, ev_io *w, int events);
void conn_on_leave(struct alarm *a);
void conn_on_hold(struct alarm *a);

/* conn_in.c */
void conn_on_readable(struct ev_loop *loop, ev_io *w, int events);
void conn_on_arrive(struct alarm *a);
/* Time to greet, or the end of lingering. */
void conn_on_start(struct alarm *a);

#endif
