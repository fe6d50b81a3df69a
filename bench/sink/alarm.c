/*
 * alarm - timers with the precision that half a millisecond of delay needs.
 *
 * A binary heap by due time; the timerfd is armed for the first of it.
 */
#include "bench/sink/alarm.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

static void put_at(struct alarms *as, size_t place, struct alarm *a)
{
    as->heap[place - 1] = a;
    a->place = place;
}

/* Moves a from place to where it belongs. */
static void settle(struct alarms *as, size_t place, struct alarm *a)
{
    while (place > 1 && as->heap[place / 2 - 1]->due_us > a->due_us) {
        put_at(as, place, as->heap[place / 2 - 1]);
        place /= 2;
    }
    for (;;) {
        size_t child = place * 2;

        if (child > as->count) {
            break;
        }
        if (child < as->count &&
            as->heap[child]->due_us < as->heap[child - 1]->due_us) {
            child++;
        }
        if (as->heap[child - 1]->due_us >= a->due_us) {
            break;
        }
        put_at(as, place, as->heap[child - 1]);
        place = child;
    }
    put_at(as, place, a);
}

static void arm(struct alarms *as)
{
    int64_t due_us = as->count > 0 ? as->heap[0]->due_us : 0;
    struct itimerspec when = {0};

    /* An alarm that was armed too early rings for nothing, once. */
    if (due_us == as->armed_us || (as->armed_us > 0 && due_us == 0) ||
        (as->armed_us > 0 && as->armed_us < due_us)) {
        return;
    }
    when.it_value.tv_sec = (time_t)(due_us / 1000000);
    when.it_value.tv_nsec = (long)(due_us % 1000000) * 1000;
    timerfd_settime(as->fd, TFD_TIMER_ABSTIME, &when, NULL);
    as->armed_us = due_us;
}

void alarm_set(struct alarms *as, struct alarm *a, int64_t due_us)
{
    a->due_us = due_us > 0 ? due_us : 1;
    if (a->place == 0) {
        if (as->count == as->size) {
            as->size = as->size ? as->size * 2 : 64;
            as->heap = mem_realloc(as->heap, as->size * sizeof(*as->heap));
        }
        as->count++;
        put_at(as, as->count, a);
    }
    settle(as, a->place, a);
    arm(as);
}

void alarm_clear(struct alarms *as, struct alarm *a)
{
    size_t place = a->place;
    struct alarm *last = NULL;

    if (place == 0) {
        return;
    }
    last = as->heap[as->count - 1];
    as->count--;
    a->place = 0;
    if (last != a) {
        settle(as, place, last);
    }
}

static void on_timer(struct ev_loop *loop, ev_io *w, int events)
{
    struct alarms *as = w->data;
    uint64_t times = 0;
    int64_t now_us = 0;

    (void)loop;
    (void)events;
    (void)!read(as->fd, &times, sizeof(times));
    as->armed_us = 0;
    now_us = clock_monotonic_us();
    while (as->count > 0 && as->heap[0]->due_us <= now_us) {
        struct alarm *a = as->heap[0];

        alarm_clear(as, a);
        a->ring(a);
    }
    arm(as);
}

bool alarms_init(struct alarms *as, struct ev_loop *loop)
{
    *as = (struct alarms){.loop = loop};
    as->fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (as->fd < 0) {
        return false;
    }
    ev_io_init(&as->watcher, on_timer, as->fd, EV_READ);
    as->watcher.data = as;
    ev_io_start(loop, &as->watcher);
    return true;
}

void alarms_release(struct alarms *as)
{
    ev_io_stop(as->loop, &as->watcher);
    close(as->fd);
    mem_free(as->heap);
    *as = (struct alarms){.fd = -1};
}
