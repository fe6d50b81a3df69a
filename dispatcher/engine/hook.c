/*
 * hook - a command of the operator's, run for each report.
 *
 *     IDLE ──hook_run──▶ RUNNING ──exit seen, output closed──▶ IDLE, done
 *                           │  time is over: SIGKILL to its group
 *                           └──▶ RUNNING, killed
 *
 * The JSON lies in a file in memory, so that a command that does not read it
 * blocks nobody and breaks no pipe. The child has a process group of its own,
 * which is killed as a whole, and none of our descriptors. Its output is read
 * until its end, or until the command has ended: what it leaves behind in the
 * background may keep the pipe open for ever.
 */
#include "engine/hook_inner.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

enum {
    OUTPUT_LINES_MAX = 20, /* of one run that go into the log */
    OUTPUT_LINE_MAX = 500,
};

extern char **environ;

struct hook {
    struct ev_loop *loop;
    struct hook_settings settings;
    char **words; /* NULL: the command cannot be split */
    pid_t pid;    /* 0: nothing runs */
    bool is_killed;
    hook_done_fn *done;
    void *ctx;
    int output; /* the read end; -1: closed */
    int lines;  /* logged of this run */
    char line[OUTPUT_LINE_MAX];
    size_t line_len;
    const char *failed; /* it could not be started: why */
    struct ev_child child;
    struct ev_io readable;
    struct ev_timer limit;
    struct ev_timer failing; /* done from the loop, never from hook_run */
};

/* ---- the child --------------------------------------------------------- */

/* A file in memory that holds the report; -1 when there is none to be had. */
static int make_input(const struct hook *h, const struct report *r)
{
    struct buf json;
    int fd = memfd_create("report", MFD_CLOEXEC);

    buf_init(&json, 0);
    hook_write_json(&json, &h->settings, r);
    if (fd >= 0 && (!buf_ok(&json) ||
                    write(fd, json.data, json.len) != (ssize_t)json.len ||
                    lseek(fd, 0, SEEK_SET) != 0)) {
        close(fd);
        fd = -1;
    }
    buf_release(&json);
    return fd;
}

