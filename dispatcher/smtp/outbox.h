/*
 * outbox - bytes on their way out of a lane, in blocks that never move.
 *
 * OpenSSL remembers the address of a write it could not finish, and wants
 * the same bytes at the same place again. So a block grows only until it is
 * first offered to the connection; then it is sealed, and what comes later
 * goes into the next one.
 *
 *     | sent | offered, refused | not offered yet |   first block
 *     0      sent                                len
 *
 * Positions in the stream of all bytes ever queued tell what has left:
 * everything below gone may have reached the relay, nothing at or above it.
 */
#ifndef SMTP_OUTBOX_H
#define SMTP_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/list.h"
#include "smtp/connect.h"

enum { OUTBOX_FULL = 64 * 1024 }; /* bytes that make one good write */

struct block {
    struct list_node node;
    struct buf bytes;
    size_t sent;    /* bytes that the connection took */
    bool is_sealed; /* was offered: must not move or change */
};

struct outbox {
    struct list blocks;  /* the first is being sent, the last is written to */
    struct block *spare; /* one that is empty, or NULL */
    size_t block_max;    /* cap of a block, for the largest letter */
    uint64_t head;       /* stream position of the first byte not taken */
    uint64_t tail_base;  /* stream position of the last block's first byte */
    uint64_t gone;       /* bytes below may have reached the relay */
};

void outbox_init(struct outbox *o, size_t block_max);
void outbox_release(struct outbox *o);

/* An empty block that is not queued; the caller queues or frees it. */
struct block *outbox_block(struct outbox *o);
/* Behind all that is queued. b is the outbox's from here. */
void outbox_queue(struct outbox *o, struct block *b);
/* A block that was not queued, back for another use. */
void outbox_recycle(struct outbox *o, struct block *b);

/* Where to write next: valid until the next call of this module. */
struct buf *outbox_tail(struct outbox *o);
/* Bytes queued and not taken. */
size_t outbox_pending(const struct outbox *o);
/* Stream position behind the last queued byte. */
uint64_t outbox_end(const struct outbox *o);

/*
 * Sends until all is taken (LINK_OK) or the connection wants to wait, or
 * broke. *moved grows by the bytes that were taken.
 */
enum link_io outbox_flush(struct outbox *o, struct link *l, size_t *moved);

#endif
