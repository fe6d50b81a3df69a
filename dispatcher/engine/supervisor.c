/*
 * supervisor - more cores: more workers under one parent.
 *
 * The parent does nothing but wait: it opens no connection before it forks,
 * and a worker that dies takes nothing with it but its own letters in flight,
 * which its next life finds in the journal.
 */
#include "engine/supervisor.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

enum { WORKERS_MAX = 64, REST_MAX_S = 30, HEALTHY_MS = 60000 };

struct child {
    pid_t pid; /* 0 = not running */
    int64_t started_ms;
    int failures; /* deaths in a row that came soon after the start */
};

static volatile sig_atomic_t stop_signal;

static void on_signal(int number)
{
    stop_signal = number;
}

static void catch_signals(void)
{
    struct sigaction action;

    memset(&action, 0, sizeof(action));
    action.sa_handler = on_signal; /* no SA_RESTART: wait must return */
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
}

static void start(struct child *child, const struct settings *settings,
                  const struct catalog *catalog,
                  const struct worker_options *options, int index)
{
    child->started_ms = clock_monotonic_ms();
    child->pid = fork();
    if (child->pid < 0) {
        log_error("a worker cannot be started", "why=\"%s\"", strerror(errno));
        child->pid = 0;
    } else if (child->pid == 0) {
        struct worker_options own = *options;

        own.index = index;
        signal(SIGTERM, SIG_DFL);
        signal(SIGINT, SIG_DFL);
        prctl(PR_SET_PDEATHSIG, SIGTERM); /* never without a parent */
        _exit(worker_run(settings, catalog, &own));
    }
}

static void rest(int failures)
{
    struct timespec wait = {.tv_sec =
                                failures < 5 ? 1 << failures : REST_MAX_S};

    nanosleep(&wait, NULL); /* a signal ends it early */
}

/* A child has ended; true when its worker was done, false when it died. */
static bool bury(struct child *child, int status)
{
    bool is_done = WIFEXITED(status) && WEXITSTATUS(status) == EX_OK;
    bool was_healthy = clock_monotonic_ms() - child->started_ms > HEALTHY_MS;

    if (!is_done) {
        log_error("a worker died", "pid=%d %s=%d", (int)child->pid,
                  WIFSIGNALED(status) ? "signal" : "status",
                  WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    }
    child->failures = is_done || was_healthy ? 0 : child->failures + 1;
    child->pid = 0;
    return is_done;
}

static int running(const struct child *children, int count)
{
    int alive = 0;

    for (int i = 0; i < count; i++) {
        alive += children[i].pid > 0;
    }
    return alive;
}

static void pass_on(const struct child *children, int count)
{
    for (int i = 0; i < count; i++) {
        if (children[i].pid > 0) {
            kill(children[i].pid, SIGTERM);
        }
    }
}

static int find(const struct child *children, int count, pid_t pid)
{
    for (int i = 0; i < count; i++) {
        if (children[i].pid == pid) {
            return i;
        }
    }
    return -1;
}

int supervisor_run(const struct settings *settings,
                   const struct catalog *catalog,
                   const struct worker_options *options)
{
    struct child children[WORKERS_MAX] = {0};
    int count = settings->processes;
    int result = EX_OK;
    bool is_told = false;

    if (count <= 1) {
        return worker_run(settings, catalog, options);
    }
    catch_signals();
    for (int i = 0; i < count; i++) {
        start(&children[i], settings, catalog, options, i);
    }
    while (running(children, count) > 0) {
        int status = 0;
        pid_t pid = waitpid(-1, &status, 0);
        int i = pid > 0 ? find(children, count, pid) : -1;

        if (stop_signal != 0 && !is_told) {
            pass_on(children, count);
            is_told = true;
        }
        if (i < 0) {
            continue;
        }
        if (!bury(&children[i], status)) {
            result = EX_SOFTWARE;
            if (stop_signal == 0) {
                rest(children[i].failures);
            }
            if (stop_signal == 0) {
                start(&children[i], settings, catalog, options, i);
            }
        }
    }
    return stop_signal ? EX_OK : result;
}
