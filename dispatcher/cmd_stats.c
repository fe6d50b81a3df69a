/*
 * cmd_stats - the state of everything, in one look: how much waits, how old
 * the oldest is, how fast it goes, what went wrong; in all and by type.
 *
 * Two queries, stats.sql and stats_types.sql, whose cost does not grow with
 * the logs. Watched, each figure also has its change per second since the
 * look before.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "cmd.h"
#include "model.h"
#include "store/admin.h"

static const struct option options_table[] = {
    {"json", no_argument, NULL, 'j'},
    {"watch", no_argument, NULL, 'w'},
    {NULL, 0, NULL, 0},
};

enum { WATCH_S = 2 };

/* What stands behind a figure. */
enum extra {
    EXTRA_NONE,
    EXTRA_OLDEST, /* seconds since the oldest */
    EXTRA_NEXT,   /* seconds until the next */
    EXTRA_HOUR,   /* as many of them in the last hour, if not all */
    EXTRA_HOSTS,
    EXTRA_OF, /* the seconds that the figures below are of */
};

/* One line of the table: words, and the columns of stats.sql behind them. */
static const struct line {
    const char *label;
    const char *column;
    enum extra extra;
    const char *extra_column;
} lines[] = {
    {"events to route", "waiting_events", EXTRA_OLDEST, "oldest_event_s"},
    {"fan-outs under way", "fanouts", EXTRA_NONE, NULL},
    {"letters waiting", "waiting_letters", EXTRA_OLDEST, "oldest_letter_s"},
    {"letters in flight", "leased_letters", EXTRA_NONE, NULL},
    {"letters to try again", "later_letters", EXTRA_NONE, NULL},
    {"held until they are due", "held_letters", EXTRA_NEXT, "next_held_s"},
    {"events in quarantine", "quarantined", EXTRA_HOUR, "quarantined_1h"},
    {"unknown payload keys", "drifting", EXTRA_NONE, NULL},
    {"not in the project log", "unlogged", EXTRA_NONE, NULL},
    {"addresses suppressed", "suppressed", EXTRA_NONE, NULL},
    {"workers", "workers", EXTRA_HOSTS, "hosts"},
    {"events a second", "events_per_s", EXTRA_NONE, NULL},
    {"letters a second", "letters_per_s", EXTRA_NONE, NULL},
    {"sent", "sent_1h", EXTRA_OF, "recent_s"},
    {"deferred", "deferred_1h", EXTRA_NONE, NULL},
    {"failed", "failed_1h", EXTRA_NONE, NULL},
    {"unsure", "unsure_1h", EXTRA_NONE, NULL},
    {"skipped", "skipped_1h", EXTRA_NONE, NULL},
};

enum { LINES = sizeof(lines) / sizeof(lines[0]) };

/* The look before, for rates. */
struct look {
    int64_t at_ms; /* monotonic; 0: there was none */
    double values[LINES];
};

/* The column of that name, or -1. */
static int find_column(const struct admin *a, const char *name)
{
    for (int c = 0; name != NULL && c < admin_columns(a); c++) {
        if (strcmp(admin_column_name(a, c), name) == 0) {
            return c;
        }
    }
    return -1;
}

static void print_time(const char *before, double s, const char *after)
{
    if (s < 120) {
        printf("   %s%.1f s%s", before, s, after);
    } else if (s < 7200) {
        printf("   %s%.0f min%s", before, s / 60, after);
    } else {
        printf("   %s%.1f h%s", before, s / 3600, after);
    }
}

static void print_extra(const struct line *line, double figure,
                        const char *text)
{
    double value = strtod(text, NULL);

    switch (line->extra) {
    case EXTRA_NONE: break;
    case EXTRA_OLDEST: print_time("oldest ", value, ""); break;
    case EXTRA_NEXT:
        print_time(value < 0 ? "due for " : "the next in ",
                   value < 0 ? -value : value, "");
        break;
    case EXTRA_HOUR:
        if (value > 0 && value < figure) {
            printf("   %.0f of them in the last hour", value);
        }
        break;
    case EXTRA_HOSTS:
        if (value > 1) {
            printf("   on %.0f hosts", value);
        }
        break;
    case EXTRA_OF:
        if (value < 3600) {
            print_time("in the last ", value, "; so the next lines");
        }
        break;
    }
}

/* The change per second since the look before; keeps this one. */
static void print_rate(struct look *look, size_t i, double value,
                       int64_t now_ms)
{
    double seconds = (double)(now_ms - look->at_ms) / 1000.0;
    double rate = (value - look->values[i]) / (seconds > 0 ? seconds : 1.0);

    if (look->at_ms != 0) {
        if (rate >= 0.05 || rate <= -0.05) {
            printf(" %+9.1f/s", rate);
        } else {
            printf("%12s", "");
        }
    }
    look->values[i] = value;
}

