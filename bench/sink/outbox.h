/*
 * outbox - replies of one connection, in order, some of them late.
 *
 * The conversation puts replies and endings in; the connection takes out what
 * is due. A late reply holds back all behind it, as on a real server.
 */
#ifndef SINK_OUTBOX_H
#define SINK_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum outbox_step {
    OUTBOX_NOTHING, /* nothing (more) is due */
    OUTBOX_BYTES,   /* write what is ready, in a segment of its own */
    OUTBOX_TLS,     /* write what is ready, then begin the handshake */
    OUTBOX_FIN,     /* write what is ready with the end of the stream in the
                       same segment; go on reading */
    OUTBOX_QUIT,    /* the same in peace: the end may come in its own segment */
    OUTBOX_CLOSE,   /* write what is ready, then close */
    OUTBOX_RESET,   /* write what is ready, then close with RST */
};

struct outbox_item {
    int64_t due_us;        /* on the monotonic clock */
    size_t len;            /* bytes of held that belong to it */
    enum outbox_step step; /* NOTHING = bytes that may go with others */
};

struct outbox {
    struct buf ready;          /* may be written now */
    struct buf held;           /* bytes of the items, in order */
    size_t held_at;            /* first of them not yet ready */
    struct outbox_item *items; /* from first to count */
    size_t first;
    size_t count;
    size_t size;
    int64_t late_us; /* due time of the last item put */
};

void outbox_init(struct outbox *o);
void outbox_release(struct outbox *o);
/* Puts a reply of n bytes that is due delay_us from now. */
void outbox_put(struct outbox *o, const char *bytes, size_t n,
                int64_t delay_us);
/* As outbox_put, counting the delay from when what is before it is due. */
void outbox_put_after(struct outbox *o, const char *bytes, size_t n,
                      int64_t delay_us);
/* The same byte by byte, each in its own segment, gap_us apart. */
void outbox_split(struct outbox *o, const char *bytes, size_t n,
                  int64_t gap_us);
/* An ending, or the turn to TLS, behind all that was put. */
void outbox_end(struct outbox *o, enum outbox_step step);
/* Moves what is due into ready. Call until OUTBOX_NOTHING, doing what each
 * return value says. */
enum outbox_step outbox_next(struct outbox *o, int64_t now_us);
/* When the first item that waits is due; -1 when none waits. */
int64_t outbox_due_us(const struct outbox *o);

/* True when something was put and not yet given out. */
static inline bool outbox_is_pending(const struct outbox *o)
{
    return o->ready.len > 0 || o->first < o->count;
}

#endif
