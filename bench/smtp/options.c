/*
 * options - the command line of bench-smtp, as one table.
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "bench/smtp/smtp_bench.h"

enum kind { NUMBER, TEXT, FLAG, RELAY };

struct option_row {
    const char *name;
    enum kind kind;
    size_t offset;
    int64_t least; /* of a number */
    const char *argument;
    const char *about;
};

#define AT(member) offsetof(struct bench_options, member)

static const struct option_row rows[] = {
    {"relay", RELAY, 0, 0, "HOST:PORT", "where to send; repeatable"},
    {"mails", NUMBER, AT(mails), 1, "N", "how many (10000)"},
    {"lanes", NUMBER, AT(lanes), 1, "N", "connections to a relay (8)"},
    {"size", NUMBER, AT(size), 1, "N", "octets of a letter (2048)"},
    {"gear", TEXT, AT(gear), 0, "NAME",
     "lockstep, pipelined, streamed or auto (streamed)"},
    {"window", NUMBER, AT(window), 1, "N",
     "letters in flight on a streamed lane (64)"},
    {"each", NUMBER, AT(each), 0, "N", "letters a connection, 0 = any (0)"},
    {"again", NUMBER, AT(again), 0, "N",
     "how often a letter that comes back goes out again (0)"},
    {"timeout", NUMBER, AT(timeout_ms), 1, "MS",
     "for every reply (the usual ones)"},
    {"rest", NUMBER, AT(rest_ms), 1, "MS", "of a relay in trouble (1000)"},
    {"doubts", NUMBER, AT(doubts), 1, "N",
     "policy refusals in a row that pause a relay (a million)"},
    {"tls", TEXT, AT(tls), 0, "HOW",
     "none, opportunistic, starttls or implicit (none)"},
    {"ca-file", TEXT, AT(ca_file), 0, "FILE",
     "authority of the relay's certificate; without, it is not verified"},
    {"from", TEXT, AT(from), 0, "ADDRESS",
     "sender; % stands for the letter's number"},
    {"to", TEXT, AT(to), 0, "ADDRESS", "recipient, in the same way"},
    {"letters", FLAG, AT(tells_letters), 0, NULL,
     "a line of JSON for the end of each try of a letter"},
    {"watch-loop", FLAG, AT(watches_loop), 0, NULL,
     "measure how long the event loop is blocked"},
};

enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

void options_describe(FILE *file)
{
    for (int i = 0; i < ROWS; i++) {
        const char *argument = rows[i].argument ? rows[i].argument : "";

        fprintf(file, "  --%s %-*s %s\n", rows[i].name,
                (int)(18 - strlen(rows[i].name)), argument, rows[i].about);
    }
}

static bool add_relay(struct bench_options *o, const char *text)
{
    const char *colon = strrchr(text, ':');
    struct bench_relay *r = &o->relays[o->relay_count];

    if (o->relay_count == BENCH_RELAYS || colon == NULL ||
        (size_t)(colon - text) >= sizeof(r->host)) {
        return false;
    }
    memcpy(r->host, text, (size_t)(colon - text));
    r->host[colon - text] = '\0';
    r->port = atoi(colon + 1);
    o->relay_count++;
    return r->port > 0;
}

static bool read_number(int64_t *out, const char *text, int64_t least)
{
    char *end = NULL;

    errno = 0;
    *out = strtoll(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' && *out >= least &&
           *out <= INT32_MAX;
}

static bool set(struct bench_options *o, const struct option_row *row,
                const char *text)
{
    char *member = (char *)o + row->offset;

    switch (row->kind) {
    case NUMBER: {
        int64_t number = 0;

        if (!read_number(&number, text, row->least)) {
            return false;
        }
        memcpy(member, &number, sizeof(number));
        return true;
    }
    case TEXT: memcpy(member, &text, sizeof(text)); return true;
    case FLAG: *(bool *)(void *)member = true; return true;
    case RELAY: return add_relay(o, text);
    }
    return false;
}

bool options_read(struct bench_options *o, int argc, char **argv,
                  const char **command)
{
    struct option longs[ROWS + 1] = {{0}};

    for (int i = 0; i < ROWS; i++) {
        longs[i].name = rows[i].name;
        longs[i].has_arg =
            rows[i].kind == FLAG ? no_argument : required_argument;
        longs[i].val = i;
    }
    for (;;) {
        int found = getopt_long(argc, argv, "", longs, NULL);

        if (found == -1) {
            break;
        }
        if (found == '?') {
            return false;
        }
        if (!set(o, &rows[found], optarg)) {
            fprintf(stderr, "bench-smtp: --%s cannot be \"%s\"\n",
                    rows[found].name, optarg);
            return false;
        }
    }
    *command = optind + 1 == argc ? argv[optind] : NULL;
    return true;
}
