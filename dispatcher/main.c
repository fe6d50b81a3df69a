/*
 * main - reads the global options, finds the command and runs it.
 *
 *     postbatch [-c FILE] [-s SECTION.NAME=VALUE]... [-v] COMMAND ...
 *
 * Exit status is from sysexits.h: 0 done, 64 usage, 65 bad data, 69 something
 * needed is not there, 70 our own mistake, 75 try again, 77 not allowed,
 * 78 configuration.
 */
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "cmd.h"

enum { ASSIGNMENTS_MAX = 64 };

struct options {
    const char *config_path;
    const char *assignments[ASSIGNMENTS_MAX];
    size_t assignment_count;
    bool is_verbose;
};

static const struct option long_options[] = {
    {"config", required_argument, NULL, 'c'},
    {"set", required_argument, NULL, 's'},
    {"verbose", no_argument, NULL, 'v'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0},
};

/* Returns the command's name in argv, or NULL when usage was wrong. */
static const char *read_options(struct options *o, int argc, char **argv)
{
    int c = 0;

    while ((c = getopt_long(argc, argv, "+c:s:vhV", long_options, NULL)) !=
           -1) {
        switch (c) {
        case 'c': o->config_path = optarg; break;
        case 's':
            if (o->assignment_count == ASSIGNMENTS_MAX) {
                fprintf(stderr, "postbatch: more than %d times --set\n",
                        ASSIGNMENTS_MAX);
                return NULL;
            }
            o->assignments[o->assignment_count++] = optarg;
            break;
        case 'v': o->is_verbose = true; break;
        case 'h': return "help";
        case 'V': return "version";
        default: return NULL;
        }
    }
    return optind < argc ? argv[optind] : "help";
}

static int run(const struct cmd *cmd, const struct options *o, int argc,
               char **argv)
{
    struct cmd_context context = {.config_path = o->config_path};
    struct problems problems;
    int status = EX_CONFIG;

    problems_init(&problems);
    if (cmd->needs == CMD_NEEDS_SETTINGS) {
        context.settings = settings_load(o->config_path, o->assignments,
                                         o->assignment_count, &problems);
        problems_print(&problems);
        if (context.settings == NULL) {
            fputs("postbatch: the configuration has errors; nothing was "
                  "done\n",
                  stderr);
            goto out;
        }
        log_set_level(o->is_verbose
                          ? LOG_LEVEL_DEBUG
                          : (enum log_level)context.settings->log_level);
    }
    optind = 0; /* glibc: begin anew, options may follow arguments */
    status = cmd->exec(&context, argc, argv);
out:
    settings_free(context.settings);
    problems_release(&problems);
    return status;
}

/* Whoever started us may have closed them; then what we open first, a journal
 * or a connection, would be what the log is written to. */
static void fill_standard_descriptors(void)
{
    int fd = STDIN_FILENO;

    while (fd >= STDIN_FILENO && fd <= STDERR_FILENO) {
        fd = open("/dev/null", O_RDWR);
    }
    if (fd > STDERR_FILENO) {
        close(fd);
    }
}

int main(int argc, char **argv)
{
    struct options o = {0};
    const char *name = read_options(&o, argc, argv);
    const struct cmd *cmd = name ? cmd_find(name) : NULL;
    int skip = optind < argc ? optind : argc - 1;

    fill_standard_descriptors();
    if (cmd == NULL) {
        if (name != NULL) {
            fprintf(stderr, "postbatch: no command \"%s\"\n", name);
        }
        fputs("Try \"postbatch help\".\n", stderr);
        return EX_USAGE;
    }
    signal(SIGPIPE, SIG_IGN); /* a relay or a server that goes away */
    return run(cmd, &o, argc - skip, argv + skip);
}
