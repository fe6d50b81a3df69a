/*
 * render - as much of mustache as the measured templates use: {{name}},
 * {{a.b}}, and {{#name}} ... {{/name}} for what is there.
 */
#ifndef BENCH_PEER_RENDER_H
#define BENCH_PEER_RENDER_H

#include <stdbool.h>

#include <jansson.h>

#include "base/buf.h"

/* Appends text, rendered with view; is_html escapes values. A line feed
 * becomes CR LF. What view does not have is empty. */
void render(struct buf *out, const char *text, const json_t *view,
            bool is_html);

#endif
