/*
 * worker_letters - letters to lanes, outcomes back.
 *
 *     waiting ──on_next──▶ composed ──on_begun──▶ in flight ──on_done──▶ judged
 *        ▲                    │                                            │
 *        └────on_returned─────┘                   the batch's last: settle ▼
 *
 * What an outcome means for a letter is decided in worker_judge.c.
 */
#include <string.h>

#include "base/log.h"
#include "engine/worker_inner.h"
#include "mail/address.h"

enum { BUDGET_WAIT_MS = 1000 };

/* ---- the queue of letters that wait ------------------------------------ */

static void wait_at_end(struct worker *w, struct letter *l)
{
    list_append(&w->waiting[l->batch->urgency], &l->node);
    w->waiting_count++;
}

static struct letter *take_waiting(struct worker *w)
{
    for (int u = URGENCY_URGENT; u <= URGENCY_BULK; u++) {
        struct list_node *n = list_take(&w->waiting[u]);

        if (n != NULL) {
            w->waiting_count--;
            return LIST_OF(n, struct letter, node);
        }
    }
    return NULL;
}

void letters_take(struct worker *w, struct batch *batch)
{
    struct journal_batch *record = batch->record;

    list_append(&w->batches, &batch->node);
    for (uint32_t i = 0; i < batch->letter_count; i++) {
        struct letter *l = &batch->letters[i];

        if (batch->claimed_epoch != 0 && record != NULL) {
            l->outcome = journal_outcome(record, i);
        }
        if (l->outcome.verdict == VERDICT_NONE) {
            wait_at_end(w, l);
        }
    }
    /* Only now: judging the last one settles the batch. */
    for (uint32_t i = 0, n = batch->letter_count; i < n; i++) {
        struct letter *l = &batch->letters[i];

        if (l->outcome.verdict != VERDICT_NONE) {
            bool is_last = batch->open_count == 1;

            letter_judge(w, l);
            if (is_last) {
                return;
            }
        }
    }
}

/* ---- what lanes ask and tell ------------------------------------------- */

static bool is_beyond_budget(const struct letter *l)
{
    bool is_beyond = l->recipient->is_beyond_budget;

    for (uint32_t i = 0; i < l->event_count; i++) {
        is_beyond |= l->events[i]->is_beyond_budget;
    }
    return is_beyond;
}

/* Judges letters that need no lane; true when l is one of them. */
static bool is_judged_here(struct worker *w, struct letter *l)
{
    if (l->batch->is_lost) {
        /* Another worker sends it; if not so, settling queues it again. */
        letter_requeue(l, 0, false);
        letter_judge_as(w, l, VERDICT_NONE, SPAN_NONE);
    } else if (l->recipient == NULL) {
        letter_judge_as(w, l, VERDICT_SKIPPED,
                        SPAN_LIT("no such recipient any more"));
    } else if (!l->recipient->is_active) {
        letter_judge_as(w, l, VERDICT_SKIPPED,
                        SPAN_LIT("recipient is inactive"));
    } else if (l->recipient->suppressed.len > 0) {
        letter_judge_as(w, l, VERDICT_SKIPPED, l->recipient->suppressed);
    } else if (is_beyond_budget(l)) {
        letter_requeue(l, BUDGET_WAIT_MS, false);
        letter_judge_as(w, l, VERDICT_NONE, SPAN_NONE);
    } else {
        return false;
    }
    return true;
}

static void log_poison(const struct letter *l)
{
    for (uint32_t i = 0; i < l->event_count; i++) {
        struct event *e = l->events[i];

        if (e->is_poison && !e->is_told) {
            e->is_told = true;
            log_warn("event set aside", "event=%lld type=%.*s why=\"%.*s\"",
                     (long long)e->id, SPAN_ARG(e->type),
                     SPAN_ARG(e->poison_reason));
        }
    }
}

/*
 * What was parsed goes with the last letter that needs it and not with the
 * batch: it takes several times the memory of the text. A letter that comes
 * back from a lane has it parsed anew.
 */
