/*
 * queue_settle - verdicts become durable, a transaction for a few batches.
 *
 *     BEGIN, settle (each)  ──all answered──▶  COPY ledger_N, quarantine,
 *                                              suppress, COMMIT ──▶ on_settled
 *
 * The three in the middle only where there is something for them: what was
 * plainly sent, settle.sql writes itself (queue_ledger.c). It is the fence:
 * for a batch whose lease was lost it removes and adds nothing and says so;
 * then none of that batch's letters goes into the ledger, because its new
 * owner writes them. If anything fails, the whole
 * transaction does, and every batch in it is offered again (SETTLE_AGAIN):
 * the outcomes are still in memory. The next transaction then has one batch
 * only, so that one that can never be settled does not hold up the others.
 */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/queue_inner.h"

/* ---- the end of a transaction ------------------------------------------ */

static void finish(struct queue *q, bool is_committed)
{
    struct batch *batches[SETTLE_MAX];
    bool held[SETTLE_MAX];
    size_t count = q->settled_count;

    memcpy(batches, q->settled, sizeof(batches));
    memcpy(held, q->settled_held, sizeof(held));
    q->settled_count = 0;
    if (!is_committed) { /* not again at once: the reason may last */
        ev_timer_again(q->loop, &q->settle_pause);
    }
    q->settle_max = !is_committed                ? 1
                    : q->settle_max < SETTLE_MAX ? q->settle_max * 2
                                                 : SETTLE_MAX;
    for (size_t i = 0; i < count; i++) {
        enum settle_result result = !is_committed
                                        ? SETTLE_AGAIN
                                        : (held[i] ? SETTLE_DONE : SETTLE_LOST);

        if (result != SETTLE_AGAIN) {
            queue_forget(q, batches[i]);
        }
        if (q->hooks.on_settled != NULL) {
            q->hooks.on_settled(q->ctx, batches[i], result);
        }
    }
    settle_next(q);
}

static void on_commit(void *ctx, const PGresult *result, const char *error)
{
    struct queue *q = ctx;
    bool is_committed =
        error == NULL && !q->settle_failed &&
        strcmp(PQcmdStatus((PGresult *)(uintptr_t)result), "COMMIT") == 0;

    finish(q, is_committed);
}

static void on_part(void *ctx, const PGresult *result, const char *error)
{
    struct queue *q = ctx;

    (void)result;
    if (error != NULL) {
        if (!q->settle_failed) {
            log_warn("batches not settled", "why=\"%s\"", error);
        }
        q->settle_failed = true;
    }
}

/* ---- poison and suppression -------------------------------------------- */

static size_t count_poison(const struct queue *q)
{
    size_t count = 0;

    for (size_t i = 0; i < q->settled_count; i++) {
        const struct batch *b = q->settled[i];

        for (uint32_t k = 0; q->settled_held[i] && k < b->event_count; k++) {
            count += b->events[k]->is_poison;
        }
    }
    return count;
}

static bool write_quarantine(struct queue *q)
{
    struct buf columns[5];
    struct pg_params p = {0};
    size_t count = count_poison(q);
    bool is_queued = true;

    if (count == 0) {
        return true;
    }
    for (size_t c = 0; c < 5; c++) {
        buf_init(&columns[c], 0);
        pg_array_begin(&columns[c],
                       c == 0 || c == 4 ? PG_TYPE_INT8 : PG_TYPE_TEXT, count);
    }
    for (size_t i = 0; i < q->settled_count; i++) {
        const struct batch *b = q->settled[i];

        for (uint32_t k = 0; q->settled_held[i] && k < b->event_count; k++) {
            const struct event *e = b->events[k];

            if (e->is_poison) {
                pg_array_int64(&columns[0], e->id);
                pg_array_text(&columns[1], e->type);
                pg_array_text(&columns[2], e->poison_stage);
                pg_array_text(&columns[3], e->poison_reason);
                pg_array_int64(&columns[4], e->created_us);
            }
        }
    }
    for (size_t c = 0; c < 5; c++) {
        pg_param_binary(&p, &columns[c]);
    }
    is_queued =
        pg_query(q->writing, queue_sql("quarantine_events"), &p, on_part, q);
    for (size_t c = 0; c < 5; c++) {
        buf_release(&columns[c]);
    }
    return is_queued;
}