/* In the child, after fork: only what is allowed there. */
static void become(char *const *words, char **environment, int input,
                   int output)
{
    struct sigaction usual = {.sa_handler = SIG_DFL};
    sigset_t none;

    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* nobody else would see to its end */
    for (int number = 1; number < NSIG; number++) {
        sigaction(number, &usual, NULL); /* ignored ones stay so over exec */
    }
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (dup2(input, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
        dup2(output, STDERR_FILENO) < 0) {
        _exit(126);
    }
    close_range(STDERR_FILENO + 1, ~0U, 0);
    environ = environment;
    execvp(words[0], words);
    dprintf(STDERR_FILENO, "%s: %s\n", words[0], strerror(errno));
    _exit(errno == ENOENT ? 127 : 126);
}

/* ---- its output -------------------------------------------------------- */

static void log_output(struct hook *h)
{
    if (h->line_len > 0 && h->lines < OUTPUT_LINES_MAX) {
        log_info("command says", "text=\"%.*s\"", (int)h->line_len, h->line);
        h->lines++;
    }
    h->line_len = 0;
}

static void close_output(struct hook *h)
{
    if (h->output >= 0) {
        ev_io_stop(h->loop, &h->readable);
        close(h->output);
        h->output = -1;
    }
    log_output(h);
}

/* False at the end of it, or when there is no more just now. */
static bool read_output(struct hook *h)
{
    char bytes[4096];
    ssize_t n = read(h->output, bytes, sizeof(bytes));

    for (ssize_t i = 0; i < n; i++) {
        if (bytes[i] == '\n' || h->line_len == sizeof(h->line)) {
            log_output(h);
        }
        if (bytes[i] != '\n') {
            h->line[h->line_len++] = bytes[i];
        }
    }
    if (n == 0) {
        close_output(h);
    }
    return n > 0;
}

static void on_readable(struct ev_loop *loop, struct ev_io *io, int events)
{
    (void)loop;
    (void)events;
    (void)!read_output(io->data); /* what is left makes it readable again */
}

/* ---- its end ----------------------------------------------------------- */

static void finish(struct hook *h, bool ok, const char *why)
{
    hook_done_fn *done = h->done;

    ev_child_stop(h->loop, &h->child);
    ev_timer_stop(h->loop, &h->limit);
    h->pid = 0;
    h->done = NULL;
    done(h->ctx, ok, why);
}

static void on_exit_seen(struct ev_loop *loop, struct ev_child *child,
                         int events)
{
    struct hook *h = child->data;
    int status = child->rstatus;
    char why[80] = "";

    (void)loop;
    (void)events;
    /* What it has written by now; a pipe holds no more than 64 KiB. */
    for (int i = 0; i < 16 && h->output >= 0 && read_output(h); i++) {
    }
    close_output(h);
    if (h->is_killed) {
        snprintf(why, sizeof(why), "killed after %lld ms",
                 (long long)h->settings.timeout_ms);
    } else if (WIFSIGNALED(status)) {
        snprintf(why, sizeof(why), "ended by signal %d", WTERMSIG(status));
    } else {
        snprintf(why, sizeof(why), "exit status %d", WEXITSTATUS(status));
    }
    finish(h, !h->is_killed && WIFEXITED(status) && WEXITSTATUS(status) == 0,
           why);
}

static void on_limit(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    struct hook *h = timer->data;

    (void)loop;
    (void)events;
    h->is_killed = true;
    kill(-h->pid, SIGKILL);
}

static void on_failing(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    struct hook *h = timer->data;

    (void)loop;
    (void)events;
    finish(h, false, h->failed);
}

/* ---- life -------------------------------------------------------------- */

struct hook *hook_new(struct ev_loop *loop,
                      const struct hook_settings *settings)
{
    struct hook *h = mem_calloc(1, sizeof(*h));
    const char *why = NULL;

    h->loop = loop;
    h->settings = *settings;
    h->output = -1;
    h->words = hook_words(settings->command, &why);
    ev_init(&h->child, on_exit_seen);
    ev_init(&h->readable, on_readable);
    ev_init(&h->limit, on_limit);
    ev_init(&h->failing, on_failing);
    h->child.data = h;
    h->readable.data = h;
    h->limit.data = h;
    h->failing.data = h;
    return h;
}

void hook_free(struct hook *h)
{
    if (h == NULL) {
        return;
    }
    if (h->pid > 0) {
        ev_child_stop(h->loop, &h->child);
        kill(-h->pid, SIGKILL);
        (void)!waitpid(h->pid, NULL, 0); /* killed: this is no wait */
    }
    close_output(h);
    ev_timer_stop(h->loop, &h->limit);
    ev_timer_stop(h->loop, &h->failing);
    hook_words_free(h->words);
    mem_free(h);
}

bool hook_is_busy(const struct hook *h)
{
    return h->done != NULL;
}

static void fail(struct hook *h, const char *why)
{
    h->failed = why;
    ev_timer_set(&h->failing, 0.0, 0.0);
    ev_timer_start(h->loop, &h->failing);
}

/* The parent's side of a child that runs now. */
static void watch(struct hook *h, int output)
{
    setpgid(h->pid, h->pid); /* whoever comes first; both may */
    h->output = output;
    ev_io_set(&h->readable, output, EV_READ);
    ev_io_start(h->loop, &h->readable);
    ev_child_set(&h->child, h->pid, 0);
    ev_child_start(h->loop, &h->child);
    ev_now_update(h->loop);
    ev_timer_set(&h->limit, (double)h->settings.timeout_ms / 1000.0, 0.0);
    ev_timer_start(h->loop, &h->limit);
}

static bool start(struct hook *h, const struct report *report, int input)
{
    int ends[2] = {-1, -1};
    char **environment = NULL;
    sigset_t all;
    sigset_t usual;

    if (input < 0 || pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
        return false;
    }
    environment = hook_environment(&h->settings, report);
    /* A handler of ours must not run in the child: it would wake our loop. */
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &usual);
    h->pid = fork();
    if (h->pid == 0) {
        fcntl(ends[1], F_SETFL, 0); /* the command may expect to be blocked */
        become(h->words, environment, input, ends[1]);
    }
    sigprocmask(SIG_SETMASK, &usual, NULL);
    hook_environment_free(environment);
    close(ends[1]);
    if (h->pid < 0) {
        h->pid = 0;
        close(ends[0]);
        return false;
    }
    watch(h, ends[0]);
    return true;
}

void hook_run(struct hook *h, const struct report *report, hook_done_fn *done,
              void *ctx)
{
    int input = -1;

    h->done = done;
    h->ctx = ctx;
    h->is_killed = false;
    h->lines = 0;
    if (h->words == NULL) {
        fail(h, "the command cannot be split into words");
        return;
    }
    input = make_input(h, report);
    if (!start(h, report, input)) {
        fail(h, "no memory, or too many processes or files");
    }
    if (input >= 0) {
        close(input);
    }
}
