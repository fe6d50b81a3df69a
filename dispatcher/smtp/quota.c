/*
 * quota - a relay's limits, held in common by all workers of a host.
 *
 * The lock is a robust, process-shared mutex, held for a few nanoseconds of
 * arithmetic and never over a system call. When its holder is killed the next
 * one gets it with EOWNERDEAD; at worst one token or one count is then off,
 * and the counts of a dead worker are cleared by the parent anyway.
 *
 * CLOCK_MONOTONIC is the same in all processes of a host, so times in a row
 * mean the same to all of them.
 */
#include "smtp/quota.h"

#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/mem.h"

enum {
    FRESH_MS = 1500, /* a worker that waits says so again before */
    TURN_MS = 2000,  /* how long a worker keeps its only connection when there
                        are fewer connections than workers */
};

struct quota_worker {
    int lanes;              /* connections it has */
    int working;            /* of them, connected */
    int64_t lanes_since_ms; /* when it got the first of them */
    int64_t wanting_ms;     /* when it last said that it wants one; 0 = no */
    int64_t wants_since_ms; /* when it said so first */
};

struct quota_row {
    pthread_mutex_t lock;
    struct limits limits;
    int worker_count;
    struct quota_worker workers[QUOTA_WORKERS];
};

struct quota_board {
    size_t bytes;
    size_t row_count;
    int worker_count;
    struct quota_row rows[];
};

/* ---- the lock --------------------------------------------------------------
 */

static void lock_row(struct quota_row *row)
{
    if (pthread_mutex_lock(&row->lock) == EOWNERDEAD) {
        pthread_mutex_consistent(&row->lock);
    }
}

static struct limits *lock(const struct quota *q)
{
    if (q->is_shared) {
        lock_row(q->row);
    }
    return &q->row->limits;
}

static void unlock(const struct quota *q)
{
    if (q->is_shared) {
        pthread_mutex_unlock(&q->row->lock);
    }
}

/* ---- the board -------------------------------------------------------------
 */

struct quota_board *quota_board_new(size_t relays, int workers)
{
    size_t bytes =
        sizeof(struct quota_board) + relays * sizeof(struct quota_row);
    struct quota_board *board = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                                     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_mutexattr_t attributes;

    if (board == MAP_FAILED) {
        return NULL;
    }
    board->bytes = bytes;
    board->row_count = relays;
    board->worker_count = workers < QUOTA_WORKERS ? workers : QUOTA_WORKERS;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    for (size_t i = 0; i < relays; i++) {
        pthread_mutex_init(&board->rows[i].lock, &attributes);
        board->rows[i].worker_count = board->worker_count;
    }
    pthread_mutexattr_destroy(&attributes);
    return board;
}

void quota_board_free(struct quota_board *board)
{
    if (board != NULL) {
        munmap(board, board->bytes);
    }
}

void quota_board_set(struct quota_board *board, size_t relay,
                     const struct limits_settings *settings, int64_t now_ms)
{
    limits_init(&board->rows[relay].limits, settings, now_ms,
                (uint64_t)now_ms * 2654435761u + relay);
}

void quota_board_forget(struct quota_board *board, int worker)
{
    for (size_t i = 0; i < board->row_count; i++) {
        struct quota_row *row = &board->rows[i];

        lock_row(row);
        row->workers[worker] = (struct quota_worker){.lanes = 0};
        pthread_mutex_unlock(&row->lock);
    }
}

void quota_init(struct quota *q, const struct limits_settings *settings,
                int64_t now_ms, uint64_t seed)
{
    *q = (struct quota){.row = mem_calloc(1, sizeof(*q->row))};
    q->row->worker_count = 1;
    limits_init(&q->row->limits, settings, now_ms, seed);
}

void quota_join(struct quota *q, struct quota_board *board, size_t relay,
                int worker)
{
    quota_release(q);
    *q = (struct quota){
        .row = &board->rows[relay], .worker = worker, .is_shared = true};
}

