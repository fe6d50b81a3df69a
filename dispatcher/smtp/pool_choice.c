/*
 * pool_choice - which relay, which lane, how many lanes.
 *
 * Letters go to the relays of the highest priority that are of use: up, and
 * connected or not known to be in trouble. A relay that failed is tried with
 * one connection when its rest is over, while the next priority carries the
 * letters; it gets them back with its first open lane.
 *
 * Among relays of one priority the one with the least share, which is
 * letters taken divided by weight, goes first.
 *
 * Lanes open slowly: one, then as many more as are open, while letters wait
 * and no lane has room, and never more than the quota allows to all workers
 * of the host. Who has more than others that wait closes one.
 */
#include "base/clock.h"
#include "base/log.h"
#include "smtp/pool_parts.h"

enum {
    CHUNK = 16,    /* letters for a lane before the next one is looked at */
    SHORT_MS = 50, /* between two looks for a connection that others have */
};

bool relay_can_carry(const struct relay *r, const struct parcel *p, size_t size)
{
    if (!r->is_known) {
        return true; /* it may be */
    }
    return (!p->needs_smtputf8 || r->ehlo.offers & EHLO_SMTPUTF8) &&
           (!p->needs_8bitmime || r->ehlo.offers & EHLO_8BITMIME) &&
           (r->ehlo.size_max == 0 || size <= r->ehlo.size_max);
}

/* True when letters may be kept for it. */
static bool is_of_use(const struct relay *r, int64_t now_ms)
{
    return quota_rest_ms(&r->quota, now_ms) == 0 &&
           (r->lanes_live > r->lanes_connecting ||
            quota_failures(&r->quota) == 0);
}

/* The highest priority with a relay of use; false when there is none. */
static bool find_priority(const struct pool *pool, int64_t now_ms, int *out)
{
    bool is_found = false;

    for (size_t i = 0; i < pool->relay_count; i++) {
        const struct relay *r = pool->relays[i];

        if (is_of_use(r, now_ms) &&
            (!is_found || r->settings.priority > *out)) {
            *out = r->settings.priority;
            is_found = true;
        }
    }
    return is_found;
}

bool pool_uses(const struct pool *pool, const struct relay *r, int64_t now_ms)
{
    int priority = 0;

    return find_priority(pool, now_ms, &priority) &&
           r->settings.priority == priority && is_of_use(r, now_ms);
}

static struct lane *find_room(const struct relay *r)
{
    struct list_node *node = list_first(&r->lanes);

    while (node != NULL) {
        struct lane *l = LIST_OF(node, struct lane, node);

        if (lane_has_room(l)) {
            return l;
        }
        node = list_after(&r->lanes, node);
    }
    return NULL;
}

/* The relay whose turn it is, with a lane that has room. */
static struct lane *choose(struct pool *pool, int priority, int64_t now_ms)
{
    struct lane *best = NULL;

    for (size_t i = 0; i < pool->relay_count; i++) {
        struct relay *r = pool->relays[i];
        struct lane *l = NULL;

        if (r->settings.priority != priority || !is_of_use(r, now_ms) ||
            quota_wait_ms(&r->quota, now_ms) > 0) {
            continue;
        }
        l = find_room(r);
        if (l != NULL && (best == NULL || r->share < best->relay->share)) {
            best = l;
        }
    }
    return best;
}

static bool has_letters(const struct pool *pool)
{
    return !pool->is_dry || !list_is_empty(&pool->aside);
}

/* Letters that were put aside go to whatever relay can carry them. */
static void fill_aside(struct pool *pool, int64_t now_ms)
{
    bool was_dry = pool->is_dry;

    pool->is_dry = true; /* only those */
    for (size_t i = 0; i < pool->relay_count; i++) {
        struct relay *r = pool->relays[i];
        struct lane *l = is_of_use(r, now_ms) ? find_room(r) : NULL;

        if (l != NULL) {
            lane_fill(l, (unsigned)pool->aside.count);
        }
    }
    pool->is_dry = was_dry;
}

void pool_fill(struct pool *pool, int64_t now_ms)
{
    int priority = 0;
    struct lane *l = NULL;
    struct relay *only = pool->relay_count == 1 ? pool->relays[0] : NULL;

    if (!list_is_empty(&pool->aside)) {
        fill_aside(pool, now_ms);
    }
    if (!find_priority(pool, now_ms, &priority)) {
        return;
    }
    while (!pool->is_dry && !pool->is_draining && !pool->is_dead) {
        const uint64_t before = pool->taken;
        struct relay *r = NULL;

        l = choose(pool, priority, now_ms);
        if (l == NULL) {
            return;
        }
        r = l->relay;
        /* Round and round, so that all lanes get their part. */
        list_remove(&r->lanes, &l->node);
        list_append(&r->lanes, &l->node);
        lane_fill(l, only != NULL ? 2 * CHUNK : CHUNK);
        if (pool->taken == before) {
            return; /* no memory, or no token: next time */
        }
    }
}

