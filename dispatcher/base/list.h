/*
 * list - an intrusive double list that knows its length.
 *
 * A struct that can be on a list has a struct list_node in it; LIST_OF gives
 * the struct back. An unlinked node has next == NULL.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list_node {
    struct list_node *next;
    struct list_node *prev;
};

struct list {
    struct list_node head; /* ring: head.next is the first */
    size_t count;
};

#define LIST_OF(node, type, member)                                            \
    ((type *)(void *)((char *)(node)-offsetof(type, member)))

static inline void list_init(struct list *l)
{
    l->head.next = &l->head;
    l->head.prev = &l->head;
    l->count = 0;
}

static inline bool list_is_empty(const struct list *l)
{
    return l->count == 0;
}

static inline struct list_node *list_first(const struct list *l)
{
    return l->count ? l->head.next : NULL;
}

/* The node behind n, or NULL at the end. */
static inline struct list_node *list_after(const struct list *l,
                                           const struct list_node *n)
{
    return n->next == &l->head ? NULL : n->next;
}

static inline void list_append(struct list *l, struct list_node *n)
{
    n->prev = l->head.prev;
    n->next = &l->head;
    l->head.prev->next = n; /* NOLINT: a ring has no NULL in it */
    l->head.prev = n;
    l->count++;
}

static inline void list_prepend(struct list *l, struct list_node *n)
{
    n->next = l->head.next;
    n->prev = &l->head;
    l->head.next->prev = n;
    l->head.next = n;
    l->count++;
}

static inline void list_remove(struct list *l, struct list_node *n)
{
    n->prev->next = n->next; /* NOLINT: n is in the ring */
    n->next->prev = n->prev;
    n->next = NULL;
    n->prev = NULL;
    l->count--;
}

/* Unlinks and returns the first node, or NULL. */
static inline struct list_node *list_take(struct list *l)
{
    struct list_node *n = list_first(l);

    if (n != NULL) {
        list_remove(l, n);
    }
    return n;
}

#endif