static void release_parsed(const struct letter *l)
{
    for (uint32_t i = 0; i < l->event_count; i++) {
        struct event *e = l->events[i];

        e->letters_left -= e->letters_left > 0;
        if (e->letters_left == 0) {
            event_release(e);
        }
    }
}

/* Composes the letter behind what is in content; false when it was judged. */
static bool compose(struct worker *w, struct letter *l, struct buf *content)
{
    size_t before = content->len;

    for (;;) {
        switch (composer_write(w->composer, l, content)) {
        case COMPOSE_DONE:
            w->stats.bytes += content->len - before;
            release_parsed(l);
            return true;
        case COMPOSE_POISON:
            buf_truncate(content, before);
            log_poison(l);
            break; /* again, without it */
        case COMPOSE_NO_EVENTS:
            buf_truncate(content, before);
            log_poison(l);
            letter_judge_as(w, l, VERDICT_NONE, SPAN_NONE);
            return false;
        case COMPOSE_ADDRESS:
            buf_truncate(content, before);
            letter_judge_as(w, l, VERDICT_FAILED, l->outcome.text);
            return false;
        case COMPOSE_NO_ROOM:
            buf_truncate(content, before);
            letter_judge_as(w, l, VERDICT_FAILED,
                            SPAN_LIT("the letter, once encoded, is larger than "
                                     "mail.letter_max"));
            return false;
        }
    }
}

/* The envelope recipient: the domain as A-labels, which every relay takes. */
static bool address(struct letter *l, struct parcel *out)
{
    struct span email = l->recipient->email;
    struct buf ascii;

    out->to = email;
    switch (address_check(email, NULL)) {
    case ADDRESS_OK: return true;
    case ADDRESS_NEEDS_SMTPUTF8: out->needs_smtputf8 = true; return true;
    case ADDRESS_IDN_DOMAIN:
        buf_init(&ascii, ADDRESS_MAX + 1);
        if (address_to_ascii(email, &ascii)) {
            out->to = arena_span(&l->batch->arena, buf_view(&ascii));
            buf_release(&ascii);
            return out->to.ptr != NULL;
        }
        buf_release(&ascii);
        return false;
    case ADDRESS_INVALID: return false;
    }
    return false;
}

static enum pool_next on_next(void *ctx, struct parcel *out,
                              struct buf *content)
{
    struct worker *w = ctx;
    struct letter *l = NULL;

    if (!queue_is_sure(w->queue)) {
        return POOL_NEXT_NONE; /* somebody else may have them: wait and see */
    }
    while ((l = take_waiting(w)) != NULL) {
        size_t before = content->len;

        if (is_judged_here(w, l) || !compose(w, l, content)) {
            continue;
        }
        *out = (struct parcel){
            .letter = l,
            .from = span_of(w->settings->envelope_from),
            .urgency = l->batch->urgency,
        };
        if (!address(l, out)) {
            buf_truncate(content, before);
            letter_judge_as(
                w, l, VERDICT_FAILED,
                SPAN_LIT("the address cannot be put into an envelope"));
            continue;
        }
        w->begun_count++;
        return POOL_NEXT_GIVEN;
    }
    return POOL_NEXT_NONE;
}

static void on_begun(void *ctx, void *letter)
{
    const struct letter *l = letter;

    (void)ctx;
    if (l->batch->record != NULL) {
        journal_begun(l->batch->record, letter_index(l));
    }
}

static void on_returned(void *ctx, void *letter)
{
    struct worker *w = ctx;
    struct letter *l = letter;

    w->begun_count--;
    if (l->batch->record != NULL) {
        journal_returned(l->batch->record, letter_index(l));
    }
    if (w->state >= WORKER_STOPPING) {
        letter_requeue(l, 0, false);
        letter_judge_as(w, l, VERDICT_NONE, SPAN_NONE);
        return;
    }
    list_prepend(&w->waiting[l->batch->urgency], &l->node);
    w->waiting_count++;
}

