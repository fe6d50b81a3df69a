/*
 * queue_lease - batches from PostgreSQL: leased or taken over, then fetched.
 *
 * One lease at a time; what it brings is a group, fetched together: one
 * statement for all recipients and one per leaf of the event log (nearly
 * always one). A group that cannot be completed is dropped whole and its
 * batches are let go.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/queue_inner.h"

enum {
    /* Ids of a leaf are so far apart; one that is left out ends the run, for
     * an event that nobody asked for costs more than finding the next. */
    EVENT_STEP = LEAVES,
    RECIPIENT_STEP = 4, /* up to three rows in vain are cheaper */
    RUN_LEAST = 4,
};

bool queue_is_leasing(const struct queue *q)
{
    return q->is_leasing;
}

void queue_on_let_go(void *ctx, const PGresult *result, const char *error)
{
    (void)ctx;
    (void)result;
    if (error != NULL) {
        log_debug("batches not given back", "why=\"%s\"", error);
    }
}

/* Ends the leases of these batches. On a lost connection give_back_rest does
 * it later. */
void queue_let_go(struct queue *q, const struct buf *ids)
{
    struct pg_params p = {0};

    pg_param_int64(&p, q->worker_id);
    pg_param_binary(&p, ids);
    if (!pg_query(q->reading, queue_sql("give_back"), &p, queue_on_let_go, q)) {
        log_debug("batches not given back", "why=\"connection lost\"");
    }
}

/* The batches of the group could not be fetched. Those of an earlier life are
 * kept: they will be asked for again, and nobody else may send them before. */
static void drop_group(struct queue *q)
{
    struct buf ids;

    buf_init(&ids, 0);
    pg_array_begin(&ids, PG_TYPE_INT8, q->group.count);
    for (size_t i = 0; i < q->group.count; i++) {
        struct pending *p = &q->group.items[i];

        pg_array_int64(&ids, p->batch->id);
        map_release(&p->recipients);
        map_release(&p->events);
        q->payload_bytes -= p->batch->payload_bytes;
        batch_free(p->batch);
    }
    if (q->group.count > 0 && !q->is_taking_over) {
        queue_let_go(q, &ids);
    }
    q->group.count = 0;
    buf_release(&ids);
    ev_timer_again(q->loop, &q->lease_pause); /* the reason may last */
}

/* The group is complete, or never will be. */
static void hand_over(struct queue *q)
{
    struct batch *batches[GROUP_MAX];
    size_t count = 0;

    if (q->group.is_broken) {
        drop_group(q);
    } else {
        q->is_taking_over = false;
    }
    if (list_is_empty(&q->held)) {
        q->sure_until_ms = q->asked_ms + q->settings.lease_ms;
    }
    for (; count < q->group.count; count++) {
        batches[count] = q->group.items[count].batch;
        rows_finish(&q->group.items[count]);
        list_append(&q->held, &batches[count]->leased);
    }
    q->is_leasing = false;
    if (q->hooks.on_batches != NULL) {
        q->hooks.on_batches(q->ctx, batches, count, q->group.is_broken);
    } else {
        for (size_t i = 0; i < count; i++) {
            batch_free(batches[i]);
        }
    }
}

static void fetched_one(struct queue *q, const char *error)
{
    if (error != NULL) {
        log_warn("batches not fetched", "why=\"%s\"", error);
        q->group.is_broken = true;
    }
    if (--q->group.statements == 0) {
        hand_over(q);
    }
}

static void on_recipients(void *ctx, const PGresult *result, const char *error)
{
    struct queue *q = ctx;

    if (error == NULL) {
        rows_read_recipients(&q->group, result);
    }
    fetched_one(q, error);
}

static void on_event(void *ctx, const PGresult *row)
{
    rows_read_event(ctx, row);
}

static void on_events(void *ctx, const PGresult *result, const char *error)
{
    (void)result;
    fetched_one(ctx, error);
}

/* ---- runs of ids --------------------------------------------------------- */

