/*
 * nearest - "did you mean": the known word that is most like a mistyped one.
 */
#ifndef BASE_NEAREST_H
#define BASE_NEAREST_H

#include <stddef.h>

#include "base/span.h"

/* Words longer than this are never near anything. */
enum { NEAREST_WORD_MAX = 64 };

/* How many letters must be added, removed, changed or swapped with their
 * neighbour to get from a to b; more than NEAREST_WORD_MAX when one of them
 * is too long to tell. */
size_t nearest_distance(struct span a, struct span b);

/* Remembers the best candidate seen so far. */
struct nearest {
    struct span word;
    struct span best; /* SPAN_NONE while no candidate is near enough */
    size_t distance;
};

static inline struct nearest nearest_to(struct span word)
{
    return (struct nearest){word, SPAN_NONE, 1 + word.len / 3};
}

/* A candidate counts when at most a third of the word (and one letter) is
 * different; of a word that is too long to tell, none does. */
static inline void nearest_offer(struct nearest *n, struct span candidate)
{
    size_t distance = nearest_distance(n->word, candidate);

    if (distance <= n->distance && distance <= NEAREST_WORD_MAX &&
        (n->best.ptr == NULL || distance < n->distance)) {
        n->best = candidate;
        n->distance = distance;
    }
}

#endif
