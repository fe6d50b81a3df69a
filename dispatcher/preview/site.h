/*
 * site - what the preview's page asks for: a table of paths.
 *
 *   /                 the page; /page.css and /page.js belong to it
 *   /types            JSON: all types and samples, and what is wrong
 *   /letter           JSON: a letter: subject, headers, text, source
 *   /letter.html      its HTML part, for a frame: no scripts, nothing loaded
 *   /letter.eml       the message
 *   /news?seen=N      answered when the templates were loaded again after N
 *
 * A letter is named by ?type=T&sample=S; .html also takes scheme=light|dark.
 */
#ifndef PREVIEW_SITE_H
#define PREVIEW_SITE_H

#include "preview/preview.h"
#include "web/server.h"

struct site {
    struct preview preview;
    long long loaded; /* counts loads, from 1 */
    bool is_watching; /* changes of files are noticed */
};

void site_init(struct site *site, const struct settings *settings,
               const char *folder);
void site_release(struct site *site);
/* Loads the templates again. */
void site_reload(struct site *site);

/* A web_handler_fn; ctx is the site. */
void site_handle(void *ctx, struct web_exchange *exchange);

#endif
