/*
 * reporter_backends - the places that reports go to, one row each.
 */
#include "base/log.h"
#include "engine/reporter_inner.h"

/* ---- log --------------------------------------------------------------- */

/* params are JSON, in which no control byte can be. */
static void tell_log(struct delivery *d, const struct report *r)
{
    enum log_level level = r->is_over ? LOG_LEVEL_INFO
                           : span_is(span_of(r->severity), "error")
                               ? LOG_LEVEL_ERROR
                               : LOG_LEVEL_WARN;

    log_line(level, r->is_over ? "alarm is over" : "alarm",
             "kind=%s what=\"%s\" count=%lld file=%s params=\"%.2000s\"",
             r->kind, r->message, (long long)r->count, r->file ? r->file : "",
             r->params);
    delivery_end(d, TELLING_DONE);
}

/* ---- errbit ------------------------------------------------------------ */

static void on_errbit(void *ctx, const struct web_answer *answer)
{
    struct delivery *d = ctx;
    struct errbit_ruling ruling = errbit_judge(answer);
    const char *words = answer->error ? answer->error : "";

    d->call = NULL;
    switch (ruling.fate) {
    case ERRBIT_TOLD:
        log_debug("reported to errbit", "cause=\"%s\"", d->cause);
        delivery_end(d, TELLING_DONE);
        return;
    case ERRBIT_AGAIN:
        log_warn("errbit was not told; it will be",
                 "cause=\"%s\" tries=%d status=%d why=\"%s%.*s\" mend=\"%s\"",
                 d->cause, d->tries, answer->status, words,
                 answer->body.len < 200 ? (int)answer->body.len : 200,
                 answer->body.ptr ? answer->body.ptr : "", ruling.advice);
        delivery_end(d, TELLING_AGAIN);
        return;
    case ERRBIT_MEND:
        log_error("errbit takes no reports of ours",
                  "cause=\"%s\" tries=%d status=%d says=\"%.*s\" mend=\"%s\"",
                  d->cause, d->tries, answer->status,
                  answer->body.len < 200 ? (int)answer->body.len : 200,
                  answer->body.ptr ? answer->body.ptr : "", ruling.advice);
        delivery_end(d, TELLING_AGAIN);
        return;
    case ERRBIT_REFUSED:
        log_error("errbit refuses a report; it is not sent again",
                  "cause=\"%s\" status=%d says=\"%.*s\" mend=\"%s\"", d->cause,
                  answer->status,
                  answer->body.len < 200 ? (int)answer->body.len : 200,
                  answer->body.ptr ? answer->body.ptr : "", ruling.advice);
        delivery_end(d, TELLING_DONE);
        return;
    }
}

static void tell_errbit(struct delivery *d, const struct report *r)
{
    struct reporter *reporter = d->backend->reporter;

    d->call = errbit_send(reporter->client, &reporter->errbit, r, on_errbit, d);
}

/* ---- command ----------------------------------------------------------- */

static void on_command(void *ctx, bool ok, const char *why)
{
    struct delivery *d = ctx;

    if (ok) {
        log_debug("reported by command", "cause=\"%s\"", d->cause);
    } else {
        log_error("the command for reports failed; it will be run again",
                  "cause=\"%s\" tries=%d why=\"%s\" mend=\"look at "
                  "report.command and at what it says\"",
                  d->cause, d->tries, why);
    }
    delivery_end(d, ok ? TELLING_DONE : TELLING_AGAIN);
}

static void tell_command(struct delivery *d, const struct report *r)
{
    hook_run(d->backend->reporter->hook, r, on_command, d);
}

/* ---- the table --------------------------------------------------------- */

const struct backend_kind backend_kinds[BACKEND_COUNT] = {
    [BACKEND_LOG] = {"log", 16, tell_log},
    [BACKEND_ERRBIT] = {"errbit", 4, tell_errbit},
    [BACKEND_COMMAND] = {"command", 1, tell_command},
};
