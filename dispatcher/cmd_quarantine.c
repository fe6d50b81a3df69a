/*
 * cmd_quarantine - events that were set aside: which, why, and on with them
 * after the fix, or away with them.
 */
#include <getopt.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/buf.h"
#include "cmd.h"
#include "engine/diagnose.h"
#include "engine/quarantine_show.h"
#include "store/admin.h"

#define SHOWN "100"

static const struct option options_table[] = {
    {"event", required_argument, NULL, 'e'},
    {"type", required_argument, NULL, 't'},
    {"stage", required_argument, NULL, 's'},
    {"all", no_argument, NULL, 'a'},
    {"reason", required_argument, NULL, 'r'},
    {"yes", no_argument, NULL, 'y'},
    {NULL, 0, NULL, 0},
};

struct choice {
    const char *type;
    const char *stage;
    const char *reason;
    struct buf events; /* as an array literal; empty = not narrowed */
    bool is_all;
    bool is_agreed;
};

struct verb {
    const char *name;
    bool takes_ids; /* behind the verb */
    bool (*is_complete)(const struct choice *choice);
    int (*run)(struct admin *admin, struct choice *choice,
               const struct settings *settings);
};

/* ---- what was asked for ------------------------------------------------ */

static bool add_event(struct choice *choice, const char *text)
{
    char *end = NULL;
    const long long id = strtoll(text, &end, 10);

    if (end == text || *end != '\0' || id < 0) {
        fprintf(stderr, "postbatch: \"%s\" is not the id of an event\n", text);
        return false;
    }
    buf_truncate(&choice->events,
                 choice->events.len > 0 ? choice->events.len - 1 : 0);
    buf_printf(&choice->events, "%c%lld}", choice->events.len > 0 ? ',' : '{',
               id);
    return buf_ok(&choice->events);
}

static const char *events_of(struct choice *choice)
{
    return choice->events.len > 0 ? buf_cstr(&choice->events) : NULL;
}

static bool read_options(int argc, char **argv, struct choice *choice)
{
    int c = 0;

    while ((c = getopt_long(argc, argv, "", options_table, NULL)) != -1) {
        switch (c) {
        case 'e':
            if (!add_event(choice, optarg)) {
                return false;
            }
            break;
        case 't': choice->type = optarg; break;
        case 's': choice->stage = optarg; break;
        case 'a': choice->is_all = true; break;
        case 'r': choice->reason = optarg; break;
        case 'y': choice->is_agreed = true; break;
        default: return false;
        }
    }
    return true;
}

static bool is_any(const struct choice *choice)
{
    return choice->reason == NULL;
}

static bool is_narrowed(const struct choice *choice)
{
    return choice->events.len > 0 || choice->type != NULL;
}

static bool is_one(const struct choice *choice)
{
    return choice->events.len > 0 && choice->type == NULL &&
           choice->stage == NULL && !choice->is_all && is_any(choice) &&
           memchr(choice->events.data, ',', choice->events.len) == NULL;
}

static bool is_release(const struct choice *choice)
{
    return (choice->is_all || is_narrowed(choice)) && choice->stage == NULL &&
           is_any(choice);
}

static bool is_drop(const struct choice *choice)
{
    if (choice->reason == NULL || choice->reason[0] == '\0') {
        fputs("postbatch: say why: --reason TEXT\n", stderr);
        return false;
    }
    return is_narrowed(choice) && !choice->is_all;
}

/* ---- list -------------------------------------------------------------- */

/* Prints a value without bytes that a terminal would obey. */
static void print_text(const char *before, const char *text, const char *after)
{
    struct buf clean;

    buf_init(&clean, 0);
    diagnose_put(&clean, span_of(text), false);
    printf("%s%s%s", before, buf_cstr(&clean), after);
    buf_release(&clean);
}

static void print_row(const struct admin *admin, int row)
{
    printf("event %s", admin_text(admin, row, 0));
    print_text("  ", admin_text(admin, row, 1), "");
    printf("  of %s\n", admin_text(admin, row, 4));
    print_text("    ", admin_text(admin, row, 2), "");
    print_text(": ", admin_text(admin, row, 3), "\n");
    if (!admin_is_null(admin, row, 6)) {
        print_text("    ", admin_text(admin, row, 6), "\n");
    }
}

static bool ask_list(struct admin *admin, struct choice *choice)
{
    const char *const params[] = {events_of(choice), choice->type, SHOWN,
                                  choice->stage, choice->is_all ? "t" : "f"};

    return admin_query(admin, "quarantine_list", params, 5);
}

static int list(struct admin *admin, struct choice *choice,
                const struct settings *settings)
{
    int rows = 0;

    (void)settings;
    if (!ask_list(admin, choice)) {
        return EX_UNAVAILABLE;
    }
    rows = admin_rows(admin);
    for (int row = 0; row < rows; row++) {
        print_row(admin, row);
    }
    printf("%s set aside%s%s\n", rows > 0 ? admin_text(admin, 0, 5) : "0",
           choice->is_all ? ", with those that were released or dropped" : "",
           rows == atoi(SHOWN) ? "; the first " SHOWN " are shown" : "");
    return EX_OK;
}

