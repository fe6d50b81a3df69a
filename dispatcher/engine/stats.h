/*
 * stats - what a worker has done since it started.
 */
#ifndef ENGINE_STATS_H
#define ENGINE_STATS_H

#include <stdint.h>

#include "model.h"

struct stats {
    int64_t started_ms; /* monotonic */
    uint64_t verdicts[VERDICT_RESENT + 1];
    uint64_t batches_leased;
    uint64_t batches_settled;
    uint64_t batches_lost;
    uint64_t bytes; /* of content composed */
    /* at the last line of the log */
    int64_t told_ms;
    uint64_t told_sent;
};

void stats_start(struct stats *s);
/* Counts a decision. */
void stats_count(struct stats *s, enum verdict verdict);
/* One log line: totals, and the rate since the line before. waiting: letters
 * leased and not begun; in_flight: begun and not decided. */
void stats_tell(struct stats *s, uint64_t waiting, uint64_t in_flight,
                uint64_t connections);

#endif
