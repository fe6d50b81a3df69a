/*
 * site_json - what the page is told, as JSON.
 */
#include "preview/site_json.h"

#include <string.h>

enum { PROBLEMS_MAX = 200 }; /* that the page is told of */

static void put_name(struct buf *out, const char *name)
{
    const char last = out->len > 0 ? out->data[out->len - 1] : '{';

    buf_puts(out, last == '{' || last == '[' ? "" : ",");
    buf_json(out, span_of(name));
    buf_putc(out, ':');
}

static void put_text(struct buf *out, const char *name, struct span text)
{
    put_name(out, name);
    buf_json(out, text);
}

static void put_number(struct buf *out, const char *name, long long value)
{
    put_name(out, name);
    buf_i64(out, value);
}

static void put_truth(struct buf *out, const char *name, bool value)
{
    put_name(out, name);
    buf_puts(out, value ? "true" : "false");
}

/* ---- types ------------------------------------------------------------- */

static void put_problems(struct buf *out, const struct problems *problems)
{
    put_name(out, "problems");
    buf_putc(out, '[');
    for (size_t i = 0; i < problems->count && i < PROBLEMS_MAX; i++) {
        const struct problem *p = &problems->items[i];

        buf_puts(out, i > 0 ? ",{" : "{");
        put_text(out, "severity",
                 p->severity == SEVERITY_ERROR ? SPAN_LIT("error")
                                               : SPAN_LIT("warning"));
        put_text(out, "file", span_of(p->file));
        put_number(out, "line", p->line);
        put_text(out, "text", span_of(p->text));
        buf_putc(out, '}');
    }
    buf_putc(out, ']');
}

static void put_samples(struct buf *out, const struct event_type *type)
{
    const struct contract *c = type->contract;

    put_name(out, "samples");
    buf_putc(out, '[');
    for (size_t i = 0; i < c->sample_count; i++) {
        buf_puts(out, i > 0 ? "," : "");
        buf_json(out, c->samples[i].name);
    }
    if (preview_has_together(type)) {
        buf_puts(out, ",");
        buf_json(out, SPAN_LIT(PREVIEW_TOGETHER));
    }
    buf_putc(out, ']');
}

static void put_type(struct buf *out, const struct preview *p,
                     const struct event_type *type)
{
    buf_putc(out, '{');
    put_text(out, "name", type->name);
    put_text(out, "group", preview_group(p, type));
    put_text(out, "description", type->contract->description);
    put_text(out, "fault", span_of(type->fault));
    put_text(out, "first", preview_first_sample(p, type));
    put_samples(out, type);
    buf_putc(out, '}');
}

void site_json_types(struct buf *out, const struct site *site)
{
    const struct preview *p = &site->preview;
    bool is_first = true;

    buf_putc(out, '{');
    put_number(out, "loaded", site->loaded);
    put_text(out, "folder", span_of(p->folder));
    put_truth(out, "is_watching", site->is_watching);
    put_truth(out, "stands_in", p->stands_in);
    put_problems(out, &p->problems);
    put_name(out, "types");
    buf_putc(out, '[');
    for (size_t i = 0; i < catalog_count(p->catalog); i++) {
        const struct event_type *type = catalog_at(p->catalog, i);

        if (preview_is_shown(type)) {
            buf_puts(out, is_first ? "" : ",");
            put_type(out, p, type);
            is_first = false;
        }
    }
    buf_puts(out, "]}");
}

/* ---- a letter ---------------------------------------------------------- */

/* Up to the empty line. */
static struct span headers_of(struct span message)
{
    const char *end = memmem(message.ptr, message.len, "\r\n\r\n", 4);

    return end ? span_make(message.ptr, (size_t)(end - message.ptr) + 2)
               : message;
}

void site_json_letter(struct buf *out, const struct site *site,
                      const struct preview_letter *letter,
                      const struct event_type *type, struct span sample)
{
    const struct span message = buf_view(&letter->message);

    buf_putc(out, '{');
    put_number(out, "loaded", site->loaded);
    put_text(out, "subject", letter->subject);
    put_text(out, "name", letter->to.name);
    put_text(out, "email", letter->to.email);
    put_text(out, "role", letter->role);
    put_text(out, "headers", headers_of(message));
    put_text(out, "text", letter->text);
    put_number(out, "html_size", (long long)letter->html.len);
    put_text(out, "source", message);
    put_name(out, "payloads");
    preview_payloads(&site->preview, type, sample, out);
    buf_putc(out, '}');
}

void site_json_fault(struct buf *out, const struct site *site,
                     const struct preview_letter *letter)
{
    buf_putc(out, '{');
    put_number(out, "loaded", site->loaded);
    put_text(out, "why", buf_view(&letter->why));
    buf_putc(out, '}');
}
