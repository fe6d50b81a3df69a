/*
 * embed - files that are built into the program: SQL, the preview's page.
 *
 * The table is made by sql/embed.sh; a path of NULL ends it.
 */
#include "base/embed.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"

extern const struct embed_file embed_table[];

const struct embed_file *embed_find(const char *path)
{
    for (const struct embed_file *f = embed_table; f->path != NULL; f++) {
        if (strcmp(f->path, path) == 0) {
            return f;
        }
    }
    return NULL;
}

const struct embed_file *embed_require(const char *path)
{
    const struct embed_file *file = embed_find(path);

    if (file == NULL) {
        log_error("a file is not built in", "path=%s", path);
        abort();
    }
    return file;
}

const struct embed_file *embed_next(const char *prefix,
                                    const struct embed_file *after)
{
    const struct embed_file *f = after ? after + 1 : embed_table;

    for (; f->path != NULL; f++) {
        if (strncmp(f->path, prefix, strlen(prefix)) == 0) {
            return f;
        }
    }
    return NULL;
}
