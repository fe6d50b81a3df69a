/*
 * intake_step - from an answer of the source server to what is written.
 *
 * The answer does not name the numbers of its notifications; they are known
 * all the same, because numbers grow by one: from the cursor to "next", so as
 * many as there are notifications. Where that does not come out, something is
 * missing.
 */
#include "engine/intake_step.h"

#include "base/log.h"
#include "engine/intake_event.h"

/* False when the answer contradicts itself. */
static bool find_gap(struct cursor_step *step, const struct obs_answer *a)
{
    int64_t numbers = step->next - step->from;
    int64_t count = (int64_t)a->count;

    if (numbers < 0 && count == 0) {
        step->gap = GAP_AHEAD;
        return true;
    }
    if (count < numbers) {
        step->gap = a->is_sync_lost ? GAP_LOST : GAP_SHORT;
        step->missing = numbers - count;
    }
    return count <= numbers;
}

bool intake_step_make(struct cursor_step *step, const struct catalog *catalog,
                      int64_t cursor, const struct obs_answer *answer,
                      struct buf *why)
{
    struct buf payload;
    bool is_whole = true;

    cursor_step_init(step, answer->count);
    step->from = cursor;
    step->next = answer->next;
    if (!find_gap(step, answer)) {
        buf_printf(why,
                   "the answer has %zu notifications from %lld on and next is "
                   "%lld, expected at most one for each number",
                   answer->count, (long long)cursor, (long long)answer->next);
        cursor_step_release(step);
        return false;
    }
    buf_init(&payload, 0);
    for (struct obs_notification *n = answer->first; n != NULL; n = n->next) {
        struct span type = SPAN_NONE;

        buf_clear(&payload);
        type = intake_event(catalog, n, &payload);
        is_whole = is_whole && buf_ok(&payload);
        cursor_step_add(step, type, n->time_s, buf_view(&payload));
    }
    buf_release(&payload);
    if (!is_whole || !cursor_step_is_whole(step)) {
        buf_puts(why, "there is not enough memory for its events");
        cursor_step_release(step);
        return false;
    }
    return true;
}

void intake_step_tell(const char *source, const struct cursor_step *step)
{
    const long long from = step->from;
    const long long next = step->next;

    switch (step->gap) {
    case GAP_NONE: break;
    case GAP_LOST:
        log_error("notifications were dropped by the source before they were "
                  "fetched: their mails are never sent",
                  "source=%s from=%lld next=%lld missing=%lld "
                  "see=postbatch.intake_gap",
                  source, from, next, (long long)step->missing);
        break;
    case GAP_AHEAD:
        log_error("the cursor was beyond the end of the source, which must "
                  "have been set back: what it gave out since may be missing",
                  "source=%s cursor=%lld next=%lld see=postbatch.intake_gap",
                  source, from, next);
        break;
    case GAP_SHORT:
        log_error("the source gave fewer notifications than its numbers say",
                  "source=%s from=%lld next=%lld missing=%lld "
                  "see=postbatch.intake_gap",
                  source, from, next, (long long)step->missing);
        break;
    }
}
