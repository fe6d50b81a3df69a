/*
 * arena - a region: many small allocations, released whole.
 *
 * One arena per unit of work (a batch, a loaded catalogue). Allocations are
 * aligned for any type. An arena may have a cap, because what is put into it
 * comes from outside: at the cap, allocation fails and the unit of work fails
 * with it, never the process.
 *
 *     struct arena a;
 *     arena_init(&a, 64 * 1024, 16 * 1024 * 1024);
 *     char *p = arena_alloc(&a, 100);          NULL at the cap
 *     struct arena_mark m = arena_mark(&a);
 *     ...
 *     arena_rewind(&a, m);                     frees what came after m
 *     arena_release(&a);
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

struct arena_block;

struct arena {
    struct arena_block *blocks; /* newest first */
    char *next;                 /* first free byte of the newest block */
    char *end;                  /* one past its last byte */
    size_t block_size;          /* bytes asked for at a time */
    size_t cap;                 /* most bytes in all; 0 = no cap */
    size_t held;                /* bytes held from the system now */
};

struct arena_mark {
    struct arena_block *block;
    char *next;
};

/* No memory is taken before the first allocation. */
void arena_init(struct arena *a, size_t block_size, size_t cap);
/* Frees all; the arena may be used again. */
void arena_release(struct arena *a);
/* Forgets all allocations but keeps one block for the next round. */
void arena_clear(struct arena *a);

/* size bytes, or NULL at the cap or without memory. */
void *arena_alloc(struct arena *a, size_t size)
    __attribute__((warn_unused_result));
/* As arena_alloc, zeroed; NULL also when count * size overflows. */
void *arena_calloc(struct arena *a, size_t count, size_t size)
    __attribute__((warn_unused_result));
/* A NUL-terminated copy of len bytes; NULL at the cap. */
char *arena_strndup(struct arena *a, const char *text, size_t len)
    __attribute__((warn_unused_result));
/* A copy of s; its ptr is NULL at the cap. NUL follows the last byte. */
struct span arena_span(struct arena *a, struct span s);
/* printf into the arena; NULL at the cap. */
char *arena_printf(struct arena *a, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

struct arena_mark arena_mark(const struct arena *a);
/* Frees all that was allocated after the mark was taken. */
void arena_rewind(struct arena *a, struct arena_mark mark);

#endif
