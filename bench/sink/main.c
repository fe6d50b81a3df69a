/*
 * postbatch-sink - an SMTP server for tests, demonstrations and benchmarks.
 *
 * It accepts everything and keeps little; it counts Message-IDs, so that lost
 * and doubled mail shows; it is slow, refuses and breaks off as told; and it
 * records whatever the client does that the standards forbid.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>

#include "base/log.h"
#include "bench/sink/doors.h"
#include "bench/sink/tls.h"

struct program {
    struct sink sink;
    struct conns conns;
    struct doors doors;
    SSL_CTX *tls;
    ev_signal stops[2];
    ev_signal report;
};

static void write_summary(const struct sink *sink)
{
    const char *path = sink->options.summary;

    if (path != NULL && !tally_write(sink, path)) {
        log_error("summary not written", "file=\"%s\" error=\"%s\"", path,
                  strerror(errno));
    }
}

static void on_stop(struct ev_loop *loop, ev_signal *w, int events)
{
    (void)w;
    (void)events;
    ev_break(loop, EVBREAK_ALL);
}

static void on_report(struct ev_loop *loop, ev_signal *w, int events)
{
    struct program *p = w->data;

    (void)loop;
    (void)events;
    store_flush(&p->sink.store);
    write_summary(&p->sink);
}

static void watch_signals(struct program *p, struct ev_loop *loop)
{
    ev_signal_init(&p->stops[0], on_stop, SIGTERM);
    ev_signal_init(&p->stops[1], on_stop, SIGINT);
    ev_signal_init(&p->report, on_report, SIGUSR1);
    p->report.data = p;
    ev_signal_start(loop, &p->stops[0]);
    ev_signal_start(loop, &p->stops[1]);
    ev_signal_start(loop, &p->report);
    signal(SIGPIPE, SIG_IGN);
}

/* As many connections as the system lets us have. */
static void raise_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static bool open_sink(struct sink *sink)
{
    const struct options *o = &sink->options;

    offences_init(&sink->offences, o->lenient);
    ids_init(&sink->ids, o->count ? (size_t)o->expect : 0);
    tally_start(&sink->tally);
    if (!store_open(&sink->store, o->maildir, o->raw, o->mail_log,
                    o->double_log)) {
        fprintf(stderr, "postbatch-sink: maildir or log: %s\n",
                strerror(errno));
        return false;
    }
    sink->store.keep = o->keep;
    return true;
}

static void close_sink(struct sink *sink)
{
    store_close(&sink->store);
    ids_release(&sink->ids);
    offences_release(&sink->offences);
    options_release(&sink->options);
}

static int run(struct program *p, struct ev_loop *loop)
{
    const struct options *o = &p->sink.options;

    if (o->cert != NULL) {
        p->tls = tls_context(o->cert, o->key);
        if (p->tls == NULL) {
            return EX_CONFIG;
        }
    }
    if (!conns_init(&p->conns, &p->sink, loop, p->tls)) {
        fprintf(stderr, "postbatch-sink: %s\n", strerror(errno));
        return EX_OSERR;
    }
    watch_signals(p, loop);
    if (doors_open(&p->doors, &p->conns)) {
        ev_run(loop, 0);
        doors_close(&p->doors);
        conns_release(&p->conns);
        store_flush(&p->sink.store);
        write_summary(&p->sink);
        return EX_OK;
    }
    doors_close(&p->doors);
    conns_release(&p->conns);
    return EX_UNAVAILABLE;
}

int main(int argc, char **argv)
{
    static struct program p;
    int status = options_parse(&p.sink.options, argc, argv);

    if (status >= 0) {
        options_release(&p.sink.options);
        return status;
    }
    if (p.sink.options.verbose) {
        log_set_level(LOG_LEVEL_DEBUG);
    }
    raise_limit();
    status = EX_CANTCREAT;
    if (open_sink(&p.sink)) {
        status = run(&p, EV_DEFAULT);
    }
    close_sink(&p.sink);
    SSL_CTX_free(p.tls);
    ev_loop_destroy(EV_DEFAULT);
    return status;
}
