/*
 * worker_fetching - events that are fetched from elsewhere: they are routed at
 * once, and what a person should know of the fetching is reported.
 */
#include "base/buf.h"
#include "base/mem.h"
#include "engine/worker_inner.h"

/* There is something to route, in this process or in another. */
static void on_events(void *ctx, int64_t events)
{
    struct worker *w = ctx;

    (void)events;
    worker_found_something(w);
    if (w->router != NULL) {
        router_want(w->router);
    }
}

/* With --once: a look for events that began before knows nothing of what was
 * fetched last. */
static void on_end(void *ctx, enum intake_end end)
{
    (void)end; /* the log has said it */
    on_events(ctx, 0);
}

static char *make_params(const char *source, const char *why)
{
    struct buf out;

    buf_init(&out, 0);
    buf_puts(&out, "{\"source\":");
    buf_json(&out, span_of(source));
    buf_puts(&out, ",\"why\":");
    buf_json(&out, span_of(why));
    buf_puts(&out, ",\"see\":\"check intake.obs_url, the source server and its "
                   "log; postbatch.intake has the last error\"}");
    return buf_take(&out);
}

static char *trouble_cause(const struct worker *w)
{
    return mem_printf("intake/%s/stalled", w->settings->intake_source);
}

static void on_trouble(void *ctx, const char *why)
{
    struct worker *w = ctx;
    const char *source = w->settings->intake_source;
    char *cause = trouble_cause(w);
    char *message = mem_printf("%s: nothing can be fetched", source);
    char *over = mem_printf("%s: notifications are fetched again", source);
    char *params = make_params(source, why);
    const struct report report = {
        .cause = cause,
        .kind = "IntakeStalled",
        .severity = "error",
        .component = "intake",
        .action = source,
        .message = message,
        .over_message = over,
        .params = params,
        .lasts = true,
        .count = 1,
    };

    reporter_raise(w->reporter, &report);
    mem_free(cause);
    mem_free(message);
    mem_free(over);
    mem_free(params);
}

static void on_recovered(void *ctx)
{
    struct worker *w = ctx;
    char *cause = trouble_cause(w);

    reporter_resolve(w->reporter, cause);
    mem_free(cause);
}

void fetching_init(struct worker *w, const struct catalog *catalog)
{
    static const struct intake_hooks hooks = {
        .on_events = on_events,
        .on_end = on_end,
        .on_trouble = on_trouble,
        .on_recovered = on_recovered,
    };
    struct intake_settings settings = intake_settings_of(w->settings);

    if (settings.url[0] != '\0' && w->options.index == 0) {
        settings.runs_once = w->options.runs_once;
        w->intake = intake_new(w->loop, &settings, catalog, &hooks, w);
    }
}

void fetching_stop(struct worker *w)
{
    intake_free(w->intake);
    w->intake = NULL;
}
