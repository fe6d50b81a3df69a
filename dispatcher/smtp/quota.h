/*
 * quota - a relay's limits, held in common by all workers of a host.
 *
 * What an operator says about a relay (so many letters a second, so many
 * connections) and what a relay tells us (go away, slower, come back later)
 * is true for the host, not for each of its processes. So the limits of all
 * relays are written on one board: shared memory that the parent makes before
 * it forks, a row for each relay, each under a lock that survives the death
 * of whoever holds it. A single worker has rows of its own, without a lock.
 *
 * Connections are counted by worker, so that the parent can give back those
 * of a worker that died. When fewer are free than are wanted, the worker with
 * the fewest goes first, and one that has two more than another yields one;
 * when there are fewer connections than workers, they take turns.
 *
 * Hosts do not share memory. They divide: see quota_share.
 */
#ifndef SMTP_QUOTA_H
#define SMTP_QUOTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "smtp/limits.h"

enum { QUOTA_WORKERS = 64 }; /* most workers of a board */

struct quota_board;
struct quota_row;

/* One worker's access to the row of one relay. */
struct quota {
    struct quota_row *row;
    int worker;     /* index among the board's workers */
    bool is_shared; /* the row is the board's, not ours */
};

/* A board for so many relays and workers (1 to QUOTA_WORKERS), to be made
 * before the workers are forked; NULL when there is no memory, with errno. */
struct quota_board *quota_board_new(size_t relays, int workers);
/* Unmaps it in this process; quotas on it must not be used any more. */
void quota_board_free(struct quota_board *board);
/* The limits of a relay, once and before the workers are forked. */
void quota_board_set(struct quota_board *board, size_t relay,
                     const struct limits_settings *settings, int64_t now_ms);
/* A worker has died, or has ended: its connections are gone. */
void quota_board_forget(struct quota_board *board, int worker);

/* A row of its own, for a worker that shares with nobody. */
void quota_init(struct quota *q, const struct limits_settings *settings,
                int64_t now_ms, uint64_t seed);
/* The board's row for a relay, in place of q's own. */
void quota_join(struct quota *q, struct quota_board *board, size_t relay,
                int worker);
void quota_release(struct quota *q);

/*
 * So many hosts, from 1, use this relay by what the database says: this one
 * takes its part. All workers of the host say the same.
 */
void quota_share(struct quota *q, int hosts, int64_t now_ms);

/* True when letters are counted at all: else quota_take_letter need not be
 * asked. */
bool quota_has_rate(const struct quota *q);
/* See limits.h for what these do. */
bool quota_take_letter(struct quota *q, int64_t now_ms);
void quota_give_letter(struct quota *q);
double quota_letters(struct quota *q, int64_t now_ms, double most);
int64_t quota_wait_ms(struct quota *q, int64_t now_ms);
int64_t quota_connect_wait_ms(struct quota *q, int64_t now_ms);
int64_t quota_rest_ms(const struct quota *q, int64_t now_ms);
bool quota_is_paused(const struct quota *q);
int quota_failures(const struct quota *q);

/* Connections that the host may have now, from 1, and those it has. */
int quota_lanes(const struct quota *q);
int quota_lanes_used(const struct quota *q);
/*
 * One connection more for this worker. False: it has to wait, and the others
 * know that it does, until quota_want_no_lane or for a second and a half.
 */
bool quota_take_lane(struct quota *q, int64_t now_ms);
void quota_give_lane(struct quota *q);
void quota_want_no_lane(struct quota *q);
/* True when this worker should close a connection for another that waits, or
 * because the host has more than its part. */
bool quota_must_yield(const struct quota *q, int64_t now_ms);
/* Connections of this worker that are ready for letters, or busy with them;
 * has_more: one of them has just become so. */
void quota_working(struct quota *q, int lanes, bool has_more);

void quota_accepted(struct quota *q);
void quota_alive(struct quota *q);
/* A connection of this worker could not be made, or was of no use. */
int64_t quota_failed(struct quota *q, int64_t now_ms);
bool quota_strained(struct quota *q, int64_t now_ms);
int64_t quota_slower(struct quota *q, int64_t now_ms);
/* *is_news: the relay was not paused before, by any worker. */
int64_t quota_pause(struct quota *q, int64_t now_ms, bool *is_news);
void quota_resume(struct quota *q);

#endif
