/*
 * pool - all relays and lanes of a worker, on one event loop.
 *
 * The pool asks for letters when a lane can use them at once, and tells what
 * became of each. It never waits, never loses a letter, and never tells of
 * one twice:
 *
 *     next --> [begun] --> done | returned
 *
 * Callbacks come from the loop, never from within a call of yours, with the
 * exception of pool_kill and pool_free, which end letters at once. From a
 * callback pool_wake, pool_drain and what only reads may be called, pool_kill
 * and pool_free may not.
 */
#ifndef SMTP_POOL_H
#define SMTP_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ev.h>

#include "base/buf.h"
#include "base/problems.h"
#include "model.h"
#include "smtp/parcel.h"
#include "smtp/relay.h"

struct pool;

/* Why a person should look at a relay. */
enum pool_alarm {
    POOL_ALARM_DOWN,   /* it cannot be reached, several times in a row */
    POOL_ALARM_PAUSED, /* it refuses us, by policy */
    POOL_ALARM_SENDER, /* it refuses our sender address */
    POOL_ALARM_ACCESS, /* credentials, certificates, settings: waiting will
                          not help */
};

enum pool_next { POOL_NEXT_GIVEN, POOL_NEXT_NONE };

struct pool_ops {
    /*
     * The next letter: its envelope into *out, whose spans stay valid until
     * done or returned, and its whole content appended to *content, which
     * may hold bytes already. Content is CRLF lines, ends with CRLF, and has
     * no line that begins with a dot. POOL_NEXT_NONE: there is none until
     * pool_wake is called.
     */
    enum pool_next (*next)(void *ctx, struct parcel *out, struct buf *content);
    /* From now on its content may leave: for the journal. */
    void (*begun)(void *ctx, void *letter);
    /* The end of it. o->text lives until the call returns; control bytes in
     * it are escaped. r is the relay that answered. */
    void (*done)(void *ctx, void *letter, const struct outcome *o,
                 const struct relay *r);
    /* Certainly not delivered, and no attempt to count: it goes out again.
     * May come after begun, which it takes back. */
    void (*returned)(void *ctx, void *letter);
    /* A person should look. At most one a minute for a relay. */
    void (*alarm)(void *ctx, const struct relay *r, enum pool_alarm alarm,
                  const char *what);
};

/* ops and ctx outlive the pool. */
struct pool *pool_new(struct ev_loop *loop, const struct pool_ops *ops,
                      void *ctx);
/* Closes at once what is open, as pool_kill. */
void pool_free(struct pool *p);

/*
 * The limits of all relays are those on the board, in common with the other
 * workers of this host; ours is the worker-th. Before pool_add_relay, whose
 * order must be that of the board's rows. The board outlives the pool.
 */
void pool_use_board(struct pool *pool, struct quota_board *board, int worker);

/* Copies s. False when it cannot work: p says why. Before pool_start. */
bool pool_add_relay(struct pool *pool, const struct relay_settings *s,
                    struct problems *p);
/* Opens the connections that are to stay open. */
void pool_start(struct pool *pool);

/* There may be letters. Cheap; what it causes happens once, at the end of
 * the loop's round. */
void pool_wake(struct pool *pool);
/* Letters that lanes could take about now; 0 when all relays rest. */
size_t pool_room(struct pool *pool);
/* Letters taken and not ended. */
size_t pool_in_flight(const struct pool *pool);

/* So many hosts, from 1, work with these relays: this one keeps to its part of
 * the rates and connections from now on. */
void pool_set_share(struct pool *pool, int hosts);

/* No new letters, answers for those in flight, QUIT; then drained is called
 * once, from the loop. */
void pool_drain(struct pool *pool, void (*drained)(void *ctx));
/* Closes all connections now. Letters whose content was fully given and not
 * answered are unsure, others return. */
void pool_kill(struct pool *pool);
/* Ends every rest and pause: somebody says that the trouble is over. */
void pool_resume(struct pool *pool);

struct pool_stats {
    struct relay_counts counts;
    size_t connecting; /* lanes, by what they do */
    size_t ready;
    size_t sending;
    size_t closing;
    size_t in_flight; /* letters */
    int lanes_allowed;
    int window;      /* of a streamed lane; 0 in the sum */
    int64_t rest_ms; /* until the relay is used again; 0 in the sum */
    enum relay_health health;
};

/* The sum of all relays. */
void pool_counts(const struct pool *pool, struct pool_stats *out);
size_t pool_relay_count(const struct pool *pool);
/* By order of pool_add_relay. */
const struct relay *pool_relay(const struct pool *pool, size_t index);
void pool_relay_counts(const struct pool *pool, size_t index,
                       struct pool_stats *out);

#endif
