/*
 * link - one direction of a wire that takes time.
 */
#include "bench/sink/link.h"

#include <string.h>

#include "base/mem.h"

void link_init(struct link *l, int64_t delay_us)
{
    *l = (struct link){.delay_us = delay_us};
    list_init(&l->packets);
}

void link_release(struct link *l)
{
    struct list_node *node = NULL;

    while ((node = list_take(&l->packets)) != NULL) {
        mem_free(LIST_OF(node, struct packet, node));
    }
    l->bytes = 0;
}

void link_put(struct link *l, const char *bytes, size_t n, int signal,
              int64_t now_us)
{
    struct packet *p = mem_alloc(sizeof(*p) + n);

    *p = (struct packet){.sent_us = now_us, .signal = signal, .len = n};
    if (n > 0) {
        memcpy(p->bytes, bytes, n);
    }
    l->bytes += n;
    list_append(&l->packets, &p->node);
}

int64_t link_due_us(const struct link *l)
{
    const struct list_node *first = list_first(&l->packets);

    return first ? LIST_OF(first, struct packet, node)->sent_us + l->delay_us
                 : -1;
}

struct packet *link_take(struct link *l, int64_t now_us)
{
    int64_t due_us = link_due_us(l);
    struct packet *p = NULL;

    if (due_us < 0 || due_us > now_us) {
        return NULL;
    }
    p = LIST_OF(list_take(&l->packets), struct packet, node);
    l->bytes -= p->len;
    return p;
}
