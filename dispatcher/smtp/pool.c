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

static void wants_turn(struct pool *pool)
{
    if (!pool->is_turn_due) {
        pool->is_turn_due = true;
        ev_feed_event(pool->loop, &pool->turn, EV_CUSTOM);
    }
}

static void mark_dirty(struct lane *l)
{
    struct pool *pool = l->owner;

    if (l->dirty_node.next == NULL && l->state != LANE_CLOSED) {
        list_append(&pool->dirty, &l->dirty_node);
    }
    wants_turn(pool);
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
        lane_free(LIST_OF(node, struct lane, node));
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
    if (wait_ms < 0 ||
        ev_timer_remaining(pool->loop, &pool->later) * 1000.0 >
            (double)wait_ms + 1.0) {
        ev_timer_stop(pool->loop, &pool->later);
    }
    if (wait_ms >= 0 && !ev_is_active(&pool->later)) {
        ev_now_update(pool->loop);
        ev_timer_set(&pool->later, (double)(wait_ms + 1) / 1000.0, 0.0);
        ev_timer_start(pool->loop, &pool->later);
    }
}

static void turn(struct pool *pool)
{
    int64_t now_ms = clock_monotonic_ms();

    pool->was_fed = false;
    if (!pool->is_draining && !pool->is_dead) {
        pool_fill(pool, now_ms);
    }
    flush_dirty(pool);
    if (!pool->is_draining && !pool->is_dead) {
        pool_open_lanes(pool, now_ms);
    }
    free_closed(pool);
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
    wants_turn(w->data);
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
    wants_turn(pool);
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
        s->timeouts.connect_ms, s->timeouts.command_ms, s->timeouts.data_ms,
        s->timeouts.block_ms,   s->timeouts.dot_ms,     s->timeouts.quit_ms,
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
    r->connector = connector_new(pool->loop);
    shorten_tick(pool, s);
    pool->relays = mem_realloc(pool->relays, (pool->relay_count + 1) *
                                                 sizeof(*pool->relays));
    pool->relays[pool->relay_count++] = r;
    return true;
}

void pool_start(struct pool *pool)
{
    wants_turn(pool);
}

