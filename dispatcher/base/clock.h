/*
 * clock - time for decisions and time for people.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

/* Monotonic, for intervals; not comparable between hosts or boots. */
int64_t clock_monotonic_ms(void);
int64_t clock_monotonic_us(void);
/* Microseconds since 1970-01-01 00:00:00 UTC. */
int64_t clock_wall_us(void);
/* Microseconds of CPU (user and system) that this process has used. */
int64_t clock_cpu_us(void);

#endif
