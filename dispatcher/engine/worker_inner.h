/*
 * worker_inner - what the files of the worker share; private to them.
 */
#ifndef ENGINE_WORKER_INNER_H
#define ENGINE_WORKER_INNER_H

#include <ev.h>

#include "engine/intake.h"
#include "engine/journal.h"
#include "engine/reporter.h"
#include "engine/retry.h"
#include "engine/router.h"
#include "engine/stats.h"
#include "engine/worker.h"
#include "mail/composer.h"
#include "smtp/pool.h"
#include "store/queue.h"

enum worker_state {
    WORKER_STARTING, /* no database yet, or the journal is being worked off */
    WORKER_RUNNING,
    WORKER_STOPPING, /* nothing new; what is in flight gets its verdict */
    WORKER_LEAVING,  /* all is settled; saying goodbye */
    WORKER_GONE,
};

struct worker {
    const struct settings *settings;
    struct worker_options options;
    enum worker_state state;
    struct ev_loop *loop;
    struct queue *queue;
    struct router *router; /* NULL when router.enabled is off */
    struct intake *intake; /* NULL when there is none, or after a stop */
    struct pool *pool;
    struct composer *composer;
    struct reporter *reporter;
    struct journal *journal; /* NULL: none */
    struct retry_policy retry;
    struct stats stats;

    struct list waiting[URGENCY_BULK + 1]; /* letters, by urgency */
    size_t waiting_count;
    struct list batches; /* that are not being settled, by node */
    size_t begun_count;  /* letters that lanes have */
    bool wants_lease;    /* batches may be due */
    bool has_told_ahead; /* of a database from another cluster's future */
    int64_t ahead;       /* letters known to wait in batches */
    int parents;         /* with live workers; relays' limits are divided */
    int64_t found_ms;    /* when there was something to do last */
    bool routed_something;
    bool has_left; /* the database has heard our goodbye, or never will */

    struct ev_prepare turn;
    struct ev_timer poll;
    struct ev_timer renew;
    struct ev_timer house;
    struct ev_timer tell;
    struct ev_timer progress;
    struct ev_timer grace;
    struct ev_timer beat;
    struct ev_signal on_term;
    struct ev_signal on_int;
    struct ev_signal on_quit;
};

static inline uint32_t letter_index(const struct letter *l)
{
    return (uint32_t)(l - l->batch->letters);
}

/* ---- worker_letters.c: letters to lanes, outcomes back ------------------- */

extern const struct pool_ops worker_pool_ops;
/* A leased batch: its letters wait for a lane, or, when an earlier life had
 * begun them, are judged by the journal. */
void letters_take(struct worker *w, struct batch *batch);
/* Takes every letter that waits off the queue: batches that were not touched
 * go back whole, others are settled with the rest queued again. */
void letters_put_back(struct worker *w);
/* The batch's events are not needed any more; frees it. */
void letters_release_batch(struct batch *batch);

/* ---- worker_judge.c: what becomes of a letter ---------------------------- */

/* The letter's outcome is in place: what follows from it. The last letter of a
 * batch settles it: the batch is the queue's then. */
void letter_judge(struct worker *w, struct letter *l);
/* Likewise, with this outcome; reason lives as long as the batch. */
void letter_judge_as(struct worker *w, struct letter *l, enum verdict verdict,
                     struct span reason);
/* When it is judged it goes into a new batch; counted: the try counts. */
void letter_requeue(struct letter *l, int64_t due_in_ms, bool is_counted);

/* ---- worker.c ------------------------------------------------------------ */

/* The only door from state to state. */
void worker_enter(struct worker *w, enum worker_state state);

/* ---- worker_store.c: what the database tells ----------------------------- */

extern const struct queue_hooks worker_queue_hooks;
extern const struct router_hooks worker_router_hooks;
/* There is, or was, something to do: look for more at once. */
void worker_found_something(struct worker *w);
/* A key that the contract does not list; ctx is the worker. */
void worker_note_drift(void *ctx, const struct event *event, struct span key);
/* Looks for work; the timer's data is the worker. */
void worker_on_poll(struct ev_loop *loop, struct ev_timer *timer, int events);

/* ---- worker_turns.c: turns, timers, signals ------------------------------ */

void turns_start(struct worker *w);
void turns_stop(struct worker *w);
/* Logs the counts since it was last told. */
void worker_tell(struct worker *w);

/* ---- worker_fetching.c: events that are fetched from elsewhere ----------- */

/* Makes the intake, when there is one and this worker is to have it: one of a
 * parent's; those of other parents stand by. */
void fetching_init(struct worker *w, const struct catalog *catalog);
/* Nothing more is fetched. */
void fetching_stop(struct worker *w);

/* ---- worker_recover.c: the journal --------------------------------------- */

/* Opens the journal by settings; warns when there is none. */
struct journal *recover_open(const struct settings *settings, int index);
/* Asks for the batches of an earlier life; false when there are none. (True
 * also when it cannot be asked just now: call it again.) */
bool recover_begin(struct worker *w);
/* Their batches have come (or not): what did not come is forgotten. */
void recover_end(struct worker *w, struct batch **batches, size_t count);
/* The database holds nothing of ours any more: neither does the journal. */
void recover_forget(struct worker *w);

#endif
