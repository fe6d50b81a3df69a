/*
 * queue_rows - rows into batches, letters, recipients and events.
 *
 * Everything is copied into the batch's arena, because the result is freed
 * when its callback returns. Each recipient and event stands once in a batch,
 * however many letters refer to it.
 */
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "store/queue_inner.h"

enum { ARENA_BLOCK = 64 * 1024, VALUE_BYTES = 40 };

/* Columns of lease.sql and take_over.sql. */
enum {
    COL_ID,
    COL_URGENCY,
    COL_ATTEMPT,
    COL_ORIGIN,
    COL_EPOCH,
    COL_ROUTED_AT,
    COL_N,
    COL_RECIPIENTS,
    COL_EVENTS,
    COL_LETTERS,
    COL_ROLES,
    COL_CLAIMED,
};

void batch_free(struct batch *batch)
{
    struct arena arena;

    if (batch != NULL) {
        arena = batch->arena; /* the batch itself lives in it */
        arena_release(&arena);
    }
}

static struct batch *new_batch(size_t memory)
{
    struct arena arena;
    struct batch *batch = NULL;

    arena_init(&arena, ARENA_BLOCK, memory);
    batch = arena_calloc(&arena, 1, sizeof(*batch));
    if (batch != NULL) {
        batch->arena = arena;
    }
    return batch;
}

/* A copy; empty when the batch has no room for it. */
static struct span keep(struct batch *batch, struct span text)
{
    struct span copy = arena_span(&batch->arena, text);

    return copy.ptr != NULL ? copy : SPAN_NONE;
}

/* Why an address is suppressed: never empty, unless it is not. */
static struct span keep_reason(struct batch *batch, struct span why)
{
    struct span copy = why.ptr != NULL ? keep(batch, why) : SPAN_NONE;

    return why.ptr != NULL && copy.len == 0 ? SPAN_LIT("suppressed") : copy;
}

static struct recipient *recipient_of(struct pending *p, int64_t id)
{
    struct recipient *r = map_get_id(&p->recipients, id);

    if (r == NULL) {
        r = arena_calloc(&p->batch->arena, 1, sizeof(*r));
        if (r != NULL) {
            r->id = id;
            map_put_id(&p->recipients, id, r);
        }
    }
    return r;
}

static struct event *event_of(struct pending *p, int64_t id)
{
    struct event *e = map_get_id(&p->events, id);

    if (e == NULL) {
        e = arena_calloc(&p->batch->arena, 1, sizeof(*e));
        if (e != NULL) {
            e->id = id;
            p->batch->events[p->batch->event_count++] = e;
            map_put_id(&p->events, id, e);
        }
    }
    return e;
}

/* Makes room for n letters about count pairs. */
static bool add_letters(struct batch *batch, uint32_t n, int count)
{
    struct event **refs = NULL;

    batch->letters = arena_calloc(&batch->arena, n, sizeof(*batch->letters));
    batch->events =
        arena_calloc(&batch->arena, (size_t)count, sizeof(*batch->events));
    refs = arena_calloc(&batch->arena, (size_t)count, sizeof(*refs));
    if (batch->letters == NULL || batch->events == NULL || refs == NULL) {
        return false;
    }
    batch->letters[0].events = refs; /* letters share it, one after another */
    return true;
}

/* The pairs of the row, in their order, into letters. */
static bool read_pairs(struct pending *p, const PGresult *result, int row)
{
    struct batch *batch = p->batch;
    struct pg_array recipients =
        pg_get_array(result, row, COL_RECIPIENTS, PG_TYPE_INT8);
    struct pg_array events =
        pg_get_array(result, row, COL_EVENTS, PG_TYPE_INT8);
    struct pg_array letters =
        pg_get_array(result, row, COL_LETTERS, PG_TYPE_INT2);
    struct pg_array roles = pg_get_array(result, row, COL_ROLES, PG_TYPE_INT2);
    bool is_numbered = letters.count != 0;
    int count = recipients.count;
    uint32_t n = (uint32_t)pg_get_int32(result, row, COL_N);
    struct event **refs = NULL;
    struct letter *letter = NULL;
    int at_letter = -1;

    if (count < 1 || events.count != count || roles.count != count || n == 0 ||
        n > (uint32_t)count || (is_numbered && letters.count != count) ||
        !add_letters(batch, n, count)) {
        return false;
    }
    refs = batch->letters[0].events;
    for (int i = 0; i < count; i++) {
        int64_t recipient_id = pg_array_next_int64(&recipients);
        struct event *event = event_of(p, pg_array_next_int64(&events));
        int role = pg_array_next_int16(&roles);
        int number = is_numbered ? pg_array_next_int16(&letters) : i;

        if (event == NULL) {
            return false;
        }
        if (letter == NULL || number != at_letter) {
            if (batch->letter_count == n) {
                return false;
            }
            at_letter = number;
            letter = &batch->letters[batch->letter_count++];
            letter->batch = batch;
            letter->recipient_id = recipient_id;
            letter->recipient = recipient_of(p, recipient_id);
            letter->role = role;
            letter->events = &refs[i];
            if (letter->recipient == NULL) {
                return false;
            }
        } else if (letter->recipient_id != recipient_id) {
            return false; /* one letter, one reader */
        }
        refs[i] = event;
        letter->event_count++;
        event->letters_left++;
    }
    batch->open_count = batch->letter_count;
    return true;
}

static bool is_urgency(enum urgency urgency)
{
    return urgency == URGENCY_URGENT || urgency == URGENCY_NORMAL ||
           urgency == URGENCY_BULK;
}

