/*
 * loop_watch - how long an event loop was blocked, by a timer in it.
 *
 * The timer wants to run every millisecond. When it runs late, something kept
 * the loop from it: work, a call that blocks, or other processes that had the
 * CPU. The kernel tells how long this thread waited for a CPU
 * (/proc/self/schedstat), so the last can be told from the rest.
 */
#ifndef BENCH_LOOP_WATCH_H
#define BENCH_LOOP_WATCH_H

#include <stdint.h>

#include <ev.h>

struct loop_watch {
    ev_timer timer;
    int schedstat;            /* file descriptor, or -1 */
    int64_t last_us;          /* when it ran last */
    int64_t waited_us;        /* for a CPU, ever, then */
    int64_t longest_late_us;  /* beyond the millisecond */
    int64_t longest_block_us; /* the same without waiting for a CPU */
};

void loop_watch_start(struct loop_watch *w, struct ev_loop *loop);
void loop_watch_stop(struct loop_watch *w, struct ev_loop *loop);

#endif
