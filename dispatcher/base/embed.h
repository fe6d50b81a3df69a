/*
 * embed - files that are built into the program: SQL, the preview's page.
 *
 * SQL is written, read and explained as SQL, a page as HTML; sql/embed.sh
 * puts every file into the program by .incbin, so that what runs is what can
 * be read.
 */
#ifndef BASE_EMBED_H
#define BASE_EMBED_H

#include <stddef.h>

struct embed_file {
    const char *path; /* "0001_tables.sql", "queries/lease.sql": below sql/;
                         "page/page.css": below dispatcher/preview/ */
    const char *data; /* size bytes, and a NUL behind them */
    size_t size;
};

/* The file of that path, or NULL. Its address is the same at every call. */
const struct embed_file *embed_find(const char *path);
/* The same for a file that the program cannot do without: its absence is a
 * mistake of the build and ends the program. */
const struct embed_file *embed_require(const char *path);
/* Walks the files whose path begins with prefix, sorted by path; NULL begins
 * and ends. An empty prefix walks all. */
const struct embed_file *embed_next(const char *prefix,
                                    const struct embed_file *after);

#endif
