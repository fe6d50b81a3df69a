/*
 * ids - which Message-IDs have been seen, ten million and more of them.
 *
 * An id is kept as a hash of 128 bits: with ten million ids the chance that
 * any two of them share a hash is below 10^-24. A mail whose id was seen
 * before is a double; the first hundred ids with doubles are kept in words.
 */
#ifndef SINK_IDS_H
#define SINK_IDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"

enum { IDS_EXAMPLES = 100 };

struct id_hash {
    uint64_t high;
    uint64_t low; /* both 0 = a free slot */
};

/* An id that came more than once. */
struct ids_double {
    struct id_hash hash;
    char *text;
    uint64_t times; /* how often it came in all; at least 2 */
};

struct ids {
    struct id_hash *slots;
    size_t size; /* a power of two */
    uint64_t distinct;
    uint64_t doubles; /* mails beyond the first of their id */
    struct ids_double examples[IDS_EXAMPLES];
    size_t example_count;
};

/* expected: how many ids to make room for now; 0 = grow as they come. */
void ids_init(struct ids *ids, size_t expected);
void ids_release(struct ids *ids);
/* The hash ids are compared by. */
struct id_hash ids_hash(struct span id);
/* Says that ids_add with this hash will follow soon: in a large table the slot
 * comes from memory that takes its time. */
void ids_expect(const struct ids *ids, struct id_hash hash);
/* Counts one mail with this id and its hash; true when the id is new. */
bool ids_add(struct ids *ids, struct id_hash hash, struct span id);

#endif
