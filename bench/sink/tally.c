/*
 * tally - what the sink counted, and the summary that says it.
 */
#include "bench/sink/tally.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "bench/sink/sink.h"

static const struct {
    const char *name;
    size_t offset;
} counters[] = {
#define COUNTER(field)                                                         \
    {                                                                          \
#field, offsetof(struct tally, field)                                  \
    }
    COUNTER(accepted),
    COUNTER(withheld),
    COUNTER(anonymous),
    COUNTER(mails_begun),
    COUNTER(recipients),
    COUNTER(bytes),
    COUNTER(by_bdat),
    COUNTER(bdat_probes),
    COUNTER(connections),
    {"max_concurrent", offsetof(struct tally, max_open)},
    COUNTER(open),
    COUNTER(commands),
    COUNTER(refused_connections),
    COUNTER(refused_mail),
    COUNTER(refused_rcpt),
    COUNTER(refused_content),
    COUNTER(cut),
    COUNTER(without_quit),
    COUNTER(handshakes),
    COUNTER(authenticated),
#undef COUNTER
};

static void cpu_now(int64_t *user_us, int64_t *system_us)
{
    struct rusage use;

    getrusage(RUSAGE_SELF, &use);
    *user_us = (int64_t)use.ru_utime.tv_sec * 1000000 + use.ru_utime.tv_usec;
    *system_us = (int64_t)use.ru_stime.tv_sec * 1000000 + use.ru_stime.tv_usec;
}

void tally_start(struct tally *t)
{
    *t = (struct tally){.started_us = clock_monotonic_us()};
}

void tally_first_mail(struct tally *t)
{
    t->first_mail_us = clock_monotonic_us();
    cpu_now(&t->cpu_user_us, &t->cpu_system_us);
}

static void put_text(struct buf *b, const char *text)
{
    buf_putc(b, '"');
    for (const char *p = text; *p != '\0'; p++) {
        unsigned char c = (unsigned char)*p;

        if (c == '"' || c == '\\') {
            buf_putc(b, '\\');
            buf_putc(b, (char)c);
        } else if (c < 0x20 || c >= 0x7f) {
            /* Bytes above 127 may be no UTF-8: shown as Latin-1. */
            buf_printf(b, "\\u%04x", c);
        } else {
            buf_putc(b, (char)c);
        }
    }
    buf_putc(b, '"');
}

static void put_doubles(struct buf *b, const struct ids *ids)
{
    buf_printf(b, "  \"distinct\": %llu,\n  \"doubles\": %llu,\n",
               (unsigned long long)ids->distinct,
               (unsigned long long)ids->doubles);
    buf_puts(b, "  \"double_examples\": [");
    for (size_t i = 0; i < ids->example_count; i++) {
        buf_puts(b, i ? ",\n    {\"message_id\": " : "\n    {\"message_id\": ");
        put_text(b, ids->examples[i].text);
        buf_printf(b, ", \"times\": %llu}",
                   (unsigned long long)ids->examples[i].times);
    }
    buf_puts(b, ids->example_count ? "\n  ],\n" : "],\n");
}

static void put_offences(struct buf *b, const struct offences *o)
{
    buf_printf(b, "  \"offence_count\": %llu,\n  \"offences\": [",
               (unsigned long long)o->count);
    for (size_t i = 0; i < o->kept; i++) {
        const struct offence *item = &o->items[i];

        buf_puts(b, i ? ",\n    {\"what\": " : "\n    {\"what\": ");
        put_text(b, item->what);
        buf_printf(b, ", \"connection\": %llu, \"mail\": %llu, \"bytes\": ",
                   (unsigned long long)item->connection,
                   (unsigned long long)item->mail);
        put_text(b, item->bytes);
        buf_putc(b, '}');
    }
    buf_puts(b, o->kept ? "\n  ],\n" : "],\n");
}

static void put_faults(struct buf *b, const struct faults *f)
{
    buf_puts(b, "  \"faults\": [");
    for (size_t i = 0; i < f->count; i++) {
        buf_puts(b, i ? ",\n    {\"rule\": " : "\n    {\"rule\": ");
        put_text(b, f->rules[i].rule);
        buf_printf(b, ", \"hits\": %llu}",
                   (unsigned long long)f->rules[i].hits);
    }
    buf_puts(b, f->count ? "\n  ],\n" : "],\n");
}

static void put_costs(struct buf *b, const struct tally *t)
{
    int64_t user_us = 0;
    int64_t system_us = 0;
    int64_t span_us = t->last_mail_us - t->first_mail_us;
    double mails = t->accepted ? (double)t->accepted : 1.0;

    cpu_now(&user_us, &system_us);
    user_us -= t->cpu_user_us;
    system_us -= t->cpu_system_us;
    buf_printf(b, "  \"cpu_user_us\": %lld,\n  \"cpu_system_us\": %lld,\n",
               (long long)user_us, (long long)system_us);
    buf_printf(b, "  \"cpu_user_us_per_mail\": %.3f,\n",
               (double)user_us / mails);
    buf_printf(b, "  \"cpu_system_us_per_mail\": %.3f,\n",
               (double)system_us / mails);
    buf_printf(b, "  \"seconds\": %.3f,\n",
               (double)(clock_monotonic_us() - t->started_us) / 1e6);
    buf_printf(b, "  \"mail_seconds\": %.3f\n",
               span_us > 0 ? (double)span_us / 1e6 : 0.0);
}

static void put_summary(struct buf *b, const struct sink *sink)
{
    const char *tally = (const char *)&sink->tally;

    buf_puts(b, "{\n");
    for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++) {
        uint64_t value = 0;

        memcpy(&value, tally + counters[i].offset, sizeof(value));
        buf_printf(b, "  \"%s\": %llu,\n", counters[i].name,
                   (unsigned long long)value);
    }
    buf_printf(b, "  \"refused\": %llu,\n",
               (unsigned long long)(sink->tally.refused_connections +
                                    sink->tally.refused_mail +
                                    sink->tally.refused_rcpt +
                                    sink->tally.refused_content));
    put_doubles(b, &sink->ids);
    put_offences(b, &sink->offences);
    put_faults(b, &sink->options.faults);
    put_costs(b, &sink->tally);
    buf_puts(b, "}\n");
}

bool tally_write(const struct sink *sink, const char *path)
{
    struct buf b;
    bool written = false;

    buf_init(&b, 0);
    put_summary(&b, sink);
    if (!buf_ok(&b)) {
        written = false;
    } else if (path == NULL) {
        written =
            fwrite(b.data, 1, b.len, stdout) == b.len && fflush(stdout) == 0;
    } else {
        written = store_write_file(path, b.data, b.len);
    }
    buf_release(&b);
    return written;
}
