/*
 * ids - which Message-IDs have been seen.
 *
 * Open addressing with linear probing over bare hashes, 16 bytes a slot, at
 * most two thirds full: 10 million ids take 256 MiB. The text of an id is
 * forgotten unless it comes again.
 */
#include "bench/sink/ids.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sysexits.h>

#include "base/mem.h"

enum { IDS_FIRST = 1 << 16 };

/* Odd constants with well spread bits (digits of pi and of e). */
#define SPREAD_1 0x243f6a8885a308d3u
#define SPREAD_2 0x13198a2e03707345u
#define SPREAD_3 0xb7e151628aed2a6bu
#define SPREAD_4 0xbf7158809cf4f3c7u

/* The two halves of the full product, folded: every bit meets every other. */
static uint64_t fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

struct id_hash ids_hash(struct span id)
{
    uint64_t a = SPREAD_1 ^ id.len;
    uint64_t b = SPREAD_2;

    for (size_t at = 0; at < id.len; at += 16) {
        uint64_t words[2] = {0, 0};
        size_t left = id.len - at;

        memcpy(words, id.ptr + at, left < 16 ? left : 16);
        a = fold(a ^ words[0], words[1] ^ SPREAD_3) + b;
        b = fold(b ^ words[1], words[0] ^ SPREAD_4) + SPREAD_1;
    }
    struct id_hash hash = {fold(a ^ SPREAD_2, b | 1),
                           fold(b ^ SPREAD_3, a | 1)};

    if (hash.high == 0 && hash.low == 0) {
        hash.low = 1;
    }
    return hash;
}

static bool same(struct id_hash a, struct id_hash b)
{
    return a.high == b.high && a.low == b.low;
}

/* The slot that holds hash, or the free slot where it belongs. */
static struct id_hash *slot(const struct ids *ids, struct id_hash hash)
{
    size_t mask = ids->size - 1;
    size_t at = (size_t)hash.low & mask;
    const struct id_hash free_slot = {0, 0};

    while (!same(ids->slots[at], free_slot) && !same(ids->slots[at], hash)) {
        at = (at + 1) & mask;
    }
    return &ids->slots[at];
}

/* Zeros straight from the system, in big pages where it has them: a slot is a
 * random place, and with small pages finding the page costs more than the
 * slot. */
static struct id_hash *new_slots(size_t size)
{
    size_t bytes = size * sizeof(struct id_hash);
    void *slots = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (slots == MAP_FAILED) {
        fprintf(stderr, "postbatch-sink: no memory for %zu ids\n", size);
        exit(EX_OSERR);
    }
    (void)madvise(slots, bytes, MADV_HUGEPAGE);
    return slots;
}

static void free_slots(struct id_hash *slots, size_t size)
{
    if (slots != NULL) {
        munmap(slots, size * sizeof(*slots));
    }
}

static void resize(struct ids *ids, size_t size)
{
    struct ids old = *ids;

    ids->size = size;
    ids->slots = new_slots(size);
    for (size_t i = 0; i < old.size; i++) {
        if (old.slots[i].high != 0 || old.slots[i].low != 0) {
            *slot(ids, old.slots[i]) = old.slots[i];
        }
    }
    free_slots(old.slots, old.size);
}

void ids_init(struct ids *ids, size_t expected)
{
    size_t size = IDS_FIRST;

    *ids = (struct ids){0};
    while (size / 3 * 2 < expected) {
        size *= 2;
    }
    resize(ids, size);
}

void ids_release(struct ids *ids)
{
    for (size_t i = 0; i < ids->example_count; i++) {
        mem_free(ids->examples[i].text);
    }
    free_slots(ids->slots, ids->size);
    *ids = (struct ids){0};
}

static void note_double(struct ids *ids, struct id_hash hash, struct span id)
{
    ids->doubles++;
    for (size_t i = 0; i < ids->example_count; i++) {
        if (same(ids->examples[i].hash, hash)) {
            ids->examples[i].times++;
            return;
        }
    }
    if (ids->example_count < IDS_EXAMPLES) {
        ids->examples[ids->example_count++] =
            (struct ids_double){hash, mem_strndup(id.ptr, id.len), 2};
    }
}

void ids_expect(const struct ids *ids, struct id_hash hash)
{
    __builtin_prefetch(&ids->slots[(size_t)hash.low & (ids->size - 1)], 1);
}

bool ids_add(struct ids *ids, struct id_hash hash, struct span id)
{
    struct id_hash *place = slot(ids, hash);

    if (same(*place, hash)) {
        note_double(ids, hash, id);
        return false;
    }
    *place = hash;
    ids->distinct++;
    if (ids->distinct > ids->size / 3 * 2) {
        resize(ids, ids->size * 2);
    }
    return true;
}