static bool wants_lane(const struct pool *pool, const struct relay *r)
{
    int ready = r->lanes_live - r->lanes_connecting;
    int allowed = quota_lanes(&r->quota);
    int least = r->settings.lanes_min;

    if (quota_lanes_used(&r->quota) < (least < allowed ? least : allowed)) {
        return true;
    }
    if ((!has_letters(pool) && !(pool->was_fed && r->lanes_live == 0)) ||
        (int)r->lanes.count >= allowed ||
        r->lanes_connecting >= (ready > 1 ? ready : 1)) {
        return false;
    }
    return find_room(r) == NULL;
}

/* Letters that were put aside need a lane of a relay that can carry them. */
static bool is_needed_aside(const struct pool *pool, const struct relay *r)
{
    struct list_node *node = list_first(&pool->aside);

    while (node != NULL) {
        const struct put_aside *a = LIST_OF(node, struct put_aside, node);

        if (relay_can_carry(r, &a->parcel, a->size)) {
            return true;
        }
        node = list_after(&pool->aside, node);
    }
    return false;
}

static void open_lanes(struct pool *pool, struct relay *r, int64_t now_ms)
{
    while (wants_lane(pool, r)) {
        struct lane *l = NULL;

        if (!quota_take_lane(&r->quota, now_ms)) {
            r->is_short = quota_lanes_used(&r->quota) > (int)r->lanes.count;
            return;
        }
        l = lane_open(r, pool->loop, &pool_lane_ops, pool, pool->rx,
                      sizeof(pool->rx));
        list_append(&r->lanes, &l->node);
        r->lanes_live++;
        r->lanes_connecting++;
    }
    quota_want_no_lane(&r->quota);
}

void pool_open_lanes(struct pool *pool, int64_t now_ms)
{
    int priority = 0;
    bool is_any = find_priority(pool, now_ms, &priority);

    for (size_t i = 0; i < pool->relay_count; i++) {
        struct relay *r = pool->relays[i];

        r->is_short = false;
        if (quota_rest_ms(&r->quota, now_ms) > 0 ||
            (is_any && r->settings.priority < priority &&
             quota_lanes_used(&r->quota) >= r->settings.lanes_min &&
             !is_needed_aside(pool, r))) {
            quota_want_no_lane(&r->quota);
            continue;
        }
        open_lanes(pool, r, now_ms);
    }
}

static int64_t longest(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

int64_t pool_wait_ms(struct pool *pool, int64_t now_ms)
{
    int64_t least_ms = -1;

    if (pool->is_draining || pool->is_dead) {
        return -1;
    }
    for (size_t i = 0; i < pool->relay_count; i++) {
        struct relay *r = pool->relays[i];
        int64_t wait_ms = quota_wait_ms(&r->quota, now_ms);

        if (!has_letters(pool) &&
            quota_lanes_used(&r->quota) >= r->settings.lanes_min) {
            continue;
        }
        if (wants_lane(pool, r)) {
            wait_ms =
                longest(wait_ms, quota_connect_wait_ms(&r->quota, now_ms));
            wait_ms = longest(wait_ms, r->is_short ? SHORT_MS : 0);
        }
        if (wait_ms > 0 && (least_ms < 0 || wait_ms < least_ms)) {
            least_ms = wait_ms;
        }
    }
    return least_ms;
}

/* The lane that is missed least: one without letters, or else any. */
static struct lane *find_spare(const struct relay *r)
{
    struct list_node *node = list_first(&r->lanes);
    struct lane *spare = NULL;

    while (node != NULL) {
        struct lane *l = LIST_OF(node, struct lane, node);

        if (l->state == LANE_READY ||
            (l->state == LANE_SENDING && spare == NULL)) {
            spare = l;
        }
        node = list_after(&r->lanes, node);
    }
    return spare;
}

void pool_yield_lanes(struct pool *pool, int64_t now_ms)
{
    for (size_t i = 0; i < pool->relay_count; i++) {
        struct relay *r = pool->relays[i];
        struct lane *spare = NULL;

        /* One at a time: those that are closing still count. */
        if ((int)r->lanes.count > r->lanes_live ||
            !quota_must_yield(&r->quota, now_ms)) {
            continue;
        }
        spare = find_spare(r);
        if (spare != NULL) {
            log_debug("lane yielded", "relay=%s lane=%d", r->settings.name,
                      spare->id);
            lane_drain(spare);
        }
    }
}

/* Letters for one relay: what its lanes can take, and lanes to come. */
static double relay_room(struct relay *r, int64_t now_ms)
{
    struct list_node *node = list_first(&r->lanes);
    int more = quota_lanes(&r->quota) - quota_lanes_used(&r->quota) +
               r->lanes_connecting;
    double room = 0;

    while (node != NULL) {
        room += lane_room(LIST_OF(node, struct lane, node));
        node = list_after(&r->lanes, node);
    }
    if (more > 0) {
        room += (double)more * relay_window(r);
    }
    return quota_letters(&r->quota, now_ms, room);
}

size_t pool_room(struct pool *pool)
{
    int64_t now_ms = clock_monotonic_ms();
    double room = 0;

    if (pool->is_draining || pool->is_dead) {
        return 0;
    }
    for (size_t i = 0; i < pool->relay_count; i++) {
        if (pool_uses(pool, pool->relays[i], now_ms)) {
            room += relay_room(pool->relays[i], now_ms);
        }
    }
    return (size_t)room;
}
