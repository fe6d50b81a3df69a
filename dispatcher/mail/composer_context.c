/*
 * composer_context - what templates see of a letter.
 *
 * They see two objects: `base`, which belongs to the composer and is changed in
 * place from letter to letter (recipient, role, site, events), and above it the
 * payload of the newest event. Payloads have no key of the names that are in
 * base, so neither can hide the other.
 *
 * A letter about one event, or about several of a type that gathers, is
 * rendered by the templates of that type. All others are digests: the type
 * "digest" renders them, which sees base only and lists what the events have
 * to say in a line. That follows from the events alone, so a letter that is
 * composed again is the same.
 */
#include "mail/composer_work.h"

/* --- events ------------------------------------------------------------- */

enum compose_result work_poison(struct work *w, struct event *event,
                                const char *stage)
{
    struct composer *c = w->c;

    c->why.broken = false; /* a reason that was too long is cut */
    event->is_poison = true;
    event->poison_stage = span_of(stage);
    event->poison_reason =
        arena_span(&w->letter->batch->arena, buf_view(&c->why));
    if (event->poison_reason.ptr == NULL) {
        event->poison_reason = SPAN_LIT("(no room for the reason)");
    }
    return COMPOSE_POISON;
}

void work_keep_note(struct work *w, struct event *event)
{
    if (w->c->note.len > 0) {
        event->note =
            arena_span(&w->letter->batch->arena, buf_view(&w->c->note));
    }
}

enum compose_result work_prepare(struct work *w)
{
    struct composer *c = w->c;

    for (uint32_t i = 0; i < w->letter->event_count; i++) {
        struct event *event = w->letter->events[i];
        struct drift drift = {c, event};
        const bool is_first =
            w->letter->batch->attempt == 0 && !event->was_prepared;
        const char *stage = NULL;

        if (event->is_poison) {
            continue;
        }
        if (event->parsed == NULL) {
            buf_clear(&c->why);
            buf_clear(&c->note);
            if (!event_prepare(event, c->catalog,
                               is_first ? composer_drift : NULL, &drift,
                               &c->subject, &c->note, &stage, &c->why)) {
                return work_poison(w, event, stage);
            }
            if (!event->was_prepared) {
                work_keep_note(w, event);
            }
            event->was_prepared = true;
        }
        w->newest = event;
        w->event_count++;
    }
    return w->event_count > 0 ? COMPOSE_DONE : COMPOSE_NO_EVENTS;
}

static bool are_of_one_type(const struct work *w)
{
    for (uint32_t i = 0; i < w->letter->event_count; i++) {
        const struct event *event = w->letter->events[i];

        if (!event->is_poison && event_prepared(event)->type != w->type) {
            return false;
        }
    }
    return true;
}

/* Whose templates? Without a type for digests, those of the newest event:
 * held letters are then made for one event each, so this is for letters that
 * were made before the type went away. */
void work_choose_type(struct work *w)
{
    const struct event_type *digest = catalog_digest(w->c->catalog);

    w->type = event_prepared(w->newest)->type;
    if (w->event_count > 1 && digest != NULL &&
        (w->type->contract->batching != BATCHING_GATHER ||
         !are_of_one_type(w))) {
        w->type = digest;
        w->is_digest = true;
    }
}

/* --- base --------------------------------------------------------------- */

static bool set_string(json_t *value, struct span text)
{
    const struct span old =
        span_make(json_string_value(value), json_string_length(value));

    return span_equal(old, text) ||
           json_string_setn_nocheck(value, text.ptr ? text.ptr : "",
                                    text.len) == 0;
}

static bool set_several(struct composer *c, bool is_several)
{
    if (is_several != c->is_several &&
        json_object_set_new(c->base, "several", json_boolean(is_several)) ==
            0) {
        c->is_several = is_several;
    }
    return is_several == c->is_several;
}

static bool set_role(struct composer *c, int id)
{
    const char *name = composer_role(c, id);

    buf_clear(&c->values);
    for (; *name != '\0'; name++) {
        buf_putc(&c->values, *name == '_' ? ' ' : *name);
    }
    return set_string(c->role, buf_view(&c->values));
}

/* Lists the events, with all that is known of them. */
static bool list_events(struct work *w, const struct event *only)
{
    struct composer *c = w->c;
    bool ok = json_array_clear(c->events) == 0;

    for (uint32_t i = 0; i < w->letter->event_count && ok; i++) {
        struct event *event = w->letter->events[i];

        if (!event->is_poison && (only == NULL || only == event)) {
            ok = event_describe(event, &c->subject, &c->why) &&
                 json_array_append(c->events, event_prepared(event)->payload) ==
                     0;
        }
    }
    return ok;
}

bool work_set_base(struct work *w, const struct event *only)
{
    struct composer *c = w->c;
    const struct recipient *to = w->letter->recipient;
    const uint32_t count = only ? 1 : w->event_count;

    return (!w->type->asks_for_events || list_events(w, only)) &&
           set_string(c->recipient_name, to->name) &&
           set_string(c->recipient_email, to->email) &&
           set_string(c->greeting, to->name.len > 0 ? to->name : to->email) &&
           set_role(c, w->letter->role) &&
           json_integer_set(c->event_count, count) == 0 &&
           set_several(c, count > 1);
}
