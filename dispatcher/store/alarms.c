/*
 * alarms - the table of what a person should know.
 *
 * Orders (raise, resolve, settle) wait in a list and are sent one after the
 * other; one that fails because the database is away stays at the head. So
 * nothing that was raised or told is lost while this process lives, and
 * nothing of it is ever waited for.
 */
#include "store/alarms.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/embed.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/pg.h"

enum { ORDERS_MAX = 300, CLAIM_MAX = 64 };

static const double AGAIN_S = 5.0;

enum order_kind { ORDER_RAISE, ORDER_RESOLVE, ORDER_SETTLE };

struct order {
    struct list_node node;
    enum order_kind kind;
    struct report report; /* RAISE; texts are ours. RESOLVE: its cause */
    int64_t claim;        /* SETTLE */
    int64_t again_ms;     /* SETTLE; < 0: it is told */
};

struct alarms {
    struct ev_loop *loop;
    struct pg *pg;
    struct alarms_settings settings;
    struct alarms_hooks hooks;
    void *ctx;
    char host[256];
    struct list orders;
    struct ev_timer again; /* after an order that failed */
    bool is_started;
    bool is_sending; /* the head of the orders is on its way */
    bool is_looking;
    bool is_full; /* an order was dropped, and the log says so */
};

/* A claim under way: whose it is. */
struct asked {
    struct alarms *alarms;
    const char *backend;
};

static const char *sql(const char *name)
{
    char path[64];

    snprintf(path, sizeof(path), "queries/%s.sql", name);
    return embed_require(path)->data;
}

/* ---- orders ------------------------------------------------------------ */

static void send_next(struct alarms *a);

static void free_texts(struct report *r)
{
    const char *const texts[] = {
        r->cause,   r->kind,         r->severity, r->component, r->action,
        r->message, r->over_message, r->file,     r->params,
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        mem_free((void *)(uintptr_t)texts[i]);
    }
}

static void order_free(struct order *o)
{
    free_texts(&o->report);
    mem_free(o);
}

static struct report copy_report(const struct report *r)
{
    struct report copy = *r;

    copy.cause = mem_strdup(r->cause);
    copy.kind = mem_strdup(r->kind);
    copy.severity = mem_strdup(r->severity);
    copy.component = mem_strdup(r->component);
    copy.action = mem_strdup(r->action);
    copy.message = mem_strdup(r->message);
    copy.over_message = mem_strdup(r->over_message);
    copy.file = mem_strdup(r->file);
    copy.params = mem_strdup(r->params);
    return copy;
}

static void on_ordered(void *ctx, const PGresult *result, const char *error)
{
    struct alarms *a = ctx;
    struct order *o = LIST_OF(list_first(&a->orders), struct order, node);

    (void)result;
    a->is_sending = false;
    if (error != NULL && (!pg_is_ready(a->pg) || pg_is_passing(error))) {
        ev_timer_again(a->loop, &a->again);
        return;
    }
    if (error != NULL) {
        log_error("an alarm cannot be written", "cause=\"%s\" why=\"%s\"",
                  o->report.cause ? o->report.cause : "", error);
    }
    list_remove(&a->orders, &o->node);
    order_free(o);
    a->is_full = false;
    send_next(a);
}

static bool send_raise(struct alarms *a, const struct report *r)
{
    struct pg_params p = {0};

    pg_param_text(&p, r->cause);
    pg_param_text(&p, r->kind);
    pg_param_text(&p, r->severity);
    pg_param_text(&p, r->component);
    pg_param_text(&p, r->action);
    pg_param_text(&p, r->message);
    pg_param_text(&p, r->over_message);
    pg_param_text(&p, r->file);
    pg_param_text(&p, r->params);
    pg_param_text(&p, r->lasts ? "true" : "false");
    pg_param_int64(&p, r->count);
    pg_param_int64(&p, a->settings.quiet_ms);
    return pg_query(a->pg, sql("alarm_raise"), &p, on_ordered, a);
}

