/*
 * composer_write - from a letter to the bytes that go to the relay.
 *
 * What templates see is put in place first (composer_context.c); then they are
 * rendered into the composer's scratch bufs, and the message is written from
 * those. An event that cannot be rendered is poison: the caller composes the
 * letter again without it.
 */
#include <string.h>

#include "base/mem.h"
#include "mail/address.h"
#include "mail/composer_work.h"
#include "mail/encode.h"

enum {
    IDS_LISTED = 50, /* events named in X-Postbatch-Event */
    OWN_HEADERS = 3,
};

/* --- rendering ---------------------------------------------------------- */

/* Appends t to out, about this event. False: c->why has the reason. */
static bool render(struct work *w, const struct event *event,
                   const struct template *t, struct buf *out)
{
    json_t *const stack[] = {w->c->base, event_prepared(event)->payload};
    const size_t depth = w->is_digest ? 1 : 2;
    struct template_fault fault;

    if (t == NULL || template_render(t, stack, depth, out, &fault)) {
        return true;
    }
    buf_clear(&w->c->why);
    fault_write(&w->c->why, &fault);
    return false;
}

static void add_header(struct work *w, struct span name, size_t from)
{
    struct composer *c = w->c;

    /* For now the value is an offset: the buf may still move. */
    c->headers[w->header_count++] = (struct message_header){
        name, {(const char *)(uintptr_t)from, c->values.len - from}};
}

static void own_headers(struct work *w)
{
    struct composer *c = w->c;
    struct buf *values = &c->values;
    size_t from = values->len;
    uint32_t listed = 0;

    buf_span(values, w->type->name);
    add_header(w, SPAN_LIT("X-Postbatch-Type"), from);
    from = values->len;
    buf_puts(values, composer_role(c, w->letter->role));
    add_header(w, SPAN_LIT("X-Postbatch-Role"), from);
    from = values->len;
    for (uint32_t i = 0; i < w->letter->event_count; i++) {
        const struct event *event = w->letter->events[i];

        if (!event->is_poison && listed < IDS_LISTED) {
            buf_puts(values, listed++ ? " " : "");
            buf_i64(values, event->id);
        }
    }
    add_header(w, SPAN_LIT("X-Postbatch-Event"), from);
}

static bool render_headers(struct work *w, const struct event *event)
{
    struct composer *c = w->c;
    const struct contract *contract = w->type->contract;
    const size_t most = OWN_HEADERS + contract->header_count;

    if (c->header_room < most) {
        c->headers = mem_realloc(c->headers, most * sizeof(*c->headers));
        c->header_room = most;
    }
    w->header_count = 0;
    buf_clear(&c->values);
    own_headers(w);
    for (size_t i = 0; i < contract->header_count; i++) {
        size_t from = c->values.len;

        if (!render(w, event, w->type->headers[i], &c->values)) {
            return false;
        }
        add_header(w, contract->headers[i].name, from);
    }
    for (size_t i = 0; i < w->header_count; i++) {
        struct span *value = &c->headers[i].value;

        value->ptr = c->values.data + (uintptr_t)value->ptr;
    }
    return true;
}

/* All that templates have to say, into the scratch bufs. */
static bool render_all(struct work *w, const struct event *event)
{
    struct composer *c = w->c;

    buf_clear(&c->subject);
    buf_clear(&c->thread);
    buf_clear(&c->text);
    buf_clear(&c->html);
    return render(w, event, w->type->text, &c->text) &&
           render(w, event, w->type->html, &c->html) &&
           render_headers(w, event) &&
           render(w, event, w->type->thread, &c->thread) &&
           render(w, event, w->type->subject, &c->subject);
}

/*
 * Whose fault is it that a letter about several events cannot be rendered?
 * Of the first that cannot be rendered alone either; or else, because then
 * the letter is only too much in all, of the one with most to say.
 */
static struct event *culprit(struct work *w)
{
    struct event *largest = w->newest;

