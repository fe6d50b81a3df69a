/*
 * mem - memory or death.
 *
 * A dispatcher that cannot get a few hundred bytes cannot do anything useful
 * with the news either, so the small allocations end the program and the
 * supervisor starts it again; the lease on its batches brings the mail back.
 */
#include "base/mem.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

static long countdown = -1;

static void out_of_memory(void)
{
    static const char words[] = "level=fatal msg=\"out of memory\"\n";

    (void)!fwrite(words, 1, sizeof(words) - 1, stderr);
    exit(EX_OSERR);
}

/* True when a test asked for this allocation to fail. */
static bool must_fail(void)
{
    if (countdown < 0) {
        return false;
    }
    return countdown-- == 0;
}

void mem_fail_after(long n)
{
    countdown = n;
}

void *mem_try_realloc(void *old, size_t size)
{
    if (must_fail()) {
        return NULL;
    }
    return realloc(old, size ? size : 1);
}

void *mem_realloc(void *old, size_t size)
{
    void *block = mem_try_realloc(old, size);

    if (block == NULL) {
        out_of_memory();
    }
    return block;
}

void *mem_alloc(size_t size)
{
    return mem_realloc(NULL, size);
}

void *mem_calloc(size_t count, size_t size)
{
    size_t total = 0;
    void *block = NULL;

    if (__builtin_mul_overflow(count, size, &total)) {
        out_of_memory();
    }
    block = mem_alloc(total);
    memset(block, 0, total);
    return block;
}

char *mem_strndup(const char *text, size_t len)
{
    char *copy = mem_alloc(len + 1);

    memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

char *mem_strdup(const char *text)
{
    return text ? mem_strndup(text, strlen(text)) : NULL;
}

char *mem_printf(const char *format, ...)
{
    va_list args;
    va_list again;
    int len = 0;
    char *text = NULL;

    va_start(args, format);
    va_copy(again, args);
    len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len < 0) {
        len = 0;
    }
    text = mem_alloc((size_t)len + 1);
    vsnprintf(text, (size_t)len + 1, format, again);
    va_end(again);
    return text;
}

void mem_free(void *ptr)
{
    free(ptr);
}