static bool send_resolve(struct alarms *a, const struct report *r)
{
    struct pg_params p = {0};

    pg_param_text(&p, r->cause);
    pg_param_text(&p, a->host);
    return pg_query(a->pg, sql("alarm_resolve"), &p, on_ordered, a);
}

static bool send_settle(struct alarms *a, const struct order *o)
{
    struct pg_params p = {0};

    pg_param_int64(&p, o->claim);
    if (o->again_ms < 0) {
        pg_param_text(&p, NULL);
    } else {
        pg_param_int64(&p, o->again_ms);
    }
    return pg_query(a->pg, sql("alarm_settle"), &p, on_ordered, a);
}

static void send_next(struct alarms *a)
{
    struct list_node *n = list_first(&a->orders);
    const struct order *o = NULL;

    if (n == NULL || a->is_sending || !pg_is_ready(a->pg)) {
        return;
    }
    o = LIST_OF(n, struct order, node);
    switch (o->kind) {
    case ORDER_RAISE: a->is_sending = send_raise(a, &o->report); break;
    case ORDER_RESOLVE: a->is_sending = send_resolve(a, &o->report); break;
    case ORDER_SETTLE: a->is_sending = send_settle(a, o); break;
    }
}

/* Settling is never dropped: else what was told would be told again. */
static void add_order(struct alarms *a, struct order *o)
{
    if (a->orders.count >= ORDERS_MAX && o->kind != ORDER_SETTLE) {
        if (!a->is_full) {
            log_error("more alarms than can be kept while the database is "
                      "away",
                      "dropped=\"%s\"", o->report.cause);
        }
        a->is_full = true;
        order_free(o);
        return;
    }
    list_append(&a->orders, &o->node);
    alarms_start(a);
    send_next(a);
}

/* One that waits for the same cause, and is not on its way. */
static struct order *find_raise(struct alarms *a, const char *cause)
{
    struct list_node *first = list_first(&a->orders);

    for (struct list_node *n = first; n != NULL;
         n = list_after(&a->orders, n)) {
        struct order *o = LIST_OF(n, struct order, node);

        if (o->kind == ORDER_RAISE && strcmp(o->report.cause, cause) == 0 &&
            !(n == first && a->is_sending)) {
            return o;
        }
    }
    return NULL;
}

void alarms_raise(struct alarms *a, const struct report *report)
{
    struct order *o = find_raise(a, report->cause);

    if (o != NULL) {
        o->report.count += report->count;
        return;
    }
    o = mem_calloc(1, sizeof(*o));
    o->kind = ORDER_RAISE;
    o->report = copy_report(report);
    add_order(a, o);
}

void alarms_resolve(struct alarms *a, const char *cause)
{
    struct order *o = mem_calloc(1, sizeof(*o));

    o->kind = ORDER_RESOLVE;
    o->report.cause = mem_strdup(cause);
    add_order(a, o);
}

void alarms_settle(struct alarms *a, int64_t claim, int64_t again_ms)
{
    struct order *o = mem_calloc(1, sizeof(*o));

    o->kind = ORDER_SETTLE;
    o->claim = claim;
    o->again_ms = again_ms;
    add_order(a, o);
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
    a->is_looking = pg_query(a->pg, sql("alarm_look"), &p, on_looked, a);
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
        free_texts(&claims[i].report);
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
    if (!pg_query(a->pg, sql("alarm_claim"), &p, on_claimed, asked)) {
        mem_free(asked);
        return false;
    }
    return true;
}

/* ---- life -------------------------------------------------------------- */

static void on_ready(void *ctx)
{
    struct alarms *a = ctx;

    send_next(a);
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
    send_next(timer->data);
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
    struct list_node *n = NULL;

    if (a == NULL) {
        return;
    }
    a->hooks = (struct alarms_hooks){ignore, ignore, ignore_claims};
    pg_free(a->pg);
    ev_timer_stop(a->loop, &a->again);
    while ((n = list_take(&a->orders)) != NULL) {
        order_free(LIST_OF(n, struct order, node));
    }
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
