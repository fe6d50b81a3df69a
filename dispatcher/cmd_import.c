/*
 * cmd_import - fetches notifications from another program's log, outside of
 * the service.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include <ev.h>

#include "base/plural.h"
#include "cmd.h"
#include "engine/intake.h"
#include "mail/catalog.h"
#include "store/migrate.h"

struct importer {
    struct ev_loop *loop;
    enum intake_end end;
    ev_signal on_term;
    ev_signal on_int;
};

static const struct option options_table[] = {
    {"once", no_argument, NULL, '1'},
    {"view", required_argument, NULL, 'v'},
    {"block", no_argument, NULL, 'b'},
    {"source", required_argument, NULL, 's'},
    {"start", required_argument, NULL, 'n'},
    {NULL, 0, NULL, 0},
};

/* A number of a notification, from 1. */
static bool read_start(const char *text, int64_t *start)
{
    char *end = NULL;

    errno = 0;
    *start = strtoll(text, &end, 10);
    if (errno == 0 && end != text && *end == '\0' && *start >= 1) {
        return true;
    }
    fprintf(stderr,
            "postbatch: --start %s: expected the number of a notification, "
            "from 1\n",
            text);
    return false;
}

static bool read_view(const char *text, enum obs_view *view)
{
    *view = strcmp(text, "json") == 0 ? OBS_VIEW_JSON : OBS_VIEW_XML;
    if (*view == OBS_VIEW_XML && strcmp(text, "xml") != 0) {
        fprintf(stderr, "postbatch: --view %s: expected xml or json\n", text);
        return false;
    }
    return true;
}

static bool read_url(int argc, char **argv, struct intake_settings *s)
{
    const char *kind = optind < argc ? argv[optind] : "";

    if (strcmp(kind, "obs") != 0 || argc - optind > 2) {
        fputs("usage: postbatch import obs [URL] [--once] [--view xml|json] "
              "[--block]\n       [--source NAME] [--start N]\n",
              stderr);
        return false;
    }
    if (argc - optind == 2) {
        s->url = argv[optind + 1];
    }
    if (s->url[0] == '\0') {
        fputs("postbatch: where from? Name the URL of the source server, or "
              "set intake.obs_url\n",
              stderr);
        return false;
    }
    if (strpbrk(s->url, "?# ") != NULL ||
        (strncmp(s->url, "http://", 7) != 0 &&
         strncmp(s->url, "https://", 8) != 0)) {
        fprintf(stderr,
                "postbatch: %s: expected the address of the source server, "
                "such as http://backend:5352\n",
                s->url);
        return false;
    }
    return true;
}

static bool read_options(int argc, char **argv, struct intake_settings *s)
{
    int c = 0;
    bool is_good = true;

    while (is_good &&
           (c = getopt_long(argc, argv, "", options_table, NULL)) != -1) {
        switch (c) {
        case '1': s->runs_once = true; break;
        case 'v': is_good = read_view(optarg, &s->view); break;
        case 'b': s->holds = true; break;
        case 's': s->source = optarg; break;
        case 'n': is_good = read_start(optarg, &s->start); break;
        default: is_good = false; break;
        }
    }
    return is_good && read_url(argc, argv, s);
}

static void on_events(void *ctx, int64_t events)
{
    (void)ctx;
    (void)events;
}

static void on_end(void *ctx, enum intake_end end)
{
    struct importer *im = ctx;

    im->end = end;
    ev_break(im->loop, EVBREAK_ALL);
}

static void on_signal(struct ev_loop *loop, ev_signal *signal, int events)
{
    (void)signal;
    (void)events;
    ev_break(loop, EVBREAK_ALL);
}

static void watch_signals(struct importer *im)
{
    ev_signal_init(&im->on_term, on_signal, SIGTERM);
    ev_signal_init(&im->on_int, on_signal, SIGINT);
    ev_signal_start(im->loop, &im->on_term);
    ev_signal_start(im->loop, &im->on_int);
}

static int status_of(enum intake_end end)
{
    switch (end) {
    case INTAKE_ALL_READ: return EX_OK;
    case INTAKE_FAILED: return EX_UNAVAILABLE;
    case INTAKE_TAKEN:
        fputs("postbatch: another process fetches from this source; see "
              "postbatch.intake\n",
              stderr);
        return EX_TEMPFAIL;
    }
    return EX_SOFTWARE;
}

static int fetch_all(const struct intake_settings *settings,
                     const struct catalog *catalog)
{
    static const struct intake_hooks hooks = {.on_events = on_events,
                                              .on_end = on_end};
    /* A signal ends a service in good order, but not what was to read all. */
    struct importer im = {.loop = ev_default_loop(EVFLAG_AUTO),
                          .end = settings->runs_once ? INTAKE_FAILED
                                                     : INTAKE_ALL_READ};
    struct intake *intake = intake_new(im.loop, settings, catalog, &hooks, &im);
    const struct intake_counts *counts = intake_counts(intake);

    watch_signals(&im);
    intake_start(intake);
    ev_run(im.loop, 0);
    printf("%llu event%s", (unsigned long long)counts->events,
           plural_s(counts->events));
    if (counts->gaps > 0) {
        printf(", %llu gap%s (see postbatch.intake_gap)",
               (unsigned long long)counts->gaps, plural_s(counts->gaps));
    }
    putchar('\n');
    intake_free(intake);
    return status_of(im.end);
}

static int import(const struct cmd_context *context, int argc, char **argv)
{
    const struct settings *settings = context->settings;
    struct intake_settings s = intake_settings_of(settings);
    struct problems problems;
    struct catalog *catalog = NULL;
    int status = EX_UNAVAILABLE;

    if (!read_options(argc, argv, &s)) {
        return EX_USAGE;
    }
    if (!migrate_check(settings->dsn, stderr)) {
        return EX_UNAVAILABLE;
    }
    problems_init(&problems);
    catalog = catalog_load(settings->templates_path, &problems);
    if (catalog_count(catalog) == 0) {
        fprintf(stderr, "postbatch: no event type in %s; set templates.path\n",
                settings->templates_path);
    } else {
        status = fetch_all(&s, catalog);
    }
    catalog_free(catalog);
    problems_release(&problems);
    return status;
}

const struct cmd cmd_import = {
    .name = "import",
    .usage = "obs [URL] [--once] [--view xml|json] [--block] [--source NAME] "
             "[--start N]",
    .summary = "Fetch notifications of an Open Build Service as events",
    .help =
        "  URL            of the source server, http://backend:5352; without "
        "it intake.obs_url\n"
        "  --once         end when nothing is left; status 69 at the first "
        "failure, or\n"
        "                 when it is stopped before\n"
        "  --view         form of the answers\n"
        "  --block        let the server hold the request until there is "
        "something new\n"
        "  --source NAME  which cursor (postbatch.intake); each server needs "
        "its own\n"
        "  --start N      where to begin with a source that was never read; "
        "without it\n"
        "                 behind the newest, or as intake.start says\n\n"
        "\"postbatch run\" does the same when intake.obs_url is set. One "
        "process at a time\nfetches from a source: with --once, a second one "
        "ends with status 75; else it\nwaits for its turn. What the server "
        "had dropped before it was fetched is in\npostbatch.intake_gap.\n",
    .needs = CMD_NEEDS_SETTINGS,
    .exec = import,
};
