/*
 * worker_judge - what a verdict means for a letter's future.
 *
 * Every letter is judged exactly once, by letter_judge(): sent, tried again,
 * given up or held. A batch whose letters are all judged is settled.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "engine/worker_inner.h"

enum {
    UNSURE_AT_ONCE = 2, /* tries after which it is sent again at once */
    UNSURE_FIRST_MS = 1000
};

/* ---- again, or no more ------------------------------------------------- */

void letter_requeue(struct letter *l, int64_t due_in_ms, bool is_counted)
{
    l->is_requeued = true;
    l->is_counted = is_counted;
    l->due_in_ms = due_in_ms;
}

static void retry_later(struct worker *w, struct letter *l)
{
    const struct batch *batch = l->batch;
    int64_t age_ms = (clock_wall_us() - batch->routed_us) / 1000;
    int64_t delay_ms =
        retry_delay_ms(&w->retry, batch->attempt + 1, age_ms,
                       (int64_t)l->outcome.retry_after_s * 1000, drand48());
    char *words = NULL;

    if (delay_ms != RETRY_GIVE_UP) {
        letter_requeue(l, delay_ms, true);
        return;
    }
    words = arena_printf(
        &l->batch->arena, "given up after %d %s: %.*s", batch->attempt + 1,
        batch->attempt == 0 ? "try" : "tries", SPAN_ARG(l->outcome.text));
    l->outcome.verdict = VERDICT_FAILED;
    if (words != NULL) {
        l->outcome.text = span_of(words);
    }
}

/*
 * At once: the news is late already, and connections break by chance. Then ever
 * later and not for ever: a relay that takes a letter and breaks off because of
 * it makes a twin each time. In the end it stays unsure, for a person.
 */
static void resend_unsure(struct worker *w, struct letter *l)
{
    const struct batch *batch = l->batch;
    struct retry_policy policy = w->retry;
    int64_t age_ms = (clock_wall_us() - batch->routed_us) / 1000;
    bool is_at_once = batch->attempt < UNSURE_AT_ONCE;
    int64_t delay_ms = 0;

    if (policy.first_ms > UNSURE_FIRST_MS) {
        policy.first_ms = UNSURE_FIRST_MS;
    }
    if (is_at_once) {
        policy.give_up_ms = 0; /* old for other reasons than this one */
    }
    delay_ms =
        retry_delay_ms(&policy, batch->attempt + 1, age_ms, 0, drand48());
    if (delay_ms == RETRY_GIVE_UP) {
        return;
    }
    letter_requeue(l, is_at_once ? 0 : delay_ms, true);
}

/* ---- the verdict --------------------------------------------------------- */

static void settle_if_complete(struct worker *w, struct batch *batch)
{
    if (batch->open_count > 0) {
        return;
    }
    list_remove(&w->batches, &batch->node);
    queue_settle(w->queue, batch);
}

void letter_judge(struct worker *w, struct letter *l)
{
    switch (l->outcome.verdict) {
    case VERDICT_DEFERRED: retry_later(w, l); break;
    case VERDICT_UNSURE:
        if (w->settings->unsure == UNSURE_RESEND) {
            resend_unsure(w, l);
        }
        break;
    case VERDICT_NONE:
    case VERDICT_SENT:
    case VERDICT_FAILED:
    case VERDICT_SKIPPED:
    case VERDICT_RESENT: break;
    }
    stats_count(&w->stats, l->outcome.verdict);
    l->batch->open_count--;
    settle_if_complete(w, l->batch);
}

void letter_judge_as(struct worker *w, struct letter *l, enum verdict verdict,
                     struct span reason)
{
    l->outcome = (struct outcome){.verdict = verdict, .text = reason};
    letter_judge(w, l);
}