void pool_wake(struct pool *pool)
{
    pool->is_dry = false;
    wants_turn(pool);
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

void pool_drain(struct pool *pool, void (*drained)(void *ctx))
{
    pool->is_draining = true;
    pool->drained = drained;
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
    wants_turn(pool);
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
    wants_turn(pool);
}

void pool_resume(struct pool *pool)
{
    for (size_t i = 0; i < pool->relay_count; i++) {
        limits_resume(&pool->relays[i]->limits);
        pool->relays[i]->is_paused = false;
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

/* What lanes ask and tell. */

/* The first letter put aside that this lane's relay can carry. */
static bool take_aside(struct lane *l, struct parcel *p, struct buf *content)
{
    struct pool *pool = l->owner;
    struct list_node *node = list_first(&pool->aside);

    while (node != NULL) {
        struct put_aside *a = LIST_OF(node, struct put_aside, node);

        if (relay_can_carry(l->relay, &a->parcel, a->size)) {
            *p = a->parcel;
            buf_put(content, a->content, a->size);
            list_remove(&pool->aside, node);
            mem_free(a);
            return true;
        }
        node = list_after(&pool->aside, node);
    }
    return false;
}

static bool lane_take(struct lane *l, struct parcel *p, struct buf *content)
{
    struct pool *pool = l->owner;
    struct relay *r = l->relay;
    int64_t now_ms = l->since_ms;

    if (r->limits.second.per_ms > 0 || r->limits.minute.per_ms > 0) {
        now_ms = clock_monotonic_ms();
        if (!limits_take_letter(&r->limits, now_ms)) {
            return false;
        }
    }
    if (!take_aside(l, p, content)) {
        if (pool->is_dry ||
            pool->ops->next(pool->ctx, p, content) != POOL_NEXT_GIVEN) {
            pool->is_dry = true;
            limits_give_letter(&r->limits);
            return false;
        }
    }
    pool->was_fed = true;
    r->share += 1.0 / r->settings.weight;
    mark_dirty(l);
    return true;
}

static enum aside lane_keep_aside(struct lane *l, const struct parcel *p,
                                  struct span content)
{
    struct pool *pool = l->owner;
    enum aside aside = ASIDE_NOWHERE;
    struct put_aside *a = NULL;

    for (size_t i = 0; i < pool->relay_count; i++) {
        const struct relay *r = pool->relays[i];

        if (r != l->relay && relay_can_carry(r, p, content.len)) {
            aside = pool->aside.count < ASIDE_MAX ? ASIDE_KEPT : ASIDE_FULL;
        }
    }
    if (aside == ASIDE_KEPT) {
        a = mem_calloc(1, sizeof(*a) + content.len);
        a->parcel = *p;
        a->size = content.len;
        memcpy(a->content, content.ptr, content.len);
        list_append(&pool->aside, &a->node);
    }
    return aside;
}

static void lane_begun(struct lane *l, void *letter)
{
    struct pool *pool = l->owner;

    pool->ops->begun(pool->ctx, letter);
}

static void count_sent(struct relay *r)
{
    r->counts.sent++;
    r->doubts = 0;
    r->is_paused = false;
    r->gears.times = r->counts.sent % 100000 ? r->gears.times : 0;
    relay_window_grow(r);
    limits_accepted(&r->limits, r->limits.grow_at_ms > 0 ? clock_monotonic_ms()
                                                         : 0);
}

static void lane_judged(struct lane *l, void *letter, const struct judgement *j,
                        const struct outcome *o)
{
    struct pool *pool = l->owner;
    struct relay *r = l->relay;

    switch (j->fate) {
    case FATE_SENT: count_sent(r); break;
    case FATE_DEFERRED: r->counts.deferred++; break;
    case FATE_FAILED: r->counts.failed++; break;
    case FATE_UNSURE: r->counts.unsure++; break;
    case FATE_GO_ON:
    case FATE_RETURNED:
        r->counts.returned++;
        pool->ops->returned(pool->ctx, letter);
        return;
    }
    if (j->scope == SCOPE_LETTER && o->code != 0) {
        limits_alive(&r->limits);
    }
    pool->ops->done(pool->ctx, letter, o, r);
}

/* A new lane of a relay that had none must not make up for lost time. */
static void catch_up(struct pool *pool, struct relay *r)
{
    double least = r->share;

    for (size_t i = 0; i < pool->relay_count; i++) {
        const struct relay *other = pool->relays[i];

        if (other != r && other->lanes_live > other->lanes_connecting &&
            other->settings.priority == r->settings.priority &&
            other->share > least) {
            least = other->share;
        }
    }
    r->share = least;
}

static bool is_live(enum lane_state state)
{
    return state == LANE_CONNECTING || state == LANE_PROVING ||
           state == LANE_READY || state == LANE_SENDING;
}

static bool is_connecting(enum lane_state state)
{
    return state == LANE_CONNECTING || state == LANE_PROVING;
}

static void lane_changed(struct lane *l, enum lane_state from)
{
    struct pool *pool = l->owner;
    struct relay *r = l->relay;

    if (is_connecting(from) && l->state == LANE_READY &&
        r->lanes_live == r->lanes_connecting) {
        catch_up(pool, r);
    }
    r->lanes_live += (int)is_live(l->state) - (int)is_live(from);
    r->lanes_connecting +=
        (int)is_connecting(l->state) - (int)is_connecting(from);
    if (l->state != LANE_CLOSED) {
        return;
    }
    list_remove(&r->lanes, &l->node);
    list_append(&pool->closed, &l->node);
    if (l->dirty_node.next != NULL) {
        list_remove(&pool->dirty, &l->dirty_node);
    }
    if (!is_connecting(from) && from != LANE_QUITTING && !pool->is_dead) {
        pool_on_useless(l, clock_monotonic_ms());
    }
    wants_turn(pool);
}

const struct lane_ops pool_lane_ops = {
    .take = lane_take,
    .keep_aside = lane_keep_aside,
    .begun = lane_begun,
    .judged = lane_judged,
    .trouble = pool_on_trouble,
    .connect_failed = pool_on_connect_failed,
    .wants_turn = mark_dirty,
    .changed = lane_changed,
};
