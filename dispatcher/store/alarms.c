/*
 * alarms - the table of what a person should know.
 *
 * Here: its life, looks and claims. What is written is an order, which is kept
 * until it is done (alarms_orders.c).
 */
#include "store/alarms.h"

#include <stdio.h>
#include <unistd.h>

#include "base/embed.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/alarms_inner.h"

enum { CLAIM_MAX = 64 };

static const double AGAIN_S = 5.0;

/* A claim under way: whose it is. */
struct asked {
    struct alarms *alarms;
    const char *backend;
};

const char *alarms_sql(const char *name)
{
    char path[64];

    snprintf(path, sizeof(path), "queries/%s.sql", name);
    return embed_require(path)->data;
}

void alarms_free_texts(struct report *r)
{
    const char *const texts[] = {
        r->cause,   r->kind,         r->severity, r->component, r->action,
        r->message, r->over_message, r->file,     r->params,
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        mem_free((void *)(uintptr_t)texts[i]);
    }
}

/* ---- questions --------------------------------------------------------- */

static void on_looked(void *ctx, const PGresult *result, const char *error)
{
    struct alarms *a = ctx;

    (void)result;
    a->is_looking = false;
    if (error != NULL && pg_is_ready(a->pg)) {
        log_error("no look for alarms", "why=\"%s\"", error);
    }
    a->hooks.on_looked(a->ctx);
}

/* 0 is NULL: what is switched off. */
static void param_or_null(struct pg_params *p, int64_t value)
{
    if (value > 0) {
        pg_param_int64(p, value);
    } else {
        pg_param_text(p, NULL);
    }
}

bool alarms_look(struct alarms *a, bool now)
{
    struct pg_params p = {0};

    if (a->is_looking) {
        return false;
    }
    pg_param_int64(&p, now ? 0 : a->settings.period_ms);
    pg_param_int64(&p, a->settings.quiet_ms);
    pg_param_int64(&p, a->settings.settle_ms);
    param_or_null(&p, a->settings.repeat_ms);
    param_or_null(&p, a->settings.waiting_ms);
    a->is_looking = pg_query(a->pg, alarms_sql("alarm_look"), &p, on_looked, a);
    return a->is_looking;
}

/* The text of a column as a C string (caller frees); NULL stays NULL. */
static const char *text_of(const PGresult *result, int row, int column)
{
    struct span text = pg_get_text(result, row, column);

    return PQgetisnull(result, row, column) ? NULL
                                            : mem_strndup(text.ptr, text.len);
}

/* A row of alarm_claim.sql. */
static struct alarms_claim read_claim(const PGresult *result, int row)
{
    return (struct alarms_claim){
        .id = pg_get_int64(result, row, 0),
        .tries = pg_get_int32(result, row, 13),
        .report =
            {
                .cause = text_of(result, row, 1),
                .kind = text_of(result, row, 2),
                .severity = text_of(result, row, 3),
                .component = text_of(result, row, 4),
                .action = text_of(result, row, 5),
                .message = text_of(result, row, 6),
                .file = text_of(result, row, 7),
                .params = text_of(result, row, 8),
                .count = pg_get_int64(result, row, 9),
                .first_us = pg_get_time_us(result, row, 10),
                .last_us = pg_get_time_us(result, row, 11),
                .is_over = pg_get_bool(result, row, 12),
            },
    };
}

static void on_claimed(void *ctx, const PGresult *result, const char *error)
{
    struct asked *asked = ctx;
    struct alarms *a = asked->alarms;
    struct alarms_claim claims[CLAIM_MAX];
    size_t count = 0;

    if (error != NULL && pg_is_ready(a->pg)) {
        log_error("no reports can be taken", "backend=%s why=\"%s\"",
                  asked->backend, error);
    }
    for (int row = 0;
         error == NULL && row < PQntuples(result) && count < CLAIM_MAX; row++) {
        claims[count++] = read_claim(result, row);
    }
    a->hooks.on_claimed(a->ctx, asked->backend, claims, count);
    for (size_t i = 0; i < count; i++) {
        alarms_free_texts(&claims[i].report);
    }
    mem_free(asked);
}

bool alarms_claim(struct alarms *a, const char *backend, int most)
{
    struct pg_params p = {0};
    struct asked *asked = NULL;

    asked = mem_alloc(sizeof(*asked));
    *asked = (struct asked){a, backend};
    pg_param_text(&p, backend);
    pg_param_int32(&p, most < CLAIM_MAX ? most : CLAIM_MAX - 1);
    pg_param_int32(&p, a->settings.per_minute);
    pg_param_int64(&p, a->settings.lease_ms);
    if (!pg_query(a->pg, alarms_sql("alarm_claim"), &p, on_claimed, asked)) {
        mem_free(asked);
        return false;
    }
    return true;
}

/* ---- life -------------------------------------------------------------- */

static void on_ready(void *ctx)
{
    struct alarms *a = ctx;

    orders_send(a);
    a->hooks.on_ready(a->ctx);
}

static void on_lost(void *ctx, const char *why)
{
    (void)ctx;
    (void)why; /* every question has had its answer */
}

static void on_again(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    (void)events;
    ev_timer_stop(loop, timer);
    orders_send(timer->data);
}

struct alarms *alarms_new(struct ev_loop *loop,
                          const struct alarms_settings *settings,
                          const struct alarms_hooks *hooks, void *ctx)
{
    static const struct pg_hooks pg_hooks = {on_ready, on_lost};
    struct alarms *a = mem_calloc(1, sizeof(*a));

    a->loop = loop;
    a->settings = *settings;
    a->hooks = *hooks;
    a->ctx = ctx;
    gethostname(a->host, sizeof(a->host) - 1);
    list_init(&a->orders);
    a->pg = pg_new(loop, settings->dsn, "postbatch alarms", &pg_hooks, a);
    ev_init(&a->again, on_again);
    a->again.repeat = AGAIN_S;
    a->again.data = a;
    return a;
}

void alarms_start(struct alarms *a)
{
    if (!a->is_started) {
        a->is_started = true;
        pg_start(a->pg);
    }
}

static void ignore(void *ctx)
{
    (void)ctx;
}

static void ignore_claims(void *ctx, const char *backend,
                          const struct alarms_claim *claims, size_t count)
{
    (void)ctx;
    (void)backend;
    (void)claims;
    (void)count;
}

void alarms_free(struct alarms *a)
{
    if (a == NULL) {
        return;
    }
    a->hooks = (struct alarms_hooks){ignore, ignore, ignore_claims};
    pg_free(a->pg);
    ev_timer_stop(a->loop, &a->again);
    orders_release(a);
    mem_free(a);
}

bool alarms_is_ready(const struct alarms *a)
{
    return pg_is_ready(a->pg);
}

size_t alarms_pending(const struct alarms *a)
{
    return a->orders.count;
}
