/*
 * probe - one look at a relay: connect, report, QUIT.
 *
 * The report waits for the end of the conversation, so that the relay's log
 * shows a clean one.
 */
#include "smtp/probe.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "smtp/connect.h"

struct probe {
    struct ev_loop *loop;
    struct relay relay;
    struct connector *connector;
    struct link *link;
    void (*done)(void *ctx, const struct relay_report *report);
    void *ctx;
    int64_t began_ms;
    ev_io io;
    ev_timer timer;
    ev_prepare finish; /* fed, never started: the end, outside of callbacks */
    struct relay_report report;
};

static void on_finish(struct ev_loop *loop, ev_prepare *w, int events)
{
    struct probe *p = w->data;

    (void)events;
    ev_io_stop(loop, &p->io);
    ev_timer_stop(loop, &p->timer);
    link_close(p->link);
    connector_free(p->connector);
    p->done(p->ctx, &p->report);
    relay_release(&p->relay);
    mem_free(p);
}

static void finish(struct probe *p)
{
    ev_feed_event(p->loop, &p->finish, EV_CUSTOM);
}

/* Anything that comes after QUIT, and its absence, is as good as a 221. */
static void on_answer(struct ev_loop *loop, ev_io *io, int events)
{
    struct probe *p = io->data;
    char bytes[512];
    size_t count = 0;

    (void)events;
    if (link_recv(p->link, bytes, sizeof(bytes), &count) != LINK_AGAIN) {
        ev_io_stop(loop, io);
        finish(p);
    }
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int events)
{
    struct probe *p = w->data;

    (void)loop;
    (void)events;
    if (p->report.is_ok ||
        !link_in_time(p->link, clock_monotonic_ms(), p->report.text,
                      sizeof(p->report.text))) {
        finish(p);
    }
}

static void quit(struct probe *p)
{
    static const char command[] = "QUIT\r\n";
    size_t count = 0;
    char bytes[512];

    /* Before the first send, as lane.c: it ties connection and handle. */
    (void)link_recv(p->link, bytes, sizeof(bytes), &count);
    if (link_send(p->link, command, sizeof(command) - 1, &count) != LINK_OK) {
        finish(p);
        return;
    }
    ev_io_init(&p->io, on_answer, link_fd(p->link), EV_READ);
    p->io.data = p;
    ev_io_start(p->loop, &p->io);
    p->timer.repeat = (double)p->relay.settings.timeouts.quit_ms / 1000.0;
    ev_timer_again(p->loop, &p->timer);
}

static void on_connected(void *ctx, struct link *l,
                         const struct link_result *result)
{
    struct probe *p = ctx;
    int64_t now_ms = clock_monotonic_ms();

    (void)l;
    p->report.is_ok = result->is_ok;
    p->report.is_tls = result->is_tls;
    p->report.is_auth = result->is_auth;
    p->report.ehlo = result->ehlo;
    p->report.took_ms = now_ms - p->began_ms;
    p->report.gear = relay_gear(&p->relay, &result->ehlo, now_ms);
    snprintf(p->report.text, sizeof(p->report.text), "%s", result->text);
    if (result->is_ok) {
        quit(p);
    } else {
        finish(p);
    }
}

void relay_probe(struct ev_loop *loop, const struct relay_settings *s,
                 void (*done)(void *ctx, const struct relay_report *report),
                 void *ctx)
{
    struct probe *p = mem_calloc(1, sizeof(*p));

    p->loop = loop;
    p->done = done;
    p->ctx = ctx;
    p->began_ms = clock_monotonic_ms();
    relay_init(&p->relay, s, p->began_ms);
    ev_init(&p->io, on_answer);
    ev_init(&p->timer, on_timer);
    ev_init(&p->finish, on_finish);
    p->timer.data = p;
    p->finish.data = p;
    p->timer.repeat =
        (double)p->relay.settings.timeouts.connect_ms / 1000.0 + 0.1;
    ev_timer_again(loop, &p->timer);
    p->connector = connector_new(loop);
    p->link = link_open(p->connector, &p->relay.settings, on_connected, p);
}
