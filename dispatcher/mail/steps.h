/*
 * steps - looking at sixteen bytes at a time.
 *
 * For loops that run over clean text and stop at the odd byte that is not.
 * Compilers turn this into the vector instructions of any machine that has
 * some. A comparison gives 0xff (-1) in the bytes for which it holds, so marks
 * are made by or-ing comparisons:
 *
 *     step_bytes bytes = step_load(at);
 *     size_t clean = step_before((step_bytes)(bytes == '"' | bytes < ' '));
 */
#ifndef MAIL_STEPS_H
#define MAIL_STEPS_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { STEP = 16 };

typedef unsigned char step_bytes __attribute__((vector_size(STEP)));

/* The bytes at[0..STEP), at any address. */
static inline step_bytes step_load(const char *at)
{
    step_bytes bytes;

    memcpy(&bytes, at, STEP);
    return bytes;
}

/* How many bytes stand before the first marked one; STEP when none is. */
static inline size_t step_before(step_bytes marks)
{
    uint64_t half[2];

    memcpy(half, &marks, STEP);
    if (half[0] != 0) {
        return (size_t)__builtin_ctzll(le64toh(half[0])) / 8;
    }
    if (half[1] != 0) {
        return STEP / 2 + (size_t)__builtin_ctzll(le64toh(half[1])) / 8;
    }
    return STEP;
}

#endif
