/*
 * log - one line per fact, to standard error.
 *
 * A line is built in one buffer on the stack and written by one write, so
 * lines of several processes on one pipe do not mix. The fields are not left
 * to printf: only whoever puts them together knows where a value begins and
 * ends, and so what in it has to be escaped.
 */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/utf8.h"

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

/* ---- values ------------------------------------------------------------ */

/* C0 and C1: U+0000 to U+001F, U+007F to U+009F. */
static bool is_control(const char *at, size_t bytes)
{
    unsigned char c = (unsigned char)at[bytes - 1];

    return bytes == 1 ? c < 0x20 || c == 0x7f
                      : bytes == 2 && at[0] == '\xc2' && c < 0xa0;
}

/* Control characters and what is no UTF-8 (the journal would hide the whole
 * line for it) become \xNN: what came from outside cannot begin a line or
 * steer a terminal; and between quotes, a quote or a backslash cannot end the
 * value. */
static void put_escaped(struct buf *b, struct span text, bool is_quoted)
{
    const char *end = text.ptr + text.len;
    size_t bytes = 0;

    for (const char *at = text.ptr; at < end; at += bytes) {
        bool ok = true;

        bytes = utf8_length(at, end, &ok);
        if (!ok || is_control(at, bytes)) {
            for (size_t i = 0; i < bytes; i++) {
                buf_printf(b, "\\x%02x", (unsigned char)at[i]);
            }
            continue;
        }
        if (is_quoted && (*at == '"' || *at == '\\')) {
            buf_putc(b, '\\');
        }
        buf_put(b, at, bytes);
    }
}

static bool needs_quotes(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (strchr(" \"=\\", text.ptr[i]) != NULL && text.ptr[i] != '\0') {
            return true;
        }
    }
    return false;
}

/* ---- the fields -------------------------------------------------------- */

/* A walk through the format of the fields. */
struct fields {
    struct buf *out;
    const char *at; /* next byte of the format */
    bool is_quoted; /* the format has opened a quote and not closed it */
    char before;    /* last byte of the format before this conversion */
    va_list args;
};

/* One conversion: "%", flags and width (which mean nothing in a line of
 * fields), precision, length, letter. */
struct conversion {
    int precision; /* -1: none */
    int longs;     /* how many "l"; "z", "j" and "t" are as long as "ll" */
    char letter;
};

static struct conversion read_conversion(struct fields *f)
{
    struct conversion c = {.precision = -1};

    f->at += strspn(f->at, "-+ #0123456789");
    if (f->at[0] == '.' && f->at[1] == '*') {
        c.precision = va_arg(f->args, int);
        f->at += 2;
    } else if (f->at[0] == '.') {
        c.precision = atoi(f->at + 1);
        f->at += 1 + strspn(f->at + 1, "0123456789");
    }
    for (; *f->at != '\0' && strchr("lzjth", *f->at) != NULL; f->at++) {
        c.longs += *f->at == 'h' ? 0 : *f->at == 'l' ? 1 : 2;
    }
    c.letter = *f->at;
    f->at += c.letter != '\0';
    return c;
}

static void put_text(struct fields *f, const struct conversion *c)
{
    const char *text = va_arg(f->args, const char *);
    struct span value = SPAN_LIT("(null)");
    bool stands_alone =
        f->before == '=' && (*f->at == ' ' || *f->at == '\0') && !f->is_quoted;

    if (text != NULL) {
        value = span_make(text, c->precision < 0
                                    ? strlen(text)
                                    : strnlen(text, (size_t)c->precision));
    }
    if (stands_alone && needs_quotes(value)) {
        buf_putc(f->out, '"');
        put_escaped(f->out, value, true);
        buf_putc(f->out, '"');
    } else {
        put_escaped(f->out, value, f->is_quoted);
    }
}

static void put_conversion(struct fields *f)
{
    struct conversion c = read_conversion(f);

    switch (c.letter) {
    case 's': put_text(f, &c); break;
    case 'd':
    case 'i':
        buf_i64(f->out, c.longs > 1   ? va_arg(f->args, long long)
                        : c.longs > 0 ? va_arg(f->args, long)
                                      : va_arg(f->args, int));
        break;
    case 'u':
        buf_u64(f->out, c.longs > 1   ? va_arg(f->args, unsigned long long)
                        : c.longs > 0 ? va_arg(f->args, unsigned long)
                                      : va_arg(f->args, unsigned));
        break;
    case 'f':
        buf_printf(f->out, "%.*f", c.precision < 0 ? 6 : c.precision,
                   va_arg(f->args, double));
        break;
    case 'g': buf_printf(f->out, "%g", va_arg(f->args, double)); break;
    case 'c': buf_putc(f->out, (char)va_arg(f->args, int)); break;
    case '%': buf_putc(f->out, '%'); break;
    default: /* not one of ours: what its argument is cannot be known */
        buf_puts(f->out, "(?)");
        f->at += strlen(f->at);
    }
}

static void put_fields(struct fields *f)
{
    while (*f->at != '\0') {
        char c = *f->at++;

        if (c == '%') {
            put_conversion(f);
        } else {
            f->is_quoted ^= c == '"';
            buf_putc(f->out, c);
        }
        f->before = c;
    }
}

/* ---- lines ------------------------------------------------------------- */

/* systemd.exec(5): the variable names the journal's socket; what has been
 * redirected since is no journal. */
static bool is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device = 0;
    unsigned long long inode = 0;
    struct stat status;

    return stream != NULL &&
           sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
           fstat(STDERR_FILENO, &status) == 0 && status.st_dev == device &&
           status.st_ino == inode;
}

void log_line(enum log_level level, const char *msg, const char *fields, ...)
{
    char memory[LINE_MAX_BYTES + 1];
    struct buf line;
    struct fields walk = {.out = &line, .at = fields};

    if (level < threshold) {
        return;
    }
    buf_wrap(&line, memory, LINE_MAX_BYTES);
    if (is_journal()) {
        buf_printf(&line, "<%d>", levels[level].priority);
    } else {
        put_time(&line);
    }
    buf_printf(&line, "level=%s msg=\"%s\" ", levels[level].name, msg);
    va_start(walk.args, fields);
    put_fields(&walk);
    va_end(walk.args);
    if (line.len > 0 && line.data[line.len - 1] == ' ') {
        line.len--;
    }
    memory[line.len] = '\n'; /* the one byte kept for it */
    (void)!write(STDERR_FILENO, memory, line.len + 1);
}
