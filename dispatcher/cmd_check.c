/*
 * cmd_check - looks at everything before it matters, and says what it saw: in
 * words, or as JSON. What is looked at is in engine/check.h.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/plural.h"
#include "cmd.h"
#include "engine/check.h"
#include "engine/check_json.h"

enum { DAYS_PRESET = 7, DAYS_MAX = 15 };

static const struct option options_table[] = {
    {"templates", required_argument, NULL, 't'},
    {"offline", no_argument, NULL, 'o'},
    {"settings", no_argument, NULL, 's'},
    {"json", no_argument, NULL, 'j'},
    {"diff", required_argument, NULL, 'd'},
    {"against", required_argument, NULL, 'a'},
    {"days", required_argument, NULL, 'n'},
    {NULL, 0, NULL, 0},
};

struct choice {
    const char *templates; /* folder to look at; NULL = of the settings */
    const char *old;       /* folder to compare with */
    const char *dsn;       /* database whose events are tried */
    int days;
    bool is_offline; /* files only: neither database nor relays */
    bool shows_settings;
    bool is_json;
};

static bool read_days(const char *text, int *days)
{
    char *end = NULL;
    const long value = strtol(text, &end, 10);

    if (end == text || *end != '\0' || value < 1 || value > DAYS_MAX) {
        fprintf(stderr,
                "postbatch: --days is a number from 1 to %d: older events are "
                "not kept\n",
                DAYS_MAX);
        return false;
    }
    *days = (int)value;
    return true;
}

static bool read_choice(int argc, char **argv, struct choice *choice)
{
    bool is_good = true;
    int c = 0;

    while ((c = getopt_long(argc, argv, "", options_table, NULL)) != -1) {
        switch (c) {
        case 't': choice->templates = optarg; break;
        case 'o': choice->is_offline = true; break;
        case 's': choice->shows_settings = true; break;
        case 'j': choice->is_json = true; break;
        case 'd': choice->old = optarg; break;
        case 'a': choice->dsn = optarg; break;
        case 'n': is_good = is_good && read_days(optarg, &choice->days); break;
        default: return false;
        }
    }
    if (choice->days > 0 && choice->dsn == NULL) {
        fputs("postbatch: --days goes with --against\n", stderr);
        return false;
    }
    choice->days = choice->days > 0 ? choice->days : DAYS_PRESET;
    return is_good && optind == argc &&
           !(choice->is_json && choice->shows_settings);
}

static void look(struct check *c, const struct choice *choice)
{
    check_files(c);
    if (choice->old != NULL) {
        check_diff(c, choice->old);
    }
    if (choice->dsn != NULL) {
        check_against(c, choice->dsn, choice->days);
    }
    if (!choice->is_offline && choice->old == NULL && choice->dsn == NULL) {
        check_database(c);
        check_relays(c);
    }
}

static void print_words(struct check *c)
{
    fputs(buf_cstr(&c->facts), stdout);
    fflush(stdout);
    problems_print(&c->problems);
    printf("%zu error%s, %zu warning%s\n", c->problems.errors,
           plural_s(c->problems.errors), c->problems.warnings,
           plural_s(c->problems.warnings));
}

static int check(const struct cmd_context *context, int argc, char **argv)
{
    struct choice choice = {0};
    struct check c;
    int status = EX_OK;

    if (!read_choice(argc, argv, &choice)) {
        fprintf(stderr, "usage: postbatch check %s\n", cmd_check.usage);
        return EX_USAGE;
    }
    if (choice.shows_settings) {
        settings_print_values(context->settings, stdout);
    }
    check_init(&c, context->settings,
               choice.templates ? choice.templates
                                : context->settings->templates_path);
    look(&c, &choice);
    if (choice.is_json) {
        check_print_json(&c, stdout);
    } else {
        print_words(&c);
    }
    status = c.problems.errors > 0 ? EX_DATAERR : EX_OK;
    check_release(&c);
    return status;
}

const struct cmd cmd_check = {
    .name = "check",
    .usage = "[--templates DIR] [--offline] [--json] [--settings]\n"
             "                       [--diff OLDDIR] [--against DSN [--days "
             "N]]",
    .summary = "Look at configuration, templates, roles, database and relays",
    .help =
        "  --templates DIR  look at these templates instead\n"
        "  --offline        files only: neither database nor relays\n"
        "  --diff OLDDIR    what the change from the templates in OLDDIR to "
        "these breaks;\n"
        "                   files only\n"
        "  --against DSN    try the real events of this database with these "
        "templates:\n"
        "                   which would be set aside, and why; reads only\n"
        "  --days N         of how many days, 1 to 15; 7 if not given\n"
        "  --json           one JSON object on standard output\n"
        "  --settings       print every setting in force and its origin\n\n"
        "Looks at every file, holds templates and roles against the contracts, "
        "composes all\nsamples, and tries every key of every mailable type "
        "absent, null, of another type,\nempty, very long, hostile and "
        "present. Sends nothing and changes nothing.\n\n"
        "Exit status: 0 all is well, or there are only warnings and notes; 65 "
        "there is an\nerror: do not deploy this; 64 wrong usage; 78 wrong "
        "configuration.\n\n"
        "The JSON object:\n"
        "  ok        true when there is no error\n"
        "  errors, warnings, notes   how many\n"
        "  problems  [{severity, file, line, type, key, message, nearest}], "
        "severity being\n"
        "            \"error\", \"warning\" or \"note\"; what is not known is "
        "left out\n"
        "  summary   {templates, types, mailable, samples, cases, "
        "roles_usable}\n"
        "  against   with --against: {days, events, quarantined, letters, "
        "unmailed,\n"
        "            groups: [{type, stage, reason or key, count, events}]}, "
        "of at most\n"
        "            10 event ids each; stage is where they would be set "
        "aside, \"drift\"\n"
        "            (a key that the contract does not list) or \"mended\" "
        "(set aside today)\n",
    .needs = CMD_NEEDS_SETTINGS,
    .exec = check,
};