static void on_done(void *ctx, void *letter, const struct outcome *outcome,
                    const struct relay *relay)
{
    struct worker *w = ctx;
    struct letter *l = letter;

    (void)relay;
    w->begun_count--;
    l->outcome = *outcome;
    /* Most replies are never kept: copy only what somebody will read. */
    l->outcome.text = SPAN_NONE;
    if (outcome->verdict != VERDICT_SENT ||
        w->settings->ledger_replies == LEDGER_REPLIES_ALL) {
        l->outcome.text = arena_span(&l->batch->arena, outcome->text);
        if (l->outcome.text.ptr == NULL) {
            l->outcome.text = SPAN_NONE;
        }
    }
    if (l->batch->record != NULL) {
        journal_answered(l->batch->record, letter_index(l), outcome);
    }
    if (outcome->verdict == VERDICT_FAILED ||
        outcome->verdict == VERDICT_UNSURE) {
        log_info(outcome->verdict == VERDICT_FAILED ? "letter failed"
                                                    : "letter unsure",
                 "batch=%lld recipient=%lld event=%lld code=%d reply=\"%.*s\"",
                 (long long)l->batch->origin, (long long)l->recipient_id,
                 (long long)l->events[0]->id, outcome->code,
                 SPAN_ARG(outcome->text));
    }
    letter_judge(w, l);
}

static void on_alarm(void *ctx, const struct relay *relay,
                     enum pool_alarm alarm, const char *what)
{
    struct worker *w = ctx;

    reporter_relay_alarm(w->reporter, relay, alarm, what);
    log_error("relay trouble", "relay=%s why=\"%s\"", relay->settings.name,
              what);
}

const struct pool_ops worker_pool_ops = {
    .next = on_next,
    .begun = on_begun,
    .done = on_done,
    .returned = on_returned,
    .alarm = on_alarm,
};

/* ---- stopping ----------------------------------------------------------- */

static bool is_untouched(const struct batch *batch)
{
    if (batch->open_count < batch->letter_count) {
        return false;
    }
    for (uint32_t i = 0; i < batch->letter_count; i++) {
        if (batch->letters[i].node.next == NULL) {
            return false; /* with a lane */
        }
    }
    return true;
}

static void forget_waiting(struct worker *w, struct letter *l)
{
    list_remove(&w->waiting[l->batch->urgency], &l->node);
    w->waiting_count--;
}

/* Its record stays in the journal until the database has heard our goodbye:
 * else our next life would wait for the end of a lease that nobody ended. */
static void put_back_whole(struct worker *w, struct batch *batch)
{
    for (uint32_t i = 0; i < batch->letter_count; i++) {
        forget_waiting(w, &batch->letters[i]);
    }
    list_remove(&w->batches, &batch->node);
    for (uint32_t i = 0; i < batch->event_count; i++) {
        event_release(batch->events[i]);
    }
    queue_give_back(w->queue, &batch, 1);
}

void letters_put_back(struct worker *w)
{
    struct list_node *n = list_first(&w->batches);

    while (n != NULL) {
        struct batch *batch = LIST_OF(n, struct batch, node);

        n = list_after(&w->batches, n);
        if (is_untouched(batch)) {
            put_back_whole(w, batch);
            continue;
        }
        for (uint32_t i = 0, count = batch->letter_count; i < count; i++) {
            struct letter *l = &batch->letters[i];

            if (l->node.next != NULL) {
                bool is_last = batch->open_count == 1;

                forget_waiting(w, l);
                letter_requeue(l, 0, false);
                letter_judge_as(w, l, VERDICT_NONE, SPAN_NONE);
                if (is_last) {
                    break; /* the batch is being settled */
                }
            }
        }
    }
}

void letters_release_batch(struct batch *batch)
{
    for (uint32_t i = 0; i < batch->event_count; i++) {
        event_release(batch->events[i]);
    }
    batch_free(batch);
}
