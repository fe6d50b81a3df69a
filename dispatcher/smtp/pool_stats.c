/*
 * pool_stats - what the pool has done and is doing, in numbers.
 */
#include "base/clock.h"
#include "smtp/pool_parts.h"

static void count_lane(const struct lane *l, struct pool_stats *out)
{
    switch (l->state) {
    case LANE_CONNECTING:
    case LANE_PROVING: out->connecting++; break;
    case LANE_READY: out->ready++; break;
    case LANE_SENDING: out->sending++; break;
    case LANE_DRAINING:
    case LANE_QUITTING: out->closing++; break;
    case LANE_CLOSED:
    case LANE_STATES: break;
    }
}

void pool_relay_counts(const struct pool *pool, size_t index,
                       struct pool_stats *out)
{
    const struct relay *r = pool->relays[index];
    int64_t now_ms = clock_monotonic_ms();
    struct list_node *node = list_first(&r->lanes);

    *out = (struct pool_stats){.counts = r->counts};
    while (node != NULL) {
        count_lane(LIST_OF(node, struct lane, node), out);
        node = list_after(&r->lanes, node);
    }
    out->in_flight = r->in_flight;
    out->lanes_allowed = quota_lanes(&r->quota);
    out->window = relay_window(r);
    out->rest_ms = quota_rest_ms(&r->quota, now_ms);
    out->health = relay_health(r, now_ms);
}

static void add_counts(struct relay_counts *sum, const struct relay_counts *c)
{
    sum->connections += c->connections;
    sum->connect_failures += c->connect_failures;
    sum->sent += c->sent;
    sum->deferred += c->deferred;
    sum->failed += c->failed;
    sum->unsure += c->unsure;
    sum->returned += c->returned;
    sum->bytes_out += c->bytes_out;
    sum->bytes_in += c->bytes_in;
}

void pool_counts(const struct pool *pool, struct pool_stats *out)
{
    *out = (struct pool_stats){.health = RELAY_PAUSED};
    for (size_t i = 0; i < pool->relay_count; i++) {
        struct pool_stats one;

        pool_relay_counts(pool, i, &one);
        add_counts(&out->counts, &one.counts);
        out->connecting += one.connecting;
        out->ready += one.ready;
        out->sending += one.sending;
        out->closing += one.closing;
        out->in_flight += one.in_flight;
        out->lanes_allowed += one.lanes_allowed;
        /* As good as the best of them. */
        out->health = one.health < out->health ? one.health : out->health;
    }
}

size_t pool_relay_count(const struct pool *pool)
{
    return pool->relay_count;
}

const struct relay *pool_relay(const struct pool *pool, size_t index)
{
    return pool->relays[index];
}

size_t pool_in_flight(const struct pool *pool)
{
    size_t count = pool->aside.count;

    for (size_t i = 0; i < pool->relay_count; i++) {
        count += pool->relays[i]->in_flight;
    }
    return count;
}
