/*
 * errbit - reports as Airbrake v3 notices, as Errbit takes them.
 *
 *     POST <url>/api/v3/projects/<id>/notices
 *
 * Errbit makes one problem of all notices that agree in class, message,
 * component, action, environment and backtrace, so those are the same for a
 * cause every time; what varies is in params.
 */
#ifndef WEB_ERRBIT_H
#define WEB_ERRBIT_H

#include <stdint.h>

#include "model.h"
#include "web/client.h"

enum {
    ERRBIT_NOTICE_MAX = 64000, /* bytes, as airbrake-ruby has it */
    ERRBIT_MESSAGE_MAX = 1000, /* bytes: Errbit cuts the rest off */
};

struct errbit_settings {
    const char *url;        /* https://errbit.example.org */
    const char *project_id; /* what stands in the path */
    const char *api_key;    /* goes into a header, never into the URL */
    const char *environment;
    const char *host;    /* our own */
    const char *version; /* of this program */
    const char *ca_file; /* NULL: the system's */
    int64_t timeout_ms;
};

/* The notice as JSON, at most ERRBIT_NOTICE_MAX bytes: where params are too
 * large for it, texts in them are cut, in the end all of them are left out.
 * Caller frees. */
char *errbit_notice(const struct errbit_settings *settings,
                    const struct report *report);

/* Sends a notice; see web_client_send. */
struct web_call *errbit_send(struct web_client *client,
                             const struct errbit_settings *settings,
                             const struct report *report, web_answer_fn *fn,
                             void *ctx);

enum errbit_fate {
    ERRBIT_TOLD,
    ERRBIT_AGAIN,   /* it is busy or away */
    ERRBIT_MEND,    /* a setting is wrong: it works when a person mends it */
    ERRBIT_REFUSED, /* it does not take this notice, now or later */
};

struct errbit_ruling {
    enum errbit_fate fate;
    const char *advice; /* what a person may do; "" for ERRBIT_TOLD */
};

/* What the answer to a notice means. */
struct errbit_ruling errbit_judge(const struct web_answer *answer);

#endif
