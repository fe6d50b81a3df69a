/*
 * log - one line per fact, to standard error.
 *
 * A line is built in one buffer on the stack and written by one write, so
 * lines of several processes on one pipe do not mix.
 */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"

enum { LINE_MAX_BYTES = 4000 };

static enum log_level threshold = LOG_LEVEL_INFO;

static const struct {
    const char *name;
    int priority; /* of syslog(3) */
} levels[] = {
    [LOG_LEVEL_DEBUG] = {"debug", 7},
    [LOG_LEVEL_INFO] = {"info", 6},
    [LOG_LEVEL_WARN] = {"warn", 4},
    [LOG_LEVEL_ERROR] = {"error", 3},
};

void log_set_level(enum log_level level)
{
    threshold = level;
}

bool log_wants(enum log_level level)
{
    return level >= threshold;
}

static void put_time(struct buf *b)
{
    char text[40];
    struct timespec now;
    struct tm tm;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
    buf_printf(b, "%s.%03ldZ ", text, now.tv_nsec / 1000000);
}

/* Control bytes become \xNN: what came from outside cannot begin a line. */
static void put_escaped(struct buf *b, const char *text)
{
    for (const char *p = text; *p != '\0'; p++) {
        unsigned char c = (unsigned char)*p;

        if (c < 0x20 || c == 0x7f) {
            buf_printf(b, "\\x%02x", c);
        } else {
            buf_putc(b, *p);
        }
    }
}

void log_line(enum log_level level, const char *msg, const char *fields, ...)
{
    char memory[LINE_MAX_BYTES + 1];
    char values[LINE_MAX_BYTES];
    struct buf line;
    va_list args;

    if (level < threshold) {
        return;
    }
    va_start(args, fields);
    vsnprintf(values, sizeof(values), fields, args);
    va_end(args);

    buf_wrap(&line, memory, LINE_MAX_BYTES);
    if (getenv("JOURNAL_STREAM") != NULL) {
        buf_printf(&line, "<%d>", levels[level].priority);
    } else {
        put_time(&line);
    }
    buf_printf(&line, "level=%s msg=\"%s\" ", levels[level].name, msg);
    put_escaped(&line, values);
    if (line.len > 0 && line.data[line.len - 1] == ' ') {
        line.len--;
    }
    memory[line.len] = '\n'; /* the one byte kept for it */
    (void)!write(STDERR_FILENO, memory, line.len + 1);
}
