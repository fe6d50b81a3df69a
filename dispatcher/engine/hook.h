/*
 * hook - a command of the operator's, run for each report.
 *
 * Without a shell: the setting is split into words here. The report comes as
 * JSON on standard input, and its main fields as environment variables:
 *
 *     ALARM_KIND ALARM_MESSAGE ALARM_CAUSE ALARM_SEVERITY ALARM_COMPONENT
 *     ALARM_ACTION ALARM_COUNT ALARM_HOST ALARM_ENVIRONMENT
 *     ALARM_STATE (open, over)
 *
 * Settings that came by environment (POSTBATCH_..., which hold secrets) are
 * not passed on. One run at a time; what it writes goes into the log.
 */
#ifndef ENGINE_HOOK_H
#define ENGINE_HOOK_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "model.h"

struct hook;

struct hook_settings {
    const char *command;     /* "/path/to/prog 'an argument'" */
    const char *environment; /* name of the installation */
    const char *host;
    int64_t timeout_ms; /* then it is killed, with all it has started */
};

/* ok: it ended with status 0. why: what else became of it, for people. */
typedef void hook_done_fn(void *ctx, bool ok, const char *why);

/* loop must be the default loop: only that one learns of children. */
struct hook *hook_new(struct ev_loop *loop,
                      const struct hook_settings *settings);
/* Kills what runs; its done is not called. NULL is fine. */
void hook_free(struct hook *h);

bool hook_is_busy(const struct hook *h);
/* Starts the command; done is called once, from the loop, also when it cannot
 * be started. Only when not busy. */
void hook_run(struct hook *h, const struct report *report, hook_done_fn *done,
              void *ctx);

/* What the command reads: one JSON object and a newline. */
void hook_write_json(struct buf *out, const struct hook_settings *settings,
                     const struct report *report);

/*
 * Splits a command line into words, as a shell would, but with nothing else of
 * a shell: blanks between words, 'as it is', "with \" and \\", \x for x. The
 * list ends with NULL; free with hook_words_free. NULL and *why when there is
 * no word or a quote has no end.
 */
char **hook_words(const char *command, const char **why);
void hook_words_free(char **words);

#endif