bool rows_read_batch(struct queue *q, struct pending *p, const PGresult *result,
                     int row)
{
    struct batch *batch = new_batch(q->settings.batch_memory);

    if (batch == NULL) {
        return false;
    }
    map_init(&p->recipients);
    map_init(&p->events);
    p->batch = batch;
    batch->id = pg_get_int64(result, row, COL_ID);
    batch->urgency = (enum urgency)pg_get_int16(result, row, COL_URGENCY);
    batch->attempt = pg_get_int16(result, row, COL_ATTEMPT);
    batch->origin = pg_get_int64(result, row, COL_ORIGIN);
    batch->epoch = pg_get_int64(result, row, COL_EPOCH);
    batch->routed_us = pg_get_time_us(result, row, COL_ROUTED_AT);
    if (PQnfields(result) > COL_CLAIMED) {
        batch->claimed_epoch = pg_get_int64(result, row, COL_CLAIMED);
    }
    if (!is_urgency(batch->urgency) || !read_pairs(p, result, row)) {
        log_error("a batch cannot be read",
                  "batch=%lld why=\"its columns do "
                  "not fit together or into memory\"",
                  (long long)batch->id);
        map_release(&p->recipients);
        map_release(&p->events);
        batch_free(batch);
        p->batch = NULL;
        return false;
    }
    return true;
}

void rows_read_recipients(struct group *g, const PGresult *result)
{
    for (int row = 0; row < PQntuples(result); row++) {
        int64_t id = pg_get_int64(result, row, 0);

        for (size_t i = 0; i < g->count; i++) {
            struct pending *p = &g->items[i];
            struct recipient *r = map_get_id(&p->recipients, id);

            if (r == NULL) {
                continue;
            }
            r->email = keep(p->batch, pg_get_text(result, row, 1));
            r->name = keep(p->batch, pg_get_text(result, row, 2));
            r->locale = keep(p->batch, pg_get_text(result, row, 3));
            r->is_active = pg_get_bool(result, row, 4);
            r->suppressed = keep_reason(p->batch, pg_get_text(result, row, 5));
            r->is_found = true;
            r->is_beyond_budget = r->email.ptr == NULL;
        }
    }
}

static void set_poison(struct event *e, struct span stage, struct span reason)
{
    e->is_poison = true;
    e->poison_stage = stage;
    e->poison_reason = reason;
}

/* What a payload takes in memory once it is parsed: its text, and about 40
 * bytes for each value, of which it has at most as many as it has commas,
 * brackets and braces. */
static size_t payload_cost(struct span payload)
{
    size_t marks = 1;

    for (size_t i = 0; i < payload.len; i++) {
        char c = payload.ptr[i];

        marks += (c == ',') | (c == '[') | (c == '{');
    }
    return payload.len + marks * VALUE_BYTES;
}

/* Keeps the payload while there is room for it. The first of all is always
 * kept: the budget is at least payload_max, so that every event's turn comes.
 */
static void keep_payload(struct queue *q, struct batch *batch, struct event *e,
                         struct span payload, size_t cost)
{
    if (q->payload_bytes > 0 &&
        q->payload_bytes + cost > q->settings.payload_budget) {
        e->payload = span_make(NULL, cost); /* for rows_event_cost */
        e->is_beyond_budget = true;
        return;
    }
    e->payload = arena_span(&batch->arena, payload);
    if (e->payload.ptr == NULL) {
        e->is_beyond_budget = true;
        return;
    }
    batch->payload_bytes += cost;
    q->payload_bytes += cost;
}

size_t rows_event_cost(const struct event *e)
{
    return e->payload.ptr != NULL ? payload_cost(e->payload) : e->payload.len;
}

static void fill_event(struct queue *q, struct batch *batch, struct event *e,
                       const PGresult *row)
{
    struct span payload = pg_get_text(row, 0, 2);
    size_t cost = payload_cost(payload);

    e->type = keep(batch, pg_get_text(row, 0, 1));
    e->created_us = pg_get_time_us(row, 0, 3);
    /* Stored compressed it may be small, and yet never fit in here. */
    if (payload.ptr == NULL) {
        set_poison(e, SPAN_LIT("fetch"),
                   SPAN_LIT("the payload is larger than worker.payload_max"));
    } else if (cost > q->settings.payload_budget) {
        set_poison(e, SPAN_LIT("fetch"),
                   SPAN_LIT("the payload has more text or more values than "
                            "fit into the memory of a worker"));
    } else {
        keep_payload(q, batch, e, payload, cost);
    }
}

void rows_read_event(struct queue *q, const PGresult *row)
{
    int64_t id = pg_get_int64(row, 0, 0);

    for (size_t i = 0; i < q->group.count; i++) {
        struct event *e = map_get_id(&q->group.items[i].events, id);

        if (e != NULL) {
            fill_event(q, q->group.items[i].batch, e, row);
        }
    }
}

void rows_finish(struct pending *p)
{
    struct batch *batch = p->batch;

    for (uint32_t i = 0; i < batch->event_count; i++) {
        struct event *e = batch->events[i];

        if (e->payload.ptr == NULL && !e->is_poison && !e->is_beyond_budget) {
            e->type = SPAN_LIT("");
            set_poison(e, SPAN_LIT("fetch"),
                       SPAN_LIT("the event is no longer in the log"));
        }
    }
    for (uint32_t i = 0; i < batch->letter_count; i++) {
        struct letter *l = &batch->letters[i];

        if (!l->recipient->is_found) {
            l->recipient = NULL; /* its row is gone */
        }
    }
    map_release(&p->recipients);
    map_release(&p->events);
}
