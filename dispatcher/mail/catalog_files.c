/*
 * catalog_files - the files of a templates tree.
 *
 * Every source is read once, however many types use it, and kept until all
 * types are compiled.
 */
#include "mail/catalog_files.h"

#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/nearest.h"

enum { SOURCE_BYTES_MAX = 4 << 20, FOLDER_DEPTH_MAX = 16, NAME_MAX_LEN = 100 };

#define SUFFIX ".mustache"

/* --- sources ------------------------------------------------------------ */

struct source {
    char *path;
    struct buf text;
};

void source_cache_init(struct source_cache *cache)
{
    map_init(&cache->by_path);
}

void source_cache_release(struct source_cache *cache)
{
    for (struct map_entry *e = NULL;
         (e = map_next(&cache->by_path, e)) != NULL;) {
        struct source *source = e->value;

        buf_release(&source->text);
        mem_free(source->path);
        mem_free(source);
    }
    map_release(&cache->by_path);
}

static struct source *read_source(const char *path, struct problems *problems)
{
    struct source *source = mem_calloc(1, sizeof(*source));

    source->path = mem_strdup(path);
    buf_init(&source->text, SOURCE_BYTES_MAX);
    if (!file_read(path, &source->text)) {
        if (errno != ENOENT && errno != ENOTDIR) {
            problems_add(problems, SEVERITY_ERROR, path, 0,
                         "cannot be read: %s", strerror(errno));
        }
        buf_release(&source->text);
        mem_free(source->path);
        mem_free(source);
        return NULL;
    }
    return source;
}

bool source_cache_get(struct source_cache *cache, const char *path,
                      struct span *text, const char **kept,
                      struct problems *problems)
{
    struct source *source = map_get(&cache->by_path, span_of(path));

    if (source == NULL) {
        source = read_source(path, problems);
        if (source == NULL) {
            return false;
        }
        map_put(&cache->by_path, span_of(source->path), source);
    }
    *text = buf_view(&source->text);
    *kept = source->path;
    return true;
}

/* The parts of a type; not what one would call a partial. */
static bool is_part(const char *name)
{
    return strcmp(name, "subject" SUFFIX) == 0 ||
           strcmp(name, "text" SUFFIX) == 0 || strcmp(name, "html" SUFFIX) == 0;
}

struct span folder_nearest(const char *folder, const char *name,
                           struct arena *keep)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry = NULL;
    struct nearest near = nearest_to(span_of(name));

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        /* Others in the folder are there under their right names. */
        if (!is_part(entry->d_name) &&
            strcmp(entry->d_name, "contract.json") != 0) {
            nearest_offer(&near, arena_span(keep, span_of(entry->d_name)));
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return near.best;
}

/* --- partials ----------------------------------------------------------- */

void partials_add(struct partials *p, const char *folder)
{
    for (size_t i = 0; i < p->folder_count; i++) {
        if (strcmp(p->folders[i], folder) == 0) {
            return;
        }
    }
    if (p->folder_count < FOLDERS_MAX) {
        p->folders[p->folder_count++] = folder;
    }
}

void partials_release(struct partials *p)
{
    for (size_t i = 0; i < p->name_count; i++) {
        mem_free(p->names[i]);
    }
    mem_free(p->names);
    *p = (struct partials){0};
}

/* A name is one part of a path and stays in the folders we look in. */
static bool is_file_name(struct span name)
{
    return name.len > 0 && name.len <= NAME_MAX_LEN && name.ptr[0] != '.' &&
           memchr(name.ptr, '/', name.len) == NULL &&
           memchr(name.ptr, '\0', name.len) == NULL;
}

static bool find_partial(void *ctx, struct span name, struct span *text,
                         const char **file)
{
    struct partials *p = ctx;
    bool is_found = false;

    for (size_t i = 0; is_file_name(name) && i < p->folder_count && !is_found;
         i++) {
        char *path =
            mem_printf("%s/%.*s" SUFFIX, p->folders[i], SPAN_ARG(name));

        is_found = source_cache_get(p->cache, path, text, file, p->problems);
        mem_free(path);
    }
    return is_found;
}

static void list_folder(struct partials *p, const char *folder)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry = NULL;

    if (dir == NULL) {
        return;
    }
    while ((entry = readdir(dir)) != NULL) {
        size_t len = strlen(entry->d_name);

        if (len <= strlen(SUFFIX) || entry->d_name[0] == '.' ||
            strcmp(entry->d_name + len - strlen(SUFFIX), SUFFIX) != 0 ||
            is_part(entry->d_name)) {
            continue;
        }
        p->names =
            mem_realloc(p->names, (p->name_count + 1) * sizeof(*p->names));
        p->names[p->name_count++] =
            mem_strndup(entry->d_name, len - strlen(SUFFIX));
    }
    closedir(dir);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static struct span name_at(void *ctx, size_t i)
{
    struct partials *p = ctx;

    if (!p->is_listed) {
        p->is_listed = true;
        for (size_t f = 0; f < p->folder_count; f++) {
            list_folder(p, p->folders[f]);
        }
        if (p->name_count > 1) {
            qsort(p->names, p->name_count, sizeof(*p->names), by_text);
        }
    }
    return i < p->name_count ? span_of(p->names[i]) : SPAN_NONE;
}

struct template_loader partials_loader(struct partials *p)
{
    return (struct template_loader){
        .find = find_partial, .name_at = name_at, .ctx = p};
}

/* --- folders ------------------------------------------------------------ */

struct walk {
    struct problems *problems;
    void (*on_folder)(void *ctx, const char *folder, bool has_contract);
    void *ctx;
};

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static bool is_folder(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static void walk_folder(struct walk *w, const char *folder, unsigned depth)
{
    struct dirent **entries = NULL;
    int count = 0;
    char *contract = mem_printf("%s/contract.json", folder);

    if (depth == FOLDER_DEPTH_MAX) {
        problems_add(w->problems, SEVERITY_ERROR, folder, 0,
                     "folders are nested too deep");
    } else {
        count = scandir(folder, &entries, is_visible, by_name);
    }
    if (count < 0) {
        problems_add(w->problems, SEVERITY_ERROR, folder, 0,
                     "cannot be read: %s", strerror(errno));
    } else {
        w->on_folder(w->ctx, folder, access(contract, F_OK) == 0);
    }
    for (int i = 0; i < count; i++) {
        char *path = mem_printf("%s/%s", folder, entries[i]->d_name);

        if (is_folder(path)) {
            walk_folder(w, path, depth + 1);
        }
        mem_free(path);
        free(entries[i]);
    }
    free(entries);
    mem_free(contract);
}

void folders_walk(const char *root, struct problems *problems,
                  void (*on_folder)(void *ctx, const char *folder,
                                    bool has_contract),
                  void *ctx)
{
    struct walk w = {problems, on_folder, ctx};

    walk_folder(&w, root, 0);
}
