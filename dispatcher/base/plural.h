/*
 * plural - a count and its noun agree: "1 error", "2 errors".
 */
#ifndef BASE_PLURAL_H
#define BASE_PLURAL_H

#include <stdint.h>

/* What goes behind a noun that takes an s: "%zu error%s". */
static inline const char *plural_s(uint64_t count)
{
    return count == 1 ? "" : "s";
}

/* The same of one that takes es: "%zu batch%s". */
static inline const char *plural_es(uint64_t count)
{
    return count == 1 ? "" : "es";
}

#endif
