/*
 * composer_event - an event made ready for templates.
 *
 * Done once for an event, however many letters it is part of. The payload
 * itself becomes what templates see: it is cut in place and gets one more
 * key, "event", so that no copy is needed for letters about several. That key
 * costs as much as the rest of the payload, so it is made for those that ask.
 */
#include "mail/composer_event.h"

#include <time.h>

#include "base/mem.h"
#include "mail/composer.h"

void event_release(struct event *event)
{
    struct prepared *prepared = event->parsed;

    if (prepared != NULL) {
        json_decref(prepared->payload);
        mem_free(prepared);
        event->parsed = NULL;
    }
}

void fault_write(struct buf *out, const struct template_fault *fault)
{
    buf_puts(out, fault->file ? fault->file : "");
    if (fault->line > 0) {
        buf_printf(out, ":%d", fault->line);
    }
    buf_printf(out, ": %s", fault->reason);
}

static const struct event_type *mailable_type(const struct event *event,
                                              const struct catalog *catalog,
                                              struct buf *why)
{
    const struct event_type *type = catalog_find(catalog, event->type);

    if (type == NULL) {
        buf_puts(why, "there is no event type of this name");
        return NULL;
    }
    if (type->fault != NULL) {
        buf_puts(why, type->fault);
        return NULL;
    }
    if (!type->contract->is_mailable) {
        buf_puts(why, "events of this type are not mailed");
        return NULL;
    }
    return type;
}

/* "2026-11-22 14:05 UTC" */
static json_t *moment(int64_t us)
{
    time_t seconds = (time_t)(us / 1000000 - (us % 1000000 < 0));
    struct tm tm;
    char text[64] = "";

    if (gmtime_r(&seconds, &tm) != NULL) {
        strftime(text, sizeof(text), "%Y-%m-%d %H:%M UTC", &tm);
    }
    return json_string(text);
}

static json_t *text_value(struct span text)
{
    return json_stringn_nocheck(text.ptr ? text.ptr : "", text.len);
}

/*
 * Puts "event" into the payload, and what the payload itself has under names
 * that are ours ("role", say) below it: {{event.role}}. Each call takes over
 * its value, and fails when that is NULL.
 */
static bool add_about(struct event *event, const struct contract *contract,
                      json_t *payload)
{
    json_t *about = json_object();
    const bool is_moved = payload_move_reserved(contract, payload, about);

    return json_object_set_new(payload, "event", about) == 0 && is_moved &&
           json_object_set_new(about, "id", json_integer(event->id)) == 0 &&
           json_object_set_new(about, "type", text_value(event->type)) == 0 &&
           json_object_set_new(about, "created_at",
                               moment(event->created_us)) == 0;
}

/* The headline, into scratch. False: why has the reason. */
static bool render_headline(const struct event_type *type, json_t *payload,
                            struct buf *scratch, struct buf *why)
{
    struct template_fault fault;

    buf_clear(scratch);
    if (type->headline == NULL ||
        template_render(type->headline, &payload, 1, scratch, &fault)) {
        return true;
    }
    fault_write(why, &fault);
    return false;
}

/* One line for lists of events. A type without a headline gives the
 * contract's description. */
static bool add_headline(const struct event_type *type, json_t *payload,
                         struct buf *scratch, struct buf *why)
{
    json_t *about = json_object_get(payload, "event");
    struct span line = type->contract->description;

    if (!render_headline(type, payload, scratch, why)) {
        return false;
    }
    if (type->headline != NULL) {
        line = span_trim(buf_view(scratch));
    }
    return json_object_set_new(about, "headline", text_value(line)) == 0;
}

/*
 * In a list of events, a key that one of them lacks must not be looked up in
 * the letter around it: there it would be the key of another event.
 */
static bool is_closed(const struct contract *contract, json_t *payload)
{
    return contract->batching == BATCHING_EACH ||
           payload_fill_absent(contract, payload);
}

static bool describe(struct event *event, const struct event_type *type,
                     json_t *payload, struct buf *scratch, struct buf *why)
{
    return add_about(event, type->contract, payload) &&
           is_closed(type->contract, payload) &&
           add_headline(type, payload, scratch, why);
}

/* The headline is tried all the same: an event that is poison must not depend
 * on who asks for it. */
static bool strip(const struct event_type *type, json_t *payload,
                  struct buf *scratch, struct buf *why)
{
    return payload_move_reserved(type->contract, payload, NULL) &&
           render_headline(type, payload, scratch, why);
}

bool event_prepare(struct event *event, const struct catalog *catalog,
                   payload_unknown_fn *on_unknown, void *ctx,
                   struct buf *scratch, struct buf *note, const char **stage,
                   struct buf *why)
{
    struct payload_fault fault = {.reason = ""};
    struct prepared *prepared = NULL;
    const struct event_type *type = mailable_type(event, catalog, why);
    json_t *payload = NULL;

    *stage = "type";
    if (type == NULL) {
        return false;
    }
    *stage = "parse";
    payload = payload_parse(event->payload, note, &fault);
    if (payload == NULL) {
        goto fail;
    }
    *stage = "contract";
    if (!payload_check(type->contract, payload, &fault)) {
        goto fail;
    }
    if (on_unknown != NULL) {
        payload_unknown(type->contract, payload, on_unknown, ctx);
    }
    *stage = "render";
    if (!payload_cut(type->contract, payload, note) ||
        !(type->asks_for_events ? describe(event, type, payload, scratch, why)
                                : strip(type, payload, scratch, why))) {
        goto fail;
    }
    prepared = mem_alloc(sizeof(*prepared));
    *prepared = (struct prepared){type, payload, type->asks_for_events};
    event->parsed = prepared;
    return true;
fail:
    buf_puts(why, fault.reason);
    if (why->len == 0) {
        buf_puts(why, "out of memory");
    }
    json_decref(payload);
    return false;
}

bool event_describe(struct event *event, struct buf *scratch, struct buf *why)
{
    struct prepared *prepared = event->parsed;
    struct payload_fault fault;
    json_t *payload = NULL;

    if (prepared->is_described) {
        return true;
    }
    /* From the start again: of some keys only the text knows by now. */
    payload = payload_parse(event->payload, NULL, &fault);
    if (payload == NULL ||
        !payload_cut(prepared->type->contract, payload, NULL) ||
        !describe(event, prepared->type, payload, scratch, why)) {
        json_decref(payload);
        return false;
    }
    json_decref(prepared->payload);
    prepared->payload = payload;
    prepared->is_described = true;
    return true;
}
