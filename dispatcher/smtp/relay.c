/*
 * relay - an SMTP server we hand mail to.
 *
 * A window of letters in flight behaves as TCP's: it doubles each round up
 * to where trouble was met last, then grows by one a round, and trouble
 * halves it. A gear that did harm is put away for ten minutes, then twenty,
 * then forty, up to a day.
 */
#include "smtp/relay.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

enum {
    DEMOTE_MS = 10 * 60 * 1000,
    DEMOTE_MAX_MS = 24 * 3600 * 1000,
};

static const char *const gear_names[] = {
    [GEAR_LOCKSTEP] = "lockstep",
    [GEAR_PIPELINED] = "pipelined",
    [GEAR_STREAMED] = "streamed",
    [GEAR_AUTO] = "auto",
};

static const char *const health_names[] = {
    [RELAY_UP] = "up",
    [RELAY_RESTING] = "resting",
    [RELAY_PAUSED] = "paused",
};

const char *gear_name(enum gear gear)
{
    return gear_names[gear];
}

const char *relay_health_name(enum relay_health health)
{
    return health_names[health];
}

static bool text_is_set(const char *text)
{
    return text != NULL && text[0] != '\0';
}

static char *copy(const char *text)
{
    return text_is_set(text) ? mem_strdup(text) : NULL;
}

struct limits_settings relay_limits(const struct relay_settings *s)
{
    return (struct limits_settings){
        .letters_per_s = s->rate_per_s,
        .letters_per_min = s->rate_per_min,
        .connects_per_s = s->connect_rate_per_s,
        .lanes_min = s->lanes_min,
        .lanes_max = s->lanes_max,
        .rest_ms = s->rest_ms,
        .rest_max_ms = s->rest_max_ms,
        .pause_ms = s->pause_ms,
    };
}

void relay_init(struct relay *r, const struct relay_settings *s, int64_t now_ms)
{
    struct limits_settings limits = relay_limits(s);

    *r = (struct relay){.settings = *s, .window = 1};
    r->settings.name = copy(s->name);
    r->settings.host = copy(s->host);
    r->settings.unix_path = copy(s->unix_path);
    r->settings.ca_file = copy(s->ca_file);
    r->settings.cert_file = copy(s->cert_file);
    r->settings.key_file = copy(s->key_file);
    r->settings.user = copy(s->user);
    r->settings.password = copy(s->password);
    r->settings.token = copy(s->token);
    r->settings.helo = copy(s->helo);
    r->settings.source_address = copy(s->source_address);
    r->settings.port = relay_settings_port(s);
    r->window_slow = s->window_max;
    r->gears.best = GEAR_AUTO;
    quota_init(&r->quota, &limits, now_ms,
               (uint64_t)now_ms * 2654435761u + (uint64_t)getpid());
    list_init(&r->lanes);
}

static void wipe(const char *secret)
{
    if (secret != NULL) {
        explicit_bzero((char *)(uintptr_t)secret, strlen(secret));
        mem_free((char *)(uintptr_t)secret);
    }
}

void relay_release(struct relay *r)
{
    const char *texts[] = {r->settings.name,      r->settings.host,
                           r->settings.unix_path, r->settings.ca_file,
                           r->settings.cert_file, r->settings.key_file,
                           r->settings.helo,      r->settings.source_address};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        mem_free((char *)(uintptr_t)texts[i]);
    }
    wipe(r->settings.user);
    wipe(r->settings.password);
    wipe(r->settings.token);
    quota_release(&r->quota);
    *r = (struct relay){.window = 1};
}

enum relay_health relay_health(const struct relay *r, int64_t now_ms)
{
    if (quota_rest_ms(&r->quota, now_ms) == 0) {
        return RELAY_UP;
    }
    return quota_is_paused(&r->quota) ? RELAY_PAUSED : RELAY_RESTING;
}

const char *relay_where(const struct relay *r, char *memory, size_t size)
{
    if (r->settings.unix_path != NULL) {
        snprintf(memory, size, "%s", r->settings.unix_path);
    } else {
        snprintf(memory, size, "%s:%d", r->settings.host, r->settings.port);
    }
    return memory;
}

static enum gear slower_gear(enum gear a, enum gear b)
{
    return a < b ? a : b;
}

enum gear relay_gear(struct relay *r, const struct ehlo *e, int64_t now_ms)
{
    enum gear gear = GEAR_LOCKSTEP;

    if (e->offers & EHLO_PIPELINING) {
        gear = e->offers & EHLO_CHUNKING ? GEAR_STREAMED : GEAR_PIPELINED;
    }
    gear = slower_gear(gear, r->settings.gear);
    if (r->settings.gear == GEAR_AUTO && r->gears.best != GEAR_AUTO) {
        if (now_ms >= r->gears.until_ms) {
            r->gears.best = GEAR_AUTO;
        }
        gear = slower_gear(gear, r->gears.best);
    }
    return gear;
}

void relay_demote(struct relay *r, enum gear gear, int64_t now_ms,
                  const char *why)
{
    int64_t ms = DEMOTE_MS;

    relay_window_halve(r);
    if (gear == GEAR_LOCKSTEP || r->settings.gear != GEAR_AUTO ||
        r->gears.best < gear) {
        return; /* none is slower, none may be chosen, or it was already */
    }
    for (int i = 0; i < r->gears.times && ms < DEMOTE_MAX_MS; i++) {
        ms *= 2;
    }
    ms = ms < DEMOTE_MAX_MS ? ms : DEMOTE_MAX_MS;
    r->gears.times++;
    r->gears.best = gear == GEAR_STREAMED ? GEAR_PIPELINED : GEAR_LOCKSTEP;
    r->gears.until_ms = now_ms + ms;
    r->gears.is_proven = false;
    log_warn("relay gets a slower gear",
             "relay=%s gear=%s seconds=%d why=\"%s\"", r->settings.name,
             gear_name(r->gears.best), (int)(ms / 1000), why);
}

int relay_window(const struct relay *r)
{
    return r->window < 1 ? 1 : (int)r->window;
}

void relay_window_grow(struct relay *r)
{
    r->window += r->window < r->window_slow ? 1.0 : 1.0 / r->window;
    if (r->window > r->settings.window_max) {
        r->window = r->settings.window_max < 1 ? 1 : r->settings.window_max;
    }
}

void relay_window_halve(struct relay *r)
{
    r->window = r->window / 2 < 1 ? 1 : r->window / 2;
    r->window_slow = r->window;
}

void relay_set_trouble(struct relay *r, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(r->trouble, sizeof(r->trouble), format, args);
    va_end(args);
    for (char *p = r->trouble; *p != '\0'; p++) {
        *p = (unsigned char)*p < 0x20 || *p == 0x7f ? '?' : *p;
    }
}
