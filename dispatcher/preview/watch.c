/*
 * watch - says when a file in a tree of folders has changed.
 *
 * inotify watches folders, not trees, so each folder gets a watch; after any
 * change all are added again, which does nothing for those that have one.
 * What exactly changed is of no interest.
 */
#include "preview/watch.h"

#include <errno.h>
#include <fts.h>
#include <stdbool.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/mem.h"

enum {
    FOLDERS_MAX = 4096,
    CHANGES = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE |
              IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR,
};

#define SETTLE_S 0.05 /* quiet for so long: they are done writing */

struct watch {
    struct ev_loop *loop;
    int fd;
    char *folder;
    ev_io readable;
    ev_timer settled;
    watch_fn *fn;
    void *ctx;
};

/* Watches every folder but hidden ones. False when not even the first can. */
static bool add_folders(struct watch *w)
{
    char *const roots[] = {w->folder, NULL};
    FTS *tree =
        fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_COMFOLLOW, NULL);
    FTSENT *entry = NULL;
    int count = 0;

    if (tree == NULL) {
        return false;
    }
    while ((entry = fts_read(tree)) != NULL && count < FOLDERS_MAX) {
        if (entry->fts_info != FTS_D) {
            continue;
        }
        if (entry->fts_level > 0 && entry->fts_name[0] == '.') {
            fts_set(tree, entry, FTS_SKIP);
        } else if (inotify_add_watch(w->fd, entry->fts_accpath, CHANGES) >= 0) {
            count++;
        }
    }
    fts_close(tree);
    return count > 0;
}

static void on_settled(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct watch *w = timer->data;

    (void)events;
    ev_timer_stop(loop, timer);
    add_folders(w);
    w->fn(w->ctx);
}

static void on_readable(struct ev_loop *loop, ev_io *io, int events)
{
    struct watch *w = io->data;
    char bytes[16 * 1024];
    ssize_t n = 0;

    (void)events;
    do {
        n = read(w->fd, bytes, sizeof(bytes));
    } while (n > 0);
    ev_timer_again(loop, &w->settled);
}

struct watch *watch_new(struct ev_loop *loop, const char *folder, watch_fn *fn,
                        void *ctx)
{
    struct watch *w = mem_calloc(1, sizeof(*w));

    *w = (struct watch){.loop = loop, .fn = fn, .ctx = ctx};
    w->folder = mem_strdup(folder);
    w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    ev_init(&w->settled, on_settled);
    w->settled.repeat = SETTLE_S;
    w->settled.data = w;
    ev_io_init(&w->readable, on_readable, w->fd, EV_READ);
    w->readable.data = w;
    if (w->fd < 0 || !add_folders(w)) {
        const int error = errno;

        watch_free(w);
        errno = error;
        return NULL;
    }
    ev_io_start(loop, &w->readable);
    return w;
}

void watch_free(struct watch *w)
{
    if (w == NULL) {
        return;
    }
    ev_io_stop(w->loop, &w->readable);
    ev_timer_stop(w->loop, &w->settled);
    if (w->fd >= 0) {
        close(w->fd);
    }
    mem_free(w->folder);
    mem_free(w);
}
