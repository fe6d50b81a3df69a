/*
 * queue_renew - leases are made longer while their batches are worked at.
 *
 * One renewal for all that is held, one at a time: each answer says which
 * leases are still ours. Another worker has the rest, and sends their letters.
 */
#include "store/queue.h"

#include "base/clock.h"
#include "base/log.h"
#include "store/queue_inner.h"

static void on_renewed(void *ctx, const PGresult *result, const char *error)
{
    struct queue *q = ctx;
    struct map ours;

    q->is_renewing = false;
    if (error != NULL) {
        return; /* the next renewal comes before the lease runs out */
    }
    q->sure_until_ms = q->renewal_ms + q->settings.lease_ms;
    map_init(&ours);
    for (int row = 0; row < PQntuples(result); row++) {
        map_put_id(&ours, pg_get_int64(result, row, 0), q);
    }
    for (struct list_node *n = list_first(&q->held); n != NULL;
         n = list_after(&q->held, n)) {
        struct batch *b = LIST_OF(n, struct batch, leased);

        /* One without open letters may just be gone: it is being settled. */
        if (b->is_renewing && b->open_count > 0 &&
            map_get_id(&ours, b->id) == NULL) {
            log_warn("lease lost", "batch=%lld", (long long)b->id);
            b->is_lost = true;
        }
        b->is_renewing = false;
    }
    map_release(&ours);
}

static void ask_renewal(struct queue *q)
{
    struct pg_params p = {0};
    struct buf ids;
    struct buf epochs;

    buf_init(&ids, 0);
    buf_init(&epochs, 0);
    pg_array_begin(&ids, PG_TYPE_INT8, q->held.count);
    pg_array_begin(&epochs, PG_TYPE_INT8, q->held.count);
    for (struct list_node *n = list_first(&q->held); n != NULL;
         n = list_after(&q->held, n)) {
        struct batch *b = LIST_OF(n, struct batch, leased);

        b->is_renewing = true;
        pg_array_int64(&ids, b->id);
        pg_array_int64(&epochs, b->epoch);
    }
    pg_param_int64(&p, q->worker_id);
    pg_param_int32(&p, q->settings.lease_ms);
    pg_param_binary(&p, &ids);
    pg_param_binary(&p, &epochs);
    q->renewal_ms = clock_monotonic_ms();
    q->is_renewing =
        pg_query(q->reading, queue_sql("renew"), &p, on_renewed, q);
    buf_release(&ids);
    buf_release(&epochs);
}

void queue_renew(struct queue *q)
{
    if (queue_is_ready(q) && queue_say_alive(q) && !list_is_empty(&q->held) &&
        !q->is_renewing) {
        ask_renewal(q);
    }
}

bool queue_is_sure(const struct queue *q)
{
    return clock_monotonic_ms() < q->sure_until_ms;
}