static bool is_suppressing(const struct letter *l)
{
    return l->outcome.suppress && l->outcome.verdict == VERDICT_FAILED &&
           l->recipient != NULL;
}

static size_t count_suppressed(const struct queue *q)
{
    size_t count = 0;

    for (size_t i = 0; i < q->settled_count; i++) {
        const struct batch *b = q->settled[i];

        for (uint32_t k = 0; q->settled_held[i] && k < b->letter_count; k++) {
            count += is_suppressing(&b->letters[k]);
        }
    }
    return count;
}

static bool write_suppression(struct queue *q)
{
    struct buf emails;
    struct buf reasons;
    struct buf seconds;
    struct pg_params p = {0};
    size_t count = count_suppressed(q);
    bool is_queued = false;

    if (count == 0) {
        return true;
    }
    buf_init(&emails, 0);
    buf_init(&reasons, 0);
    buf_init(&seconds, 0);
    pg_array_begin(&emails, PG_TYPE_TEXT, count);
    pg_array_begin(&reasons, PG_TYPE_TEXT, count);
    pg_array_begin(&seconds, PG_TYPE_INT4, count);
    for (size_t i = 0; i < q->settled_count; i++) {
        const struct batch *b = q->settled[i];

        for (uint32_t k = 0; q->settled_held[i] && k < b->letter_count; k++) {
            if (is_suppressing(&b->letters[k])) {
                pg_array_text(&emails, b->letters[k].recipient->email);
                pg_array_text(&reasons, b->letters[k].outcome.text);
                pg_array_null(&seconds);
            }
        }
    }
    pg_param_binary(&p, &emails);
    pg_param_binary(&p, &reasons);
    pg_param_binary(&p, &seconds);
    is_queued = pg_query(q->writing, queue_sql("suppress_add"), &p, on_part, q);
    buf_release(&emails);
    buf_release(&reasons);
    buf_release(&seconds);
    return is_queued;
}

/* ---- the fence --------------------------------------------------------- */

static void on_fenced(void *ctx, const PGresult *result, const char *error)
{
    struct queue *q = ctx;
    size_t at = q->settled_answers++;

    on_part(ctx, result, error);
    q->settled_held[at] = error == NULL && pg_get_bool(result, 0, 0);
    if (error == NULL && !q->settled_held[at]) {
        log_warn("a batch was settled by its new owner", "batch=%lld",
                 (long long)q->settled[at]->id);
    }
    if (q->settled_answers < q->settled_count) {
        return;
    }
    if (q->settle_failed || !ledger_copy(q, on_part) || !write_quarantine(q) ||
        !write_suppression(q)) {
        q->settle_failed = true;
    }
    if (!pg_simple(q->writing, q->settle_failed ? "ROLLBACK" : "COMMIT",
                   on_commit, q)) {
        finish(q, false);
    }
}

/* About so much that no worker will ever hold all of it. */
static bool is_too_much(const struct queue *q, const struct letter *l)
{
    size_t cost = 0;

    for (uint32_t k = 0; k < l->event_count; k++) {
        cost += l->events[k]->is_poison ? 0 : rows_event_cost(l->events[k]);
    }
    return cost > q->settings.payload_budget;
}

/* The pairs of a letter that goes into a new batch. One that is too much goes
 * as two, its halves in batches of their own: they differ in the time. */
static void put_pairs(struct queue *q, struct buf columns[6],
                      const struct letter *l)
{
    const struct batch *b = l->batch;
    uint32_t whole = is_too_much(q, l) ? l->event_count / 2 : l->event_count;

    for (uint32_t k = 0; k < l->event_count; k++) {
        bool is_second = k >= whole;
        int64_t due_s = (l->due_in_ms + 999) / 1000 + is_second;

        if (l->events[k]->is_poison) {
            continue;
        }
        pg_array_int64(&columns[0], l->recipient_id);
        pg_array_int64(&columns[1], l->events[k]->id);
        pg_array_int16(&columns[2],
                       (int16_t)((l - b->letters) * 2 + is_second));
        pg_array_int16(&columns[3], (int16_t)l->role);
        pg_array_int32(&columns[4], (int32_t)due_s);
        pg_array_int16(&columns[5], (int16_t)(b->attempt + l->is_counted));
    }
}

