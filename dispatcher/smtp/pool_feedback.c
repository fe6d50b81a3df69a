/*
 * pool_feedback - what a relay's behaviour leads to: rest, pause, alarm.
 *
 * A relay that is not there rests, longer each time. One that asks for less
 * rests shortly and gets fewer at a time; one that has trouble with a letter
 * now and then is not left alone for it. One that refuses us (credentials,
 * certificates, policy for everybody) is paused, because trying again in a
 * loop makes it worse, and a person is told.
 */
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "smtp/pool_parts.h"

enum {
    ALARM_EVERY_MS = 60 * 1000,
    FAILURES_ALARM = 3,    /* failed connections in a row */
    USELESS_MS = 5 * 1000, /* a lane without letters that lived shorter */
};

static void alarm_person(struct pool *pool, struct relay *r, int64_t now_ms,
                         enum pool_alarm alarm, const char *what)
{
    if (r->alarmed_ms != 0 && now_ms - r->alarmed_ms < ALARM_EVERY_MS) {
        return;
    }
    r->alarmed_ms = now_ms;
    pool->ops->alarm(pool->ctx, r, alarm, what);
}

static void pause_relay(struct pool *pool, struct relay *r, int64_t now_ms,
                        enum pool_alarm alarm, const char *text)
{
    bool is_news = false;
    int64_t ms = quota_pause(&r->quota, now_ms, &is_news);

    r->doubts = 0;
    relay_set_trouble(r, "%s", text);
    if (is_news) {
        log_error("relay paused", "relay=%s seconds=%d why=\"%s\"",
                  r->settings.name, (int)(ms / 1000), text);
        r->alarmed_ms = 0; /* a pause is always told */
    }
    alarm_person(pool, r, now_ms, alarm, text);
}

static void slow_relay(struct relay *r, int64_t now_ms, const char *text)
{
    bool was_resting = quota_rest_ms(&r->quota, now_ms) > 0;
    int64_t ms = quota_slower(&r->quota, now_ms);

    if (!was_resting) {
        relay_window_halve(r);
        relay_set_trouble(r, "%s", text);
        log_warn("relay wants less", "relay=%s rest_ms=%d why=\"%s\"",
                 r->settings.name, (int)ms, text);
    }
}

static void fail_relay(struct pool *pool, struct relay *r, int64_t now_ms,
                       const char *text)
{
    int64_t ms = quota_failed(&r->quota, now_ms);
    int failures = quota_failures(&r->quota);

    relay_set_trouble(r, "%s", text);
    log_warn("relay cannot be used",
             "relay=%s failures=%d rest_ms=%d "
             "why=\"%s\"",
             r->settings.name, failures, (int)ms, text);
    if (failures >= FAILURES_ALARM) {
        alarm_person(pool, r, now_ms, POOL_ALARM_DOWN, text);
    }
}

void pool_on_trouble(struct lane *l, const struct judgement *j,
                     const char *text)
{
    struct pool *pool = l->owner;
    struct relay *r = l->relay;
    int64_t now_ms = clock_monotonic_ms();

    switch (j->relay) {
    case RELAY_NOTHING: return;
    case RELAY_SLOWER: slow_relay(r, now_ms, text); return;
    case RELAY_STRAIN:
        if (quota_strained(&r->quota, now_ms)) {
            slow_relay(r, now_ms, text);
        }
        return;
    case RELAY_PAUSE:
        pause_relay(pool, r, now_ms, POOL_ALARM_PAUSED, text);
        return;
    case RELAY_ALARM:
        log_error("sender refused", "relay=%s why=\"%s\"", r->settings.name,
                  text);
        relay_set_trouble(r, "%s", text);
        alarm_person(pool, r, now_ms, POOL_ALARM_SENDER, text);
        break;
    case RELAY_DOUBT: break;
    }
    r->doubts++;
    if (r->doubts >= r->settings.doubts_max) {
        pause_relay(pool, r, now_ms, POOL_ALARM_PAUSED, text);
    }
}

void pool_on_connect_failed(struct lane *l, const struct link_result *result)
{
    struct pool *pool = l->owner;
    struct relay *r = l->relay;
    int64_t now_ms = clock_monotonic_ms();
    bool is_hopeless = result->needs_person;

    if (result->answer == ANSWER_REPLY) {
        struct question q = {.place = result->place,
                             .answer = ANSWER_REPLY,
                             .code = result->code,
                             .enhanced = result->enhanced};
        struct judgement j = verdict_judge(&q);

        is_hopeless = j.relay == RELAY_PAUSE;
    }
    if (is_hopeless) {
        pause_relay(pool, r, now_ms,
                    result->needs_person || result->place == PLACE_AUTH
                        ? POOL_ALARM_ACCESS
                        : POOL_ALARM_PAUSED,
                    result->text);
        return;
    }
    /* This lane still counts as connecting, so it is not among the open. */
    fail_relay(pool, r, now_ms, result->text);
}

/* A connection that ended before it was of any use is as good as none. */
void pool_on_useless(struct lane *l, int64_t now_ms)
{
    if (!l->was_useful &&
        (l->letters > 0 || now_ms - l->opened_ms < USELESS_MS)) {
        fail_relay(l->owner, l->relay, now_ms,
                   "connections end before a letter is answered");
    }
}
