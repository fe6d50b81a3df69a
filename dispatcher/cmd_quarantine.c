/*
 * cmd_quarantine - events that were set aside: which, why, and on with them
 * after the fix.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/buf.h"
#include "cmd.h"
#include "store/admin.h"

#define SHOWN "100"

static const struct option options_table[] = {
    {"event", required_argument, NULL, 'e'},
    {"type", required_argument, NULL, 't'},
    {"all", no_argument, NULL, 'a'},
    {NULL, 0, NULL, 0},
};

struct choice {
    const char *verb; /* "list" or "release" */
    const char *type;
    char events[64]; /* as an array literal; "" = not narrowed */
    bool is_all;
};

static bool read_choice(int argc, char **argv, struct choice *choice)
{
    int c = 0;

    while ((c = getopt_long(argc, argv, "", options_table, NULL)) != -1) {
        switch (c) {
        case 'e':
            snprintf(choice->events, sizeof(choice->events), "{%lld}",
                     strtoll(optarg, NULL, 10));
            break;
        case 't': choice->type = optarg; break;
        case 'a': choice->is_all = true; break;
        default: return false;
        }
    }
    choice->verb = optind < argc ? argv[optind] : "list";
    return optind + 1 >= argc;
}

static int list(struct admin *admin, const struct choice *choice)
{
    const char *const params[] = {choice->events[0] ? choice->events : NULL,
                                  choice->type, SHOWN};
    int rows = 0;

    if (!admin_query(admin, "quarantine_list", params, 3)) {
        return EX_UNAVAILABLE;
    }
    rows = admin_rows(admin);
    for (int row = 0; row < rows; row++) {
        printf("event %s  %s  of %s\n    %s: %s\n", admin_text(admin, row, 0),
               admin_text(admin, row, 1), admin_text(admin, row, 4),
               admin_text(admin, row, 2), admin_text(admin, row, 3));
    }
    printf("%s set aside%s\n", rows > 0 ? admin_text(admin, 0, 5) : "0",
           rows == atoi(SHOWN) ? "; the first " SHOWN " are shown" : "");
    return EX_OK;
}

/* What release.sql found. */
struct released {
    struct buf again; /* ids of events whose letters are to be sent again */
    int rows;
    int again_count;
    int gone;
};

static void read_released(const struct admin *admin, struct released *r)
{
    r->rows = admin_rows(admin);
    for (int row = 0; row < r->rows; row++) {
        bool is_gone = strcmp(admin_text(admin, row, 3), "t") == 0;

        r->gone += is_gone;
        if (!is_gone && admin_is_null(admin, row, 2)) {
            buf_puts(&r->again, r->again_count++ > 0 ? "," : "{");
            buf_puts(&r->again, admin_text(admin, row, 0));
        }
    }
    buf_putc(&r->again, '}');
}

/* Marks them and queues their letters: both, or neither. */
static bool do_release(struct admin *admin, const struct choice *choice,
                       struct released *r)
{
    const char *const params[] = {choice->events[0] ? choice->events : NULL,
                                  choice->type};

    if (!admin_begin(admin) || !admin_query(admin, "release", params, 2)) {
        return false;
    }
    read_released(admin, r);
    if (r->again_count > 0) {
        const char *const skipped[] = {buf_cstr(&r->again), NULL, NULL, "{5}"};

        if (!admin_query(admin, "resend_do", skipped, 4)) {
            return false;
        }
    }
    return admin_commit(admin);
}

static int release(struct admin *admin, const struct choice *choice)
{
    struct released r = {.rows = 0};
    int status = EX_UNAVAILABLE;

    buf_init(&r.again, 0);
    if (do_release(admin, choice, &r)) {
        printf("%d released, %d of them by sending their letters again; %d "
               "not: their payload is gone\n",
               r.rows - r.gone, r.again_count, r.gone);
        status = EX_OK;
    }
    buf_release(&r.again);
    return status;
}

static int quarantine(const struct cmd_context *context, int argc, char **argv)
{
    struct choice choice = {0};
    struct admin *admin = NULL;
    int status = EX_USAGE;
    bool is_release = false;

    if (!read_choice(argc, argv, &choice)) {
        goto usage;
    }
    is_release = strcmp(choice.verb, "release") == 0;
    if ((!is_release && strcmp(choice.verb, "list") != 0) ||
        (is_release && !choice.is_all && choice.type == NULL &&
         choice.events[0] == '\0')) {
        goto usage;
    }
    admin = admin_open(context->settings->dsn);
    if (admin == NULL) {
        return EX_UNAVAILABLE;
    }
    status = (is_release ? release : list)(admin, &choice);
    admin_close(admin);
    return status;
usage:
    fprintf(stderr, "usage: postbatch quarantine %s\n", cmd_quarantine.usage);
    return status;
}

const struct cmd cmd_quarantine = {
    .name = "quarantine",
    .usage = "list [--event ID] [--type TYPE] | release --event ID | --type "
             "TYPE | --all",
    .summary = "Show events that were set aside; send them on after the fix",
    .help =
        "  list     what is set aside, at which stage, and why\n"
        "  release  hand the events to the running service again, with their "
        "original time;\n           what is still wrong is set aside again\n",
    .needs = CMD_NEEDS_SETTINGS,
    .exec = quarantine,
};