/*
 * In a batch many ids stand side by side, and the next row of an index scan
 * costs a third of finding one anew: so long runs are asked for by their ends,
 * and the others one by one.
 */
struct ids {
    int64_t *values;
    size_t count;
};

/* Parameters: a bigint[] of single ids, one of the first ids of runs, and one
 * of their last. */
enum { SINGLES, FIRSTS, LASTS, ID_PARAMS };

static int by_value(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left;
    int64_t b = *(const int64_t *)right;

    return (a > b) - (a < b);
}

/* The place behind the run that begins here, in which no id is further than
 * step from the one before. */
static size_t end_of_run(const struct ids *ids, size_t from, uint64_t step)
{
    const int64_t *values = ids->values;
    size_t at = from + 1;

    while (at < ids->count &&
           (uint64_t)values[at] - (uint64_t)values[at - 1] <= step) {
        at++;
    }
    return at;
}

/* Sorts the ids, and adds them to the parameters; the caller releases out. */
static void param_ids(struct pg_params *p, struct ids *ids, uint64_t step,
                      struct buf out[ID_PARAMS])
{
    size_t runs = 0;
    size_t in_runs = 0;
    size_t end = 0;

    qsort(ids->values, ids->count, sizeof(*ids->values), by_value);
    for (size_t at = 0; at < ids->count; at = end) {
        end = end_of_run(ids, at, step);
        if (end - at >= RUN_LEAST) {
            runs++;
            in_runs += end - at;
        }
    }
    for (int i = 0; i < ID_PARAMS; i++) {
        buf_init(&out[i], 0);
        pg_array_begin(&out[i], PG_TYPE_INT8,
                       i == SINGLES ? ids->count - in_runs : runs);
    }
    for (size_t at = 0; at < ids->count; at = end) {
        end = end_of_run(ids, at, step);
        if (end - at >= RUN_LEAST) {
            pg_array_int64(&out[FIRSTS], ids->values[at]);
            pg_array_int64(&out[LASTS], ids->values[end - 1]);
            continue;
        }
        for (; at < end; at++) {
            pg_array_int64(&out[SINGLES], ids->values[at]);
        }
    }
    for (int i = 0; i < ID_PARAMS; i++) {
        pg_param_binary(p, &out[i]);
    }
}

/* ---- what the group is about --------------------------------------------- */

static void ask_recipients(struct queue *q)
{
    struct pg_params p = {0};
    struct ids ids = {0};
    struct buf params[ID_PARAMS];
    size_t total = 0;

    for (size_t i = 0; i < q->group.count; i++) {
        total += q->group.items[i].recipients.count;
    }
    ids.values = mem_calloc(total, sizeof(*ids.values));
    for (size_t i = 0; i < q->group.count; i++) {
        const struct map *m = &q->group.items[i].recipients;

        for (struct map_entry *e = NULL; (e = map_next(m, e)) != NULL;) {
            ids.values[ids.count++] = (int64_t)e->hash;
        }
    }
    param_ids(&p, &ids, RECIPIENT_STEP, params);
    q->group.statements++;
    if (!pg_query(q->reading, queue_sql("fetch_recipients"), &p, on_recipients,
                  q)) {
        fetched_one(q, "connection lost");
    }
    for (int i = 0; i < ID_PARAMS; i++) {
        buf_release(&params[i]);
    }
    mem_free(ids.values);
}

/* The ids of the group's events that are in one leaf of the log. */
static void collect_leaf(const struct group *g, int leaf, struct ids *ids)
{
    ids->count = 0;
    for (size_t i = 0; i < g->count; i++) {
        const struct batch *b = g->items[i].batch;

        for (uint32_t k = 0; k < b->event_count; k++) {
            if ((b->events[k]->id & (LEAVES - 1)) == leaf) {
                ids->values[ids->count++] = b->events[k]->id;
            }
        }
    }
}

