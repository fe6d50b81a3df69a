/*
 * supervisor - more cores: more workers under one parent.
 *
 * The parent does nothing but wait: it opens no connection before it forks,
 * and a worker that dies takes nothing with it but its own letters in flight,
 * which its next life finds in the journal. What the workers share, the
 * limits of the relays, lies in memory that is mapped before the first fork;
 * the connections of a dead worker are struck off it before anything else.
 *
 * Signals are blocked and taken by sigtimedwait, one at a time, so that none
 * can be lost between looking and waiting; the workers get them unblocked.
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
#include "engine/service.h"
#include "smtp/quota.h"

enum {
    WORKERS_MAX = QUOTA_WORKERS,
    REST_MAX_MS = 30 * 1000,
    HEALTHY_MS = 60 * 1000,
    LONG_MS = 3600 * 1000,
};

struct child {
    pid_t pid; /* 0 = not running */
    int64_t started_ms;
    int64_t start_at_ms; /* not running: when to start it; 0 = never again */
    int failures;        /* deaths in a row that came soon after the start */
};

struct family {
    const struct settings *settings;
    const struct catalog *catalog;
    struct worker_options options;
    sigset_t signals; /* that are waited for */
    sigset_t usual;   /* the mask to give to the children */
    struct child children[WORKERS_MAX];
    int count;
    bool is_stopping;
    int status;
};

static void start(struct family *f, int index)
{
    struct child *child = &f->children[index];

    child->started_ms = clock_monotonic_ms();
    child->start_at_ms = 0;
    service_begin(f->options.service, index);
    child->pid = fork();
    if (child->pid < 0) {
        log_error("a worker cannot be started", "why=\"%s\"", strerror(errno));
        service_forget(f->options.service, index); /* gives no sign of life */
        child->pid = 0;
        child->start_at_ms = child->started_ms + REST_MAX_MS;
    } else if (child->pid == 0) {
        f->options.index = index;
        sigprocmask(SIG_SETMASK, &f->usual, NULL);
        prctl(PR_SET_PDEATHSIG, SIGTERM); /* never without a parent */
        if (getppid() != f->options.parent_pid) {
            _exit(EX_OK); /* it went before we asked */
        }
        _exit(worker_run(f->settings, f->catalog, &f->options));
    }
}

static int64_t rest_ms(int failures)
{
    int64_t ms = failures < 5 ? (int64_t)1000 << failures : REST_MAX_MS;

    return ms < REST_MAX_MS ? ms : REST_MAX_MS;
}

/* A child has ended: it is started again unless its worker was done. */
static void bury(struct family *f, int index, int status)
{
    struct child *child = &f->children[index];
    int64_t now_ms = clock_monotonic_ms();
    bool is_done = WIFEXITED(status) && (WEXITSTATUS(status) == EX_OK ||
                                         WEXITSTATUS(status) == EX_CONFIG);
    bool was_healthy = now_ms - child->started_ms > HEALTHY_MS;

    quota_board_forget(f->options.board, index);
    service_forget(f->options.service, index);
    if (is_done && WEXITSTATUS(status) == EX_CONFIG) {
        f->status = EX_CONFIG; /* another try would end the same way */
    } else if (!is_done) {
        log_error("a worker died", "pid=%d %s=%d", (int)child->pid,
                  WIFSIGNALED(status) ? "signal" : "status",
                  WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
        f->status = EX_SOFTWARE;
    }
    child->pid = 0;
    child->failures = is_done || was_healthy ? 0 : child->failures + 1;
    child->start_at_ms =
        is_done || f->is_stopping ? 0 : now_ms + rest_ms(child->failures);
}

static void bury_all(struct family *f)
{
    int status = 0;
    pid_t pid = 0;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (int i = 0; i < f->count; i++) {
            if (f->children[i].pid == pid) {
                bury(f, i, status);
            }
        }
    }
}

