/*
 * log - one line per fact, to standard error.
 *
 * Four severities, each with one meaning: debug (for whoever asked for it),
 * info (life), warn (we go on), error (somebody must act). Lines are
 * "key=value" (logfmt); control bytes are escaped, so that hostile input can
 * never forge a line, and between quotes also quotes and backslashes, so that
 * it can never forge a field. Where standard error is the journal
 * (JOURNAL_STREAM of systemd.exec(5) names it) each line begins with its "<N>"
 * priority, for "journalctl -p err", and carries no time stamp of its own.
 *
 *     log_warn("relay paused", "relay=%s seconds=%d", name, seconds);
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

enum log_level {
    LOG_LEVEL_DEBUG,
    LOG_LEVEL_INFO,
    LOG_LEVEL_WARN,
    LOG_LEVEL_ERROR
};

/* Lines below level are not written. The default is info. */
void log_set_level(enum log_level level);
bool log_wants(enum log_level level);

/* One line: the fact msg, then fields in key=value form. The conversions are
 * %s, %d, %u, %f, %g, %c with their lengths and precisions; widths and flags
 * are ignored. A text that stands alone behind "=" gets quotes when it needs
 * some; for one that always has them write key=\"%s\". */
void log_line(enum log_level level, const char *msg, const char *fields, ...)
    __attribute__((format(printf, 3, 4)));

#define log_debug(msg, ...) log_line(LOG_LEVEL_DEBUG, (msg), __VA_ARGS__)
#define log_info(msg, ...)  log_line(LOG_LEVEL_INFO, (msg), __VA_ARGS__)
#define log_warn(msg, ...)  log_line(LOG_LEVEL_WARN, (msg), __VA_ARGS__)
#define log_error(msg, ...) log_line(LOG_LEVEL_ERROR, (msg), __VA_ARGS__)

#endif
