/*
 * cmd_help - the table of commands, one command, or all settings.
 */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "base/version.h"
#include "cmd.h"

const struct cmd *const cmd_table[] = {
    /* clang-format off */
    &cmd_run,
    &cmd_migrate,
    &cmd_check,
    &cmd_preview,
    &cmd_emit,
    &cmd_import,
    &cmd_resend,
    &cmd_quarantine,
    &cmd_log,
    &cmd_stats,
    &cmd_help,
    &cmd_version,
    NULL,
    /* clang-format on */
};

const struct cmd *cmd_find(const char *name)
{
    for (size_t i = 0; cmd_table[i] != NULL; i++) {
        if (strcmp(cmd_table[i]->name, name) == 0) {
            return cmd_table[i];
        }
    }
    return NULL;
}

static void print_overview(void)
{
    puts(
        "Postbatch: notification mail from PostgreSQL, in batches.\n\n"
        "usage: postbatch [-c FILE] [-s SECTION.NAME=VALUE]... [-v] COMMAND\n");
    for (size_t i = 0; cmd_table[i] != NULL; i++) {
        printf("  %-10s %s\n", cmd_table[i]->name, cmd_table[i]->summary);
    }
    puts("\n\"postbatch help COMMAND\" explains one; \"postbatch help "
         "settings\" lists all settings.");
}

static int help(const struct cmd_context *context, int argc, char **argv)
{
    const struct cmd *cmd = NULL;

    (void)context;
    if (argc < 2) {
        print_overview();
        return EX_OK;
    }
    if (strcmp(argv[1], "settings") == 0) {
        settings_print_reference(stdout);
        return EX_OK;
    }
    cmd = cmd_find(argv[1]);
    if (cmd == NULL) {
        fprintf(stderr, "postbatch: no command \"%s\"\n", argv[1]);
        return EX_USAGE;
    }
    printf("usage: postbatch %s %s\n\n%s.\n", cmd->name, cmd->usage,
           cmd->summary);
    if (cmd->help[0] != '\0') {
        printf("\n%s", cmd->help);
    }
    return EX_OK;
}

const struct cmd cmd_help = {
    .name = "help",
    .usage = "[COMMAND | settings]",
    .summary = "Explain a command, or list all settings",
    .help = "",
    .needs = CMD_NEEDS_NOTHING,
    .exec = help,
};

static int version(const struct cmd_context *context, int argc, char **argv)
{
    (void)context;
    (void)argc;
    (void)argv;
    puts("postbatch " POSTBATCH_VERSION);
    return EX_OK;
}

const struct cmd cmd_version = {
    .name = "version",
    .usage = "",
    .summary = "Print the version",
    .help = "",
    .needs = CMD_NEEDS_NOTHING,
    .exec = version,
};
