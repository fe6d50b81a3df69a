/*
 * cmd_migrate - brings the database to the schema of this program.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "cmd.h"
#include "engine/report_once.h"
#include "store/migrate.h"

static const struct option options_table[] = {
    {"print", no_argument, NULL, 'p'},
    {"to", required_argument, NULL, 't'},
    {NULL, 0, NULL, 0},
};

/* ---- what went wrong --------------------------------------------------- */

enum { SAID_MAX = 4000 };

/* A stream to standard error that also remembers what was said. */
static ssize_t on_write(void *ctx, const char *bytes, size_t size)
{
    struct buf *said = ctx;

    fwrite(bytes, 1, size, stderr);
    if (said->len + size <= SAID_MAX) {
        buf_put(said, bytes, size);
    }
    return (ssize_t)size;
}

/* "sql/0006_alarms.sql:12" as it stands in what was said; caller frees; NULL
 * when no file is named. */
static char *find_file(const char *said)
{
    const char *begin = strstr(said, "sql/");
    size_t len = begin ? strcspn(begin, " \n") : 0;

    while (len > 0 && begin[len - 1] == ':') {
        len--;
    }
    return len > 0 ? mem_strndup(begin, len) : NULL;
}

static void report_failure(const struct settings *settings, struct buf *said)
{
    char *file = find_file(buf_cstr(said));
    struct buf params;
    struct report report = {
        .cause = "migrate",
        .kind = "MigrationFailed",
        .severity = "error",
        .component = "migrate",
        .action = file ? file : "schema",
        .message = "the schema could not be brought up to date",
        .file = file,
        .lasts = false,
        .count = 1,
        .first_us = clock_wall_us(),
        .last_us = clock_wall_us(),
    };

    buf_init(&params, 0);
    buf_puts(&params, "{\"said\":");
    buf_json(&params, buf_view(said));
    buf_puts(&params, ",\"see\":\"postbatch migrate --print\"}");
    report.params = buf_cstr(&params);
    report_once(settings, &report);
    buf_release(&params);
    mem_free(file);
}

static bool run_told(const struct settings *settings, int to_version,
                     bool print_only)
{
    const cookie_io_functions_t functions = {.write = on_write};
    struct buf said;
    FILE *err = NULL;
    bool is_done = false;

    buf_init(&said, 0);
    err = fopencookie(&said, "w", functions);
    if (err == NULL) {
        perror("postbatch");
        return false;
    }
    setvbuf(err, NULL, _IOLBF, 0);
    is_done = migrate_run(settings->dsn, to_version, print_only, stdout, err);
    fclose(err);
    if (!is_done && !print_only) {
        report_failure(settings, &said);
    }
    buf_release(&said);
    return is_done;
}

/* ---- the command ------------------------------------------------------- */

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
    return run_told(context->settings, to_version, print_only) ? EX_OK
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
