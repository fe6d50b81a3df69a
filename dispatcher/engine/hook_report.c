/*
 * hook_report - a report as the operator's command gets it: JSON, and
 * variables.
 */
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "engine/hook_inner.h"

extern char **environ;

static void put_text(struct buf *out, const char *key, const char *text)
{
    buf_printf(out, ",\"%s\":", key);
    if (text == NULL) {
        buf_puts(out, "null");
    } else {
        buf_json(out, span_of(text));
    }
}

void hook_write_json(struct buf *out, const struct hook_settings *settings,
                     const struct report *r)
{
    buf_puts(out, "{\"cause\":");
    buf_json(out, span_of(r->cause));
    put_text(out, "kind", r->kind);
    put_text(out, "severity", r->severity);
    put_text(out, "component", r->component);
    put_text(out, "action", r->action);
    put_text(out, "message", r->message);
    put_text(out, "file", r->file);
    put_text(out, "environment", settings->environment);
    put_text(out, "host", settings->host);
    buf_printf(out, ",\"count\":%lld,\"is_over\":%s", (long long)r->count,
               r->is_over ? "true" : "false");
    buf_printf(out, ",\"first_at\":%.3f,\"last_at\":%.3f",
               (double)r->first_us / 1e6, (double)r->last_us / 1e6);
    buf_printf(out, ",\"params\":%s}\n", r->params ? r->params : "{}");
}

enum { OUR_VARIABLES = 10 };

char **hook_environment(const struct hook_settings *settings,
                        const struct report *r)
{
    size_t count = 0;
    size_t n = 0;
    char **list = NULL;

    while (environ[count] != NULL) {
        count++;
    }
    list = mem_calloc(count + OUR_VARIABLES + 1, sizeof(*list));
    list[n++] = mem_printf("ALARM_KIND=%s", r->kind);
    list[n++] = mem_printf("ALARM_MESSAGE=%s", r->message);
    list[n++] = mem_printf("ALARM_CAUSE=%s", r->cause);
    list[n++] = mem_printf("ALARM_SEVERITY=%s", r->severity);
    list[n++] = mem_printf("ALARM_COMPONENT=%s", r->component);
    list[n++] = mem_printf("ALARM_ACTION=%s", r->action);
    list[n++] = mem_printf("ALARM_COUNT=%lld", (long long)r->count);
    list[n++] = mem_printf("ALARM_HOST=%s", settings->host);
    list[n++] = mem_printf("ALARM_ENVIRONMENT=%s", settings->environment);
    list[n++] = mem_printf("ALARM_STATE=%s", r->is_over ? "over" : "open");
    for (size_t i = 0; i < count; i++) {
        if (strncmp(environ[i], "POSTBATCH_", 10) != 0 &&
            strncmp(environ[i], "ALARM_", 6) != 0 &&
            strncmp(environ[i], "NOTIFY_SOCKET=", 14) != 0) {
            list[n++] = environ[i];
        }
    }
    return list;
}

void hook_environment_free(char **list)
{
    for (size_t i = 0; i < OUR_VARIABLES; i++) {
        mem_free(list[i]);
    }
    mem_free(list);
}
