/*
 * worker_recover - what an earlier life of this worker left in its journal.
 *
 * The lock on the journal's file proves that the earlier life has ended, so
 * its batches are taken over at once, whatever their leases say. Batches that
 * have been settled or taken over meanwhile do not come, and their records
 * are dropped: somebody else knows what became of them. A life that ends in
 * the midst of this changes nothing for the next one (see take_over.sql).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/mem.h"
#include "engine/worker_inner.h"

/* The folder of the journal; NULL when there is none to be had. */
static const char *journal_folder(const struct settings *settings)
{
    static const char usual[] = "/var/lib/postbatch";
    const char *state = getenv("STATE_DIRECTORY");

    if (settings->journal_path[0] != '\0') {
        return settings->journal_path;
    }
    if (state != NULL && state[0] != '\0') {
        return state;
    }
    return mkdir(usual, 0700) == 0 || errno == EEXIST ? usual : NULL;
}

struct journal *recover_open(const struct settings *settings, int index)
{
    const char *folder = journal_folder(settings);
    struct journal *journal = NULL;
    char *path = NULL;
    char *why = NULL;

    if (folder != NULL) {
        if (mkdir(folder, 0700) != 0 && errno != EEXIST) {
            log_warn("folder of the journal cannot be made",
                     "path=%s why=\"%s\"", folder, strerror(errno));
        }
        path = mem_printf("%s/worker-%d.journal", folder, index);
        journal = journal_open(path, &why);
    }
    if (journal == NULL) {
        log_warn("no journal: if this worker is killed, whole batches are "
                 "sent again",
                 "why=\"%s\" mend=\"set worker.journal to a folder that can "
                 "be written\"",
                 why ? why : "no folder");
    }
    mem_free(path);
    mem_free(why);
    return journal;
}

bool recover_begin(struct worker *w)
{
    struct queue_claim claims[JOURNAL_BATCHES];
    size_t count = 0;

    for (struct journal_batch *b = NULL;
         w->journal != NULL && (b = journal_next(w->journal, b)) != NULL;) {
        claims[count++] = (struct queue_claim){b->batch_id, b->epoch};
    }
    if (count == 0) {
        return false;
    }
    if (queue_take_over(w->queue, claims, count)) {
        log_info("an earlier life of this worker left batches", "batches=%zu",
                 count);
    }
    return true;
}

/* The record of a batch that came back goes on under its new epoch. */
static bool claim_record(struct journal_batch *record, struct batch **batches,
                         size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct batch *b = batches[i];

        if (b->id == record->batch_id && b->claimed_epoch == record->epoch &&
            b->letter_count == record->letter_count) {
            record->epoch = b->epoch;
            b->record = record;
            return true;
        }
    }
    return false;
}

void recover_end(struct worker *w, struct batch **batches, size_t count)
{
    size_t dropped = 0;

    for (struct journal_batch *b = NULL;
         (b = journal_next(w->journal, b)) != NULL;) {
        if (!claim_record(b, batches, count)) {
            journal_remove(b);
            dropped++;
        }
    }
    log_info("journal worked off", "taken_over=%zu settled_elsewhere=%zu",
             count, dropped);
}

void recover_forget(struct worker *w)
{
    for (struct journal_batch *b = NULL;
         w->journal != NULL && (b = journal_next(w->journal, b)) != NULL;) {
        journal_remove(b);
    }
}
