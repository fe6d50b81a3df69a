/*
 * arena - a region: many small allocations, released whole.
 *
 * Blocks form a stack; allocation bumps a pointer in the top block. A request
 * larger than a block gets a block of its own size. Rewinding pops blocks, so
 * a mark is just the top block and the pointer in it.
 */
#include "base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include "base/mem.h"

struct arena_block {
    struct arena_block *below;
    size_t size; /* of data */
    alignas(max_align_t) char data[];
};

void arena_init(struct arena *a, size_t block_size, size_t cap)
{
    *a = (struct arena){.block_size = block_size, .cap = cap};
}

static void pop(struct arena *a)
{
    struct arena_block *top = a->blocks;

    a->blocks = top->below;
    a->held -= sizeof(*top) + top->size;
    mem_free(top);
}

void arena_release(struct arena *a)
{
    while (a->blocks != NULL) {
        pop(a);
    }
    a->next = NULL;
    a->end = NULL;
}

void arena_clear(struct arena *a)
{
    while (a->blocks != NULL && a->blocks->below != NULL) {
        pop(a);
    }
    if (a->blocks != NULL && a->blocks->size > a->block_size) {
        pop(a); /* an oversize block is not worth keeping */
    }
    a->next = a->blocks ? a->blocks->data : NULL;
    a->end = a->blocks ? a->blocks->data + a->blocks->size : NULL;
}

static bool push(struct arena *a, size_t need)
{
    size_t size = need > a->block_size ? need : a->block_size;
    size_t total = 0;
    struct arena_block *block = NULL;

    if (__builtin_add_overflow(size, sizeof(*block), &total)) {
        return false;
    }
    if (a->cap > 0 && (total > a->cap || a->held > a->cap - total)) {
        return false;
    }
    block = mem_try_realloc(NULL, total);
    if (block == NULL) {
        return false;
    }
    block->below = a->blocks;
    block->size = size;
    a->blocks = block;
    a->held += total;
    a->next = block->data;
    a->end = block->data + size;
    return true;
}

void *arena_alloc(struct arena *a, size_t size)
{
    const size_t align = alignof(max_align_t);
    size_t padded = 0;
    void *ptr = NULL;

    if (size == 0) {
        size = 1;
    }
    if (__builtin_add_overflow(size, align - 1, &padded)) {
        return NULL;
    }
    padded &= ~(align - 1);
    if ((size_t)(a->end - a->next) < padded && !push(a, padded)) {
        return NULL;
    }
    ptr = a->next;
    a->next += padded;
    return ptr;
}

void *arena_calloc(struct arena *a, size_t count, size_t size)
{
    size_t total = 0;
    void *ptr = NULL;

    if (__builtin_mul_overflow(count, size, &total)) {
        return NULL;
    }
    ptr = arena_alloc(a, total);
    if (ptr != NULL) {
        memset(ptr, 0, total);
    }
    return ptr;
}

char *arena_strndup(struct arena *a, const char *text, size_t len)
{
    char *copy = len < SIZE_MAX ? arena_alloc(a, len + 1) : NULL;

    if (copy != NULL) {
        if (len > 0) {
            memcpy(copy, text, len);
        }
        copy[len] = '\0';
    }
    return copy;
}

struct span arena_span(struct arena *a, struct span s)
{
    return span_make(arena_strndup(a, s.ptr, s.len), s.len);
}

char *arena_printf(struct arena *a, const char *format, ...)
{
    va_list args;
    va_list again;
    int len = 0;
    char *text = NULL;

    va_start(args, format);
    va_copy(again, args);
    len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len >= 0) {
        text = arena_alloc(a, (size_t)len + 1);
    }
    if (text != NULL) {
        vsnprintf(text, (size_t)len + 1, format, again);
    }
    va_end(again);
    return text;
}

struct arena_mark arena_mark(const struct arena *a)
{
    return (struct arena_mark){a->blocks, a->next};
}

void arena_rewind(struct arena *a, struct arena_mark mark)
{
    while (a->blocks != mark.block) {
        pop(a);
    }
    a->next = mark.next;
    a->end = a->blocks ? a->blocks->data + a->blocks->size : NULL;
}
