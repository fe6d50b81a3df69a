/*
 * bench-smtp - what it costs a client to hand mail to a relay.
 *
 *     bench-smtp transfer  libcurl's own mail transfer, the yardstick
 *     bench-smtp lanes     the lanes of the dispatcher
 *
 * Each prints one line of JSON at its end.
 */
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "bench/smtp/smtp_bench.h"

struct command {
    const char *name;
    bool (*run)(const struct bench_options *o, struct bench_result *r);
    const char *about;
};

static const struct command commands[] = {
    {"transfer", transfer_run,
     "libcurl's mail transfer: multi interface, handles and connections "
     "reused"},
    {"lanes", lanes_run, "the dispatcher's pool of lanes"},
};

enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static void usage(void)
{
    fprintf(stderr,
            "Usage: bench-smtp COMMAND --relay HOST:PORT [OPTION]...\n");
    for (int i = 0; i < COMMANDS; i++) {
        fprintf(stderr, "  %-10s %s\n", commands[i].name, commands[i].about);
    }
    fprintf(stderr, "Options; transfer knows the first four:\n");
    options_describe(stderr);
}

uint64_t bench_ended(const struct bench_result *r)
{
    return r->sent + r->deferred + r->failed + r->unsure + r->returned;
}

static void put_usage(struct bench_result *r, int sign)
{
    struct rusage use;

    getrusage(RUSAGE_SELF, &use);
    r->user_us +=
        sign * ((int64_t)use.ru_utime.tv_sec * 1000000 + use.ru_utime.tv_usec);
    r->system_us +=
        sign * ((int64_t)use.ru_stime.tv_sec * 1000000 + use.ru_stime.tv_usec);
    r->wall_us += sign * clock_monotonic_us();
}

void bench_start(struct bench_result *r)
{
    *r = (struct bench_result){0};
    put_usage(r, -1);
}

void bench_stop(struct bench_result *r)
{
    put_usage(r, 1);
}

void bench_digits(char *at, uint64_t number)
{
    for (int i = BENCH_DIGITS - 1; i >= 0; i--) {
        at[i] = (char)('0' + number % 10);
        number /= 10;
    }
}

struct span bench_address(char *memory, size_t size, const char *pattern,
                          uint64_t number)
{
    char digits[BENCH_DIGITS];
    struct buf b;

    buf_wrap(&b, memory, size);
    for (const char *p = pattern; *p != '\0'; p++) {
        if (*p == '%') {
            bench_digits(digits, number);
            buf_put(&b, digits, sizeof(digits));
        } else {
            buf_putc(&b, *p);
        }
    }
    return buf_view(&b);
}

void bench_letter(struct buf *b, uint64_t number, size_t size)
{
    static const char text[] = "The build of a package has failed; see below "
                               "for what the log says.\r\n";
    size_t from = b->len;

    buf_puts(b, "Message-ID: <");
    buf_u64(b, number);
    buf_putc(b, '.');
    buf_u64(b, (unsigned long long)getpid());
    buf_puts(b, "@bench.example>\r\nDate: Mon, 01 Jan 2024 00:00:00 +0000\r\n"
                "From: Build Service <noreply@bench.example>\r\n"
                "To: reader@bench.example\r\nSubject: Build failed\r\n"
                "MIME-Version: 1.0\r\n"
                "Content-Type: text/plain; charset=utf-8\r\n"
                "Auto-Submitted: auto-generated\r\n\r\n");
    while (b->len - from + sizeof(text) - 1 <= size) {
        buf_put(b, text, sizeof(text) - 1);
    }
    while (b->len - from + 2 < size) {
        buf_putc(b, '-');
    }
    buf_puts(b, "\r\n");
}

static void put_count(const char *name, uint64_t count)
{
    printf("\"%s\": %llu, ", name, (unsigned long long)count);
}

static void print_result(const char *command, const struct bench_options *o,
                         const struct bench_result *r)
{
    double mails = r->sent ? (double)r->sent : 1.0;

    printf("{\"command\": \"%s\", \"gear\": \"%s\", ", command,
           strcmp(command, "lanes") == 0 ? o->gear : "");
    put_count("mails", (uint64_t)o->mails);
    put_count("lanes", (uint64_t)o->lanes);
    put_count("size", (uint64_t)o->size);
    put_count("sent", r->sent);
    put_count("deferred", r->deferred);
    put_count("failed", r->failed);
    put_count("unsure", r->unsure);
    put_count("returned", r->returned);
    put_count("tries", r->tries);
    put_count("connections", r->connections);
    printf("\"seconds\": %.3f, \"mails_per_s\": %.0f, ",
           (double)r->wall_us / 1e6,
           mails * 1e6 / (double)(r->wall_us ? r->wall_us : 1));
    if (o->watches_loop) {
        printf("\"longest_block_ms\": %.3f, \"longest_late_ms\": %.3f, ",
               (double)r->longest_block_us / 1000.0,
               (double)r->longest_late_us / 1000.0);
    }
    printf("\"cpu_us_per_mail\": %.3f, \"user_us_per_mail\": %.3f, "
           "\"system_us_per_mail\": %.3f}\n",
           (double)(r->user_us + r->system_us) / mails,
           (double)r->user_us / mails, (double)r->system_us / mails);
}

static const struct command *find_command(const char *name)
{
    for (int i = 0; i < COMMANDS; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

int main(int argc, char **argv)
{
    struct bench_options o = {
        .mails = 10000,
        .lanes = 8,
        .size = 2048,
        .window = 64,
        .rest_ms = 1000,
        .doubts = 1000000,
        .gear = "streamed",
        .tls = "none",
        .from = "bounces@bench.example",
        .to = "reader-%@bench.example",
    };
    struct bench_result r;
    const struct command *command = NULL;
    const char *name = NULL;

    if (options_read(&o, argc, argv, &name) && name != NULL) {
        command = find_command(name);
    }
    if (command == NULL || o.relay_count == 0) {
        usage();
        return EX_USAGE;
    }
    if (!command->run(&o, &r)) {
        return EX_UNAVAILABLE;
    }
    print_result(command->name, &o, &r);
    return r.sent == (uint64_t)o.mails ? EX_OK : EX_TEMPFAIL;
}
