/*
 * sink - what all connections of one sink share.
 *
 * One process, one loop, no threads: plain members, no locks.
 */
#ifndef SINK_SINK_H
#define SINK_SINK_H

#include "bench/sink/ids.h"
#include "bench/sink/offence.h"
#include "bench/sink/options.h"
#include "bench/sink/store.h"
#include "bench/sink/tally.h"

struct sink {
    struct options options; /* does not change after the start, except for
                               the hits and the dice of its fault rules */
    struct offences offences;
    struct tally tally;
    struct ids ids; /* used with --count */
    struct store store;
};

#endif
