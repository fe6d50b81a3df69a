/*
 * alarm - timers with the precision that half a millisecond of delay needs.
 *
 * libev's own timers are as fine as epoll_wait, a millisecond; these hang on
 * one timerfd.
 */
#ifndef SINK_ALARM_H
#define SINK_ALARM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ev.h>

struct alarm {
    int64_t due_us; /* on the monotonic clock */
    size_t place;   /* in the heap, from 1; 0 = not set */
    void (*ring)(struct alarm *a);
    void *owner; /* for ring */
};

struct alarms {
    struct ev_loop *loop;
    ev_io watcher;
    int fd;
    int64_t armed_us;    /* what the timerfd is set to; 0 = nothing */
    struct alarm **heap; /* earliest first */
    size_t count;
    size_t size;
};

/* False (errno) when there is no timerfd. */
bool alarms_init(struct alarms *as, struct ev_loop *loop);
void alarms_release(struct alarms *as);
/* Sets or moves a to due_us. A ring happens once, never before due_us and
 * never from inside this call. */
void alarm_set(struct alarms *as, struct alarm *a, int64_t due_us);
/* Does nothing when a is not set. */
void alarm_clear(struct alarms *as, struct alarm *a);

#endif
