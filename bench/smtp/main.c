/*
 * bench-smtp - what it costs a client to hand mail to a relay.
 *
 *     bench-smtp transfer  libcurl's own mail transfer, the yardstick
 *     bench-smtp lanes     the lanes of the dispatcher
 *
 * Each prints one line of JSON.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
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

static void usage(FILE *file)
{
    fprintf(file, "Usage: bench-smtp COMMAND --relay HOST:PORT [OPTION]...\n");
    for (int i = 0; i < COMMANDS; i++) {
        fprintf(file, "  %-10s %s\n", commands[i].name, commands[i].about);
    }
    fprintf(file,
            "  --relay HOST:PORT   where to send\n"
            "  --mails N           how many (default 10000)\n"
            "  --lanes N           connections at once (default 8)\n"
            "  --size N            octets of a letter (default 2048)\n"
            "  --gear NAME         lanes: lockstep, pipelined, streamed, auto\n"
            "  --window N          lanes: letters in flight on a streamed one "
            "(default 64)\n");
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

void bench_recipient(char *memory, size_t size, uint64_t number)
{
    snprintf(memory, size, "reader-%llu@bench.example",
             (unsigned long long)number);
}

void bench_letter(struct buf *b, uint64_t number, size_t size)
{
    static const char text[] = "The build of a package has failed; see below "
                               "for what the log says.\r\n";
    size_t from = b->len;
    char to[64];

    bench_recipient(to, sizeof(to), number);
    buf_puts(b, "Message-ID: <");
    buf_u64(b, number);
    buf_putc(b, '.');
    buf_u64(b, (unsigned long long)getpid());
    buf_puts(b, "@bench.example>\r\nDate: Mon, 01 Jan 2024 00:00:00 +0000\r\n"
                "From: Build Service <noreply@bench.example>\r\nTo: ");
    buf_puts(b, to);
    buf_puts(b, "\r\nSubject: Build failed\r\nMIME-Version: 1.0\r\n"
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

static bool set_option(struct bench_options *o, int which, const char *value)
{
    const char *colon = strrchr(value, ':');

    switch (which) {
    case 'r':
        if (colon == NULL || (size_t)(colon - value) >= sizeof(o->host)) {
            return false;
        }
        memcpy(o->host, value, (size_t)(colon - value));
        o->host[colon - value] = '\0';
        o->port = atoi(colon + 1);
        return o->port > 0;
    case 'm': o->mails = strtoull(value, NULL, 10); return o->mails > 0;
    case 'l': o->lanes = atoi(value); return o->lanes > 0;
    case 's': o->size = strtoull(value, NULL, 10); return o->size > 0;
    case 'g': o->gear = value; return true;
    case 'w': o->window = atoi(value); return o->window > 0;
    }
    return false;
}

static void print_result(const char *command, const struct bench_options *o,
                         const struct bench_result *r)
{
    double mails = r->sent ? (double)r->sent : 1.0;

    printf("{\"command\": \"%s\", \"gear\": \"%s\", \"mails\": %llu, "
           "\"lanes\": %d, \"size\": %zu, ",
           command, strcmp(command, "lanes") == 0 ? o->gear : "",
           (unsigned long long)o->mails, o->lanes, o->size);
    printf("\"sent\": %llu, \"not_sent\": %llu, \"connections\": %llu, "
           "\"seconds\": %.3f, \"mails_per_s\": %.0f, ",
           (unsigned long long)r->sent, (unsigned long long)r->not_sent,
           (unsigned long long)r->connections, (double)r->wall_us / 1e6,
           mails * 1e6 / (double)(r->wall_us ? r->wall_us : 1));
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
    static const struct option longs[] = {
        {"relay", required_argument, NULL, 'r'},
        {"mails", required_argument, NULL, 'm'},
        {"lanes", required_argument, NULL, 'l'},
        {"size", required_argument, NULL, 's'},
        {"gear", required_argument, NULL, 'g'},
        {"window", required_argument, NULL, 'w'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct bench_options o = {.mails = 10000,
                              .lanes = 8,
                              .size = 2048,
                              .gear = "streamed",
                              .window = 64};
    struct bench_result r;
    const struct command *command = NULL;

    for (;;) {
        int found = getopt_long(argc, argv, "", longs, NULL);

        if (found == -1) {
            break;
        }
        if (found == 'h') {
            usage(stdout);
            return EX_OK;
        }
        if (found == '?' || !set_option(&o, found, optarg)) {
            usage(stderr);
            return EX_USAGE;
        }
    }
    command = optind + 1 == argc ? find_command(argv[optind]) : NULL;
    if (command == NULL || o.port == 0) {
        usage(stderr);
        return EX_USAGE;
    }
    if (!command->run(&o, &r)) {
        return EX_UNAVAILABLE;
    }
    print_result(command->name, &o, &r);
    return r.sent == o.mails ? EX_OK : EX_TEMPFAIL;
}
