/*
 * cmd_resend - sends letters again on request: of an event, to a recipient, or
 * all that failed.
 *
 * A resent letter is a new one: it has a new Message-ID, because receivers
 * drop what has an id they have seen. The ledger keeps the request, so asking
 * twice sends once.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/plural.h"
#include "cmd.h"
#include "model.h"
#include "store/admin.h"

enum { SHOW_MAX = 50 };

static const struct option options_table[] = {
    {"event", required_argument, NULL, 'e'},
    {"recipient", required_argument, NULL, 'r'},
    {"since", required_argument, NULL, 's'},
    {"failed", no_argument, NULL, 'f'},
    {"unsure", no_argument, NULL, 'u'},
    {"skipped", no_argument, NULL, 'k'},
    {"dry-run", no_argument, NULL, 'n'},
    {"yes", no_argument, NULL, 'y'},
    {NULL, 0, NULL, 0},
};

struct choice {
    const char *event;
    const char *recipient;
    const char *since;
    bool failed;
    bool unsure;
    bool skipped;
    bool is_dry;
    bool is_agreed;
};

static bool read_choice(int argc, char **argv, struct choice *choice)
{
    int c = 0;

    while ((c = getopt_long(argc, argv, "", options_table, NULL)) != -1) {
        switch (c) {
        case 'e': choice->event = optarg; break;
        case 'r': choice->recipient = optarg; break;
        case 's': choice->since = optarg; break;
        case 'f': choice->failed = true; break;
        case 'u': choice->unsure = true; break;
        case 'k': choice->skipped = true; break;
        case 'n': choice->is_dry = true; break;
        case 'y': choice->is_agreed = true; break;
        default: return false;
        }
    }
    return optind == argc &&
           (choice->event || choice->recipient || choice->failed ||
            choice->unsure || choice->skipped);
}

/* The verdicts that count, as an array literal. Named by none of the three:
 * every letter of the event or recipient that has ended. */
static const char *verdicts_of(const struct choice *choice, char text[32])
{
    bool is_any = !choice->failed && !choice->unsure && !choice->skipped;

    snprintf(text, 32, "{%s%s%s%s-1}", is_any ? "1,3,4,5," : "",
             choice->failed ? "3," : "", choice->unsure ? "4," : "",
             choice->skipped ? "5," : "");
    return text;
}

static void print_preview(const struct admin *a, int *possible)
{
    int rows = admin_rows(a);

    *possible = 0;
    for (int row = 0; row < rows; row++) {
        bool is_possible = admin_is_null(a, row, 8);

        *possible += is_possible;
        if (row >= SHOW_MAX) {
            continue;
        }
        printf("  event %s %s to %s: %s at %s%s%s%s%s\n", admin_text(a, row, 2),
               admin_text(a, row, 3), admin_text(a, row, 1),
               verdict_name((enum verdict)atoi(admin_text(a, row, 4))),
               admin_text(a, row, 5), admin_text(a, row, 7)[0] ? ", " : "",
               admin_text(a, row, 7),
               is_possible ? "" : "; NOT POSSIBLE: ", admin_text(a, row, 8));
    }
    if (rows > SHOW_MAX) {
        printf("  ... and %d more\n", rows - SHOW_MAX);
    }
    printf("%d to send again, %d not possible\n", *possible, rows - *possible);
}

/* A person says yes; without a terminal only --yes does. */
static bool is_agreed(const struct choice *choice, int count)
{
    char answer[16] = "";

    if (choice->is_agreed) {
        return true;
    }
    printf("Send these %d again? [y/N] ", count);
    fflush(stdout);
    return fgets(answer, sizeof(answer), stdin) != NULL &&
           (answer[0] == 'y' || answer[0] == 'Y');
}

static int run(struct admin *admin, const struct choice *choice)
{
    char verdicts[32];
    char events[64] = ""; /* as an array literal */
    const char *const params[] = {choice->event ? events : NULL,
                                  choice->recipient, choice->since,
                                  verdicts_of(choice, verdicts)};
    char done[96];
    int possible = 0;
    unsigned long long letters = 0;
    unsigned long long batches = 0;

    snprintf(events, sizeof(events), "{%s}",
             choice->event ? choice->event : "");
    if (!admin_query(admin, "resend_preview", params, 4)) {
        return EX_DATAERR;
    }
    print_preview(admin, &possible);
    if (choice->is_dry || possible == 0) {
        return EX_OK;
    }
    if (!is_agreed(choice, possible)) {
        puts("nothing was done");
        return EX_OK;
    }
    if (!admin_begin_resend(admin)) {
        return EX_UNAVAILABLE;
    }
    if (!admin_query(admin, "resend_do", params, 4)) {
        return EX_DATAERR;
    }
    letters = strtoull(admin_text(admin, 0, 0), NULL, 10);
    batches = strtoull(admin_text(admin, 0, 1), NULL, 10);
    snprintf(done, sizeof(done), "%llu letter%s queued in %llu batch%s",
             letters, plural_s(letters), batches, plural_es(batches));
    if (!admin_commit(admin)) {
        return EX_UNAVAILABLE;
    }
    puts(done);
    return EX_OK;
}

static int resend(const struct cmd_context *context, int argc, char **argv)
{
    struct choice choice = {0};
    struct admin *admin = NULL;
    int status = EX_UNAVAILABLE;

    if (!read_choice(argc, argv, &choice)) {
        fprintf(stderr, "usage: postbatch resend %s\n", cmd_resend.usage);
        return EX_USAGE;
    }
    admin = admin_open(context->settings->dsn);
    if (admin != NULL) {
        status = run(admin, &choice);
    }
    admin_close(admin);
    return status;
}

const struct cmd cmd_resend = {
    .name = "resend",
    .usage = "--event ID | --recipient WHO | --failed | --unsure | --skipped\n"
             "                        [--since TIME] [--dry-run] [--yes]",
    .summary = "Send letters again: of an event, to a recipient, or all that "
               "failed",
    .help =
        "  --event ID       letters about this event\n"
        "  --recipient WHO  letters to this recipient: key, address or id\n"
        "  --failed --unsure --skipped  only letters that ended so\n"
        "  --since TIME     only what happened since (as PostgreSQL reads it)\n"
        "  --dry-run        show, do nothing\n"
        "  --yes            do not ask\n\n"
        "The last verdict on each letter decides, and a request is recorded: "
        "asking twice\nsends once. The running service sends them, as new "
        "letters with new Message-IDs.\n",
    .needs = CMD_NEEDS_SETTINGS,
    .exec = resend,
};
