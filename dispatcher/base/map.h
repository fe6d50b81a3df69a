/*
 * map - a hash table from 64-bit ids or from byte strings to pointers.
 *
 * Open addressing in one array; entries are never removed one by one. Keys of
 * string maps are not copied: they must outlive the map.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

struct map_entry {
    uint64_t hash; /* the id itself, or the hash of the string */
    struct span key;
    void *value; /* NULL = free slot */
};

struct map {
    struct map_entry *entries;
    size_t size; /* a power of two, or 0 */
    size_t count;
};

/* Takes no memory before the first put. */
void map_init(struct map *m);
void map_release(struct map *m);
/* Empty again; keeps the memory. */
void map_clear(struct map *m);

/* value must not be NULL; an equal key is overwritten. */
void map_put_id(struct map *m, int64_t id, void *value);
void *map_get_id(const struct map *m, int64_t id);
void map_put(struct map *m, struct span key, void *value);
void *map_get(const struct map *m, struct span key);

/* Walk: for (struct map_entry *e = NULL; (e = map_next(m, e)) != NULL; ) */
struct map_entry *map_next(const struct map *m, struct map_entry *after);

#endif