/* ---- show -------------------------------------------------------------- */

static int show(struct admin *admin, struct choice *choice,
                const struct settings *settings)
{
    return quarantine_show(admin, settings,
                           strtoll(events_of(choice) + 1, NULL, 10));
}

/* ---- release ----------------------------------------------------------- */

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
static bool do_release(struct admin *admin, struct choice *choice,
                       struct released *r)
{
    const char *const params[] = {events_of(choice), choice->type};

    if (!admin_begin_resend(admin) ||
        !admin_query(admin, "release", params, 2)) {
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

static int release(struct admin *admin, struct choice *choice,
                   const struct settings *settings)
{
    struct released r = {.rows = 0};
    int status = EX_UNAVAILABLE;

    (void)settings;
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

/* ---- drop -------------------------------------------------------------- */

/* A person says yes; without a terminal only --yes does. */
static bool is_agreed(const struct choice *choice, const char *count)
{
    char answer[16] = "";

    if (choice->is_agreed) {
        return true;
    }
    printf("Drop these %s for good? Nobody will get mail about them. [y/N] ",
           count);
    fflush(stdout);
    return fgets(answer, sizeof(answer), stdin) != NULL &&
           (answer[0] == 'y' || answer[0] == 'Y');
}

static int drop(struct admin *admin, struct choice *choice,
                const struct settings *settings)
{
    const struct passwd *person = getpwuid(getuid());
    const char *const params[] = {events_of(choice), choice->type,
                                  choice->stage, choice->reason,
                                  person ? person->pw_name : NULL};

    if (list(admin, choice, settings) != EX_OK) {
        return EX_UNAVAILABLE;
    }
    if (admin_rows(admin) == 0) {
        return EX_OK;
    }
    if (!is_agreed(choice, admin_text(admin, 0, 5))) {
        puts("nothing was done");
        return EX_OK;
    }
    if (!admin_query(admin, "quarantine_drop", params, 5)) {
        return EX_UNAVAILABLE;
    }
    printf("%d dropped\n", admin_rows(admin));
    return EX_OK;
}

/* ---- the command ------------------------------------------------------- */

static const struct verb verbs[] = {
    {"list", false, is_any, list},
    {"show", true, is_one, show},
    {"release", false, is_release, release},
    {"drop", true, is_drop, drop},
};

static const struct verb *find_verb(const char *name)
{
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (strcmp(verbs[i].name, name) == 0) {
            return &verbs[i];
        }
    }
    return NULL;
}

/* The verb, with the choice read; NULL when usage was wrong. */
static const struct verb *read_choice(int argc, char **argv,
                                      struct choice *choice)
{
    const struct verb *verb = &verbs[0];

    if (!read_options(argc, argv, choice)) {
        return NULL;
    }
    if (optind < argc) {
        verb = find_verb(argv[optind++]);
    }
    for (; verb != NULL && optind < argc; optind++) {
        if (!verb->takes_ids || !add_event(choice, argv[optind])) {
            return NULL;
        }
    }
    return verb != NULL && verb->is_complete(choice) ? verb : NULL;
}

static int quarantine(const struct cmd_context *context, int argc, char **argv)
{
    struct choice choice = {0};
    const struct verb *verb = NULL;
    struct admin *admin = NULL;
    int status = EX_USAGE;

    buf_init(&choice.events, 1024 * 1024);
    verb = read_choice(argc, argv, &choice);
    if (verb == NULL) {
        fprintf(stderr, "usage: postbatch quarantine %s\n",
                cmd_quarantine.usage);
    } else {
        admin = admin_open(context->settings->dsn);
        status = admin ? verb->run(admin, &choice, context->settings)
                       : EX_UNAVAILABLE;
        admin_close(admin);
    }
    buf_release(&choice.events);
    return status;
}

const struct cmd cmd_quarantine = {
    .name = "quarantine",
    .usage = "list [--event ID] [--type TYPE] [--stage STAGE] [--all]\n"
             "     | show ID\n"
             "     | release --event ID | --type TYPE | --all\n"
             "     | drop ID... | --type TYPE [--stage STAGE] --reason WHY "
             "[--yes]",
    .summary = "Show events that were set aside; send them on after the fix",
    .help =
        "  list     what is set aside, at which stage, and why; --all: also "
        "what was\n           released or dropped\n"
        "  show     all about one: the reason, the line of the template, names "
        "that may\n           have been meant, what would become of it now, "
        "what to do, its payload\n"
        "  release  hand the events to the running service again, with their "
        "original time;\n           what is still wrong is set aside again\n"
        "  drop     let them go for good, with a reason that is kept; asks "
        "first, unless\n           --yes\n",
    .needs = CMD_NEEDS_SETTINGS,
    .exec = quarantine,
};
