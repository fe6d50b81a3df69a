/*
 * pool - all relays and lanes of a worker, on one event loop.
 *
 * Everything is decided once a round of the loop, in turn(): letters are
 * taken for lanes with room, output is sent, lanes are opened and buried.
 * Events only mark lanes as dirty. So a round with a hundred replies from
 * ten relays makes one write a lane.
 *
 * The turn is an event of the lowest priority that is fed, not watched: it
 * runs behind all other events of the round, and costs nothing when there is
 * nothing to do.
 */
#include "smtp/pool.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "smtp/pool_parts.h"

enum { TICK_MAX_MS = 500, TICK_MIN_MS = 5 };

void pool_wants_turn(struct pool *pool)
{
    if (!pool->is_turn_due) {
        pool->is_turn_due = true;
        ev_feed_event(pool->loop, &pool->turn, EV_CUSTOM);
    }
}

static void flush_dirty(struct pool *pool)
{
    struct list_node *node = NULL;

    while ((node = list_take(&pool->dirty)) != NULL) {
        lane_flush(LIST_OF(node, struct lane, dirty_node));
    }
}

static void free_closed(struct pool *pool)
{
    struct list_node *node = NULL;

    while ((node = list_take(&pool->closed)) != NULL) {
        struct lane *l = LIST_OF(node, struct lane, node);

        quota_give_lane(&l->relay->quota); /* only now: its socket is closed */
        lane_free(l);
    }
}

static size_t count_lanes(const struct pool *pool)
{
    size_t count = 0;

    for (size_t i = 0; i < pool->relay_count; i++) {
        count += pool->relays[i]->lanes.count;
    }
    return count;
}

/* The tick runs while there are lanes, `later` only while all must wait. */
static void set_timers(struct pool *pool, int64_t now_ms)
{
    int64_t wait_ms = pool_wait_ms(pool, now_ms);

    if (count_lanes(pool) == 0) {
        ev_timer_stop(pool->loop, &pool->tick);
    } else if (!ev_is_active(&pool->tick)) {
        ev_timer_again(pool->loop, &pool->tick);
    }
    if (wait_ms < 0 || ev_timer_remaining(pool->loop, &pool->later) * 1000.0 >
                           (double)wait_ms + 1.0) {
        ev_timer_stop(pool->loop, &pool->later);
    }
    if (wait_ms >= 0 && !ev_is_active(&pool->later)) {
        ev_now_update(pool->loop);
        ev_timer_set(&pool->later, (double)(wait_ms + 1) / 1000.0, 0.0);
        ev_timer_start(pool->loop, &pool->later);
    }
}

static void return_aside(struct pool *pool)
{
    struct list_node *node = NULL;

    while ((node = list_take(&pool->aside)) != NULL) {
        struct put_aside *a = LIST_OF(node, struct put_aside, node);

        pool->ops->returned(pool->ctx, a->parcel.letter);
        mem_free(a);
    }
}

/* Lanes that were opened before; once would do, more does no harm. */
static void drain_lanes(struct pool *pool)
{
    return_aside(pool);
    for (size_t i = 0; i < pool->relay_count; i++) {
        struct list *lanes = &pool->relays[i]->lanes;
        struct list_node *node = list_first(lanes);

        while (node != NULL) {
            struct lane *l = LIST_OF(node, struct lane, node);

            node = list_after(lanes, node);
            lane_drain(l);
        }
    }
}

static void turn(struct pool *pool)
{
    int64_t now_ms = clock_monotonic_ms();

    pool->was_fed = false;
    if (pool->is_draining) {
        drain_lanes(pool);
    }
    if (!pool->is_draining && !pool->is_dead) {
        pool_fill(pool, now_ms);
    }
    flush_dirty(pool);
    free_closed(pool);
    if (!pool->is_draining && !pool->is_dead) {
        pool_open_lanes(pool, now_ms);
    }
    set_timers(pool, now_ms);
    if (pool->is_draining && count_lanes(pool) == 0 && pool->drained != NULL) {
        void (*drained)(void *) = pool->drained;

        pool->drained = NULL;
        drained(pool->ctx);
    }
}

static void on_turn(struct ev_loop *loop, ev_prepare *w, int events)
{
    struct pool *pool = w->data;

    (void)loop;
    (void)events;
    pool->is_turn_due = false;
    turn(pool);
}

static void on_later(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)loop;
    (void)events;
    pool_wants_turn(w->data);
}

static void on_tick(struct ev_loop *loop, ev_timer *w, int events)
{
    struct pool *pool = w->data;
    int64_t now_ms = clock_monotonic_ms();

    (void)loop;
    (void)events;
    for (size_t i = 0; i < pool->relay_count; i++) {
        struct list *lanes = &pool->relays[i]->lanes;
        struct list_node *node = list_first(lanes);

        while (node != NULL) {
            struct lane *l = LIST_OF(node, struct lane, node);

            node = list_after(lanes, node);
            lane_tick(l, now_ms);
        }
    }
    pool_yield_lanes(pool, now_ms);
    pool_wants_turn(pool);
}

