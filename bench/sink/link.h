/*
 * link - one direction of a wire that takes time: what goes in comes out a
 * fixed delay later, in order.
 */
#ifndef SINK_LINK_H
#define SINK_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

struct packet {
    struct list_node node;
    int64_t sent_us; /* when it went in */
    int signal;      /* the owner's; 0 = bytes */
    size_t len;
    char bytes[];
};

struct link {
    struct list packets; /* on the way, oldest first */
    size_t bytes;        /* in all of them */
    int64_t delay_us;
};

void link_init(struct link *l, int64_t delay_us);
void link_release(struct link *l);
/* Sends n bytes, or (n 0) a signal. */
void link_put(struct link *l, const char *bytes, size_t n, int signal,
              int64_t now_us);
/* The next packet that has arrived, or NULL; the caller frees it with
 * mem_free. */
struct packet *link_take(struct link *l, int64_t now_us);
/* When the next packet arrives; -1 when none is on the way. */
int64_t link_due_us(const struct link *l);

#endif
