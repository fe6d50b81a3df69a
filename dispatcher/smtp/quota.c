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
#include <sys/mman.h>

#include "base/clock.h"
#include "base/mem.h"
#include "smtp/quota_parts.h"

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

struct limits *quota_lock(const struct quota *q)
{
    if (q->is_shared) {
        lock_row(q->row);
    }
    return &q->row->limits;
}

void quota_unlock(const struct quota *q)
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
    struct limits *l = quota_lock(q);

    if (l->hosts != hosts) {
        limits_share(l, hosts, now_ms);
    }
    quota_unlock(q);
}

bool quota_has_rate(const struct quota *q)
{
    /* Settings do not change. */
    return q->row->limits.settings.letters_per_s > 0 ||
           q->row->limits.settings.letters_per_min > 0;
}

bool quota_take_letter(struct quota *q, int64_t now_ms)
{
    bool is_taken = limits_take_letter(quota_lock(q), now_ms);

    quota_unlock(q);
    return is_taken;
}

void quota_give_letter(struct quota *q)
{
    limits_give_letter(quota_lock(q));
    quota_unlock(q);
}

double quota_letters(struct quota *q, int64_t now_ms, double most)
{
    double letters = limits_letters(quota_lock(q), now_ms, most);

    quota_unlock(q);
    return letters;
}

int64_t quota_wait_ms(struct quota *q, int64_t now_ms)
{
    int64_t ms = limits_wait_ms(quota_lock(q), now_ms);

    quota_unlock(q);
    return ms;
}

int64_t quota_connect_wait_ms(struct quota *q, int64_t now_ms)
{
    int64_t ms = limits_connect_wait_ms(quota_lock(q), now_ms);

    quota_unlock(q);
    return ms;
}

int64_t quota_rest_ms(const struct quota *q, int64_t now_ms)
{
    int64_t ms = limits_rest_ms(quota_lock(q), now_ms);

    quota_unlock(q);
    return ms;
}

bool quota_is_paused(const struct quota *q)
{
    bool is_paused = quota_lock(q)->is_paused;

    quota_unlock(q);
    return is_paused;
}

int quota_failures(const struct quota *q)
{
    int failures = quota_lock(q)->failures;

    quota_unlock(q);
    return failures;
}

void quota_accepted(struct quota *q)
{
    struct limits *l = quota_lock(q);

    /* The time matters only after trouble: do not ask for it else. */
    limits_accepted(l, l->grow_at_ms > 0 ? clock_monotonic_ms() : 0);
    quota_unlock(q);
}

void quota_alive(struct quota *q)
{
    limits_alive(quota_lock(q));
    quota_unlock(q);
}

bool quota_strained(struct quota *q, int64_t now_ms)
{
    bool is_too_much = limits_strained(quota_lock(q), now_ms);

    quota_unlock(q);
    return is_too_much;
}

int64_t quota_slower(struct quota *q, int64_t now_ms)
{
    int64_t ms = limits_slower(quota_lock(q), now_ms);

    quota_unlock(q);
    return ms;
}

int64_t quota_pause(struct quota *q, int64_t now_ms, bool *is_news)
{
    struct limits *l = quota_lock(q);
    int64_t ms = 0;

    *is_news = !l->is_paused;
    ms = limits_pause(l, now_ms);
    quota_unlock(q);
    return ms;
}

void quota_resume(struct quota *q)
{
    limits_resume(quota_lock(q));
    quota_unlock(q);
}
