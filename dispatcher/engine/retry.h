/*
 * retry - when a deferred letter is tried again, and when it is given up.
 *
 * Pure arithmetic; RFC 5321 §4.5.4.1 asks for patience, notifications for
 * news that is still news, so both ends are settings.
 */
#ifndef ENGINE_RETRY_H
#define ENGINE_RETRY_H

#include <stdint.h>

struct retry_policy {
    int64_t first_ms;   /* wait after the first failure */
    int64_t max_ms;     /* longest wait */
    int max_attempts;   /* tries in all; 0 = no limit */
    int64_t give_up_ms; /* age at which a letter is given up; 0 = never */
};

enum { RETRY_GIVE_UP = -1 };

/*
 * Milliseconds until the next try, or RETRY_GIVE_UP. attempts counts the tries
 * made, at least 1. age_ms is the letter's age since it was routed. asked_ms is
 * the delay that the relay named, 0 for none: never tried sooner than that.
 * spread in [0, 1) comes from a random source and moves the wait by up to a
 * fifth, so that what failed together does not come back together.
 */
int64_t retry_delay_ms(const struct retry_policy *policy, int attempts,
                       int64_t age_ms, int64_t asked_ms, double spread);

#endif
