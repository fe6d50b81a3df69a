/*
 * catalog_files - the files of a templates tree: folders, sources, partials.
 * Private to the catalog files.
 */
#ifndef MAIL_CATALOG_FILES_H
#define MAIL_CATALOG_FILES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/map.h"
#include "base/problems.h"
#include "base/span.h"
#include "mail/mustache.h"

enum { FOLDERS_MAX = 64 };

/* Sources that were read, each once. */
struct source_cache {
    struct map by_path; /* -> struct source */
};

void source_cache_init(struct source_cache *cache);
void source_cache_release(struct source_cache *cache);
/*
 * The bytes of path, which belong to the cache; so does *kept, a copy of the
 * path. False when there is no such file, or (after a problem) when it cannot
 * be read.
 */
bool source_cache_get(struct source_cache *cache, const char *path,
                      struct span *text, const char **kept,
                      struct problems *problems);

/* The name of the file in folder that is most like name: SPAN_NONE when none is
 * near. The bytes belong to keep. */
struct span folder_nearest(const char *folder, const char *name,
                           struct arena *keep);

/* Where a type's partials are looked for. */
struct partials {
    struct source_cache *cache;
    struct problems *problems;
    const char *folders[FOLDERS_MAX]; /* in the order of the search */
    size_t folder_count;
    char **names; /* of all partials there, once somebody asked */
    size_t name_count;
    bool is_listed;
};

/* Adds a folder unless it is there already. */
void partials_add(struct partials *p, const char *folder);
void partials_release(struct partials *p);
/* A loader for template_set_new that serves from p. */
struct template_loader partials_loader(struct partials *p);

/*
 * Calls on_folder for root and each folder below, parents first, by name;
 * hidden ones are left out. has_contract: a file contract.json is in it.
 */
void folders_walk(const char *root, struct problems *problems,
                  void (*on_folder)(void *ctx, const char *folder,
                                    bool has_contract),
                  void *ctx);

#endif
