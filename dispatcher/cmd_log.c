/*
 * cmd_log - the project log: what happened where, when, and by whom.
 *
 * The router writes it (sql/queries/route.sql); this only reads. What stands
 * in it came from payloads, so nothing of it may speak to the terminal.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "cmd.h"
#include "store/admin.h"

enum {
    FOLLOW_S = 1,
    SHOWN_MAX = 100000,
    LINE_MAX_BYTES = 160, /* of the rest of a payload in a line for people */
};

/* Columns of log_list.sql. */
enum {
    COLUMN_ID,
    COLUMN_AT,
    COLUMN_TYPE,
    COLUMN_PROJECT,
    COLUMN_PACKAGE,
    COLUMN_USER,
    COLUMN_REQUEST,
    COLUMN_REST,
    COLUMN_EVENT,
    COLUMN_LINE,
};

/* Parameters of log_list.sql; log_follow.sql has one more. */
enum {
    PARAM_PROJECT,
    PARAM_PACKAGE,
    PARAM_USER,
    PARAM_TYPE,
    PARAM_SINCE,
    PARAM_LIMIT,
    PARAM_AFTER,
    PARAMS,
};

static const struct option options_table[] = {
    {"project", required_argument, NULL, 'p'},
    {"package", required_argument, NULL, 'k'},
    {"user", required_argument, NULL, 'u'},
    {"type", required_argument, NULL, 't'},
    {"since", required_argument, NULL, 's'},
    {"limit", required_argument, NULL, 'n'},
    {"json", no_argument, NULL, 'j'},
    {"follow", no_argument, NULL, 'f'},
    {NULL, 0, NULL, 0},
};

struct choice {
    const char *params[PARAMS];
    bool is_json;
    bool is_following;
};

static bool is_limit(const char *text)
{
    char *end = NULL;
    long limit = strtol(text, &end, 10);

    return end != text && *end == '\0' && limit >= 1 && limit <= SHOWN_MAX;
}

static bool read_choice(int argc, char **argv, struct choice *choice)
{
    int c = 0;

    while ((c = getopt_long(argc, argv, "", options_table, NULL)) != -1) {
        switch (c) {
        case 'p': choice->params[PARAM_PROJECT] = optarg; break;
        case 'k': choice->params[PARAM_PACKAGE] = optarg; break;
        case 'u': choice->params[PARAM_USER] = optarg; break;
        case 't': choice->params[PARAM_TYPE] = optarg; break;
        case 's': choice->params[PARAM_SINCE] = optarg; break;
        case 'n': choice->params[PARAM_LIMIT] = optarg; break;
        case 'j': choice->is_json = true; break;
        case 'f': choice->is_following = true; break;
        default: return false;
        }
    }
    if (!is_limit(choice->params[PARAM_LIMIT])) {
        fprintf(stderr, "postbatch log: --limit is a number from 1 to %d\n",
                SHOWN_MAX);
        return false;
    }
    return optind == argc;
}

/* Is it a control character of UTF-8 (C0, DEL or C1)? */
static bool is_control(const unsigned char *at)
{
    return at[0] < 0x20 || at[0] == 0x7f ||
           (at[0] == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0);
}

/* At most so many bytes, and not the half of a character. */
static void print_plain(const char *text, size_t most)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t len = strlen(text);
    bool is_cut = len > most;

    if (is_cut) {
        len = most;
        while (len > 0 && (at[len] & 0xc0) == 0x80) {
            len--;
        }
    }
    for (const unsigned char *end = at + len; at < end; at++) {
        if (is_control(at)) {
            at += at[0] == 0xc2;
            putchar('?');
        } else {
            putchar(*at);
        }
    }
    if (is_cut) {
        fputs("...", stdout);
    }
}

static void print_named(const struct admin *a, int row, int column,
                        const char *before)
{
    if (!admin_is_null(a, row, column)) {
        fputs(before, stdout);
        print_plain(admin_text(a, row, column), SIZE_MAX);
    }
}

