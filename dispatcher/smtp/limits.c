/*
 * limits - how much a relay may be given now.
 *
 * Three controls that do not know each other: token buckets hold the rates
 * an operator set, lanes holds the number of connections the relay has shown
 * to bear, rest holds the time in which it is left alone.
 */
#include "smtp/limits.h"

#include <math.h>

enum {
    STRAINS_LEAST = 8,          /* in a row, that ask for less */
    GROW_PAUSE_MS = 60 * 1000,  /* after trouble, before lanes grow again */
    SLOW_LAST_MS = 60 * 1000,   /* longest rest when the relay asks for less */
    SLOW_FORGET_MS = 120 * 1000 /* quiet time that makes it first again */
};

static void bucket_fill(struct bucket *b, int64_t now_ms)
{
    if (now_ms > b->at_ms) {
        b->tokens += (double)(now_ms - b->at_ms) * b->per_ms;
        b->tokens = b->tokens < b->size ? b->tokens : b->size;
        b->at_ms = now_ms;
    }
}

static bool bucket_has(struct bucket *b, int64_t now_ms)
{
    if (b->per_ms <= 0) {
        return true;
    }
    bucket_fill(b, now_ms);
    return b->tokens >= 1.0;
}

static void bucket_use(struct bucket *b, double tokens)
{
    if (b->per_ms > 0) {
        b->tokens -= tokens;
    }
}

static int64_t bucket_wait_ms(struct bucket *b, int64_t now_ms)
{
    if (bucket_has(b, now_ms)) {
        return 0;
    }
    return (int64_t)ceil((1.0 - b->tokens) / b->per_ms);
}

/* Another rate; what was earned at the old one stays, as far as it fits. */
static void bucket_change(struct bucket *b, double per_s, double size,
                          int64_t now_ms)
{
    bucket_fill(b, now_ms);
    b->per_ms = per_s / 1000.0;
    b->size = size > 1.0 ? size : 1.0; /* always room for one */
    b->tokens = b->tokens < b->size ? b->tokens : b->size;
}

void limits_share(struct limits *l, int hosts, int64_t now_ms)
{
    const struct limits_settings *s = &l->settings;

    l->hosts = hosts > 1 ? hosts : 1;
    /* A second's worth at once; but "30 a minute" may come as 30 at once,
     * unlike 0.5 a second. */
    bucket_change(&l->second, s->letters_per_s / l->hosts,
                  s->letters_per_s / l->hosts, now_ms);
    bucket_change(&l->minute, s->letters_per_min / 60.0 / l->hosts,
                  s->letters_per_min / l->hosts, now_ms);
    bucket_change(&l->connects, s->connects_per_s / l->hosts,
                  s->connects_per_s / l->hosts, now_ms);
}

void limits_init(struct limits *l, const struct limits_settings *settings,
                 int64_t now_ms, uint64_t seed)
{
    const struct bucket full = {.tokens = 1e300, .at_ms = now_ms};

    *l = (struct limits){.settings = *settings,
                         .second = full,
                         .minute = full,
                         .connects = full,
                         .seed = seed | 1};
    l->lanes = settings->lanes_min > 1 ? settings->lanes_min : 1;
    limits_share(l, 1, now_ms);
}

int limits_lanes_max(const struct limits *l)
{
    int part = l->settings.lanes_max / l->hosts;

    return part > 1 ? part : 1;
}

bool limits_take_letter(struct limits *l, int64_t now_ms)
{
    if (!bucket_has(&l->second, now_ms) || !bucket_has(&l->minute, now_ms)) {
        return false;
    }
    bucket_use(&l->second, 1.0);
    bucket_use(&l->minute, 1.0);
    return true;
}

void limits_give_letter(struct limits *l)
{
    bucket_use(&l->second, -1.0);
    bucket_use(&l->minute, -1.0);
}

double limits_letters(struct limits *l, int64_t now_ms, double most)
{
    if (!bucket_has(&l->second, now_ms) || !bucket_has(&l->minute, now_ms)) {
        return 0;
    }
    if (l->second.per_ms > 0 && l->second.tokens < most) {
        most = l->second.tokens;
    }
    if (l->minute.per_ms > 0 && l->minute.tokens < most) {
        most = l->minute.tokens;
    }
    return most;
}

bool limits_take_connect(struct limits *l, int64_t now_ms)
{
    if (!bucket_has(&l->connects, now_ms)) {
        return false;
    }
    bucket_use(&l->connects, 1.0);
    return true;
}

int64_t limits_rest_ms(const struct limits *l, int64_t now_ms)
{
    return l->rest_until_ms > now_ms ? l->rest_until_ms - now_ms : 0;
}

