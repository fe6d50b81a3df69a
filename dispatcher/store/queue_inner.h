/*
 * queue_inner - what the files of the queue share; private to them.
 */
#ifndef STORE_QUEUE_INNER_H
#define STORE_QUEUE_INNER_H

#include "store/pg.h"
#include "store/queue.h"

enum {
    GROUP_MAX = 64, /* batches of one lease or take-over */
    SETTLE_MAX = 8, /* batches settled by one transaction */
    LEAVES = 16,    /* of postbatch.event; the low four bits of an id */
};

/* A batch whose recipients and events are being fetched. */
struct pending {
    struct batch *batch;
    struct map recipients; /* id -> struct recipient * */
    struct map events;     /* id -> struct event * */
};

/* What one lease has brought; fetched together. */
struct group {
    struct pending items[GROUP_MAX];
    size_t count;
    int statements; /* fetches without an answer */
    bool is_broken;
};

struct queue {
    struct ev_loop *loop;
    struct queue_settings settings;
    struct queue_hooks hooks;
    void *ctx;
    struct pg *reading;
    struct pg *writing;
    int64_t worker_id; /* 0 = not registered yet */
    char host[256];    /* our name in the list of workers */
    bool was_ready;
    bool is_leasing;
    bool is_taking_over;   /* batches of an earlier life, until they came */
    bool is_renewing;      /* one at a time: each answer speaks of all held */
    int64_t asked_ms;      /* monotonic: the lease under way, or the last */
    int64_t renewal_ms;    /* the renewal */
    int64_t sure_until_ms; /* the earliest end of a lease of those held */
    struct group group;
    struct list held;     /* batches by their node `leased` */
    size_t payload_bytes; /* of all batches held and being fetched */

    queue_peeked peeked; /* a peek is under way when not NULL */
    void *peek_ctx;
    char glance[256];      /* snapshot, before the last look or earlier */
    bool was_idle;         /* the last peek that looked found nothing */
    int64_t peek_again_ms; /* then look, whatever the glance says */

    struct list settling;              /* batches by their node `node` */
    struct batch *settled[SETTLE_MAX]; /* in the transaction under way */
    bool settled_held[SETTLE_MAX];
    size_t settled_count;
    size_t settle_max; /* one after a failure, doubled up to SETTLE_MAX */
    size_t settled_answers;
    int64_t settled_us; /* wall clock: the time of all its rows */
    bool settle_failed;
    char copy_sql[256];           /* of the transaction under way */
    struct ev_timer settle_pause; /* after a transaction that failed */
    struct ev_timer settle_pace;  /* since one began */
    struct ev_timer lease_pause;  /* after a lease or fetch that failed */

    struct map drift; /* "type\0key" -> struct drift * */
    struct ev_timer drift_timer;
    bool drift_is_written;
    void (*said_goodbye)(void *ctx, bool is_heard);
    void *goodbye_ctx;
    bool is_rest_let_go; /* on the way out: no lease is ours any more */
};

/* The batch is held no longer: out of the list and the budget. */
void queue_forget(struct queue *q, struct batch *batch);
/* The text of sql/queries/NAME.sql; its address is its identity. */
const char *queue_sql(const char *name);
/* Tells the hooks, once a time, when there is an id and both connections. */
void queue_tell_ready(struct queue *q);

/* ---- queue_worker.c ---------------------------------------------------- */

/* Asks for an id; queue_tell_ready follows. */
void queue_register(struct queue *q);
/* Tells the other workers, and hears of them. False when the connection is
 * lost. */
bool queue_say_alive(struct queue *q);
/* Lets go of all batches of a worker but those that this one holds. */
bool queue_give_back_rest(struct queue *q, int64_t worker_id);

/* ---- queue_lease.c ----------------------------------------------------- */

/* Ends the leases of these batches (a bigint[]), at once and for whoever wants
 * them. */
void queue_let_go(struct queue *q, const struct buf *ids);
/* The answer to that: says how many there were. */
void queue_on_let_go(void *ctx, const PGresult *result, const char *error);

/* ---- queue_rows.c ----------------------------------------------------- */

/* A batch with its letters from a row of lease.sql or take_over.sql; false
 * when it does not fit into its memory. */
bool rows_read_batch(struct queue *q, struct pending *p, const PGresult *result,
                     int row);
/* Fills the recipients of all batches of the group. */
void rows_read_recipients(struct group *g, const PGresult *result);
/* Fills an event, wherever it is in the group. */
void rows_read_event(struct queue *q, const PGresult *row);
/* What the event takes of the budget, or would have taken. */
size_t rows_event_cost(const struct event *e);
/* What was not found gets its reason; frees the maps. */
void rows_finish(struct pending *p);

/* ---- queue_ledger.c --------------------------------------------------- */

/* The row of the ledger for the letters of a batch that were plainly sent. */
struct ledger_sum {
    uint32_t letters; /* they are so many; 0 = no row */
    int code;         /* their reply code */
    uint32_t apart;   /* pairs of all other letters; 0 when there is no row */
};
struct ledger_sum ledger_sum_of(const struct queue *q, const struct batch *b);
/* Puts the places in the batch, from 1, of the pairs that the sum does not
 * tell of, as an int[]. */
void ledger_put_apart(const struct queue *q, const struct batch *b,
                      const struct ledger_sum *sum, struct buf *out);

/* Queues the COPY of the rows of all letters of the transaction under way that
 * are in no sum, if there are any; on_part hears how it ended. False when it
 * cannot be queued. */
bool ledger_copy(struct queue *q, pg_answer on_part);

/* ---- queue_settle.c --------------------------------------------------- */

/* Begins a transaction for what waits in q->settling, if none is under way. */
void settle_next(struct queue *q);
/* Writes the drift that has gathered. */
void drift_write(struct queue *q);
void drift_release(struct queue *q);

#endif
