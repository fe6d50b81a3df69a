/*
 * cmd_migrate - brings the database to the schema of this program.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "cmd.h"
#include "store/migrate.h"

static const struct option options_table[] = {
    {"print", no_argument, NULL, 'p'},
    {"to", required_argument, NULL, 't'},
    {NULL, 0, NULL, 0},
};

static int migrate(const struct cmd_context *context, int argc, char **argv)
{
    bool print_only = false;
    int to_version = 0;
    int c = 0;

    while ((c = getopt_long(argc, argv, "", options_table, NULL)) != -1) {
        switch (c) {
        case 'p': print_only = true; break;
        case 't':
            to_version = atoi(optarg);
            if (to_version > 0) {
                break;
            }
            fprintf(stderr,
                    "postbatch: --to %s: expected a version, the "
                    "number of a file in sql/\n",
                    optarg);
            return EX_USAGE;
        default: return EX_USAGE;
        }
    }
    if (optind != argc) {
        fprintf(stderr, "usage: postbatch migrate %s\n", cmd_migrate.usage);
        return EX_USAGE;
    }
    return migrate_run(context->settings->dsn, to_version, print_only, stdout)
               ? EX_OK
               : EX_UNAVAILABLE;
}

const struct cmd cmd_migrate = {
    .name = "migrate",
    .usage = "[--print] [--to N]",
    .summary = "Bring the database to the schema of this program",
    .help = "  --print  show the SQL that would run; change nothing\n"
            "  --to N   stop after version N\n\n"
            "Runs the files of sql/ that the database does not have yet, "
            "each in one\ntransaction. A file that was changed after it ran "
            "is refused.\n",
    .needs = CMD_NEEDS_SETTINGS,
    .exec = migrate,
};
