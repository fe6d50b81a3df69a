/*
 * cmd - the front door: one command, one file, one entry in the table.
 */
#ifndef CMD_H
#define CMD_H

#include "engine/settings.h"

struct cmd_context {
    const struct settings *settings; /* NULL for commands that need none */
    const char *config_path;         /* as given, or NULL */
};

enum cmd_needs { CMD_NEEDS_SETTINGS, CMD_NEEDS_NOTHING };

struct cmd {
    const char *name;
    const char *usage;   /* what stands behind the name */
    const char *summary; /* one line */
    const char *help;    /* the rest of "postbatch help NAME" */
    enum cmd_needs needs;
    /* argv[0] is the command's name. Returns an exit status of sysexits.h. */
    int (*exec)(const struct cmd_context *context, int argc, char **argv);
};

extern const struct cmd cmd_check;
extern const struct cmd cmd_emit;
extern const struct cmd cmd_help;
extern const struct cmd cmd_import;
extern const struct cmd cmd_log;
extern const struct cmd cmd_migrate;
extern const struct cmd cmd_preview;
extern const struct cmd cmd_quarantine;
extern const struct cmd cmd_resend;
extern const struct cmd cmd_run;
extern const struct cmd cmd_stats;
extern const struct cmd cmd_version;

/* The table of all commands, NULL at the end. */
extern const struct cmd *const cmd_table[];
/* The command of that name, or NULL. */
const struct cmd *cmd_find(const char *name);

#endif