struct pool *pool_new(struct ev_loop *loop, const struct pool_ops *ops,
                      void *ctx)
{
    struct pool *pool = mem_calloc(1, sizeof(*pool));

    pool->loop = loop;
    pool->ops = ops;
    pool->ctx = ctx;
    pool->is_dry = true;
    list_init(&pool->dirty);
    list_init(&pool->closed);
    list_init(&pool->aside);
    ev_init(&pool->turn, on_turn);
    ev_set_priority(&pool->turn, EV_MINPRI);
    ev_init(&pool->tick, on_tick);
    ev_init(&pool->later, on_later);
    pool->turn.data = pool;
    pool->tick.data = pool;
    pool->tick.repeat = TICK_MAX_MS / 1000.0;
    pool->later.data = pool;
    return pool;
}

/* Often enough for the shortest time that anybody set. */
static void shorten_tick(struct pool *pool, const struct relay_settings *s)
{
    const int64_t times_ms[] = {
        s->timeouts.connect_ms,
        s->timeouts.command_ms,
        s->timeouts.data_ms,
        s->timeouts.block_ms,
        s->timeouts.dot_ms,
        s->timeouts.quit_ms,
        s->idle_ms,
    };

    for (size_t i = 0; i < sizeof(times_ms) / sizeof(times_ms[0]); i++) {
        int64_t tick_ms = times_ms[i] / 4;

        tick_ms = tick_ms < TICK_MIN_MS ? TICK_MIN_MS : tick_ms;
        if ((double)tick_ms / 1000.0 < pool->tick.repeat) {
            pool->tick.repeat = (double)tick_ms / 1000.0;
        }
    }
}

void pool_use_board(struct pool *pool, struct quota_board *board, int worker)
{
    pool->board = board;
    pool->worker = worker;
}

void pool_set_share(struct pool *pool, int hosts)
{
    for (size_t i = 0; i < pool->relay_count; i++) {
        quota_share(&pool->relays[i]->quota, hosts, clock_monotonic_ms());
    }
    pool_wants_turn(pool);
}

bool pool_add_relay(struct pool *pool, const struct relay_settings *s,
                    struct problems *p)
{
    struct relay *r = NULL;

    if (!relay_settings_check(s, p)) {
        return false;
    }
    for (size_t i = 0; i < pool->relay_count; i++) {
        if (strcmp(pool->relays[i]->settings.name, s->name) == 0) {
            problems_add(p, SEVERITY_ERROR, NULL, 0,
                         "relay %s: there are two relays of this name",
                         s->name);
            return false;
        }
    }
    r = mem_calloc(1, sizeof(*r));
    relay_init(r, s, clock_monotonic_ms());
    if (pool->board != NULL) {
        quota_join(&r->quota, pool->board, pool->relay_count, pool->worker);
    }
    r->connector = connector_new(pool->loop);
    shorten_tick(pool, s);
    pool->relays = mem_realloc(pool->relays,
                               (pool->relay_count + 1) * sizeof(*pool->relays));
    pool->relays[pool->relay_count++] = r;
    return true;
}

void pool_start(struct pool *pool)
{
    pool_wants_turn(pool);
}

void pool_wake(struct pool *pool)
{
    pool->is_dry = false;
    pool_wants_turn(pool);
}

void pool_drain(struct pool *pool, void (*drained)(void *ctx))
{
    pool->is_draining = true;
    pool->drained = drained;
    pool_wants_turn(pool);
}

void pool_kill(struct pool *pool)
{
    pool->is_dead = true;
    return_aside(pool);
    for (size_t i = 0; i < pool->relay_count; i++) {
        struct list_node *node = NULL;

        while ((node = list_first(&pool->relays[i]->lanes)) != NULL) {
            lane_end(LIST_OF(node, struct lane, node), ANSWER_STOPPED,
                     "stopped before the relay answered");
        }
    }
    pool_wants_turn(pool);
}

void pool_resume(struct pool *pool)
{
    for (size_t i = 0; i < pool->relay_count; i++) {
        quota_resume(&pool->relays[i]->quota);
        pool->relays[i]->doubts = 0;
    }
    pool_wake(pool);
}

void pool_free(struct pool *pool)
{
    if (pool == NULL) {
        return;
    }
    pool_kill(pool);
    free_closed(pool);
    for (size_t i = 0; i < pool->relay_count; i++) {
        connector_free(pool->relays[i]->connector);
        relay_release(pool->relays[i]);
        mem_free(pool->relays[i]);
    }
    ev_clear_pending(pool->loop, &pool->turn);
    ev_timer_stop(pool->loop, &pool->tick);
    ev_timer_stop(pool->loop, &pool->later);
    mem_free(pool->relays);
    mem_free(pool);
}
