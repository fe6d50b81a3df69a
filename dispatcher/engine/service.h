/*
 * service - what systemd is told of a service of Type=notify: that it is
 * ready, that it stops, how it does, and that it is alive (sd_notify(3)).
 *
 * Workers write their signs of life into memory that they share with their
 * parent; the process that systemd started reads them and speaks for all. A
 * worker that hangs makes it silent, and the watchdog bites. Without systemd
 * (no NOTIFY_SOCKET) all of this does nothing.
 */
#ifndef ENGINE_SERVICE_H
#define ENGINE_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

struct service;

/* A sign of life. */
struct service_beat {
    bool is_ready;    /* it has the database, and works */
    uint64_t sent;    /* letters, since it started */
    uint64_t waiting; /* letters it has leased and not sent */
};

/* To be made by the process that systemd started, before it forks. NULL when
 * systemd does not want to know; all of the following take NULL. */
struct service *service_new(int workers);
void service_free(struct service *s);

/* A worker begins (its signs are expected from now on), or has ended. */
void service_begin(struct service *s, int worker);
void service_forget(struct service *s, int worker);
/* A worker's sign of life: to be given every service_period_ms. */
void service_beat(struct service *s, int worker,
                  const struct service_beat *beat);

/* How often to beat and to tell; 0 when nobody wants to know. */
int64_t service_period_ms(const struct service *s);
/* Tells systemd how things are; by the process that it started. */
void service_tell(struct service *s);
/* Tells it that this is the end. */
void service_stopping(struct service *s);

#endif
