/*
 * queue_peek - is there anything to do?
 *
 * An idle service asks four times a second and hears nothing, so that asking
 * has to be cheap. A glance takes the snapshot of the database only: as long
 * as it equals the one that was taken before the last look, nothing at all was
 * committed since, and another look would find nothing. Only the clock may
 * make something due: the look tells when that is.
 */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/queue_inner.h"

static void on_peeked(void *ctx, const PGresult *result, const char *error)
{
    struct queue *q = ctx;
    struct queue_sight sight = {0};
    queue_peeked peeked = q->peeked;

    q->peeked = NULL;
    if (error != NULL || PQntuples(result) != 1) {
        log_debug("no look", "why=\"%s\"", error ? error : "no route row");
        return; /* nothing was seen, which is not: there is nothing */
    }
    sight.has_events = pg_get_bool(result, 0, 0);
    sight.has_fanouts = pg_get_bool(result, 0, 1);
    sight.has_due = pg_get_int64(result, 0, 2) > 0;
    sight.waiting = pg_get_int64(result, 0, 3);
    sight.is_ahead = pg_get_bool(result, 0, 4);
    sight.has_held = pg_get_bool(result, 0, 5);
    q->was_idle = !sight.has_events && !sight.has_fanouts && !sight.has_due &&
                  !sight.is_ahead && !sight.has_held;
    q->peek_again_ms = clock_monotonic_ms() + pg_get_int64(result, 0, 6);
    peeked(q->peek_ctx, &sight);
}

static bool ask_peek(struct queue *q)
{
    struct pg_params p = {0};

    q->was_idle = false; /* until the answer says so */
    pg_param_int32(&p, 400);
    return pg_query(q->reading, queue_sql("peek"), &p, on_peeked, q);
}

static void keep_glance(struct queue *q, struct span snapshot)
{
    size_t len = snapshot.len < sizeof(q->glance) ? snapshot.len : 0;

    memcpy(q->glance, snapshot.ptr, len);
    q->glance[len] = '\0';
}

static void on_glanced(void *ctx, const PGresult *result, const char *error)
{
    static const struct queue_sight nothing;
    struct queue *q = ctx;
    queue_peeked peeked = q->peeked;
    struct span snapshot;

    if (error != NULL || PQntuples(result) != 1) {
        q->peeked = NULL;
        return;
    }
    snapshot = pg_get_text(result, 0, 0);
    if (snapshot.len > 0 && span_equal(snapshot, span_of(q->glance))) {
        q->peeked = NULL;
        peeked(q->peek_ctx, &nothing);
        return;
    }
    /* The look comes after the glance: what it misses, the next one shows. */
    keep_glance(q, snapshot);
    if (!ask_peek(q)) {
        q->peeked = NULL;
    }
}

bool queue_peek(struct queue *q, queue_peeked peeked, void *ctx)
{
    bool is_asked = false;

    if (!queue_is_ready(q) || q->peeked != NULL) {
        return false;
    }
    q->peeked = peeked;
    q->peek_ctx = ctx;
    if (q->was_idle && clock_monotonic_ms() < q->peek_again_ms) {
        is_asked =
            pg_query(q->reading, queue_sql("glance"), NULL, on_glanced, q);
    } else {
        is_asked = ask_peek(q);
    }
    if (!is_asked) {
        q->peeked = NULL;
    }
    return is_asked;
}
