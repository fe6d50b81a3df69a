/*
 * loop_watch - how long an event loop was blocked, by a timer in it.
 */
#include "bench/smtp/loop_watch.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"

enum { EVERY_US = 1000 };

/* The second number is the time on a run queue, in nanoseconds. */
static int64_t waited_us(const struct loop_watch *w)
{
    char text[96];
    char *second = NULL;
    ssize_t n =
        w->schedstat < 0 ? -1 : pread(w->schedstat, text, sizeof(text) - 1, 0);

    if (n <= 0) {
        return 0;
    }
    text[n] = '\0';
    strtoll(text, &second, 10);
    return strtoll(second, NULL, 10) / 1000;
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct loop_watch *w = timer->data;
    int64_t now_us = clock_monotonic_us();
    int64_t total_us = waited_us(w);
    int64_t late_us = now_us - w->last_us - EVERY_US;
    int64_t block_us = late_us - (total_us - w->waited_us);

    (void)loop;
    (void)events;
    if (late_us > w->longest_late_us) {
        w->longest_late_us = late_us;
    }
    if (block_us > w->longest_block_us) {
        w->longest_block_us = block_us;
    }
    w->last_us = now_us;
    w->waited_us = total_us;
}

void loop_watch_start(struct loop_watch *w, struct ev_loop *loop)
{
    *w = (struct loop_watch){
        .schedstat = open("/proc/self/schedstat", O_RDONLY | O_CLOEXEC),
        .last_us = clock_monotonic_us()};
    w->waited_us = waited_us(w);
    ev_timer_init(&w->timer, on_timer, EVERY_US / 1e6, EVERY_US / 1e6);
    w->timer.data = w;
    ev_timer_start(loop, &w->timer);
}

void loop_watch_stop(struct loop_watch *w, struct ev_loop *loop)
{
    ev_timer_stop(loop, &w->timer);
    if (w->schedstat >= 0) {
        close(w->schedstat);
        w->schedstat = -1;
    }
}
