/*
 * alarms_orders - what is to be written to the table of alarms.
 *
 * Orders (raise, resolve, settle) wait in a list and are sent one after the
 * other; one that fails because the database is away stays at the head. So
 * nothing that was raised or told is lost while this process lives, and
 * nothing of it is ever waited for.
 */
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "store/alarms_inner.h"

enum { ORDERS_MAX = 300 };

enum order_kind { ORDER_RAISE, ORDER_RESOLVE, ORDER_SETTLE };

struct order {
    struct list_node node;
    enum order_kind kind;
    struct report report; /* RAISE; texts are ours. RESOLVE: its cause */
    int64_t claim;        /* SETTLE */
    int64_t again_ms;     /* SETTLE; < 0: it is told */
};

static void order_free(struct order *o)
{
    alarms_free_texts(&o->report);
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
    orders_send(a);
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
    return pg_query(a->pg, alarms_sql("alarm_raise"), &p, on_ordered, a);
}

static bool send_resolve(struct alarms *a, const struct report *r)
{
    struct pg_params p = {0};

    pg_param_text(&p, r->cause);
    pg_param_text(&p, a->host);
    return pg_query(a->pg, alarms_sql("alarm_resolve"), &p, on_ordered, a);
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
    return pg_query(a->pg, alarms_sql("alarm_settle"), &p, on_ordered, a);
}

void orders_send(struct alarms *a)
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
    orders_send(a);
}

/* The raise of a cause that waits and is not on its way; NULL when there is
 * none, or when the cause was resolved since: it has come back. */
static struct order *find_raise(struct alarms *a, const char *cause)
{
    struct list_node *first = list_first(&a->orders);
    struct order *found = NULL;

    for (struct list_node *n = first; n != NULL;
         n = list_after(&a->orders, n)) {
        struct order *o = LIST_OF(n, struct order, node);

        if (o->kind == ORDER_SETTLE || (n == first && a->is_sending) ||
            strcmp(o->report.cause, cause) != 0) {
            continue;
        }
        found = o->kind == ORDER_RAISE ? o : NULL;
    }
    return found;
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

void orders_release(struct alarms *a)
{
    struct list_node *n = NULL;

    while ((n = list_take(&a->orders)) != NULL) {
        order_free(LIST_OF(n, struct order, node));
    }
}
