/*
 * check_json - what a check has found, for programs.
 */
#include "engine/check_json.h"

#include <string.h>

#include "mail/chars.h"

/* Names of files, keys and types may have bytes that are not UTF-8, and long
 * messages are cut anywhere. */
static void put_string(struct buf *out, const char *text)
{
    const char *const end = text + strlen(text);
    struct buf clean;

    buf_init(&clean, 0);
    while (text < end) {
        bool is_ok = true;
        const size_t length = utf8_length(text, end, &is_ok);

        buf_span(&clean, text_character(text, length, is_ok));
        text += length;
    }
    buf_json(out, buf_view(&clean));
    buf_release(&clean);
}

/* A member of an object, when there is something to say. */
static void put_text(struct buf *out, const char *name, const char *text)
{
    if (text != NULL) {
        buf_printf(out, ", \"%s\": ", name);
        put_string(out, text);
    }
}

static void put_problem(struct buf *out, const struct problem *p)
{
    buf_printf(out, "{\"severity\": \"%s\"", severity_name(p->severity));
    put_text(out, "file", p->file);
    if (p->line > 0) {
        buf_printf(out, ", \"line\": %d", p->line);
    }
    put_text(out, "type", p->type);
    put_text(out, "key", p->key);
    put_text(out, "message", p->text);
    put_text(out, "nearest", p->nearest);
    buf_putc(out, '}');
}

static void put_problems(struct buf *out, const struct problems *p)
{
    buf_puts(out, "[");
    for (size_t i = 0; i < p->count; i++) {
        buf_puts(out, i > 0 ? ",\n    " : "\n    ");
        put_problem(out, &p->items[i]);
    }
    buf_puts(out, "]");
}

static void put_group(struct buf *out, const struct check_group *g,
                      bool is_drift)
{
    buf_puts(out, "{\"type\": ");
    put_string(out, g->type);
    put_text(out, "stage", g->stage);
    put_text(out, is_drift ? "key" : "reason", g->reason);
    buf_printf(out, ", \"count\": %lld, \"events\": [", (long long)g->count);
    for (size_t i = 0; i < g->event_count; i++) {
        buf_printf(out, "%s%lld", i > 0 ? ", " : "", (long long)g->events[i]);
    }
    buf_puts(out, "]}");
}

static void put_replay(struct buf *out, const struct check_replay *r)
{
    buf_printf(out,
               ",\n  \"against\": {\"days\": %d, \"events\": %lld, "
               "\"quarantined\": %lld, \"letters\": %lld, \"unmailed\": %lld, "
               "\"groups\": [",
               r->days, (long long)r->events, (long long)r->set_aside,
               (long long)r->letters, (long long)r->unmailed);
    for (const struct check_group *g = r->groups; g != NULL; g = g->next) {
        buf_puts(out, g == r->groups ? "\n    " : ",\n    ");
        put_group(out, g, span_is(span_of(g->stage), "drift"));
    }
    buf_puts(out, "]}");
}

void check_print_json(const struct check *c, FILE *out)
{
    const struct problems *p = &c->problems;
    struct buf text;

    buf_init(&text, 0);
    buf_printf(&text,
               "{\"ok\": %s, \"errors\": %zu, \"warnings\": %zu, \"notes\": "
               "%zu,\n  \"problems\": ",
               p->errors == 0 ? "true" : "false", p->errors, p->warnings,
               p->count - p->errors - p->warnings);
    put_problems(&text, p);
    buf_puts(&text, ",\n  \"summary\": {\"templates\": ");
    put_string(&text, c->folder);
    buf_printf(&text,
               ", \"types\": %zu, \"mailable\": %zu, \"samples\": %zu, "
               "\"cases\": %zu, \"roles_usable\": %zu}",
               c->types, c->mailable, c->letters, c->cases, c->roles_usable);
    if (c->replay.is_done) {
        put_replay(&text, &c->replay);
    }
    buf_puts(&text, "}\n");
    fputs(buf_cstr(&text), out);
    buf_release(&text);
}
