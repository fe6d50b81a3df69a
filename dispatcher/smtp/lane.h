/*
 * lane - one open connection to a relay, and the letters in flight on it.
 *
 *     CONNECTING --> PROVING --> READY <--> SENDING
 *          |            |          |           |
 *          |            |          +-----+-----+
 *          |            |                v
 *          |            |            DRAINING --> QUITTING
 *          v            v                |            |
 *        CLOSED <-------+----------------+------------+
 *
 *     CONNECTING  libcurl makes the connection (lane_open)
 *     PROVING     a refused chunk is sent once to see that the relay swallows
 *                 it; only on the way to the streamed gear
 *     READY       nothing in flight
 *     SENDING     letters in flight
 *     DRAINING    no new letters; what is in flight gets its answers
 *     QUITTING    QUIT was sent
 *     CLOSED      waits to be freed by its owner
 *
 * A letter that a lane has taken is judged exactly once, whatever happens.
 * The lane owns its connection and its buffers; letters belong to whoever
 * gave them. All of lane_*.c works on this struct, nobody else writes to it.
 */
#ifndef SMTP_LANE_H
#define SMTP_LANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ev.h>

#include "base/list.h"
#include "smtp/connect.h"
#include "smtp/outbox.h"
#include "smtp/parcel.h"
#include "smtp/relay.h"
#include "smtp/reply.h"
#include "smtp/verdict.h"

enum lane_state {
    LANE_CONNECTING,
    LANE_PROVING,
    LANE_READY,
    LANE_SENDING,
    LANE_DRAINING,
    LANE_QUITTING,
    LANE_CLOSED,
    LANE_STATES
};
const char *lane_state_name(enum lane_state state);

/* A letter between MAIL and its last reply. */
struct flight {
    void *letter;
    struct span from;
    struct span to;
    uint64_t content_from; /* stream positions of its content, with the BDAT */
    uint64_t content_end;  /* command or the dot; 0 = not queued yet */
    size_t size;           /* octets of content */
    bool needs_smtputf8;
    bool needs_8bitmime;
    bool is_settled; /* judged: only its replies are waited for */
    bool mail_ok;    /* MAIL was accepted: there is a transaction */
};

/* A reply that will come. */
struct expect {
    uint8_t place;   /* enum place */
    uint16_t flight; /* index in flights; valid for MAIL to CONTENT */
};

struct lane;

/* What the owner does with a letter that a relay cannot carry. */
enum aside {
    ASIDE_KEPT,    /* another relay gets it */
    ASIDE_FULL,    /* another might, but not now: the letter is deferred */
    ASIDE_NOWHERE, /* there is no other: the letter fails */
};

/* What a lane asks and tells its owner. */
struct lane_ops {
    /* The next letter: envelope into *p, whole content behind what is in
     * *content. False: there is none for this lane now. */
    bool (*take)(struct lane *l, struct parcel *p, struct buf *content);
    /* A letter that this relay cannot carry, but another might; content is
     * copied when it is kept. */
    enum aside (*keep_aside)(struct lane *l, const struct parcel *p,
                             struct span content);
    /* Its content may leave from now on. */
    void (*begun)(struct lane *l, void *letter);
    /* The end of a letter. o->text lives until the call returns. */
    void (*judged)(struct lane *l, void *letter, const struct judgement *j,
                   const struct outcome *o);
    /* Something that concerns the whole relay. */
    void (*trouble)(struct lane *l, const struct judgement *j,
                    const char *text);
    void (*connect_failed)(struct lane *l, const struct link_result *result);
    /* There is output, or room for letters: a turn is due. */
    void (*wants_turn)(struct lane *l);
    void (*changed)(struct lane *l, enum lane_state from);
};

struct lane {
    struct list_node node;       /* in relay->lanes */
    struct list_node dirty_node; /* the owner's: lanes that want a turn */
    const struct lane_ops *ops;
    void *owner;
    struct relay *relay;
    struct ev_loop *loop;
    struct link *link;
    ev_io io;

    enum lane_state state;
    enum gear gear;
    int id; /* for logs */

