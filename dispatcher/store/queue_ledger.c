/*
 * queue_ledger - what became of letters, as rows of the ledger that are written
 * within the transaction that settles their batches.
 *
 * Letters that were plainly sent, which nearly all are, share one row, which
 * settle.sql makes of the arrays of their batch. The others have rows of their
 * own, which are copied: with the words of the verdict, when they are kept, and
 * behind them what was cut or repaired in the events to mail them.
 */
#include <stdio.h>

#include "store/queue_inner.h"

/* The leaf is named, because finding it anew for every row costs more than
 * writing the row. */
static const char copy_format[] =
    "COPY postbatch.ledger_%d (ring, at, batch_id, recipient_id, event_id, "
    "more_events, verdict, code, enhanced, role, attempt, reply) "
    "FROM STDIN (FORMAT binary)";

enum { LEDGER_COLUMNS = 12, LEDGER_LEAVES = 32, DAY_S = 86400 };

/* The leaf of the ledger for this moment: its day, modulo the leaves. */
static int leaf_of(int64_t now_us)
{
    return (int)(now_us / 1000000 / DAY_S % LEDGER_LEAVES);
}

/* ---- a row -------------------------------------------------------------- */

static void put_more_events(struct buf *b, struct event **events,
                            uint32_t count)
{
    struct buf array;

    if (count <= 1) {
        pg_copy_null(b);
        return;
    }
    buf_init(&array, 0);
    pg_array_begin(&array, PG_TYPE_INT8, count - 1);
    for (uint32_t i = 1; i < count; i++) {
        pg_array_int64(&array, events[i]->id);
    }
    pg_copy_text(b, buf_view(&array));
    buf_release(&array);
}

static void put_code(struct buf *b, int code)
{
    if (code > 0) {
        pg_copy_int16(b, (int16_t)code);
    } else {
        pg_copy_null(b);
    }
}

static void put_enhanced(struct buf *b, const int enhanced[3])
{
    char text[16];

    if (enhanced[0] == 0) {
        pg_copy_null(b);
        return;
    }
    snprintf(text, sizeof(text), "%d.%d.%d", enhanced[0], enhanced[1] % 1000,
             enhanced[2] % 1000);
    pg_copy_text(b, span_of(text));
}

static void put_row(struct buf *b, const struct letter *l, int64_t now_us,
                    struct event **events, uint32_t event_count,
                    const struct outcome *o, bool keeps_words)
{
    pg_copy_row(b, LEDGER_COLUMNS);
    pg_copy_int16(b, (int16_t)leaf_of(now_us));
    pg_copy_int64(b, now_us - PG_EPOCH_US);
    pg_copy_int64(b, l->batch->origin);
    pg_copy_int64(b, l->recipient_id);
    pg_copy_int64(b, events[0]->id);
    put_more_events(b, events, event_count);
    pg_copy_int16(b, (int16_t)o->verdict);
    put_code(b, o->code);
    if (keeps_words) {
        put_enhanced(b, o->enhanced);
    } else {
        pg_copy_null(b);
    }
    pg_copy_int16(b, (int16_t)l->role);
    pg_copy_int16(b, (int16_t)l->batch->attempt);
    if (keeps_words && o->text.len > 0) {
        pg_copy_text(b, o->text);
    } else {
        pg_copy_null(b);
    }
}

/* ---- notes about events ------------------------------------------------- */

static bool has_notes(struct event **events, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (events[i]->note.len > 0) {
            return true;
        }
    }
    return false;
}

/* The reply, if it is kept, and behind it what was done to the events. */
static void put_notes(struct buf *out, struct span reply, struct event **events,
                      uint32_t count)
{
    buf_span(out, reply);
    for (uint32_t i = 0; i < count; i++) {
        const struct event *e = events[i];

        if (e->note.len > 0 && out->len + e->note.len < OUTCOME_TEXT_MAX) {
            buf_puts(out, out->len > 0 ? "; " : "");
            if (count > 1) {
                buf_printf(out, "event %lld: ", (long long)e->id);
            }
            buf_span(out, e->note);
        }
    }
}

/* The row of the letter about these events. */
static void put_sound(struct queue *q, struct buf *b, const struct letter *l,
                      struct event **events, uint32_t count)
{
    struct outcome outcome = l->outcome;
    bool keeps_words =
        q->settings.keep_all_replies || outcome.verdict != VERDICT_SENT;
    struct buf words;