static void print_table(const struct admin *a, struct look *look)
{
    int64_t now_ms = clock_monotonic_ms();
    int faulty = find_column(a, "faulty_types");

    for (size_t i = 0; i < LINES; i++) {
        const struct line *line = &lines[i];
        int column = find_column(a, line->column);
        int extra = find_column(a, line->extra_column);
        double figure = strtod(admin_text(a, 0, column), NULL);

        if (line->extra == EXTRA_OF) {
            puts("in the last hour");
        }
        printf("%-26s %10s", line->label, admin_text(a, 0, column));
        if (look != NULL) {
            print_rate(look, i, figure, now_ms);
        }
        if (extra >= 0 && !admin_is_null(a, 0, extra)) {
            print_extra(line, figure, admin_text(a, 0, extra));
        }
        putchar('\n');
    }
    if (look != NULL) {
        look->at_ms = now_ms;
    }
    if (faulty >= 0 && admin_text(a, 0, faulty)[0] != '\0') {
        printf("event types set aside: %s\n", admin_text(a, 0, faulty));
    }
}

/* ---- by type ------------------------------------------------------------- */

/* Columns of stats_types.sql. */
enum { TYPE_NAME, TYPE_URGENCY, TYPE_EVENTS, TYPE_OLDEST, TYPE_FIGURES };

static const char *const type_titles[] = {
    "waiting", "flight", "later",  "held",    "sent",
    "defer",   "failed", "unsure", "skipped", "quarant",
};

/* A type's name is what an application wrote when it called emit(). */
static void print_name(const char *name)
{
    char text[31];
    size_t len = 0;

    for (; name[len] != '\0' && len + 1 < sizeof(text); len++) {
        bool is_plain = name[len] > ' ' && name[len] < 0x7f;

        text[len] = name[len];
        if (!is_plain) {
            text[len] = '?';
        }
    }
    text[len] = '\0';
    printf("%-30s", text);
}

static void print_types(const struct admin *a)
{
    int rows = admin_rows(a);

    if (rows == 0) {
        return;
    }
    printf("\n%-30s %-7s%8s%8s", "type", "urgency", "events", "oldest");
    for (size_t i = 0; i < sizeof(type_titles) / sizeof(type_titles[0]); i++) {
        printf("%8s", type_titles[i]);
    }
    putchar('\n');
    for (int row = 0; row < rows; row++) {
        int urgency = atoi(admin_text(a, row, TYPE_URGENCY));

        print_name(admin_text(a, row, TYPE_NAME));
        printf(" %-7s%8s", urgency_name((enum urgency)urgency),
               admin_text(a, row, TYPE_EVENTS));
        if (admin_is_null(a, row, TYPE_OLDEST)) {
            printf("%8s", "-");
        } else {
            printf("%6.0f s", strtod(admin_text(a, row, TYPE_OLDEST), NULL));
        }
        for (int c = TYPE_FIGURES; c < admin_columns(a); c++) {
            const char *text = admin_text(a, row, c);

            printf("%8s", strcmp(text, "0") == 0 ? "-" : text);
        }
        putchar('\n');
    }
}

/* ---- a look ----------------------------------------------------------------
 */

static bool ask_types(struct admin *a)
{
    static const char *const params[] = {"5000", "100"};

    return admin_query(a, "stats_types", params, 2);
}

static bool print_json(struct admin *a)
{
    struct buf b;
    bool is_asked = false;

    buf_init(&b, 0);
    admin_put_json(a, 0, &b);
    buf_truncate(&b, b.len - 1); /* the object goes on */
    buf_puts(&b, ", \"types\": [");
    is_asked = ask_types(a);
    for (int row = 0; is_asked && row < admin_rows(a); row++) {
        buf_puts(&b, row ? ", " : "");
        admin_put_json(a, row, &b);
    }
    buf_puts(&b, "]}");
    if (is_asked) {
        puts(buf_cstr(&b));
    }
    buf_release(&b);
    return is_asked;
}

static bool show(struct admin *a, bool is_json, struct look *look)
{
    static const char *const params[] = {"10000", "400"};

    if (!admin_query(a, "stats", params, 2)) {
        return false;
    }
    if (is_json) {
        return print_json(a);
    }
    if (look != NULL) {
        fputs("\033[H\033[2J", stdout);
    }
    print_table(a, look);
    if (!ask_types(a)) {
        return false;
    }
    print_types(a);
    return true;
}

static int stats(const struct cmd_context *context, int argc, char **argv)
{
    struct look look = {0};
    struct admin *admin = NULL;
    bool is_json = false;
    bool is_watch = false;
    bool is_shown = false;
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
        is_shown = show(admin, is_json, is_watch ? &look : NULL);
        fflush(stdout);
    } while (is_shown && is_watch && !ferror(stdout) && sleep(WATCH_S) == 0);
    admin_close(admin);
    return is_shown ? EX_OK : EX_UNAVAILABLE;
}

const struct cmd cmd_stats = {
    .name = "stats",
    .usage = "[--json] [--watch]",
    .summary = "Show what waits, how old it is, how fast it goes",
    .help =
        "  --json   one object, for monitoring\n"
        "  --watch  again every two seconds, with the change per second\n\n"
        "In all, and by type and urgency. Its cost does not grow with the "
        "logs: what is\ndone is counted from the end of the ledger back to an "
        "hour ago, or as far as\n400 pages of it reach, and the figures of a "
        "type are of the oldest few thousand\nthat wait and the youngest few "
        "thousand that are done.\n",
    .needs = CMD_NEEDS_SETTINGS,
    .exec = stats,
};
