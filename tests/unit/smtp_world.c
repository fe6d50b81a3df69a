/*
 * smtp_world - a pool, letters and scripted relays for a test.
 */
#include "smtp_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

static enum pool_next world_next(void *ctx, struct parcel *out,
                                 struct buf *content)
{
    struct world *w = ctx;
    struct world_letter *l = NULL;
    int k = 0;

    if (w->first == w->last) {
        return POOL_NEXT_NONE;
    }
    k = w->queue[w->first++];
    l = &w->letters[k];
    out->letter = l;
    out->from = span_of(l->from);
    out->to = span_of(l->to);
    out->urgency = URGENCY_NORMAL;
    out->needs_smtputf8 = w->utf8_odd && k % 2 == 1;
    w->given++;
    if (w->content != NULL) {
        buf_puts(content, w->content);
        return POOL_NEXT_GIVEN;
    }
    buf_printf(content, "Subject: letter %d\r\n\r\n", k);
    for (size_t n = 0; n < w->content_size; n += 66) {
        buf_puts(content, "0123456789012345678901234567890123456789"
                          "012345678901234567890123\r\n");
    }
    return POOL_NEXT_GIVEN;
}

static void world_begun(void *ctx, void *letter)
{
    struct world_letter *l = letter;

    (void)ctx;
    l->begun++;
}

static void world_done(void *ctx, void *letter, const struct outcome *o,
                       const struct relay *r)
{
    struct world *w = ctx;
    struct world_letter *l = letter;

    l->done++;
    l->verdict = o->verdict;
    l->code = o->code;
    memcpy(l->enhanced, o->enhanced, sizeof(l->enhanced));
    l->suppress = o->suppress;
    l->retry_after_s = o->retry_after_s;
    snprintf(l->text, sizeof(l->text), "%.*s", SPAN_ARG(o->text));
    snprintf(l->relay, sizeof(l->relay), "%s", r->settings.name);
    w->open--;
    if (w->open == 0 || (w->done_before_stop > 0 &&
                         w->count - w->open == w->done_before_stop)) {
        ev_break(w->loop, EVBREAK_ALL);
    }
}

static void world_returned(void *ctx, void *letter)
{
    struct world *w = ctx;
    struct world_letter *l = letter;

    l->returned++;
    if (!w->parks) {
        w->queue[w->last++] = (int)(l - w->letters);
        pool_wake(w->pool);
    }
}

static void world_alarm(void *ctx, const struct relay *r, enum pool_alarm alarm,
                        const char *what)
{
    struct world *w = ctx;

    (void)r;
    w->alarms++;
    w->alarm_kind = alarm;
    snprintf(w->alarm, sizeof(w->alarm), "%s", what);
}

static const struct pool_ops world_ops = {
    .next = world_next,
    .begun = world_begun,
    .done = world_done,
    .returned = world_returned,
    .alarm = world_alarm,
};

static void world_on_watchdog(struct ev_loop *loop, ev_timer *t, int events)
{
    (void)t;
    (void)events;
    ev_break(loop, EVBREAK_ALL);
}

static void world_on_drained(void *ctx)
{
    struct world *w = ctx;

    w->is_drained = true;
    ev_break(w->loop, EVBREAK_ALL);
}

void world_letters(struct world *w, int count)
{
    for (int k = 0; k < count; k++) {
        struct world_letter *l = &w->letters[w->count];

        snprintf(l->from, sizeof(l->from), "f%d@s.test", w->count);
        snprintf(l->to, sizeof(l->to), "t%d@r.test", w->count);
        w->queue[w->last++] = w->count++;
        w->open++;
    }
}

struct world *world_new(const char *offers)
{
    struct world *w = calloc(1, sizeof(*w));

    log_set_level(getenv("TEST_DEBUG") ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR + 1);
    w->loop = ev_loop_new(EVFLAG_AUTO);
    w->content_size = 200;
    script_start(&w->script, w->loop, offers);
    w->pool = pool_new(w->loop, &world_ops, w);
    ev_init(&w->watchdog, world_on_watchdog);
    return w;
}

struct relay_settings world_settings(const struct script *s, const char *name)
{
    struct relay_settings r;

    relay_settings_default(&r);
    r.name = name;
    r.host = "127.0.0.1";
    r.port = s->port;
    r.helo = "client.test";
    r.tls = RELAY_TLS_NONE;
    r.lanes_max = 1;
    r.rest_ms = 20;
    r.rest_max_ms = 100;
    r.pause_ms = 60 * 1000;
    r.timeouts = (struct relay_timeouts){.connect_ms = 2000,
                                         .command_ms = 5000,
                                         .data_ms = 5000,
                                         .block_ms = 5000,
                                         .dot_ms = 5000,
                                         .quit_ms = 500};
    return r;
}

bool world_add(struct world *w, const struct relay_settings *r)
{
    struct problems p;
    bool is_ok = false;

    problems_init(&p);
    is_ok = pool_add_relay(w->pool, r, &p);
    if (getenv("TEST_DEBUG")) {
        problems_print(&p);
    }
    problems_release(&p);
    return is_ok;
}

void world_run(struct world *w, double seconds)
{
    ev_timer_set(&w->watchdog, seconds, 0.0);
    ev_timer_start(w->loop, &w->watchdog);
    ev_run(w->loop, 0);
    ev_timer_stop(w->loop, &w->watchdog);
}

void world_send(struct world *w, double seconds)
{
    pool_start(w->pool);
    pool_wake(w->pool);
    world_run(w, seconds);
}

void world_drain(struct world *w, double seconds)
{
    pool_drain(w->pool, world_on_drained);
    world_run(w, seconds);
}

void world_free(struct world *w)
{
    pool_free(w->pool);
    /* The scripted relays see the connections end. */
    for (int i = 0; i < 200 && w->script.open + w->second.open > 0; i++) {
        ev_run(w->loop, EVRUN_NOWAIT);
        usleep(500);
    }
    script_stop(&w->script);
    if (w->second.loop != NULL) {
        script_stop(&w->second);
    }
    ev_loop_destroy(w->loop);
    free(w);
}
