/*
 * supervisor - more cores: more workers under one parent.
 */
#ifndef ENGINE_SUPERVISOR_H
#define ENGINE_SUPERVISOR_H

#include "engine/worker.h"

/*
 * Runs settings->processes workers: with one, in this process; with more, each
 * in a child, started again (ever more slowly) when it dies. SIGTERM and SIGINT
 * are passed on and waited for. Returns an exit status of sysexits.h.
 */
int supervisor_run(const struct settings *settings,
                   const struct catalog *catalog,
                   const struct worker_options *options);

#endif
