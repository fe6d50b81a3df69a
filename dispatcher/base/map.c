/*
 * map - a hash table from 64-bit ids or from byte strings to pointers.
 *
 * Linear probing, grown at two thirds. Ids are mixed by a multiplication
 * (Fibonacci hashing), strings by FNV-1a and the same mix: keys are trusted
 * to be few, not to be friendly, so a bad case costs time and nothing else.
 */
#include "base/map.h"

#include "base/mem.h"

enum { MAP_FIRST = 16 };

void map_init(struct map *m)
{
    *m = (struct map){0};
}

void map_release(struct map *m)
{
    mem_free(m->entries);
    map_init(m);
}

void map_clear(struct map *m)
{
    if (m->count > 0) {
        memset(m->entries, 0, m->size * sizeof(*m->entries));
    }
    m->count = 0;
}

static uint64_t hash_span(struct span key)
{
    uint64_t hash = 14695981039346656037u;

    for (size_t i = 0; i < key.len; i++) {
        hash = (hash ^ (unsigned char)key.ptr[i]) * 1099511628211u;
    }
    return hash;
}

/* The slot that holds (hash, key), or the free slot where it belongs. */
static struct map_entry *slot(const struct map *m, uint64_t hash,
                              struct span key)
{
    size_t mask = m->size - 1;
    size_t at = (size_t)((hash * 11400714819323198485u) >> 32) & mask;

    while (
        m->entries[at].value != NULL &&
        (m->entries[at].hash != hash || !span_equal(m->entries[at].key, key))) {
        at = (at + 1) & mask;
    }
    return &m->entries[at];
}

static void grow(struct map *m)
{
    struct map old = *m;

    m->size = old.size ? old.size * 2 : MAP_FIRST;
    m->entries = mem_calloc(m->size, sizeof(*m->entries));
    for (size_t i = 0; i < old.size; i++) {
        if (old.entries[i].value != NULL) {
            *slot(m, old.entries[i].hash, old.entries[i].key) = old.entries[i];
        }
    }
    mem_free(old.entries);
}

static void put(struct map *m, uint64_t hash, struct span key, void *value)
{
    struct map_entry *e = NULL;

    if ((m->count + 1) * 3 > m->size * 2) {
        grow(m);
    }
    e = slot(m, hash, key);
    if (e->value == NULL) {
        m->count++;
    }
    *e = (struct map_entry){hash, key, value};
}

static void *get(const struct map *m, uint64_t hash, struct span key)
{
    return m->size ? slot(m, hash, key)->value : NULL;
}

void map_put_id(struct map *m, int64_t id, void *value)
{
    put(m, (uint64_t)id, SPAN_NONE, value);
}

void *map_get_id(const struct map *m, int64_t id)
{
    return get(m, (uint64_t)id, SPAN_NONE);
}

void map_put(struct map *m, struct span key, void *value)
{
    put(m, hash_span(key), key, value);
}

void *map_get(const struct map *m, struct span key)
{
    return get(m, hash_span(key), key);
}

struct map_entry *map_next(const struct map *m, struct map_entry *after)
{
    struct map_entry *e = after ? after + 1 : m->entries;

    for (; e < m->entries + m->size; e++) {
        if (e->value != NULL) {
            return e;
        }
    }
    return NULL;
}