static void print_row(const struct choice *choice, const struct admin *a,
                      int row)
{
    const char *rest = admin_text(a, row, COLUMN_REST);

    if (choice->is_json) {
        puts(admin_text(a, row, COLUMN_LINE));
        return;
    }
    printf("%s  ", admin_text(a, row, COLUMN_AT));
    print_plain(admin_text(a, row, COLUMN_TYPE), SIZE_MAX);
    print_named(a, row, COLUMN_PROJECT, "  ");
    print_named(a, row, COLUMN_PACKAGE, "/");
    print_named(a, row, COLUMN_USER, "  by ");
    print_named(a, row, COLUMN_REQUEST, "  request ");
    if (strcmp(rest, "{}") != 0) {
        fputs("  ", stdout);
        print_plain(rest, LINE_MAX_BYTES);
    }
    putchar('\n');
}

/* Prints what came; followed, the oldest first. Keeps the highest id. */
static void print_rows(const struct choice *choice, const struct admin *a,
                       bool is_backward, int64_t *last)
{
    int rows = admin_rows(a);

    for (int i = 0; i < rows; i++) {
        int row = is_backward ? rows - 1 - i : i;
        int64_t id = strtoll(admin_text(a, row, COLUMN_ID), NULL, 10);

        *last = id > *last ? id : *last;
        print_row(choice, a, row);
    }
    fflush(stdout);
}

static int follow(struct admin *admin, struct choice *choice, int64_t last)
{
    char after[24];
    bool is_more = false;

    choice->params[PARAM_AFTER] = after;
    do {
        if (!is_more) {
            sleep(FOLLOW_S);
        }
        snprintf(after, sizeof(after), "%" PRId64, last);
        if (!admin_query(admin, "log_follow", choice->params, PARAMS)) {
            return EX_UNAVAILABLE;
        }
        is_more = admin_rows(admin) > 0;
        print_rows(choice, admin, false, &last);
    } while (!ferror(stdout));
    return EX_OK; /* whoever read it has gone */
}

static int show(struct admin *admin, struct choice *choice)
{
    int64_t last = 0;

    if (!admin_query(admin, "log_list", choice->params, PARAM_AFTER)) {
        return EX_DATAERR;
    }
    print_rows(choice, admin, choice->is_following, &last);
    return choice->is_following ? follow(admin, choice, last) : EX_OK;
}

static int show_log(const struct cmd_context *context, int argc, char **argv)
{
    struct choice choice = {.params = {[PARAM_LIMIT] = "50"}};
    struct admin *admin = NULL;
    int status = EX_UNAVAILABLE;

    if (!read_choice(argc, argv, &choice)) {
        fprintf(stderr, "usage: postbatch log %s\n", cmd_log.usage);
        return EX_USAGE;
    }
    admin = admin_open(context->settings->dsn);
    if (admin != NULL) {
        status = show(admin, &choice);
    }
    admin_close(admin);
    return status;
}

const struct cmd cmd_log = {
    .name = "log",
    .usage = "[--project P] [--package P] [--user U] [--type T]\n"
             "                     [--since TIME] [--limit N] [--json] "
             "[--follow]",
    .summary = "Show the project log: what happened where, newest first",
    .help =
        "  --project P   only of this project; so for --package, --user and "
        "--type\n"
        "  --since TIME  only what happened since (as PostgreSQL reads it: "
        "'2026-11-22',\n"
        "                'yesterday')\n"
        "  --limit N     most rows (50)\n"
        "  --json        one JSON object a line, with the payload\n"
        "  --follow      the last rows, oldest first, and then what comes\n\n"
        "Events of the types whose contract has \"log\" are in it, whether "
        "anybody wanted\na mail or not, for ten days. Times are UTC.\n",
    .needs = CMD_NEEDS_SETTINGS,
    .exec = show_log,
};
