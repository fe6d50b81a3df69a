/*
 * pool_lanes - what the lanes of a pool ask and tell it.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "smtp/pool_parts.h"

static void mark_dirty(struct lane *l)
{
    struct pool *pool = l->owner;

    if (l->dirty_node.next == NULL && l->state != LANE_CLOSED) {
        list_append(&pool->dirty, &l->dirty_node);
    }
    pool_wants_turn(pool);
}

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
    bool is_counted = quota_has_rate(&r->quota);

    if (pool->is_draining ||
        (is_counted && !quota_take_letter(&r->quota, clock_monotonic_ms()))) {
        return false;
    }
    if (!take_aside(l, p, content)) {
        if (pool->is_dry ||
            pool->ops->next(pool->ctx, p, content) != POOL_NEXT_GIVEN) {
            pool->is_dry = true;
            if (is_counted) {
                quota_give_letter(&r->quota);
            }
            return false;
        }
    }
    pool->was_fed = true;
    pool->taken++;
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
    r->gears.times = r->counts.sent % 100000 ? r->gears.times : 0;
    relay_window_grow(r);
    quota_accepted(&r->quota);
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
        quota_alive(&r->quota);
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
    quota_working(&r->quota, r->lanes_live - r->lanes_connecting,
                  is_connecting(from) && l->state == LANE_READY);
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
    pool_wants_turn(pool);
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
