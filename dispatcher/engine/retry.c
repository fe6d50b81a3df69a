/*
 * retry - exponential waits with a cap and a spread.
 */
#include "engine/retry.h"

int64_t retry_delay_ms(const struct retry_policy *policy, int attempts,
                       int64_t age_ms, int64_t asked_ms, double spread)
{
    int64_t delay_ms = policy->first_ms;

    if (policy->max_attempts > 0 && attempts >= policy->max_attempts) {
        return RETRY_GIVE_UP;
    }
    for (int i = 1; i < attempts && delay_ms < policy->max_ms; i++) {
        delay_ms *= 2;
    }
    if (delay_ms > policy->max_ms) {
        delay_ms = policy->max_ms;
    }
    delay_ms += (int64_t)((double)delay_ms * 0.2 * spread);
    if (delay_ms < asked_ms) {
        delay_ms = asked_ms;
    }
    if (policy->give_up_ms > 0 && age_ms + delay_ms > policy->give_up_ms) {
        return RETRY_GIVE_UP;
    }
    return delay_ms;
}
