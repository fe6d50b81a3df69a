/*
 * cmd_stats - the state of everything, in one look: how much waits, how old
 * the oldest is, how fast it goes, what went wrong.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/buf.h"
#include "cmd.h"
#include "store/admin.h"

static const struct option options_table[] = {
    {"json", no_argument, NULL, 'j'},
    {"watch", no_argument, NULL, 'w'},
    {NULL, 0, NULL, 0},
};

enum { WATCH_S = 2 };

/* One line of the table: words, and the columns of stats.sql behind them. */
static const struct line {
    const char *label;
    const char *column;
    const char *age_column; /* age of the oldest, or NULL */
} lines[] = {
    {"events to route", "waiting_events", "oldest_event_s"},
    {"fan-outs under way", "fanouts", NULL},
    {"letters waiting", "waiting_letters", "oldest_letter_s"},
    {"letters in flight", "leased_letters", NULL},
    {"letters to try again", "later_letters", NULL},
    {"letters held for digests", "held_letters", NULL},
    {"events in quarantine", "quarantined", NULL},
    {"unknown payload keys", "drifting", NULL},
    {"addresses suppressed", "suppressed", NULL},
    {"workers", "workers", NULL},
    {"sent", "sent_all", NULL},
    {"  in the last hour", "sent_1h", NULL},
    {"  in the last minute", "sent_1m", NULL},
    {"deferred", "deferred_all", NULL},
    {"failed", "failed_all", NULL},
    {"unsure", "unsure_all", NULL},
    {"skipped", "skipped_all", NULL},
};

/* The column of that name, or -1. */
static int find_column(const struct admin *a, const char *name)
{
    for (int c = 0; c < admin_columns(a); c++) {
        if (strcmp(admin_column_name(a, c), name) == 0) {
            return c;
        }
    }
    return -1;
}

static void print_age(const char *seconds)
{
    double s = strtod(seconds, NULL);

    if (s < 120) {
        printf("   oldest %.1f s", s);
    } else if (s < 7200) {
        printf("   oldest %.0f min", s / 60);
    } else {
        printf("   oldest %.1f h", s / 3600);
    }
}

static void print_table(const struct admin *a)
{
    int faulty = find_column(a, "faulty_types");

    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        int column = find_column(a, lines[i].column);
        int age =
            lines[i].age_column ? find_column(a, lines[i].age_column) : -1;

        if (column < 0) {
            continue;
        }
        printf("%-26s %10s", lines[i].label, admin_text(a, 0, column));
        if (age >= 0 && !admin_is_null(a, 0, age)) {
            print_age(admin_text(a, 0, age));
        }
        putchar('\n');
    }
    if (faulty >= 0 && admin_text(a, 0, faulty)[0] != '\0') {
        printf("event types set aside: %s\n", admin_text(a, 0, faulty));
    }
}

static void print_json(const struct admin *a)
{
    struct buf b;

    buf_init(&b, 0);
    for (int c = 0; c < admin_columns(a); c++) {
        const char *text = admin_text(a, 0, c);
        bool is_text = strcmp(admin_column_name(a, c), "faulty_types") == 0;

        buf_puts(&b, c ? ", " : "{");
        buf_json(&b, span_of(admin_column_name(a, c)));
        buf_puts(&b, ": ");
        if (admin_is_null(a, 0, c)) {
            buf_puts(&b, "null");
        } else if (is_text) {
            buf_json(&b, span_of(text));
        } else if (strcmp(text, "t") == 0 || strcmp(text, "f") == 0) {
            buf_puts(&b, text[0] == 't' ? "true" : "false");
        } else {
            buf_puts(&b, text);
        }
    }
    buf_puts(&b, "}");
    puts(buf_cstr(&b));
    buf_release(&b);
}

static int stats(const struct cmd_context *context, int argc, char **argv)
{
    static const char *const params[] = {"10000"};
    struct admin *admin = NULL;
    bool is_json = false;
    bool is_watch = false;
    int status = EX_OK;
    int c = 0;

    while ((c = getopt_long(argc, argv, "", options_table, NULL)) != -1) {
        is_json |= c == 'j';
        is_watch |= c == 'w';
        if (c == '?') {
            return EX_USAGE;
        }
    }
    if (optind != argc) {
        fprintf(stderr, "usage: postbatch stats %s\n", cmd_stats.usage);
        return EX_USAGE;
    }
    admin = admin_open(context->settings->dsn);
    if (admin == NULL) {
        return EX_UNAVAILABLE;
    }
    do {
        if (!admin_query(admin, "stats", params, 1)) {
            status = EX_UNAVAILABLE;
            break;
        }
        if (is_watch && !is_json) {
            fputs("\033[H\033[2J", stdout);
        }
        (is_json ? print_json : print_table)(admin);
        fflush(stdout);
    } while (is_watch && sleep(WATCH_S) == 0);
    admin_close(admin);
    return status;
}

const struct cmd cmd_stats = {
    .name = "stats",
    .usage = "[--json] [--watch]",
    .summary = "Show what waits, how old it is, how fast it goes",
    .help = "  --json   one object, for monitoring\n"
            "  --watch  again every two seconds\n",
    .needs = CMD_NEEDS_SETTINGS,
    .exec = stats,
};
