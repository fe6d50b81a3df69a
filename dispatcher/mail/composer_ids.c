/*
 * composer_ids - what a letter is called.
 *
 * Of stored things only, and never of what became poison meanwhile: whoever
 * composes the letter again, after a crash or a fix, gives it the same name
 * and the same date.
 */
#include "mail/composer_state.h"

/* pb.ORIGIN.RECIPIENT.EVENT@domain */
static void put_message_id(struct composer *c, const struct letter *letter)
{
    buf_puts(&c->ids, "pb.");
    buf_i64(&c->ids, letter->batch->origin);
    buf_putc(&c->ids, '.');
    buf_i64(&c->ids, letter->recipient->id);
    buf_putc(&c->ids, '.');
    buf_i64(&c->ids, letter->events[0]->id);
    buf_putc(&c->ids, '@');
    buf_puts(&c->ids, c->settings.domain);
}

/* thread.NAME@domain: the invented first message of the thread. */
static void put_thread_id(struct composer *c)
{
    const struct span thread = span_trim(buf_view(&c->thread));

    if (thread.len > 0) {
        buf_puts(&c->ids, "thread.");
        message_id_part(&c->ids, thread);
        buf_putc(&c->ids, '@');
        buf_puts(&c->ids, c->settings.domain);
    }
}

/* type.list_id, in small letters. */
static void put_list_id(struct composer *c, struct span type)
{
    for (size_t i = 0; i < type.len; i++) {
        bool is_capital = type.ptr[i] >= 'A' && type.ptr[i] <= 'Z';

        buf_putc(&c->ids,
                 is_capital ? (char)(type.ptr[i] + 'a' - 'A') : type.ptr[i]);
    }
    buf_putc(&c->ids, '.');
    buf_puts(&c->ids, c->settings.list_id);
}

/* Most letters are of the type of the letter before. */
struct span composer_list(struct composer *c, const struct event_type *type)
{
    if (c->list_of != type) {
        buf_clear(&c->list);
        buf_clear(&c->ids);
        if (c->settings.list_id[0] != '\0') {
            put_list_id(c, type->name);
            message_put_list(&c->list, type->contract->description,
                             buf_view(&c->ids));
        }
        c->list_of = buf_ok(&c->list) ? type : NULL;
    }
    return buf_view(&c->list);
}

struct letter_ids composer_ids(struct composer *c, const struct letter *letter)
{
    struct buf *b = &c->ids;
    size_t thread_at = 0;

    buf_clear(b);
    put_message_id(c, letter);
    thread_at = b->len;
    put_thread_id(c);
    /* Spans only now: the buf has moved for the last time. */
    return (struct letter_ids){
        span_make(b->data, thread_at),
        span_make(b->data + thread_at, b->len - thread_at),
    };
}

int64_t composer_date_us(const struct letter *letter)
{
    int64_t newest = letter->events[0]->created_us;

    for (uint32_t i = 1; i < letter->event_count; i++) {
        if (letter->events[i]->created_us > newest) {
            newest = letter->events[i]->created_us;
        }
    }
    return newest;
}
