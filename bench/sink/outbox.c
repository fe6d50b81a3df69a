/*
 * outbox - replies of one connection, in order, some of them late.
 *
 * The usual reply goes straight into ready; as soon as one is late, those
 * behind it queue up as items with due times that never go back.
 */
#include "bench/sink/outbox.h"

#include "base/clock.h"
#include "base/mem.h"

void outbox_init(struct outbox *o)
{
    *o = (struct outbox){0};
    buf_init(&o->ready, 0);
    buf_init(&o->held, 0);
}

void outbox_release(struct outbox *o)
{
    buf_release(&o->ready);
    buf_release(&o->held);
    mem_free(o->items);
    outbox_init(o);
}

/* Makes room of what was given out, so that a queue that never runs empty does
 * not grow for ever. */
static void shift_items(struct outbox *o)
{
    o->count -= o->first;
    memmove(o->items, o->items + o->first, o->count * sizeof(*o->items));
    o->first = 0;
    memmove(o->held.data, o->held.data + o->held_at, o->held.len - o->held_at);
    buf_truncate(&o->held, o->held.len - o->held_at);
    o->held_at = 0;
}

static void add_item(struct outbox *o, const char *bytes, size_t n,
                     int64_t due_us, enum outbox_step step)
{
    if (o->first == o->count) {
        o->first = 0;
        o->count = 0;
        o->held_at = 0;
        buf_clear(&o->held);
    }
    if (o->count == o->size && o->first >= o->size / 2 && o->first > 0) {
        shift_items(o);
    }
    if (o->count == o->size) {
        o->size = o->size ? o->size * 2 : 16;
        o->items = mem_realloc(o->items, o->size * sizeof(*o->items));
    }
    if (o->first < o->count && due_us < o->late_us) {
        due_us = o->late_us;
    }
    o->late_us = due_us;
    buf_put(&o->held, bytes, n);
    o->items[o->count++] = (struct outbox_item){due_us, n, step};
}

void outbox_put(struct outbox *o, const char *bytes, size_t n, int64_t delay_us)
{
    if (delay_us == 0 && o->first == o->count) {
        buf_put(&o->ready, bytes, n);
        return;
    }
    add_item(o, bytes, n, clock_monotonic_us() + delay_us, OUTBOX_NOTHING);
}

void outbox_put_after(struct outbox *o, const char *bytes, size_t n,
                      int64_t delay_us)
{
    int64_t from = clock_monotonic_us();

    if (o->first < o->count && o->late_us > from) {
        from = o->late_us;
    }
    add_item(o, bytes, n, from + delay_us, OUTBOX_NOTHING);
}

void outbox_split(struct outbox *o, const char *bytes, size_t n, int64_t gap_us)
{
    int64_t due_us = clock_monotonic_us();

    if (o->first < o->count && o->late_us > due_us) {
        due_us = o->late_us;
    }
    for (size_t i = 0; i < n; i++) {
        add_item(o, bytes + i, 1, due_us + gap_us * (int64_t)(i + 1),
                 OUTBOX_BYTES);
    }
}

void outbox_end(struct outbox *o, enum outbox_step step)
{
    add_item(o, NULL, 0, 0, step);
}

enum outbox_step outbox_next(struct outbox *o, int64_t now_us)
{
    while (o->first < o->count && o->items[o->first].due_us <= now_us) {
        const struct outbox_item *item = &o->items[o->first++];

        buf_put(&o->ready, o->held.data + o->held_at, item->len);
        o->held_at += item->len;
        if (item->step != OUTBOX_NOTHING) {
            return item->step;
        }
    }
    return OUTBOX_NOTHING;
}

int64_t outbox_due_us(const struct outbox *o)
{
    return o->first < o->count ? o->items[o->first].due_us : -1;
}
