/*
 * site_json - what the page is told, as JSON.
 */
#ifndef PREVIEW_SITE_JSON_H
#define PREVIEW_SITE_JSON_H

#include "preview/site.h"

/* {"loaded", "folder", "is_watching", "stands_in", "problems": [{"severity",
 * "file", "line", "text"}], "types": [{"name", "group", "description",
 * "fault", "samples": [...]}]}: all types that can be mailed or are broken. */
void site_json_types(struct buf *out, const struct site *site);

/* {"loaded", "subject", "name", "email", "role", "headers", "text",
 * "html_size", "source", "payloads"}: of a sample of that type. */
void site_json_letter(struct buf *out, const struct site *site,
                      const struct preview_letter *letter,
                      const struct event_type *type, struct span sample);
/* {"loaded", "why"}: there is no letter. */
void site_json_fault(struct buf *out, const struct site *site,
                     const struct preview_letter *letter);

#endif
