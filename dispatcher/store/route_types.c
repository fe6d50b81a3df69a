/*
 * route_types - what the database must know of the event types, as JSON.
 *
 * A type that cannot be mailed says why, in its fault: its own, or that of the
 * first role it needs. Its events are set aside with these words.
 */
#include "store/route.h"

#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "store/route_inner.h"

/* ---- faults ------------------------------------------------------------ */

/* Why the role cannot be used, or NULL. */
static const char *role_fault(const struct route *r, const char *name)
{
    for (size_t i = 0; r->roles[i].name != NULL; i++) {
        if (strcmp(r->roles[i].name, name) == 0) {
            return r->role_faults[i];
        }
    }
    return "it has no file in sql/roles/ nor in the folder templates.roles";
}

/* The fault of a type: its own, or that of the first role it needs. */
static char *type_fault(const struct route *r, const struct route_type *t)
{
    if (t->fault != NULL) {
        return mem_strdup(t->fault);
    }
    for (size_t i = 0; t->is_mailable && i < t->role_count; i++) {
        const char *why = role_fault(r, t->roles[i]);

        if (why != NULL) {
            return mem_printf("role \"%s\" cannot be used: %s", t->roles[i],
                              why);
        }
    }
    return NULL;
}

/* ---- JSON -------------------------------------------------------------- */

static void put_names(struct buf *b, const char *const *names, size_t count)
{
    buf_putc(b, '[');
    for (size_t i = 0; i < count; i++) {
        buf_puts(b, i ? "," : "");
        buf_json(b, span_of(names[i]));
    }
    buf_putc(b, ']');
}

static void put_text(struct buf *b, const char *key, const char *text)
{
    buf_printf(b, ",\"%s\":", key);
    if (text == NULL) {
        buf_puts(b, "null");
    } else {
        buf_json(b, span_of(text));
    }
}

static void put_log(struct buf *b, const struct route_type *t)
{
    if (t->log_project == NULL) {
        return;
    }
    buf_puts(b, ",\"log\":{\"project\":");
    buf_json(b, span_of(t->log_project));
    put_text(b, "package", t->log_package);
    put_text(b, "request", t->log_request);
    buf_puts(b, ",\"user\":");
    put_names(b, t->log_users, t->log_user_count);
    buf_putc(b, '}');
}

static void put_type(struct route *r, struct buf *b, const struct route_type *t)
{
    char *fault = type_fault(r, t);

    if (fault != NULL) {
        r->hooks.on_fault(r->ctx, t->name, fault);
    }
    buf_puts(b, "{\"name\":");
    buf_json(b, span_of(t->name));
    buf_printf(
        b,
        ",\"mailable\":%s,\"grouping\":\"%s\",\"gather_max\":%d,"
        "\"window_ms\":%d,\"urgency\":%d",
        t->is_mailable ? "true" : "false", t->is_gathered ? "gather" : "each",
        t->is_gathered ? t->gather_max : 1, t->window_ms, (int)t->urgency);
    put_text(b, "originator", t->originator_key);
    put_text(b, "frequency", frequency_name(t->frequency));
    put_text(b, "fault", fault);
    buf_puts(b, ",\"required\":");
    put_names(b, t->required, t->required_count);
    buf_puts(b, ",\"roles\":[");
    for (size_t i = 0; i < t->role_count; i++) {
        buf_puts(b, i ? ",{\"name\":" : "{\"name\":");
        buf_json(b, span_of(t->roles[i]));
        put_text(b, "frequency", frequency_name(t->frequency));
        buf_putc(b, '}');
    }
    buf_putc(b, ']');
    put_log(b, t);
    buf_putc(b, '}');
    mem_free(fault);
}

void route_put_types(struct route *r, struct buf *out)
{
    buf_putc(out, '[');
    for (size_t i = 0; i < r->type_count; i++) {
        buf_puts(out, i ? ",\n" : "");
        put_type(r, out, &r->types[i]);
    }
    buf_putc(out, ']');
}
