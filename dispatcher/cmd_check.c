/*
 * cmd_check - looks at everything before it matters: configuration, contracts
 * and templates with their samples, role files against the database, relays.
 */
#include <ev.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "base/mem.h"
#include "cmd.h"
#include "mail/rehearsal.h"
#include "smtp/probe.h"
#include "store/admin.h"
#include "store/migrate.h"
#include "store/route.h"

static const struct option options_table[] = {
    {"templates", required_argument, NULL, 't'},
    {"offline", no_argument, NULL, 'o'},
    {"settings", no_argument, NULL, 's'},
    {NULL, 0, NULL, 0},
};

struct choice {
    const char *templates; /* folder to look at */
    bool is_offline;       /* files only: neither database nor relays */
    bool shows_settings;
};

/* ---- templates --------------------------------------------------------- */

static struct composer *make_composer(const struct settings *s,
                                      const struct catalog *catalog)
{
    struct composer_settings settings = settings_composer(s);

    if (s->from_email[0] == '\0') { /* told elsewhere; samples need one */
        settings.from_email = "check@example.org";
    }
    return composer_new(&settings, catalog);
}

static void check_templates(const struct settings *s,
                            const struct catalog *catalog, const char *folder,
                            struct problems *problems)
{
    struct composer *composer = make_composer(s, catalog);
    struct rehearsal seen = rehearse(composer, catalog, problems);

    composer_free(composer);
    printf("templates  %zu event types in %s, %zu of them mailable, %zu "
           "samples composed\n",
           catalog_count(catalog), folder, seen.types, seen.letters);
    if (catalog_count(catalog) == 0) {
        problems_add(problems, SEVERITY_ERROR, folder, 0,
                     "no event type here; set templates.path");
    }
}

/* ---- roles ------------------------------------------------------------- */

static bool is_wanted(const struct catalog *catalog, const char *role)
{
    for (size_t i = 0; i < catalog_count(catalog); i++) {
        const struct contract *c = catalog_at(catalog, i)->contract;

        for (size_t k = 0; c->is_mailable && k < c->role_count; k++) {
            if (span_is(c->roles[k], role)) {
                return true;
            }
        }
    }
    return false;
}

/* Roles that contracts name and that have no file. */
static void check_names(const struct catalog *catalog,
                        const struct route_role *roles,
                        struct problems *problems)
{
    for (size_t i = 0; i < catalog_count(catalog); i++) {
        const struct contract *c = catalog_at(catalog, i)->contract;

        for (size_t k = 0; c->is_mailable && k < c->role_count; k++) {
            const struct route_role *r = roles;

            while (r->name != NULL && !span_is(c->roles[k], r->name)) {
                r++;
            }
            if (r->name == NULL) {
                problems_add(problems, SEVERITY_ERROR, c->file, 0,
                             "role \"%.*s\" has no file in sql/roles/ nor in "
                             "templates.roles",
                             SPAN_ARG(c->roles[k]));
            }
        }
    }
}

static void check_roles(const struct catalog *catalog,
                        const struct route_role *roles, struct admin *admin,
                        struct problems *problems)
{
    int good = 0;

    for (const struct route_role *r = roles; r->name != NULL; r++) {
        char *why = is_wanted(catalog, r->name)
                        ? admin_check_role(admin, r->sql)
                        : NULL;

        good += why == NULL;
        if (why != NULL) {
            problems_add(problems, SEVERITY_WARNING, NULL, 0,
                         "role \"%s\" cannot be used with this database, "
                         "events of types that name it would be set aside: "
                         "%s",
                         r->name, why);
        }
        mem_free(why);
    }
    printf("roles      %d can be used with this database\n", good);
}

static void check_database(const struct settings *s,
                           const struct catalog *catalog,
                           const struct route_role *roles,
                           struct problems *problems)
{
    struct admin *admin = admin_open(s->dsn);

