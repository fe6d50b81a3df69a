/*
 * serve - the preview as a page: all types, all samples, as the files are now.
 *
 * A folder of templates is watched; when a file changes it is loaded again
 * and every open page hears of it. Nothing is written, nothing is asked of
 * the database.
 */
#ifndef PREVIEW_SERVE_H
#define PREVIEW_SERVE_H

#include <stdbool.h>

#include "engine/settings.h"

/*
 * Serves at where ("127.0.0.1:8025", "[::1]:8025", "localhost:8025"; port 0
 * takes any free one) until SIGINT or SIGTERM. Prints the address of the page.
 * An address that is not of this machine alone is refused unless is_exposed.
 * Returns an exit status of sysexits.h.
 */
int serve_preview(const struct settings *settings, const char *folder,
                  const char *where, bool is_exposed);

#endif
