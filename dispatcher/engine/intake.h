/*
 * intake - fetches notifications from a source and keeps them as events.
 *
 * The source is the source server of the Open Build Service: GET
 * /lastnotifications (web/obs_answer.h). Every so often, or for as long as the
 * server holds the request, what is new is fetched and written as events in
 * the transaction that moves the cursor (store/cursor.h): nothing is lost or
 * doubled, whenever the process is killed. Notifications that the server has
 * dropped before they were fetched, and a server that was set back, are
 * recorded in postbatch.intake_gap and logged as errors.
 */
#ifndef ENGINE_INTAKE_H
#define ENGINE_INTAKE_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/settings.h"
#include "mail/catalog.h"
#include "web/obs_answer.h"

struct intake;

struct intake_settings {
    const char *dsn;
    const char *source;  /* name of the cursor */
    const char *url;     /* of the server: "http://backend:5352" */
    const char *ca_file; /* NULL: the system's */
    enum obs_view view;
    bool holds;     /* let the server hold the request (block=1) */
    bool runs_once; /* end when nothing is left, or at an error */
    int64_t start;  /* of a source never read; 0 = behind its newest */
    int every_ms;
    int timeout_ms;      /* of a request */
    int hold_timeout_ms; /* of one that the server holds */
    size_t answer_max;   /* bytes */
};

enum intake_end {
    INTAKE_ALL_READ,
    INTAKE_FAILED, /* see the log */
    INTAKE_TAKEN,  /* another process polls this source */
};

/* All but on_events may be NULL. None may free the intake. */
struct intake_hooks {
    /* So many events were written. */
    void (*on_events)(void *ctx, int64_t events);
    /* With runs_once: it is over. */
    void (*on_end)(void *ctx, enum intake_end end);
    /* Tries have failed for ten periods or longer: told with every one that
     * fails, and with runs_once at the first. why is UTF-8. */
    void (*on_trouble)(void *ctx, const char *why);
    /* The first answer in good order, and the first after a trouble. */
    void (*on_recovered)(void *ctx);
};

struct intake_counts {
    uint64_t events;
    uint64_t answers; /* in good order */
    uint64_t failures;
    uint64_t gaps;
};

/* As the section [intake] says. */
struct intake_settings intake_settings_of(const struct settings *settings);

/* settings' texts and catalog must outlive it. */
struct intake *intake_new(struct ev_loop *loop,
                          const struct intake_settings *settings,
                          const struct catalog *catalog,
                          const struct intake_hooks *hooks, void *ctx);
void intake_start(struct intake *i);
/* At any time but inside its hooks: what is half done is not done. NULL is
 * fine. */
void intake_free(struct intake *i);

/* Nothing more will be fetched. */
bool intake_is_over(const struct intake *i);
const struct intake_counts *intake_counts(const struct intake *i);

#endif