/* The pairs of the batch that go into new batches, as settle.sql wants them. */
static void put_later(struct queue *q, struct buf columns[6],
                      const struct batch *b)
{
    static const enum pg_type types[6] = {PG_TYPE_INT8, PG_TYPE_INT8,
                                          PG_TYPE_INT2, PG_TYPE_INT2,
                                          PG_TYPE_INT4, PG_TYPE_INT2};
    size_t count = 0;

    for (uint32_t i = 0; i < b->letter_count; i++) {
        const struct letter *l = &b->letters[i];

        for (uint32_t k = 0; l->is_requeued && k < l->event_count; k++) {
            count += !l->events[k]->is_poison;
        }
    }
    for (size_t c = 0; c < 6; c++) {
        buf_init(&columns[c], 0);
        pg_array_begin(&columns[c], types[c], count);
    }
    for (uint32_t i = 0; i < b->letter_count; i++) {
        if (b->letters[i].is_requeued) {
            put_pairs(q, columns, &b->letters[i]);
        }
    }
}

static bool ask_settle(struct queue *q, struct batch *b)
{
    struct ledger_sum sum = ledger_sum_of(q, b);
    struct buf columns[6];
    struct buf apart;
    struct pg_params p = {0};
    bool is_queued = false;

    put_later(q, columns, b);
    buf_init(&apart, 0);
    ledger_put_apart(q, b, &sum, &apart);
    pg_param_int64(&p, b->id);
    pg_param_int64(&p, q->worker_id);
    pg_param_int64(&p, b->epoch);
    for (size_t c = 0; c < 6; c++) {
        pg_param_binary(&p, &columns[c]);
    }
    pg_param_int64(&p, q->settled_us - PG_EPOCH_US);
    pg_param_int32(&p, (int32_t)sum.letters);
    pg_param_int16(&p, (int16_t)sum.code);
    pg_param_binary(&p, &apart);
    is_queued = pg_query(q->writing, queue_sql("settle"), &p, on_fenced, q);
    buf_release(&apart);
    for (size_t c = 0; c < 6; c++) {
        buf_release(&columns[c]);
    }
    return is_queued;
}

/* ---- the way in -------------------------------------------------------- */

/* Others are about to be ready, and one has just gone: let them go together.
 * What lies here until then is in the journal. */
static bool is_better_later(const struct queue *q)
{
    return ev_is_active(&q->settle_pace) && q->settling.count < q->settle_max &&
           q->settling.count < q->held.count;
}

void settle_next(struct queue *q)
{
    struct list_node *n = NULL;

    if (q->settled_count > 0 || list_is_empty(&q->settling) ||
        ev_is_active(&q->settle_pause) || is_better_later(q) ||
        !queue_is_ready(q)) {
        return;
    }
    while (q->settled_count < q->settle_max &&
           (n = list_take(&q->settling)) != NULL) {
        q->settled[q->settled_count++] = LIST_OF(n, struct batch, node);
    }
    ev_timer_again(q->loop, &q->settle_pace);
    q->settled_answers = 0;
    q->settled_us = clock_wall_us();
    q->settle_failed = false;
    if (!pg_simple(q->writing, "BEGIN", on_part, q)) {
        q->settle_failed = true;
    }
    /* A question that cannot be asked is answered here, so that every batch
     * has its answer whatever happens to the connection. */
    for (size_t i = 0, count = q->settled_count; i < count; i++) {
        if (!ask_settle(q, q->settled[i])) {
            on_fenced(q, NULL, "connection lost");
        }
    }
}

void queue_settle(struct queue *q, struct batch *batch)
{
    list_append(&q->settling, &batch->node);
    settle_next(q);
}

size_t queue_settling(const struct queue *q)
{
    return q->settling.count + q->settled_count;
}
