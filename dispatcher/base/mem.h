/*
 * mem - memory or death, for the small things whose size we decide ourselves.
 *
 * What grows with input from outside lives in a buf or an arena with a cap,
 * which fail instead. All blocks are released with mem_free (it is free).
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

/* size bytes, not initialised. Ends the program when there are none. */
void *mem_alloc(size_t size) __attribute__((malloc, returns_nonnull));
/* count * size bytes of zeros; an overflow of the product ends the program. */
void *mem_calloc(size_t count, size_t size)
    __attribute__((malloc, returns_nonnull));
/* As realloc; the old pointer is gone. */
void *mem_realloc(void *old, size_t size) __attribute__((returns_nonnull));
/* A copy of a C string; NULL stays NULL. Caller frees. */
char *mem_strdup(const char *text);
/* len bytes of text plus a NUL. Caller frees. */
char *mem_strndup(const char *text, size_t len)
    __attribute__((malloc, returns_nonnull));
/* printf into a fresh string. Caller frees. */
char *mem_printf(const char *format, ...)
    __attribute__((malloc, returns_nonnull, format(printf, 1, 2), nonnull(1)));
void mem_free(void *ptr);

/*
 * For tests that practise failure: after n more allocations the next one
 * fails as if memory had run out (mem_try_alloc returns NULL; the others end
 * the program). A negative n, the default, means never.
 */
void mem_fail_after(long n);
/* As mem_alloc, but NULL when there is no memory: for buf and arena. */
void *mem_try_realloc(void *old, size_t size);

#endif