static int64_t longest(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

int64_t limits_wait_ms(struct limits *l, int64_t now_ms)
{
    int64_t wait_ms = longest(bucket_wait_ms(&l->second, now_ms),
                              bucket_wait_ms(&l->minute, now_ms));

    return longest(wait_ms, limits_rest_ms(l, now_ms));
}

int64_t limits_connect_wait_ms(struct limits *l, int64_t now_ms)
{
    return longest(bucket_wait_ms(&l->connects, now_ms),
                   limits_rest_ms(l, now_ms));
}

int limits_lanes(const struct limits *l)
{
    int most = limits_lanes_max(l);
    int allowed = l->lanes < 1 ? 1 : (int)l->lanes;

    return allowed < most ? allowed : most;
}

void limits_accepted(struct limits *l, int64_t now_ms)
{
    int most = limits_lanes_max(l);

    l->failures = 0;
    l->strains = 0;
    l->is_paused = false;
    if (l->lanes < most && now_ms >= l->grow_at_ms) {
        l->lanes += 1.0 / l->lanes;
        l->lanes = l->lanes < most ? l->lanes : most;
    }
}

void limits_proven(struct limits *l, int open)
{
    if (l->lanes < open && open <= limits_lanes_max(l)) {
        l->lanes = open;
    }
}

void limits_alive(struct limits *l)
{
    l->failures = 0;
}

/* Plus or minus a tenth, so that many workers do not come back at once. */
static int64_t jitter(struct limits *l, int64_t ms)
{
    l->seed ^= l->seed << 13;
    l->seed ^= l->seed >> 7;
    l->seed ^= l->seed << 17;
    return ms - ms / 10 + (int64_t)(l->seed % 1000) * (ms / 5) / 1000;
}

static int64_t rest(struct limits *l, int64_t now_ms, int64_t ms)
{
    int64_t until_ms = now_ms + jitter(l, ms);

    l->rest_until_ms = longest(l->rest_until_ms, until_ms);
    return l->rest_until_ms - now_ms;
}

int64_t limits_failed(struct limits *l, int64_t now_ms, int open)
{
    int64_t ms = 0;

    l->grow_at_ms = now_ms + GROW_PAUSE_MS;
    if (open > 0) {
        l->lanes = open < l->lanes ? open : l->lanes;
        return 0;
    }
    l->lanes = 1;
    /* Connections that break together, in whatever worker, are one failure. */
    if (l->failures > 0 && limits_rest_ms(l, now_ms) > 0) {
        return limits_rest_ms(l, now_ms);
    }
    l->failures += l->failures < 1000 ? 1 : 0;
    ms = l->settings.rest_ms * l->failures * l->failures;
    if (ms > l->settings.rest_max_ms) {
        ms = l->settings.rest_max_ms;
    }
    return rest(l, now_ms, ms);
}

int64_t limits_slower(struct limits *l, int64_t now_ms)
{
    int64_t ms = l->settings.rest_ms;
    int64_t most_ms = l->settings.rest_max_ms < SLOW_LAST_MS
                          ? l->settings.rest_max_ms
                          : SLOW_LAST_MS;

    /* What was in flight when it asked asks again: that is one request. */
    if (limits_rest_ms(l, now_ms) > 0) {
        return limits_rest_ms(l, now_ms);
    }
    if (now_ms - l->slowed_ms > SLOW_FORGET_MS) {
        l->slowdowns = 0;
    }
    for (int i = 0; i < l->slowdowns && ms < most_ms; i++) {
        ms *= 2;
    }
    l->strains = 0;
    l->slowdowns++;
    l->slowed_ms = now_ms;
    l->grow_at_ms = now_ms + GROW_PAUSE_MS;
    l->lanes = l->lanes / 2 < 1 ? 1 : l->lanes / 2;
    return rest(l, now_ms, ms < most_ms ? ms : most_ms);
}

bool limits_strained(struct limits *l, int64_t now_ms)
{
    int round = limits_lanes(l);

    if (limits_rest_ms(l, now_ms) > 0) {
        return false; /* it was in flight when the rest began */
    }
    l->lanes -= 1.0 / l->lanes;
    l->lanes = l->lanes < 1 ? 1 : l->lanes;
    l->strains++;
    return l->strains >= STRAINS_LEAST && l->strains >= round;
}

int64_t limits_pause(struct limits *l, int64_t now_ms)
{
    l->lanes = 1;
    l->is_paused = true;
    l->grow_at_ms = now_ms + GROW_PAUSE_MS;
    return rest(l, now_ms, l->settings.pause_ms);
}

void limits_resume(struct limits *l)
{
    l->rest_until_ms = 0;
    l->is_paused = false;
    l->grow_at_ms = 0;
    l->failures = 0;
    l->strains = 0;
    l->slowdowns = 0;
}
