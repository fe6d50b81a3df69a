/*
 * obs_answer - the rows of an answer, whatever view they come from.
 */
#include "web/obs_answer.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/utf8.h"
#include "web/obs_answer_parts.h"

enum { NUMBER_DIGITS = 18 }; /* fit into 64 bits, whatever they are */

void obs_answer_init(struct obs_answer *a, size_t memory_max)
{
    *a = (struct obs_answer){.memory_max = memory_max};
    arena_init(&a->arena, (size_t)64 * 1024, memory_max);
}

void obs_answer_release(struct obs_answer *a)
{
    arena_release(&a->arena);
}

bool obs_fail(struct obs_answer *a, const char *format, ...)
{
    va_list args;

    if (a->error[0] == '\0') {
        va_start(args, format);
        vsnprintf(a->error, sizeof(a->error), format, args);
        va_end(args);
    }
    return false;
}

bool obs_check_whole(struct obs_answer *a, const struct buf *b)
{
    return buf_ok(b) || obs_fail(a, "there is not enough memory for it");
}

/* A whole number without sign; -1 when it is none. */
static int64_t read_number(struct span text)
{
    int64_t n = 0;

    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') {
            return -1;
        }
        n = i < NUMBER_DIGITS ? n * 10 + (text.ptr[i] - '0') : n;
    }
    return text.len > 0 && text.len <= NUMBER_DIGITS ? n : -1;
}

static bool too_large(struct obs_answer *a)
{
    return obs_fail(a, "its rows take more than the %zu bytes that are allowed",
                    a->memory_max);
}

bool obs_add_notification(struct obs_rows *rows, struct span type,
                          struct span time)
{
    struct obs_answer *a = rows->answer;
    struct obs_notification *n = arena_calloc(&a->arena, 1, sizeof(*n));
    int64_t time_s = read_number(time);

    if (a->count >= OBS_NOTIFICATIONS_MAX) {
        return obs_fail(a,
                        "it has more than %d notifications, expected at "
                        "most 1000",
                        OBS_NOTIFICATIONS_MAX);
    }
    if (n == NULL) {
        return too_large(a);
    }
    n->type = arena_span(&a->arena, type);
    n->time_s = time_s > 0 ? time_s : 0;
    if (n->type.ptr == NULL) {
        return too_large(a);
    }
    if (rows->notification != NULL) {
        rows->notification->next = n;
    } else {
        a->first = n;
    }
    rows->notification = n;
    rows->pair = NULL;
    a->count++;
    return true;
}

bool obs_add_pair(struct obs_rows *rows, struct span key, struct span value,
                  bool is_json)
{
    struct obs_answer *a = rows->answer;
    struct obs_pair *pair = arena_calloc(&a->arena, 1, sizeof(*pair));

    if (pair == NULL) {
        return too_large(a);
    }
    pair->key = arena_span(&a->arena, key);
    pair->value = arena_span(&a->arena, value);
    pair->is_json = is_json;
    if (pair->key.ptr == NULL || pair->value.ptr == NULL) {
        return too_large(a);
    }
    if (rows->pair != NULL) {
        rows->pair->next = pair;
    } else {
        rows->notification->pairs = pair;
    }
    rows->pair = pair;
    return true;
}

bool obs_set_field(struct obs_rows *rows, const char *name, struct span value)
{
    struct obs_answer *a = rows->answer;

    if (strcmp(name, "sync") == 0) {
        a->is_sync_lost = span_is(value, "lost");
    } else if (strcmp(name, "limit_reached") == 0) {
        a->is_limit_reached =
            value.len > 0 && !span_is(value, "0") && !span_is(value, "false");
    } else if (strcmp(name, "next") == 0) {
        a->next = read_number(value);
        rows->has_next = true;
        if (a->next < 1) {
            value.len = value.len < 40 ? value.len : 40;
            return obs_fail(a,
                            "next is \"%.*s\", expected the number of a "
                            "notification",
                            SPAN_ARG(value));
        }
    }
    return true;
}

bool obs_answer_read(struct obs_answer *a, enum obs_view view, struct span body)
{
    struct obs_rows rows = {.answer = a};
    struct buf text;
    bool is_read = false;

    arena_clear(&a->arena);
    *a = (struct obs_answer){.arena = a->arena, .memory_max = a->memory_max};
    buf_init(&text, 0);
    utf8_repair(&text, body);
    switch (view) {
    case OBS_VIEW_XML: is_read = obs_read_xml(&rows, &text); break;
    case OBS_VIEW_JSON: is_read = obs_read_json(&rows, &text); break;
    }
    is_read = obs_check_whole(a, &text) && is_read;
    buf_release(&text);
    if (is_read && !rows.has_next) {
        obs_fail(a, "it has no \"next\", expected the number of the next "
                    "notification");
    }
    is_read = a->error[0] == '\0'; /* whoever has said it */
    if (!is_read) {
        a->first = NULL;
        a->count = 0;
    }
    return is_read;
}
