/*
 * diagnose - what is wrong with an event, and what to do about it.
 *
 * The reason in the quarantine is that of its day. So the event is tried once
 * more, with the templates as they are now.
 */
#include "engine/diagnose.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/nearest.h"
#include "mail/audition.h"

enum { QUOTED_MAX = 200, KEYS_SHOWN = 20, SOURCE_MAX = 4 << 20 };

void diagnose_put(struct buf *out, struct span text, bool keeps_lines)
{
    for (size_t i = 0; i < text.len; i++) {
        const char c = text.ptr[i];
        const bool is_plain = (unsigned char)c >= 0x20 && c != 0x7f;

        buf_putc(out, is_plain || (c == '\n' && keeps_lines) ? c : '?');
    }
}

/* ---- the line of the template ------------------------------------------ */

static bool ends_with(struct span text, struct span end)
{
    return text.len >= end.len &&
           span_equal(span_make(text.ptr + text.len - end.len, end.len), end);
}

/* Not every colon between numbers stands behind a file. */
static bool is_source(struct span file)
{
    return ends_with(file, SPAN_LIT(".mustache")) ||
           ends_with(file, SPAN_LIT(".json"));
}

/* Splits "file:12: text". False when there is no such thing at its start. */
static bool split_place(struct span reason, struct span *file, int *line)
{
    for (size_t i = 1; i + 2 < reason.len; i++) {
        size_t end = i + 1;

        if (reason.ptr[i] != ':') {
            continue;
        }
        while (end < reason.len && reason.ptr[end] >= '0' &&
               reason.ptr[end] <= '9') {
            end++;
        }
        if (end > i + 1 && end < i + 8 && end < reason.len &&
            reason.ptr[end] == ':') {
            *file = span_make(reason.ptr, i);
            *line = atoi(reason.ptr + i + 1);
            return is_source(*file);
        }
    }
    return false;
}

static struct span line_of(struct span text, int line)
{
    const char *at = text.ptr;
    const char *const end = text.ptr + text.len;

    for (; at != NULL && at < end; line--) {
        const char *lf = memchr(at, '\n', (size_t)(end - at));

        if (line <= 1) {
            return span_make(at, (size_t)((lf ? lf : end) - at));
        }
        at = lf ? lf + 1 : NULL;
    }
    return SPAN_NONE;
}

static void put_place(struct buf *out, struct span reason)
{
    struct span file = SPAN_NONE;
    struct span quoted = SPAN_NONE;
    char *path = NULL;
    struct buf text;
    int line = 0;

    if (!split_place(reason, &file, &line)) {
        return;
    }
    buf_init(&text, SOURCE_MAX);
    path = mem_strndup(file.ptr, file.len);
    buf_puts(out, "template     ");
    diagnose_put(out, file, false);
    buf_printf(out, ", line %d\n", line);
    if (file_read(path, &text)) {
        quoted = line_of(buf_view(&text), line);
    }
    if (quoted.len > 0) {
        quoted.len = quoted.len < QUOTED_MAX ? quoted.len : QUOTED_MAX;
        buf_puts(out, "             ");
        diagnose_put(out, quoted, false);
        buf_putc(out, '\n');
    }
    mem_free(path);
    buf_release(&text);
}

/* ---- names ------------------------------------------------------------- */

static void put_near_type(struct buf *out, const struct catalog *catalog,
                          struct span type)
{
    struct nearest near = nearest_to(type);

    if (catalog_find(catalog, type) != NULL) {
        return;
    }
    for (size_t i = 0; i < catalog_count(catalog); i++) {
        nearest_offer(&near, catalog_at(catalog, i)->name);
    }
    if (near.best.ptr != NULL) {
        buf_printf(out, "nearest      the type %.*s\n", SPAN_ARG(near.best));
    }
}

struct key_list {
    struct buf *out;
    const struct contract *contract;
    size_t count;
};

/* A key that nobody knows is most often a known one with a slip in it. */
static void on_unknown(void *ctx, struct span key)
{
    struct key_list *list = ctx;
    struct nearest near = nearest_to(key);

    if (list->count++ >= KEYS_SHOWN) {
        return;
    }
    for (size_t i = 0; i < list->contract->key_count; i++) {
        nearest_offer(&near, list->contract->keys[i].name);
    }
    buf_puts(list->out, "unknown key  '");
    diagnose_put(list->out, key, false);
    buf_puts(list->out, "'");
    if (near.best.ptr != NULL) {
        buf_printf(list->out, ", nearest in the contract: '%.*s'",
                   SPAN_ARG(near.best));
    }
    buf_putc(list->out, '\n');
}

/* ---- what to do -------------------------------------------------------- */

static void put_advice(struct buf *out, int64_t id, struct span stage,
                       const struct event_type *type)
{
    const char *what = "mend what the reason names";

    if (type == NULL) {
        what = "add the type to the templates, or mend its name where it is "
               "emitted";
    } else if (span_is(stage, "contract") || span_is(stage, "parse")) {
        what = "make the contract allow it, or mend who emits it";
    } else if (span_is(stage, "render") || span_is(stage, "type")) {
        what = "mend the files of the type; \"postbatch check\" names all";
    } else if (span_is(stage, "size") || span_is(stage, "fetch")) {
        what = "raise mail.letter_max or worker.payload_max, or \"cut\" the "
               "key in the contract";
    }
    buf_printf(out,
               "what to do   %s; then: postbatch quarantine release --event "
               "%lld\n"
               "             or let it go: postbatch quarantine drop %lld "
               "--reason WHY\n",
               what, (long long)id, (long long)id);
}

static void put_verdict(struct buf *out, bool is_good, int64_t id,
                        struct span stage, struct span reason,
                        const struct event_type *type)
{
    if (is_good) {
        buf_printf(out,
                   "now          its letter can be written\n"
                   "what to do   postbatch quarantine release --event %lld\n",
                   (long long)id);
        return;
    }
    buf_printf(out, "now          it would be set aside at stage \"%.*s\": ",
               SPAN_ARG(stage));
    diagnose_put(out, reason, false);
    buf_putc(out, '\n');
    put_advice(out, id, stage, type);
}

void diagnose(const struct settings *settings, const struct catalog *catalog,
              int64_t id, struct span type, struct span reason,
              struct span payload, int64_t created_us, struct buf *out)
{
    const struct composer_settings composing = settings_composer(settings);
    const struct event_type *known = catalog_find(catalog, type);
    struct audition *audition = audition_new(&composing, catalog);
    bool is_good = false;

    put_place(out, reason);
    put_near_type(out, catalog, type);
    if (known != NULL) {
        struct key_list list = {out, known->contract, 0};

        audition_unknown_keys(audition, type, payload, on_unknown, &list);
    }
    if (payload.len > (size_t)settings->payload_max) {
        put_verdict(out, false, id, SPAN_LIT("fetch"),
                    SPAN_LIT("the payload is larger than worker.payload_max"),
                    known);
    } else {
        is_good = audition_run(audition, type, payload, id, created_us);
        put_verdict(out, is_good, id, audition_stage(audition),
                    audition_reason(audition), known);
    }
    audition_free(audition);
}