    struct outbox out;
    struct block *held; /* content whose 354 has not come; not queued */
    bool is_blocked;    /* the connection takes no bytes now */
    bool rset_due;      /* the relay may still have an old transaction */
    bool was_useful;    /* a letter was judged by a reply */

    struct reply reply;
    struct flight *flights; /* ring, oldest at flight_first */
    unsigned flight_size;   /* a power of two */
    unsigned flight_first;
    unsigned flight_count;
    struct expect *expects; /* ring, next at expect_first */
    unsigned expect_size;
    unsigned expect_first;
    unsigned expect_count;

    unsigned letters; /* taken on this connection */
    unsigned letters_max;
    int64_t opened_ms;
    int64_t since_ms; /* the last progress: a reply, or bytes taken */
    char *rx;         /* receive buffer that all lanes of the owner share */
    size_t rx_size;
};

/* Begins to connect. The relay, its connector, ops and rx outlive the lane. */
struct lane *lane_open(struct relay *r, struct ev_loop *loop,
                       const struct lane_ops *ops, void *owner, char *rx,
                       size_t rx_size);
/* Only a closed lane may be freed. */
void lane_free(struct lane *l);

/* True when it could take a letter now. */
bool lane_has_room(const struct lane *l);
/* Letters that it could take now, if all were small. */
unsigned lane_room(const struct lane *l);
/* Takes up to most letters, until full or the owner has none. */
void lane_fill(struct lane *l, unsigned most);
/* Sends what is queued, as far as the connection takes it. */
void lane_flush(struct lane *l);
/* No new letters; QUIT when those in flight have their answers. */
void lane_drain(struct lane *l);
/* Closes now; letters are judged by answer. text is for people. */
void lane_end(struct lane *l, enum answer answer, const char *text);
/* To be called now and then: timeouts, age, idleness. */
void lane_tick(struct lane *l, int64_t now_ms);

/* Within lane_*.c only. */

void lane_enter(struct lane *l, enum lane_state state);
void lane_expect(struct lane *l, enum place place, unsigned flight);
unsigned lane_flight_add(struct lane *l, const struct parcel *p, size_t size);
/* The oldest flight is over. */
void lane_flight_drop(struct lane *l);
/* How far the content of f may have gone. */
enum given lane_given(const struct lane *l, const struct flight *f);
/* Judges f unless it was; text is for people. */
void lane_settle(struct lane *l, struct flight *f, const struct judgement *j,
                 const struct reply *reply, const char *text);
/* Back to READY, or QUIT, when nothing is in flight. */
void lane_rest(struct lane *l);

/* What the relay was asked and has not answered: the oldest; for words. */
enum place lane_open_place(const struct lane *l);
/* True when this connection has carried or lived enough. */
bool lane_is_spent(const struct lane *l, int64_t now_ms);

/* Events (lane_watch.c). */
void lane_on_io(struct ev_loop *loop, ev_io *io, int events);
void lane_on_connected(void *ctx, struct link *link,
                       const struct link_result *result);

/* Bytes from the relay (lane_reply.c). */
void lane_hear(struct lane *l, const char *bytes, size_t len);
/* Writes the chunk that will be refused (lane_reply.c). */
void lane_prove(struct lane *l);

/* A letter that we refuse ourselves: why, in RFC 3463 and in words. */
struct lane_refusal {
    int subject;
    int detail;
    const char *text;
    bool is_of_relay; /* another relay might carry it */
};
/* Why the letter with its content at b[from..] cannot go this way, or NULL
 * (lane_check.c). Notes in *p what its addresses need. */
const struct lane_refusal *lane_refusal(const struct lane *l, struct parcel *p,
                                        const struct buf *b, size_t from);

/* The commands (lane_send.c). */
void lane_write_mail(struct lane *l, const struct flight *f, struct buf *out);
void lane_write_rcpt(struct lane *l, const struct flight *f, struct buf *out);
/* The content of f, held until now, with its dot. */
void lane_write_content(struct lane *l, unsigned flight);

#endif
