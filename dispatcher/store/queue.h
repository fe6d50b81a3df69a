/*
 * queue - the verbs of the queue in PostgreSQL: lease, settle, give back.
 *
 * Two connections per worker: one leases and fetches, one settles, so that a
 * long COPY never delays the next batches. Everything is per batch, never per
 * mail (see sql/queries/).
 *
 *     lease ──▶ recipients ──▶ events ──▶ on_batches        (read connection)
 *     queue_settle ──▶ BEGIN, settle, COPY ledger_N, COMMIT ──▶ on_settled
 *                                                          (write connection)
 *
 * A batch is fenced by its epoch: when its lease has run out and another
 * worker took it over, settling does nothing and says so.
 */
#ifndef STORE_QUEUE_H
#define STORE_QUEUE_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/map.h"
#include "model.h"

struct queue;

struct queue_settings {
    const char *dsn;
    int lease_ms;
    size_t payload_max;    /* bytes; an event with a larger payload is poison */
    size_t payload_budget; /* bytes of payload held at a time, at least
                              payload_max; what is beyond waits */
    size_t batch_memory;   /* cap of one batch's arena */
    bool keep_all_replies; /* false: only of letters that were not sent */
    int parent_pid;        /* of the workers that share memory with this one;
                              our own when there are none */
};

enum settle_result {
    SETTLE_DONE,  /* durable */
    SETTLE_LOST,  /* the lease was lost: somebody else settles the batch */
    SETTLE_AGAIN, /* the database is away: call queue_settle again later */
};

/* A batch that an earlier life of this worker held: see queue_take_over. */
struct queue_claim {
    int64_t batch_id;
    int64_t epoch;
};

struct queue_hooks {
    /* Both connections are usable and the worker is registered. */
    void (*on_ready)(void *ctx);
    /* Leased and fetched; ownership of each batch passes to the hook. count
     * is 0 when nothing was due, or when it failed (see the log). */
    void (*on_batches)(void *ctx, struct batch **batches, size_t count,
                       bool is_failed);
    /* The batch is still the hook's: free it or settle it again. */
    void (*on_settled)(void *ctx, struct batch *batch,
                       enum settle_result result);
    /* So many parents, on any host, have live workers, ours included: told
     * once the worker is registered and with every queue_renew. */
    void (*on_parents)(void *ctx, int count);
};

struct queue *queue_new(struct ev_loop *loop,
                        const struct queue_settings *settings,
                        const struct queue_hooks *hooks, void *ctx);
void queue_start(struct queue *q);
/* Each batch that is still held is handed to left, which frees it; NULL of q is
 * fine. */
void queue_free(struct queue *q, void (*left)(struct batch *batch));

bool queue_is_ready(const struct queue *q);
/* A lease is under way: on_batches will be called. */
bool queue_is_leasing(const struct queue *q);
/* Leases up to count batches; false when not ready, already leasing, or for a
 * second after a failure. */
bool queue_lease(struct queue *q, size_t count);
/* Takes over batches whose lease names an earlier worker, by id and epoch,
 * whoever owns them; those that somebody else has taken meanwhile are left
 * out. Answered by on_batches, with claimed_epoch set. */
bool queue_take_over(struct queue *q, const struct queue_claim *claims,
                     size_t count);
/* The number that owns our leases; 0 before the worker is registered. */
int64_t queue_worker_id(const struct queue *q);
/*
 * Lets go of whatever a worker that has ended still holds, but what we have
 * taken over of it: what it leased and never saw. To be called after
 * queue_take_over has been answered. False when the connection is away.
 */
bool queue_release_worker(struct queue *q, int64_t worker_id);
/* Asks on the read connection whether a batch is due or an event waits. peeked
 * is not called when the question failed. */
struct queue_sight {
    bool has_events;  /* to route */
    bool has_fanouts; /* to step */
    bool has_held;    /* held letters to promote */
    bool has_due;     /* batches to lease */
    int64_t waiting;  /* letters in due batches, up to a few hundred batches */
    bool is_ahead;    /* the route row is from another cluster's future */
};
typedef void (*queue_peeked)(void *ctx, const struct queue_sight *sight);
bool queue_peek(struct queue *q, queue_peeked peeked, void *ctx);

/*
 * Settles a batch whose letters all have a decision: writes their verdicts to
 * the ledger, queues again those with requeue set, quarantines the events that
 * are poison, removes the batch, in one transaction.
 */
void queue_settle(struct queue *q, struct batch *batch);
/* Batches handed to queue_settle and not answered yet. */
size_t queue_settling(const struct queue *q);
/* Lets go of batches of which nothing was begun; frees them. */
void queue_give_back(struct queue *q, struct batch **batches, size_t count);
/* Says that the worker is alive, which has to be said every 10 s, and moves
 * the end of the lease of all batches held; is_lost is set in those that turn
 * out to be somebody else's. */
void queue_renew(struct queue *q);
/* No lease of the batches held can have run out: by our own clock, whatever
 * became of the connection. Else no letter may be begun. */
bool queue_is_sure(const struct queue *q);

/* Empties old leaves of the logs and forgets what is long done; to be called
 * about once a minute, by any worker. */
void queue_keep_house(struct queue *q);

/* Counts a payload key that no contract lists, of one event; written every few
 * seconds. An event whose letters are in several batches counts in each. */
void queue_note_drift(struct queue *q, struct span type, struct span key,
                      int64_t event_id);

/* Takes the worker off the list of workers and lets go of whatever it still
 * leases; call when all is settled. is_heard: the database has done so. */
void queue_say_goodbye(struct queue *q, void (*said)(void *ctx, bool is_heard),
                       void *ctx);

/* Frees the batch with everything in its arena. Parsed payloads must have
 * been released before. */
void batch_free(struct batch *batch);

#endif
