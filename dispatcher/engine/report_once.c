/*
 * report_once - a report made by a command, without the table of alarms.
 */
#include "engine/report_once.h"

#include <stdio.h>
#include <unistd.h>

#include <ev.h>

#include "engine/hook.h"
#include "web/errbit.h"

/* What is waited for. */
struct once {
    struct ev_loop *loop;
    int left;
};

static void one_less(struct once *o)
{
    o->left--;
    if (o->left == 0) {
        ev_break(o->loop, EVBREAK_ALL);
    }
}

static void on_errbit(void *ctx, const struct web_answer *answer)
{
    struct errbit_ruling ruling = errbit_judge(answer);

    if (ruling.fate != ERRBIT_TOLD) {
        fprintf(stderr, "postbatch: Errbit was not told: %s%.*s; %s\n",
                answer->error ? answer->error : "",
                answer->body.len < 200 ? (int)answer->body.len : 200,
                answer->body.ptr ? answer->body.ptr : "", ruling.advice);
    }
    one_less(ctx);
}

static void on_command(void *ctx, bool ok, const char *why)
{
    if (!ok) {
        fprintf(stderr, "postbatch: report.command failed: %s\n", why);
    }
    one_less(ctx);
}

void report_once(const struct settings *s, const struct report *report)
{
    struct once o = {.loop = ev_default_loop(EVFLAG_AUTO)};
    char host[256] = "";
    struct web_client *client = NULL;
    struct hook *hook = NULL;

    gethostname(host, sizeof(host) - 1);
    if (s->errbit_url[0] != '\0') {
        const struct errbit_settings errbit = settings_errbit(s, host);

        client = web_client_new(o.loop);
        o.left++;
        errbit_send(client, &errbit, report, on_errbit, &o);
    }
    if (s->report_command[0] != '\0') {
        const struct hook_settings settings = settings_hook(s, host);

        hook = hook_new(o.loop, &settings);
        o.left++;
        hook_run(hook, report, on_command, &o);
    }
    if (o.left > 0) {
        ev_run(o.loop, 0);
    }
    web_client_free(client);
    hook_free(hook);
}