    if (admin == NULL) {
        problems_add(problems, SEVERITY_ERROR, NULL, 0,
                     "the database cannot be reached");
        return;
    }
    if (!migrate_check(s->dsn, stderr)) {
        problems_add(problems, SEVERITY_ERROR, NULL, 0,
                     "the database does not have the schema of this program");
    } else {
        puts("database   reachable, schema as it should be");
        check_roles(catalog, roles, admin, problems);
    }
    admin_close(admin);
}

/* ---- relays ------------------------------------------------------------ */

struct look {
    const struct relay_settings *relay;
    struct problems *problems;
};

static void on_report(void *ctx, const struct relay_report *report)
{
    const struct look *look = ctx;

    if (!report->is_ok) {
        problems_add(look->problems, SEVERITY_ERROR, NULL, 0, "relay %s: %s",
                     look->relay->name, report->text);
        return;
    }
    printf("relay      %s: \"%s\" in %lld ms, %s%s, gear %s\n",
           look->relay->name, report->text, (long long)report->took_ms,
           report->is_tls ? "TLS" : "no TLS",
           report->is_auth ? ", authenticated" : "", gear_name(report->gear));
}

static void check_relays(const struct settings *s, struct problems *problems)
{
    struct ev_loop *loop = ev_default_loop(EVFLAG_AUTO);

    if (s->relay_count == 0) {
        problems_add(problems, SEVERITY_ERROR, NULL, 0,
                     "no [relay NAME] section: where shall mail go?");
    }
    for (size_t i = 0; i < s->relay_count; i++) {
        struct look look = {s->relays[i], problems};

        relay_probe(loop, s->relays[i], on_report, &look);
        ev_run(loop, 0);
    }
}

/* ---- all of it --------------------------------------------------------- */

static bool read_choice(int argc, char **argv, struct choice *choice)
{
    int c = 0;

    while ((c = getopt_long(argc, argv, "", options_table, NULL)) != -1) {
        switch (c) {
        case 't': choice->templates = optarg; break;
        case 'o': choice->is_offline = true; break;
        case 's': choice->shows_settings = true; break;
        default: return false;
        }
    }
    return optind == argc;
}

static void check_all(const struct settings *s, const struct choice *choice,
                      struct problems *problems)
{
    const char *folder =
        choice->templates ? choice->templates : s->templates_path;
    struct catalog *catalog = catalog_load(folder, problems);
    struct route_role *roles = route_roles_load(s->roles_path, problems);

    check_templates(s, catalog, folder, problems);
    check_names(catalog, roles, problems);
    if (s->from_email[0] == '\0') {
        problems_add(problems, SEVERITY_WARNING, NULL, 0,
                     "mail.from_email is not set: nothing can be sent");
    }
    if (!choice->is_offline) {
        check_database(s, catalog, roles, problems);
        check_relays(s, problems);
    }
    route_roles_free(roles);
    catalog_free(catalog);
}

static int check(const struct cmd_context *context, int argc, char **argv)
{
    struct choice choice = {0};
    struct problems problems;
    int status = EX_OK;

    if (!read_choice(argc, argv, &choice)) {
        fprintf(stderr, "usage: postbatch check %s\n", cmd_check.usage);
        return EX_USAGE;
    }
    if (choice.shows_settings) {
        settings_print_values(context->settings, stdout);
    }
    problems_init(&problems);
    check_all(context->settings, &choice, &problems);
    fflush(stdout);
    problems_print(&problems);
    printf("%zu errors, %zu warnings\n", problems.errors,
           problems.count - problems.errors);
    status = problems.errors > 0 ? EX_DATAERR : EX_OK;
    problems_release(&problems);
    return status;
}

const struct cmd cmd_check = {
    .name = "check",
    .usage = "[--templates DIR] [--offline] [--settings]",
    .summary = "Look at configuration, templates, roles, database and relays",
    .help = "  --templates DIR  look at these templates instead\n"
            "  --offline        files only: neither database nor relays\n"
            "  --settings       print every setting in force and its origin\n\n"
            "Sends nothing and changes nothing. Exit status 65 when there is "
            "an error.\n",
    .needs = CMD_NEEDS_SETTINGS,
    .exec = check,
};