/* Asked once: each finishes what is in flight. Asked again: at once. */
static void stop_all(struct family *f, int number)
{
    const bool is_now = f->is_stopping || number == SIGQUIT;

    f->is_stopping = true;
    service_stopping(f->options.service);
    for (int i = 0; i < f->count; i++) {
        f->children[i].start_at_ms = 0;
        if (f->children[i].pid > 0) {
            kill(f->children[i].pid, is_now ? SIGQUIT : SIGTERM);
        }
    }
}

static void start_due(struct family *f)
{
    int64_t now_ms = clock_monotonic_ms();

    for (int i = 0; i < f->count; i++) {
        int64_t at_ms = f->children[i].start_at_ms;

        if (at_ms != 0 && at_ms <= now_ms) {
            start(f, i);
        }
    }
}

/* True while there is a child, or one to start again. */
static bool is_alive(const struct family *f)
{
    for (int i = 0; i < f->count; i++) {
        if (f->children[i].pid > 0 || f->children[i].start_at_ms != 0) {
            return true;
        }
    }
    return false;
}

/* Until a signal comes, a child is to be started, or systemd is to be told. */
static int wait_signal(const struct family *f)
{
    int64_t now_ms = clock_monotonic_ms();
    int64_t tell_ms = service_period_ms(f->options.service);
    int64_t wait_ms = tell_ms > 0 ? tell_ms : LONG_MS;
    struct timespec wait = {.tv_sec = 0};

    for (int i = 0; i < f->count; i++) {
        int64_t at_ms = f->children[i].start_at_ms;

        if (at_ms != 0 && at_ms - now_ms < wait_ms) {
            wait_ms = at_ms > now_ms ? at_ms - now_ms : 0;
        }
    }
    wait.tv_sec = wait_ms / 1000;
    wait.tv_nsec = wait_ms % 1000 * 1000000;
    return sigtimedwait(&f->signals, NULL, &wait);
}

static void block_signals(struct family *f)
{
    sigemptyset(&f->signals);
    sigaddset(&f->signals, SIGCHLD);
    sigaddset(&f->signals, SIGTERM);
    sigaddset(&f->signals, SIGINT);
    sigaddset(&f->signals, SIGQUIT);
    sigprocmask(SIG_BLOCK, &f->signals, &f->usual);
}

/* The relays' limits, in memory that all children will share. */
static bool make_board(struct family *f)
{
    const struct settings *s = f->settings;

    f->options.board = quota_board_new(s->relay_count, f->count);
    if (f->options.board == NULL) {
        log_error("no memory to share", "why=\"%s\"", strerror(errno));
        return false;
    }
    for (size_t i = 0; i < s->relay_count; i++) {
        struct limits_settings limits = relay_limits(s->relays[i]);

        quota_board_set(f->options.board, i, &limits, clock_monotonic_ms());
    }
    return true;
}

static void watch_over(struct family *f)
{
    while (is_alive(f)) {
        int number = wait_signal(f);

        if (number == SIGTERM || number == SIGINT || number == SIGQUIT) {
            stop_all(f, number);
        }
        bury_all(f);
        start_due(f);
        service_tell(f->options.service);
    }
}

int supervisor_run(const struct settings *settings,
                   const struct catalog *catalog,
                   const struct worker_options *options)
{
    struct family f = {.settings = settings,
                       .catalog = catalog,
                       .options = *options,
                       .count = settings->processes,
                       .status = EX_OK};

    f.count = f.count < WORKERS_MAX ? f.count : WORKERS_MAX;
    f.options.service = service_new(f.count);
    if (f.count <= 1) {
        f.status = worker_run(settings, catalog, &f.options);
        service_free(f.options.service);
        return f.status;
    }
    f.options.parent_pid = getpid();
    if (!make_board(&f)) {
        service_free(f.options.service);
        return EX_OSERR;
    }
    block_signals(&f);
    for (int i = 0; i < f.count; i++) {
        start(&f, i);
    }
    watch_over(&f);
    sigprocmask(SIG_SETMASK, &f.usual, NULL);
    quota_board_free(f.options.board);
    service_free(f.options.service);
    return f.is_stopping ? EX_OK : f.status;
}
