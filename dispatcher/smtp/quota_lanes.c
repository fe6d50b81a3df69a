/*
 * quota_lanes - who of a host's workers may have a connection.
 *
 * A worker that wants one and does not get it says so on the board, again and
 * again while it does; what it said counts for a second and a half, so nobody
 * waits for the dead. One that has a connection too many sees it when it next
 * looks, at its tick.
 */
#include "smtp/quota_parts.h"

enum {
    FRESH_MS = 1500, /* a worker that waits says so again before */
    TURN_MS = 2000,  /* how long a worker keeps its only connection when there
                        are fewer connections than workers */
};

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
    int lanes = limits_lanes(quota_lock(q));

    quota_unlock(q);
    return lanes;
}

int quota_lanes_used(const struct quota *q)
{
    int lanes = 0;

    quota_lock(q);
    lanes = count_lanes(q->row);
    quota_unlock(q);
    return lanes;
}

bool quota_take_lane(struct quota *q, int64_t now_ms)
{
    struct quota_worker *me = &q->row->workers[q->worker];
    struct limits *l = quota_lock(q);
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
    quota_unlock(q);
    return is_taken;
}

void quota_give_lane(struct quota *q)
{
    quota_lock(q);
    q->row->workers[q->worker].lanes--;
    quota_unlock(q);
}

void quota_want_no_lane(struct quota *q)
{
    /* Only this worker writes it, others but read. */
    if (q->row->workers[q->worker].wanting_ms != 0) {
        quota_lock(q);
        q->row->workers[q->worker].wanting_ms = 0;
        quota_unlock(q);
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

    quota_lock(q);
    must = should_yield(q->row, &q->row->workers[q->worker], now_ms);
    quota_unlock(q);
    return must;
}

void quota_working(struct quota *q, int lanes, bool has_more)
{
    struct limits *l = quota_lock(q);

    q->row->workers[q->worker].working = lanes;
    if (has_more) {
        limits_proven(l, count_working(q->row));
    }
    quota_unlock(q);
}

int64_t quota_failed(struct quota *q, int64_t now_ms)
{
    struct limits *l = quota_lock(q);
    int64_t ms = limits_failed(l, now_ms, count_working(q->row));

    quota_unlock(q);
    return ms;
}
