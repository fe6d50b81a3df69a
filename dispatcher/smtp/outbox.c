/*
 * outbox - bytes on their way out of a lane.
 *
 * There are rarely more than two blocks: one that the connection does not
 * take yet, and one that fills behind it.
 */
#include "smtp/outbox.h"

#include "base/mem.h"

enum { BLOCK_KEEP = 256 * 1024 }; /* a spare block is not kept beyond */

void outbox_init(struct outbox *o, size_t block_max)
{
    *o = (struct outbox){.block_max = block_max};
    list_init(&o->blocks);
}

static void block_free(struct block *b)
{
    if (b != NULL) {
        buf_release(&b->bytes);
        mem_free(b);
    }
}

void outbox_release(struct outbox *o)
{
    struct list_node *node = NULL;

    while ((node = list_take(&o->blocks)) != NULL) {
        block_free(LIST_OF(node, struct block, node));
    }
    block_free(o->spare);
    o->spare = NULL;
}

struct block *outbox_block(struct outbox *o)
{
    struct block *b = o->spare;

    o->spare = NULL;
    if (b == NULL) {
        b = mem_calloc(1, sizeof(*b));
        buf_init(&b->bytes, o->block_max);
    }
    return b;
}

void outbox_recycle(struct outbox *o, struct block *b)
{
    if (o->spare != NULL || b->bytes.size > BLOCK_KEEP) {
        block_free(b);
        return;
    }
    buf_clear(&b->bytes);
    b->sent = 0;
    b->is_sealed = false;
    o->spare = b;
}

static struct block *last_block(const struct outbox *o)
{
    return list_is_empty(&o->blocks)
               ? NULL
               : LIST_OF(o->blocks.head.prev, struct block, node);
}

uint64_t outbox_end(const struct outbox *o)
{
    const struct block *last = last_block(o);

    return last != NULL ? o->tail_base + last->bytes.len : o->head;
}

void outbox_queue(struct outbox *o, struct block *b)
{
    o->tail_base = outbox_end(o);
    list_append(&o->blocks, &b->node);
}

struct buf *outbox_tail(struct outbox *o)
{
    struct block *b = last_block(o);

    if (b == NULL || b->is_sealed) {
        b = outbox_block(o);
        outbox_queue(o, b);
    }
    return &b->bytes;
}

size_t outbox_pending(const struct outbox *o)
{
    return (size_t)(outbox_end(o) - o->head);
}

/* True when the whole block was taken. */
static enum link_io flush_block(struct outbox *o, struct block *b,
                                struct link *l, size_t *moved)
{
    b->is_sealed = true;
    while (b->sent < b->bytes.len) {
        size_t rest = b->bytes.len - b->sent;
        size_t count = 0;
        enum link_io io = link_send(l, b->bytes.data + b->sent, rest, &count);

        if (io != LINK_OK) {
            /* Under TLS all records but the last may have been written. */
            if (link_is_tls(l) && o->gone < o->head + rest - 1) {
                o->gone = o->head + rest - 1;
            }
            return io;
        }
        b->sent += count;
        o->head += count;
        o->gone = o->gone > o->head ? o->gone : o->head;
        *moved += count;
    }
    return LINK_OK;
}

enum link_io outbox_flush(struct outbox *o, struct link *l, size_t *moved)
{
    struct list_node *node = NULL;

    while ((node = list_first(&o->blocks)) != NULL) {
        struct block *b = LIST_OF(node, struct block, node);
        enum link_io io = flush_block(o, b, l, moved);

        if (io != LINK_OK) {
            return io;
        }
        list_remove(&o->blocks, node);
        outbox_recycle(o, b);
    }
    return LINK_OK;
}