static void ask_leaf(struct queue *q, int leaf, struct ids *ids)
{
    struct pg_params p = {0};
    struct buf params[ID_PARAMS];

    pg_param_int16(&p, (int16_t)leaf);
    param_ids(&p, ids, EVENT_STEP, params);
    pg_param_int32(&p, (int32_t)q->settings.payload_max);
    q->group.statements++;
    if (!pg_query_rows(q->reading, queue_sql("fetch_events"), &p, on_event,
                       on_events, q)) {
        fetched_one(q, "connection lost");
    }
    for (int i = 0; i < ID_PARAMS; i++) {
        buf_release(&params[i]);
    }
}

static void ask_events(struct queue *q)
{
    struct ids ids = {0};
    size_t total = 0;

    for (size_t i = 0; i < q->group.count; i++) {
        total += q->group.items[i].batch->event_count;
    }
    ids.values = mem_calloc(total, sizeof(*ids.values));
    for (int leaf = 0; leaf < LEAVES; leaf++) {
        collect_leaf(&q->group, leaf, &ids);
        if (ids.count > 0) {
            ask_leaf(q, leaf, &ids);
        }
    }
    mem_free(ids.values);
}

static void on_leased(void *ctx, const PGresult *result, const char *error)
{
    struct queue *q = ctx;
    struct group *g = &q->group;

    g->count = 0;
    g->is_broken = false;
    if (error != NULL) {
        log_warn("no lease", "why=\"%s\"", error);
        g->is_broken = true;
        hand_over(q);
        return;
    }
    for (int row = 0; row < PQntuples(result) && g->count < GROUP_MAX; row++) {
        if (rows_read_batch(q, &g->items[g->count], result, row)) {
            g->count++;
        }
    }
    if (g->count == 0) {
        hand_over(q);
        return;
    }
    g->statements = 1; /* held up until all are asked */
    ask_recipients(q);
    ask_events(q);
    fetched_one(q, NULL);
}

/* Not at once after a failure. */
static bool may_ask(const struct queue *q)
{
    return queue_is_ready(q) && !q->is_leasing &&
           !ev_is_active(&q->lease_pause);
}

bool queue_lease(struct queue *q, size_t count)
{
    struct pg_params p = {0};
    struct buf urgencies;

    if (!may_ask(q)) {
        return false;
    }
    buf_init(&urgencies, 0);
    pg_array_begin(&urgencies, PG_TYPE_INT2, 3);
    for (int u = URGENCY_URGENT; u <= URGENCY_BULK; u++) {
        pg_array_int16(&urgencies, (int16_t)u);
    }
    pg_param_int64(&p, q->worker_id);
    pg_param_int32(&p, q->settings.lease_ms);
    pg_param_int32(&p, (int32_t)(count < GROUP_MAX ? count : GROUP_MAX));
    pg_param_binary(&p, &urgencies);
    pg_param_text(&p, "-infinity");
    q->asked_ms = clock_monotonic_ms();
    q->is_leasing = pg_query(q->reading, queue_sql("lease"), &p, on_leased, q);
    buf_release(&urgencies);
    return q->is_leasing;
}

bool queue_take_over(struct queue *q, const struct queue_claim *claims,
                     size_t count)
{
    struct pg_params p = {0};
    struct buf ids;
    struct buf epochs;

    if (!may_ask(q) || count > GROUP_MAX) {
        return false;
    }
    buf_init(&ids, 0);
    buf_init(&epochs, 0);
    pg_array_begin(&ids, PG_TYPE_INT8, count);
    pg_array_begin(&epochs, PG_TYPE_INT8, count);
    for (size_t i = 0; i < count; i++) {
        pg_array_int64(&ids, claims[i].batch_id);
        pg_array_int64(&epochs, claims[i].epoch);
    }
    pg_param_int64(&p, q->worker_id);
    pg_param_int32(&p, q->settings.lease_ms);
    pg_param_binary(&p, &ids);
    pg_param_binary(&p, &epochs);
    q->is_taking_over = true;
    q->asked_ms = clock_monotonic_ms();
    q->is_leasing =
        pg_query(q->reading, queue_sql("take_over"), &p, on_leased, q);
    buf_release(&ids);
    buf_release(&epochs);
    return q->is_leasing;
}
