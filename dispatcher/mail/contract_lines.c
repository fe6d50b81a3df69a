/*
 * contract_lines - on which line of contract.json a field stands.
 *
 * jansson keeps no positions, so the text is walked once more. It is known to
 * be valid, so braces, quotes and line ends are all there is to look at.
 */
#include "mail/contract_lines.h"

#include <stdint.h>
#include <string.h>

enum { LEVELS = 3, PATH_MAX_LEN = 512 };

struct walk {
    struct map *lines;
    struct arena *arena;
    const char *at;
    const char *end;
    int line;
    int depth;       /* of objects and arrays */
    int array_depth; /* of the outermost array that is open; 0 = none */
    char path[PATH_MAX_LEN];
    size_t path_len;
    size_t lengths[LEVELS + 2]; /* of the path to the object at each depth */
};

/* The bytes of the string that begins at w->at; goes behind its quote. */
static struct span take_string(struct walk *w)
{
    const char *start = ++w->at;

    while (w->at < w->end && *w->at != '"') {
        w->at += *w->at == '\\' ? 2 : 1;
    }
    if (w->at > w->end) {
        w->at = w->end;
    }
    return span_make(start, (size_t)(w->at++ - start));
}

static bool is_name(const struct walk *w)
{
    const char *at = w->at;

    while (at < w->end && strchr(" \t\r\n", *at) != NULL && *at != '\0') {
        at++;
    }
    return at < w->end && *at == ':';
}

static void note_name(struct walk *w, struct span name)
{
    size_t len = 0;
    char *kept = NULL;

    if (w->array_depth > 0 || w->depth < 1 || w->depth > LEVELS) {
        return;
    }
    len = w->lengths[w->depth];
    if (len + name.len + 1 > sizeof(w->path) ||
        memchr(name.ptr, '\\', name.len) != NULL) {
        w->path_len = len;
        return;
    }
    if (len > 0) {
        w->path[len++] = '.';
    }
    memcpy(w->path + len, name.ptr, name.len);
    w->path_len = len + name.len;
    kept = arena_strndup(w->arena, w->path, w->path_len);
    if (kept != NULL) {
        map_put(w->lines, span_make(kept, w->path_len),
                (void *)(intptr_t)w->line);
    }
}

static void open_level(struct walk *w, bool is_array)
{
    w->depth++;
    if (is_array && w->array_depth == 0) {
        w->array_depth = w->depth;
    }
    if (w->depth <= LEVELS) {
        w->lengths[w->depth] = w->path_len;
    }
}

static void close_level(struct walk *w)
{
    if (w->array_depth == w->depth) {
        w->array_depth = 0;
    }
    w->depth--;
}

void contract_lines_read(struct map *lines, struct arena *arena,
                         struct span text)
{
    struct walk w = {.lines = lines,
                     .arena = arena,
                     .at = text.ptr,
                     .end = text.ptr + text.len,
                     .line = 1};

    while (w.at < w.end) {
        const char c = *w.at;

        if (c == '"') {
            struct span string = take_string(&w);

            if (is_name(&w)) {
                note_name(&w, string);
            }
            continue;
        }
        w.at++;
        w.line += c == '\n';
        if (c == '{' || c == '[') {
            open_level(&w, c == '[');
        } else if (c == '}' || c == ']') {
            close_level(&w);
        }
    }
}

int contract_lines_find(const struct map *lines, struct span path)
{
    while (path.len > 0) {
        const void *line = map_get(lines, path);

        if (line != NULL) {
            return (int)(intptr_t)line;
        }
        do {
            path.len--;
        } while (path.len > 0 && path.ptr[path.len] != '.');
    }
    return 0;
}