    if (w->event_count == 1) {
        return w->newest;
    }
    for (uint32_t i = 0; i < w->letter->event_count; i++) {
        struct event *event = w->letter->events[i];

        if (event->is_poison) {
            continue;
        }
        w->type = event_prepared(event)->type;
        w->is_digest = false;
        if (work_set_base(w, event) && !render_all(w, event)) {
            return event;
        }
        if (event->payload.len > largest->payload.len) {
            largest = event;
        }
    }
    return largest;
}

/* --- the message -------------------------------------------------------- */

/* A subject of more than a header value takes is cut; said once an event. */
static void note_subject(struct work *w)
{
    struct event *event = w->newest;
    struct composer *c = w->c;

    if (composer_subject(c).len <= ENCODE_VALUE_MAX ||
        (event->note.len > 0 &&
         memmem(event->note.ptr, event->note.len, "subject cut", 11) != NULL)) {
        return;
    }
    buf_clear(&c->note);
    buf_span(&c->note, event->note);
    buf_printf(&c->note, "%ssubject cut to %d bytes",
               event->note.len > 0 ? "; " : "", ENCODE_VALUE_MAX);
    work_keep_note(w, event);
}

static enum compose_result write_message(struct work *w, struct buf *out)
{
    const struct composer *c = w->c;
    const struct span list = composer_list(w->c, w->type);
    const struct letter_ids ids = composer_ids(w->c, w->letter);
    const size_t before = out->len;
    const struct span subject = composer_subject(c);
    const struct message_parts parts = {
        .from_field = buf_view(&c->from),
        .to_name = w->letter->recipient->name,
        .to_email = w->letter->recipient->email,
        .reply_to = span_of(c->settings.reply_to),
        .subject = subject.len > 0 ? subject : w->type->contract->description,
        .text = buf_view(&c->text),
        .html = buf_view(&c->html),
        .message_id = ids.message,
        .thread_id = ids.thread,
        .list_field = list,
        .date_us = composer_date_us(w->letter),
        .precedence_bulk = c->settings.precedence_bulk,
        .extra = c->headers,
        .extra_count = w->header_count,
        .extra_is_taken = true, /* ours, or checked with the contract */
    };

    if (!buf_ok(out) || !buf_ok(&c->from) || !buf_ok(&c->list)) {
        return COMPOSE_NO_ROOM;
    }
    if (!message_write(out, &parts)) {
        buf_truncate(out, before);
        out->broken = false;
        return COMPOSE_NO_ROOM;
    }
    return COMPOSE_DONE;
}

static bool check_recipient(struct letter *letter)
{
    const struct recipient *to = letter->recipient;
    struct arena *arena = &letter->batch->arena;
    const char *why = NULL;
    const char *text = NULL;
    enum address_kind kind = ADDRESS_INVALID;

    if (to == NULL) {
        letter->outcome.text = SPAN_LIT("the recipient is gone");
        return false;
    }
    kind = address_check(to->email, &why);
    if (kind != ADDRESS_INVALID) {
        return true;
    }
    text = arena_printf(arena, "the address %s", why ? why : "is not valid");
    letter->outcome.text = text ? span_of(text) : SPAN_LIT("bad address");
    return false;
}

enum compose_result composer_write(struct composer *c, struct letter *letter,
                                   struct buf *out)
{
    struct work w = {.c = c, .letter = letter};
    enum compose_result result = COMPOSE_DONE;

    if (!check_recipient(letter)) {
        return COMPOSE_ADDRESS;
    }
    result = work_prepare(&w);
    if (result != COMPOSE_DONE) {
        return result;
    }
    work_choose_type(&w);
    if (!work_set_base(&w, NULL)) {
        result = COMPOSE_NO_ROOM;
    } else if (render_all(&w, w.newest)) {
        note_subject(&w);
        result = write_message(&w, out);
    } else {
        result = work_poison(&w, culprit(&w), "render");
    }
    json_array_clear(c->events);
    return result;
}
