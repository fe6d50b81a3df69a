/*
 * journal - what a worker had in flight, in a memory-mapped file beside it.
 *
 * A store into mapped memory outlives the process that made it, so a worker
 * that is killed with SIGKILL leaves an exact record without a system call
 * per letter: for each letter of each leased batch, whether its content was
 * begun and what the answer was. The next worker on the file takes the
 * batches over: answered letters are settled, begun ones are unsure (RFC
 * 1047), all others go out as if nothing had happened.
 *
 * It does not outlive the host; then the lease on the batch runs out.
 */
#ifndef ENGINE_JOURNAL_H
#define ENGINE_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model.h"

enum { JOURNAL_BATCHES = 64, JOURNAL_LETTERS = 512 };

enum journal_state { JOURNAL_WAITING, JOURNAL_BEGUN, JOURNAL_ANSWERED };

/* One letter: eight bytes. */
struct journal_letter {
    uint8_t state; /* enum journal_state; written last */
    uint8_t verdict;
    uint16_t code;
    uint8_t enhanced_class;
    uint8_t suppress;
    uint16_t enhanced; /* subject * 256 + detail, each at most 255 */
};

/* One leased batch. */
struct journal_batch {
    int64_t batch_id; /* 0 = free; written last */
    int64_t epoch;
    uint32_t letter_count;
    uint32_t reserved;
    struct journal_letter letters[JOURNAL_LETTERS];
};

struct journal;

/*
 * Opens or creates the file and locks it. NULL when that fails; *why is then
 * a sentence that the caller frees. A file of another shape is refused.
 */
struct journal *journal_open(const char *path, char **why);
/* Unmaps and unlocks; removes the file when no batch is in it. */
void journal_close(struct journal *j);

/* The worker whose batches these are, in the database; 0 = not known. */
int64_t journal_owner(const struct journal *j);
void journal_set_owner(struct journal *j, int64_t worker_id);

/* Records a leased batch; NULL when there is no free place (lease less) or
 * the batch has more than JOURNAL_LETTERS letters. */
struct journal_batch *journal_add(struct journal *j, int64_t batch_id,
                                  int64_t epoch, uint32_t letter_count);
/* The batch is settled or given back. */
void journal_remove(struct journal_batch *b);

/* The content of letter index is about to leave. */
void journal_begun(struct journal_batch *b, uint32_t index);
/* Its verdict is known. */
void journal_answered(struct journal_batch *b, uint32_t index,
                      const struct outcome *outcome);
/* It goes back to waiting: its content did not leave after all. */
void journal_returned(struct journal_batch *b, uint32_t index);

/* What the record says of a letter: VERDICT_NONE when it was not begun,
 * VERDICT_UNSURE when it was begun and not answered. */
struct outcome journal_outcome(const struct journal_batch *b, uint32_t index);

/* Walks the batches that a worker before us left; NULL begins and ends. */
struct journal_batch *journal_next(struct journal *j,
                                   struct journal_batch *after);

#endif
