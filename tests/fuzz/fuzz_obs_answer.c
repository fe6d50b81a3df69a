/*
 * fuzz_obs_answer - answers of the source server on any bytes, in both views.
 *
 * The first byte of the input chooses the view. Whatever comes in, reading it
 * again must give the same, and what comes out must be UTF-8 within the
 * bounds.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "web/obs_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MEMORY = 256 * 1024 };

static uint64_t check_text(uint64_t hash, struct span text)
{
    const char *end = text.ptr + text.len;

    if (text.ptr == NULL || *end != '\0') {
        abort();
    }
    for (const char *at = text.ptr; at < end;) {
        bool ok = false;

        at += utf8_length(at, end, &ok);
        if (!ok) {
            abort();
        }
    }
    for (size_t i = 0; i < text.len; i++) {
        hash = hash * 31 + (unsigned char)text.ptr[i];
    }
    return hash * 31 + text.len;
}

static uint64_t read_once(struct obs_answer *a, enum obs_view view,
                          struct span body)
{
    uint64_t hash = 0;
    size_t count = 0;

    if (!obs_answer_read(a, view, body)) {
        if (a->error[0] == '\0' || a->first != NULL || a->count != 0) {
            abort();
        }
        return 1;
    }
    if (a->next < 1 || a->error[0] != '\0') {
        abort();
    }
    for (struct obs_notification *n = a->first; n != NULL; n = n->next) {
        count++;
        hash = check_text(hash, n->type) + (uint64_t)n->time_s;
        for (struct obs_pair *p = n->pairs; p != NULL; p = p->next) {
            hash = check_text(check_text(hash, p->key), p->value);
        }
    }
    if (count != a->count || a->arena.held > MEMORY) {
        abort();
    }
    return hash * 31 + (uint64_t)a->next;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct obs_answer a;
    uint64_t once = 0;
    uint64_t again = 0;
    enum obs_view view = OBS_VIEW_XML;
    struct span body;

    if (size < 1) {
        return 0;
    }
    view = data[0] % 2 == 0 ? OBS_VIEW_XML : OBS_VIEW_JSON;
    body = span_make((const char *)data + 1, size - 1);
    obs_answer_init(&a, MEMORY);
    once = read_once(&a, view, body);
    again = read_once(&a, view, body);
    obs_answer_release(&a);
    if (once != again) {
        abort();
    }
    return 0;
}
