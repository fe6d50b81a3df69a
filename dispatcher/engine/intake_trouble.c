/*
 * intake_trouble - what goes wrong with the intake, and that it is over.
 *
 * After each failure the intake rests, ever longer; when it lasts, somebody is
 * told. Either side may fail: the source gives nothing that can be used
 * (intake_fail), or the database does not keep it (intake_fail_to_keep).
 */
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/utf8.h"
#include "engine/intake_inner.h"

enum {
    FIRST_REST_MS = 1000,
    LONGEST_REST_MS = 60000,
    TROUBLE_PERIODS = 10,
};

/* After a failure: ever longer, but not much longer than usual. */
static void rest(struct intake *i)
{
    int64_t first_ms = intake_least(i->settings.every_ms, FIRST_REST_MS);
    int64_t longest_ms = i->settings.every_ms > LONGEST_REST_MS
                             ? i->settings.every_ms
                             : LONGEST_REST_MS;
    int doublings = i->failures < 16 ? i->failures - 1 : 15;

    if (i->settings.runs_once) {
        intake_enter(i, INTAKE_RESTING); /* until the failure is noted */
    } else {
        intake_wait(i, INTAKE_RESTING,
                    intake_least(first_ms << doublings, longest_ms));
    }
}

static void count_failure(struct intake *i)
{
    if (i->failures++ == 0) {
        i->failing_ms = clock_monotonic_ms();
    }
    i->counts.failures++;
    i->may_hold = false;
}

static void tell_trouble(struct intake *i, const char *why)
{
    int64_t ms = clock_monotonic_ms() - i->failing_ms;

    if (i->hooks.on_trouble != NULL &&
        (i->settings.runs_once ||
         ms >= (int64_t)i->settings.every_ms * TROUBLE_PERIODS)) {
        i->is_well = false;
        i->hooks.on_trouble(i->ctx, why);
    }
}

void intake_tell_well(struct intake *i)
{
    i->failures = 0;
    if (!i->is_well && i->hooks.on_recovered != NULL) {
        i->hooks.on_recovered(i->ctx);
    }
    i->is_well = true;
}

/* A failure that was counted and logged: tells of it, and rests or ends. */
static void suffer(struct intake *i, const char *why)
{
    tell_trouble(i, why);
    rest(i);
    cursor_note_failure(i->cursor, why);
}

void intake_fail(struct intake *i, const char *why)
{
    struct buf words; /* the server's may be cut within a character */

    buf_init(&words, 0);
    utf8_repair(&words, span_of(why));
    count_failure(i);
    log_warn("nothing was fetched",
             "source=%s cursor=%lld failures=%d "
             "why=\"%s\"",
             i->settings.source, (long long)i->next, i->failures,
             buf_cstr(&words));
    suffer(i, buf_cstr(&words));
    buf_release(&words);
}

void intake_fail_to_keep(struct intake *i, const char *why)
{
    count_failure(i);
    log_error("what was fetched cannot be kept", "source=%s why=\"%s\"",
              i->settings.source, why);
    i->next = 0;
    suffer(i, why);
}
