/*
 * cmd_run - the service.
 */
#include <getopt.h>
#include <stdio.h>
#include <sysexits.h>

#include "cmd.h"
#include "engine/supervisor.h"
#include "mail/catalog.h"
#include "store/migrate.h"

static const struct option options_table[] = {
    {"once", no_argument, NULL, '1'},
    {"progress", no_argument, NULL, 'p'},
    {NULL, 0, NULL, 0},
};

static bool read_options(int argc, char **argv, struct worker_options *options)
{
    int c = 0;

    while ((c = getopt_long(argc, argv, "", options_table, NULL)) != -1) {
        switch (c) {
        case '1': options->runs_once = true; break;
        case 'p': options->has_progress = true; break;
        default: return false;
        }
    }
    return optind == argc;
}

/* What is needed to send, said before anything is begun. */
static bool is_complete(const struct settings *s)
{
    if (s->from_email[0] == '\0') {
        fputs("postbatch: mail.from_email is not set: whom is the mail "
              "from?\n",
              stderr);
        return false;
    }
    if (s->relay_count == 0) {
        fputs("postbatch: no [relay NAME] section: where shall mail go?\n",
              stderr);
        return false;
    }
    return true;
}

static int run(const struct cmd_context *context, int argc, char **argv)
{
    const struct settings *settings = context->settings;
    struct worker_options options = {0};
    struct problems problems;
    struct catalog *catalog = NULL;
    int status = EX_UNAVAILABLE;

    if (!read_options(argc, argv, &options)) {
        fputs("usage: postbatch run [--once] [--progress]\n", stderr);
        return EX_USAGE;
    }
    if (!is_complete(settings)) {
        return EX_CONFIG;
    }
    if (!migrate_check(settings->dsn, stderr)) {
        return EX_UNAVAILABLE;
    }
    problems_init(&problems);
    catalog = catalog_load(settings->templates_path, &problems);
    problems_print(&problems);
    if (catalog_count(catalog) == 0) {
        fprintf(stderr, "postbatch: no event type in %s; set templates.path\n",
                settings->templates_path);
    } else {
        status = supervisor_run(settings, catalog, &options);
    }
    catalog_free(catalog);
    problems_release(&problems);
    return status;
}

const struct cmd cmd_run = {
    .name = "run",
    .usage = "[--once] [--progress]",
    .summary = "Dispatch: route events, send letters, settle verdicts",
    .help =
        "  --once      end when nothing is left that is due\n"
        "  --progress  a line a second on standard error\n\n"
        "Stays in the foreground and logs to standard error. SIGTERM "
        "finishes what is in\nflight, within worker.grace; a second SIGTERM, "
        "or SIGQUIT, stops at once and leaves\nwhat is in flight to the "
        "journal. Another process may take over at any time.\n",
    .needs = CMD_NEEDS_SETTINGS,
    .exec = run,
};
