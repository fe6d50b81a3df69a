/*
 * service - what systemd is told.
 */
#include "engine/service.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <systemd/sd-daemon.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/plural.h"

enum { PERIOD_MAX_MS = 1000, PERIOD_MIN_MS = 10, STATUS_MAX = 200 };

/* Of one worker; written by it, and by the parent while it does not run. */
struct row {
    _Atomic int64_t beat_ms; /* monotonic; 0: it does not run */
    _Atomic uint64_t sent;
    _Atomic uint64_t waiting;
    _Atomic bool is_ready;
};

struct service {
    size_t bytes;        /* of this mapping */
    int64_t watchdog_ms; /* silence that it takes for death; 0: any */
    bool was_ready;
    bool is_stopping;
    char status[STATUS_MAX]; /* as told last */
    int worker_count;
    struct row rows[];
};

struct service *service_new(int workers)
{
    size_t count = workers > 0 ? (size_t)workers : 1;
    size_t bytes = sizeof(struct service) + count * sizeof(struct row);
    struct service *s = NULL;
    uint64_t watchdog_us = 0;

    if (getenv("NOTIFY_SOCKET") == NULL) {
        return NULL;
    }
    s = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
             -1, 0);
    if (s == MAP_FAILED) {
        log_error("systemd cannot be told how the workers are", "why=\"%s\"",
                  "no memory to share");
        return NULL;
    }
    s->bytes = bytes;
    s->worker_count = (int)count;
    if (sd_watchdog_enabled(0, &watchdog_us) > 0) {
        s->watchdog_ms = (int64_t)(watchdog_us / 1000);
    }
    return s;
}

void service_free(struct service *s)
{
    if (s != NULL) {
        munmap(s, s->bytes);
    }
}

void service_begin(struct service *s, int worker)
{
    if (s != NULL) {
        s->rows[worker].is_ready = false;
        s->rows[worker].beat_ms = clock_monotonic_ms();
    }
}

void service_forget(struct service *s, int worker)
{
    if (s != NULL) {
        s->rows[worker].is_ready = false;
        s->rows[worker].beat_ms = 0;
        s->rows[worker].waiting = 0;
    }
}

void service_beat(struct service *s, int worker,
                  const struct service_beat *beat)
{
    if (s != NULL) {
        s->rows[worker].is_ready = beat->is_ready;
        s->rows[worker].sent = beat->sent;
        s->rows[worker].waiting = beat->waiting;
        s->rows[worker].beat_ms = clock_monotonic_ms();
    }
}

int64_t service_period_ms(const struct service *s)
{
    int64_t ms = PERIOD_MAX_MS;

    if (s == NULL) {
        return 0;
    }
    if (s->watchdog_ms > 0 && s->watchdog_ms / 4 < ms) {
        ms = s->watchdog_ms / 4; /* systemd advises half of it or less */
    }
    return ms > PERIOD_MIN_MS ? ms : PERIOD_MIN_MS;
}

/* True when no worker has been silent for too long. */
static bool is_alive(const struct service *s)
{
    int64_t oldest_ms = clock_monotonic_ms() - s->watchdog_ms / 2;

    for (int i = 0; i < s->worker_count; i++) {
        int64_t beat_ms = s->rows[i].beat_ms;

        if (beat_ms != 0 && beat_ms < oldest_ms) {
            return false;
        }
    }
    return true;
}

static void tell_status(struct service *s, int ready)
{
    char status[STATUS_MAX];
    uint64_t sent = 0;
    uint64_t waiting = 0;

    for (int i = 0; i < s->worker_count; i++) {
        sent += s->rows[i].sent;
        waiting += s->rows[i].waiting;
    }
    snprintf(status, sizeof(status),
             "%d of %d workers ready, %llu letter%s sent, %llu in hand", ready,
             s->worker_count, (unsigned long long)sent, plural_s(sent),
             (unsigned long long)waiting);
    if (strcmp(status, s->status) != 0) {
        memcpy(s->status, status, sizeof(status));
        sd_notifyf(0, "STATUS=%s", status);
    }
}

void service_tell(struct service *s)
{
    int ready = 0;

    if (s == NULL) {
        return;
    }
    for (int i = 0; i < s->worker_count; i++) {
        ready += s->rows[i].is_ready;
    }
    if (ready > 0 && !s->was_ready) {
        s->was_ready = true;
        sd_notify(0, "READY=1");
    }
    if (!s->is_stopping) {
        tell_status(s, ready);
    }
    if (s->watchdog_ms > 0 && is_alive(s)) {
        sd_notify(0, "WATCHDOG=1");
    }
}

void service_stopping(struct service *s)
{
    if (s != NULL && !s->is_stopping) {
        s->is_stopping = true;
        sd_notify(0, "STOPPING=1\nSTATUS=finishing what is in flight");
    }
}
