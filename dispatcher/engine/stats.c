/*
 * stats - what a worker has done since it started.
 */
#include "engine/stats.h"

#include "base/clock.h"
#include "base/log.h"

void stats_start(struct stats *s)
{
    *s = (struct stats){.started_ms = clock_monotonic_ms()};
    s->told_ms = s->started_ms;
}

void stats_count(struct stats *s, enum verdict verdict)
{
    s->verdicts[verdict]++;
}

void stats_tell(struct stats *s, uint64_t waiting, uint64_t in_flight,
                uint64_t connections)
{
    int64_t now_ms = clock_monotonic_ms();
    uint64_t sent = s->verdicts[VERDICT_SENT];
    double seconds = (double)(now_ms - s->told_ms) / 1000.0;
    double rate = seconds > 0 ? (double)(sent - s->told_sent) / seconds : 0.0;

    log_info("figures",
             "sent=%llu deferred=%llu failed=%llu unsure=%llu skipped=%llu "
             "waiting=%llu in_flight=%llu connections=%llu per_s=%.0f",
             (unsigned long long)sent,
             (unsigned long long)s->verdicts[VERDICT_DEFERRED],
             (unsigned long long)s->verdicts[VERDICT_FAILED],
             (unsigned long long)s->verdicts[VERDICT_UNSURE],
             (unsigned long long)s->verdicts[VERDICT_SKIPPED],
             (unsigned long long)waiting, (unsigned long long)in_flight,
             (unsigned long long)connections, rate);
    s->told_ms = now_ms;
    s->told_sent = sent;
}