void quota_release(struct quota *q)
{
    if (!q->is_shared) {
        mem_free(q->row);
    }
    *q = (struct quota){.row = NULL};
}

/* ---- letters, rest: limits under the lock ----------------------------------
 */

void quota_share(struct quota *q, int hosts, int64_t now_ms)
{
    struct limits *l = lock(q);

    if (l->hosts != hosts) {
        limits_share(l, hosts, now_ms);
    }
    unlock(q);
}

bool quota_has_rate(const struct quota *q)
{
    /* Settings do not change. */
    return q->row->limits.settings.letters_per_s > 0 ||
           q->row->limits.settings.letters_per_min > 0;
}

bool quota_take_letter(struct quota *q, int64_t now_ms)
{
    bool is_taken = limits_take_letter(lock(q), now_ms);

    unlock(q);
    return is_taken;
}

void quota_give_letter(struct quota *q)
{
    limits_give_letter(lock(q));
    unlock(q);
}

double quota_letters(struct quota *q, int64_t now_ms, double most)
{
    double letters = limits_letters(lock(q), now_ms, most);

    unlock(q);
    return letters;
}

int64_t quota_wait_ms(struct quota *q, int64_t now_ms)
{
    int64_t ms = limits_wait_ms(lock(q), now_ms);

    unlock(q);
    return ms;
}

int64_t quota_connect_wait_ms(struct quota *q, int64_t now_ms)
{
    int64_t ms = limits_connect_wait_ms(lock(q), now_ms);

    unlock(q);
    return ms;
}

int64_t quota_rest_ms(const struct quota *q, int64_t now_ms)
{
    int64_t ms = limits_rest_ms(lock(q), now_ms);

    unlock(q);
    return ms;
}

bool quota_is_paused(const struct quota *q)
{
    bool is_paused = lock(q)->is_paused;

    unlock(q);
    return is_paused;
}

int quota_failures(const struct quota *q)
{
    int failures = lock(q)->failures;

    unlock(q);
    return failures;
}

void quota_accepted(struct quota *q)
{
    struct limits *l = lock(q);

    /* The time matters only after trouble: do not ask for it else. */
    limits_accepted(l, l->grow_at_ms > 0 ? clock_monotonic_ms() : 0);
    unlock(q);
}

void quota_alive(struct quota *q)
{
    limits_alive(lock(q));
    unlock(q);
}

int64_t quota_slower(struct quota *q, int64_t now_ms)
{
    int64_t ms = limits_slower(lock(q), now_ms);

    unlock(q);
    return ms;
}

int64_t quota_pause(struct quota *q, int64_t now_ms, bool *is_news)
{
    struct limits *l = lock(q);
    int64_t ms = 0;

    *is_news = !l->is_paused;
    ms = limits_pause(l, now_ms);
    unlock(q);
    return ms;
}

void quota_resume(struct quota *q)
{
    limits_resume(lock(q));
    unlock(q);
}

/* ---- connections -----------------------------------------------------------
 */

static int count_lanes(const struct quota_row *row)
{
    int count = 0;

    for (int i = 0; i < row->worker_count; i++) {
        count += row->workers[i].lanes;
    }
    return count;
}

static int count_working(const struct quota_row *row)
{
    int count = 0;

    for (int i = 0; i < row->worker_count; i++) {
        count += row->workers[i].working;
    }
    return count;
}

static bool is_waiting(const struct quota_worker *w, int64_t now_ms)
{
    return w->wanting_ms != 0 && now_ms - w->wanting_ms < FRESH_MS;
}

/* Workers that wait for a connection and go before this one: those with fewer
 * connections, and of those with as many the one that waits longer. */
