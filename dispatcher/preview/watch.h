/*
 * watch - says when a file in a tree of folders has changed.
 */
#ifndef PREVIEW_WATCH_H
#define PREVIEW_WATCH_H

#include <ev.h>

struct watch;

typedef void watch_fn(void *ctx);

/*
 * Calls fn from the loop some moments after anything changed in folder or
 * below, once for what changes together (an editor renames, a checkout writes
 * hundreds of files). NULL, and errno says why, when it cannot watch.
 */
struct watch *watch_new(struct ev_loop *loop, const char *folder, watch_fn *fn,
                        void *ctx);
/* NULL is fine. */
void watch_free(struct watch *watch);

#endif
