/*
 * serve - the preview as a page: all types, all samples, as the files are now.
 */
#include "preview/serve.h"

#include <errno.h>
#include <ev.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "base/plural.h"
#include "preview/site.h"
#include "preview/watch.h"
#include "web/server.h"

struct serving {
    struct site site;
    struct web_server *server;
    struct watch *watch;
};

static void on_change(void *ctx)
{
    struct serving *s = ctx;
    const struct problems *problems = &s->site.preview.problems;

    site_reload(&s->site);
    printf("loaded again: %zu error%s, %zu warning%s\n", problems->errors,
           plural_s(problems->errors), problems->warnings,
           plural_s(problems->warnings));
    fflush(stdout);
    web_server_wake(s->server);
}

static void on_signal(struct ev_loop *loop, ev_signal *w, int events)
{
    (void)w;
    (void)events;
    ev_break(loop, EVBREAK_ALL);
}

static void catch_signals(struct ev_loop *loop, ev_signal caught[2])
{
    ev_signal_init(&caught[0], on_signal, SIGINT);
    ev_signal_init(&caught[1], on_signal, SIGTERM);
    ev_signal_start(loop, &caught[0]);
    ev_signal_start(loop, &caught[1]);
}

static void watch_folder(struct serving *s, struct ev_loop *loop,
                         const char *folder)
{
    s->watch = watch_new(loop, folder, on_change, s);
    s->site.is_watching = s->watch != NULL;
    if (s->watch == NULL) {
        fprintf(stderr, "postbatch: changes in %s will not be noticed: %s\n",
                folder, strerror(errno));
    }
}

int serve_preview(const struct settings *settings, const char *folder,
                  const char *where, bool is_exposed)
{
    struct ev_loop *loop = ev_default_loop(EVFLAG_AUTO);
    struct serving s = {0};
    ev_signal caught[2];
    const struct web_server_options options = {.where = where,
                                               .is_exposed = is_exposed,
                                               .to_expose = "--expose",
                                               .handle = site_handle,
                                               .ctx = &s.site};
    struct buf why;

    buf_init(&why, 1024);
    s.server = web_server_new(loop, &options, &why);
    if (s.server == NULL) {
        const int status = errno == EINVAL ? EX_USAGE : EX_UNAVAILABLE;

        fprintf(stderr, "postbatch: %s\n", buf_cstr(&why));
        buf_release(&why);
        return status;
    }
    site_init(&s.site, settings, folder);
    watch_folder(&s, loop, folder);
    catch_signals(loop, caught);
    problems_print(&s.site.preview.problems);
    printf("%s shows the letters of %s; Ctrl-C ends it\n",
           web_server_url(s.server), folder);
    fflush(stdout);
    ev_run(loop, 0);
    ev_signal_stop(loop, &caught[0]);
    ev_signal_stop(loop, &caught[1]);
    web_server_free(s.server);
    watch_free(s.watch);
    site_release(&s.site);
    buf_release(&why);
    return EX_OK;
}