static int count_before(const struct quota_row *row,
                        const struct quota_worker *me, int64_t now_ms)
{
    int count = 0;

    for (int i = 0; i < row->worker_count; i++) {
        const struct quota_worker *other = &row->workers[i];

        if (other == me || !is_waiting(other, now_ms)) {
            continue;
        }
        count += other->lanes < me->lanes ||
                 (other->lanes == me->lanes &&
                  (!is_waiting(me, now_ms) ||
                   other->wants_since_ms < me->wants_since_ms));
    }
    return count;
}

static void want_lane(struct quota_worker *me, int64_t now_ms)
{
    if (!is_waiting(me, now_ms)) {
        me->wants_since_ms = now_ms;
    }
    me->wanting_ms = now_ms;
}

int quota_lanes(const struct quota *q)
{
    int lanes = limits_lanes(lock(q));

    unlock(q);
    return lanes;
}

int quota_lanes_used(const struct quota *q)
{
    int lanes = 0;

    lock(q);
    lanes = count_lanes(q->row);
    unlock(q);
    return lanes;
}

bool quota_take_lane(struct quota *q, int64_t now_ms)
{
    struct quota_worker *me = &q->row->workers[q->worker];
    struct limits *l = lock(q);
    int left = limits_lanes(l) - count_lanes(q->row);
    bool is_taken = left > count_before(q->row, me, now_ms) &&
                    limits_rest_ms(l, now_ms) == 0 &&
                    limits_take_connect(l, now_ms);

    if (is_taken) {
        me->lanes_since_ms = me->lanes == 0 ? now_ms : me->lanes_since_ms;
        me->lanes++;
        me->wanting_ms = 0;
    } else {
        want_lane(me, now_ms);
    }
    unlock(q);
    return is_taken;
}

void quota_give_lane(struct quota *q)
{
    lock(q);
    q->row->workers[q->worker].lanes--;
    unlock(q);
}

void quota_want_no_lane(struct quota *q)
{
    /* Only this worker writes it, others but read. */
    if (q->row->workers[q->worker].wanting_ms != 0) {
        lock(q);
        q->row->workers[q->worker].wanting_ms = 0;
        unlock(q);
    }
}

/* The one that yields: it has the most connections, and of those with as many
 * has had them longest. */
static bool is_richest(const struct quota_row *row,
                       const struct quota_worker *me)
{
    for (int i = 0; i < row->worker_count; i++) {
        const struct quota_worker *other = &row->workers[i];

        if (other->lanes > me->lanes ||
            (other->lanes == me->lanes &&
             (other->lanes_since_ms < me->lanes_since_ms ||
              (other->lanes_since_ms == me->lanes_since_ms && other < me)))) {
            return false;
        }
    }
    return me->lanes > 0;
}

static bool should_yield(const struct quota_row *row,
                         const struct quota_worker *me, int64_t now_ms)
{
    int used = count_lanes(row);

    if (!is_richest(row, me)) {
        return false;
    }
    if (used > limits_lanes_max(&row->limits)) {
        return true;
    }
    if (used < limits_lanes(&row->limits)) {
        return false;
    }
    for (int i = 0; i < row->worker_count; i++) {
        const struct quota_worker *other = &row->workers[i];

        if (other != me && is_waiting(other, now_ms) &&
            (other->lanes + 2 <= me->lanes ||
             (other->lanes == 0 && now_ms - me->lanes_since_ms >= TURN_MS))) {
            return true;
        }
    }
    return false;
}

bool quota_must_yield(const struct quota *q, int64_t now_ms)
{
    bool must = false;

    lock(q);
    must = should_yield(q->row, &q->row->workers[q->worker], now_ms);
    unlock(q);
    return must;
}

void quota_working(struct quota *q, int lanes, bool has_more)
{
    struct limits *l = lock(q);

    q->row->workers[q->worker].working = lanes;
    if (has_more) {
        limits_proven(l, count_working(q->row));
    }
    unlock(q);
}

int64_t quota_failed(struct quota *q, int64_t now_ms)
{
    struct limits *l = lock(q);
    int64_t ms = limits_failed(l, now_ms, count_working(q->row));

    unlock(q);
    return ms;
}
