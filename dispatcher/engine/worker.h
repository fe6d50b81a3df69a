/*
 * worker - one process that dispatches: leases batches, renders letters, hands
 * them to lanes, settles their verdicts. And routes, when it holds the lock.
 */
#ifndef ENGINE_WORKER_H
#define ENGINE_WORKER_H

#include <stdbool.h>

#include "engine/settings.h"
#include "mail/catalog.h"

struct worker_options {
    int index;                 /* of this worker among its parent's, from 0 */
    int parent_pid;            /* 0 = it has none that shares memory */
    struct quota_board *board; /* what workers share; NULL = alone */
    struct service *service;   /* where to give signs of life; or NULL */
    bool runs_once;            /* end when nothing is left to do */
    bool has_progress;         /* a line a second on standard error */
};

/*
 * Runs until SIGTERM or SIGINT (finishing what is in flight, within
 * worker.grace), or with runs_once until everything due is done. Returns an
 * exit status of sysexits.h. catalog must have been loaded from
 * settings->templates_path.
 */
int worker_run(const struct settings *settings, const struct catalog *catalog,
               const struct worker_options *options);

#endif