    if (!has_notes(events, count)) {
        put_row(b, l, q->settled_us, events, count, &outcome, keeps_words);
        return;
    }
    buf_init(&words, 0);
    put_notes(&words, keeps_words ? outcome.text : SPAN_NONE, events, count);
    outcome.text = buf_view(&words);
    put_row(b, l, q->settled_us, events, count, &outcome, true);
    buf_release(&words);
}

/* ---- what needs no row of its own ---------------------------------------- */

static bool is_plain(const struct queue *q, const struct letter *l)
{
    if (l->outcome.verdict != VERDICT_SENT || q->settings.keep_all_replies) {
        return false;
    }
    for (uint32_t i = 0; i < l->event_count; i++) {
        if (l->events[i]->is_poison || l->events[i]->note.len > 0) {
            return false;
        }
    }
    return true;
}

/* The letter is among those of the sum. */
static bool is_in(const struct queue *q, const struct letter *l,
                  const struct ledger_sum *sum)
{
    return sum->letters > 0 && l->outcome.code == sum->code && is_plain(q, l);
}

/* Where most letters have rows of their own all have: the arrays would be
 * kept for little. */
struct ledger_sum ledger_sum_of(const struct queue *q, const struct batch *b)
{
    struct ledger_sum sum = {0};
    uint32_t pairs = 0;

    for (uint32_t i = 0; i < b->letter_count; i++) {
        const struct letter *l = &b->letters[i];

        if (sum.letters == 0) {
            sum.code = l->outcome.code;
        }
        if (l->outcome.code == sum.code && is_plain(q, l)) {
            sum.letters++;
            pairs += l->event_count;
        } else {
            sum.apart += l->event_count;
        }
    }
    return pairs > 0 && pairs >= sum.apart ? sum : (struct ledger_sum){0};
}

void ledger_put_apart(const struct queue *q, const struct batch *b,
                      const struct ledger_sum *sum, struct buf *out)
{
    int32_t place = 1;

    pg_array_begin(out, PG_TYPE_INT4, sum->apart);
    for (uint32_t i = 0; sum->apart > 0 && i < b->letter_count; i++) {
        const struct letter *l = &b->letters[i];
        bool is_apart = !is_in(q, l, sum);

        for (uint32_t k = 0; k < l->event_count; k++, place++) {
            if (is_apart) {
                pg_array_int32(out, place);
            }
        }
    }
}

/* ---- the rows of a transaction ------------------------------------------ */

/* The letter's row, and one for each poison event that was left out of it. */
static void put_letter(struct queue *q, struct buf *b, const struct letter *l)
{
    struct event *sound[500];
    uint32_t count = 0;

    for (uint32_t i = 0; i < l->event_count; i++) {
        struct event *e = l->events[i];
        const struct outcome skipped = {.verdict = VERDICT_SKIPPED,
                                        .text = SPAN_LIT("quarantined")};

        if (e->is_poison) {
            put_row(b, l, q->settled_us, &e, 1, &skipped, true);
        } else if (count < sizeof(sound) / sizeof(sound[0])) {
            sound[count++] = e;
        }
    }
    if (count > 0 && l->outcome.verdict != VERDICT_NONE) {
        put_sound(q, b, l, sound, count);
    }
}

bool ledger_copy(struct queue *q, pg_answer on_part)
{
    struct buf data;
    size_t head = 0;
    bool is_queued = true;

    buf_init(&data, 0);
    pg_copy_begin(&data);
    head = data.len;
    for (size_t i = 0; i < q->settled_count; i++) {
        struct batch *b = q->settled[i];
        struct ledger_sum sum = ledger_sum_of(q, b);

        for (uint32_t k = 0; q->settled_held[i] && k < b->letter_count; k++) {
            if (!is_in(q, &b->letters[k], &sum)) {
                put_letter(q, &data, &b->letters[k]);
            }
        }
    }
    if (data.len > head) {
        pg_copy_end(&data);
        snprintf(q->copy_sql, sizeof(q->copy_sql), copy_format,
                 leaf_of(q->settled_us));
        is_queued = pg_copy(q->writing, q->copy_sql, &data, on_part, q);
    }
    buf_release(&data);
    return is_queued;
}
