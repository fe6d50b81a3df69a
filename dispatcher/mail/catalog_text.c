/*
 * catalog_text - the template files of a tree, as files.
 */
#include "mail/catalog_text.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "mail/catalog_files.h"
#include "mail/chars.h"

enum { FILE_BYTES_MAX = 4 << 20 };

#define SUFFIX ".mustache"

static void check_bytes(const char *path, struct span text,
                        struct problems *problems)
{
    const char *at = text.ptr;
    const char *const end = text.ptr + text.len;
    int line = 1;

    while (at < end) {
        bool is_ok = true;
        const size_t length = utf8_length(at, end, &is_ok);

        if (!is_ok || *at == '\0') {
            problems_add(problems, SEVERITY_ERROR, path, line,
                         "is not UTF-8: byte 0x%02x", (unsigned char)*at);
            return;
        }
        line += *at == '\n';
        at += length;
    }
}

static void check_file(void *ctx, const char *path)
{
    struct problems *problems = ctx;
    struct buf text;

    buf_init(&text, FILE_BYTES_MAX);
    if (file_read(path, &text)) { /* else who needs it says so */
        check_bytes(path, buf_view(&text), problems);
    }
    buf_release(&text);
}

void catalog_check_text(const char *dir, struct problems *problems)
{
    catalog_files(dir, check_file, problems);
}

/* --- the files ---------------------------------------------------------- */

struct files {
    void (*on_file)(void *ctx, const char *path);
    void *ctx;
};

static int is_template(const struct dirent *entry)
{
    const size_t len = strlen(entry->d_name);

    return len > strlen(SUFFIX) && entry->d_name[0] != '.' &&
           strcmp(entry->d_name + len - strlen(SUFFIX), SUFFIX) == 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void on_folder(void *ctx, const char *folder, bool has_contract)
{
    const struct files *files = ctx;
    struct dirent **entries = NULL;
    const int count = scandir(folder, &entries, is_template, by_name);

    (void)has_contract;
    for (int i = 0; i < count; i++) {
        char *path = mem_printf("%s/%s", folder, entries[i]->d_name);

        files->on_file(files->ctx, path);
        mem_free(path);
        free(entries[i]);
    }
    free(entries);
}

void catalog_files(const char *dir,
                   void (*on_file)(void *ctx, const char *path), void *ctx)
{
    struct files files = {on_file, ctx};
    struct problems unread; /* told by whoever loads the catalog */

    problems_init(&unread);
    folders_walk(dir, &unread, on_folder, &files);
    problems_release(&unread);
}
