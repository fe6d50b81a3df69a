/*
 * journal - what a worker had in flight, in a memory-mapped file beside it.
 *
 * The file is an array of JOURNAL_BATCHES places behind a header; a place is
 * free when its batch_id is 0. Within a record the byte that makes it valid is
 * written last (release order), because SIGKILL may fall between two stores.
 */
#include "engine/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

#define JOURNAL_MAGIC 0x31304c4e524a4250ULL /* "PBJRNL01" */

struct journal_file {
    uint64_t magic;
    int64_t owner; /* number of the worker in the database */
    uint64_t reserved[6];
    struct journal_batch batches[JOURNAL_BATCHES];
};

struct journal {
    struct journal_file *file;
    char *path;
    int fd;
};

/* A failed open: says why, closes, gives NULL. */
static struct journal *refuse(int fd, const char *path, const char *what,
                              char **why)
{
    *why = mem_printf("journal %s: %s", path, what);
    if (fd >= 0) {
        close(fd);
    }
    return NULL;
}

struct journal *journal_open(const char *path, char **why)
{
    struct journal *j = NULL;
    struct journal_file *file = NULL;
    struct stat st;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0) {
        return refuse(fd, path, strerror(errno), why);
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        return refuse(fd, path, "another worker uses it", why);
    }
    if (fstat(fd, &st) == 0 && st.st_nlink == 0) {
        close(fd); /* its last worker removed it while we waited to open it */
        return journal_open(path, why);
    }
    if (fstat(fd, &st) != 0 ||
        (st.st_size != 0 && st.st_size != (off_t)sizeof(*file))) {
        return refuse(fd, path,
                      "not a journal of this version; move it away once its "
                      "batches' leases have run out",
                      why);
    }
    /* Real blocks: on a full disk a store into a hole would be a SIGBUS. */
    if (st.st_size == 0) {
        errno = posix_fallocate(fd, 0, sizeof(*file));
        if (errno != 0) {
            return refuse(fd, path, strerror(errno), why);
        }
    }
    file = mmap(NULL, sizeof(*file), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (file == MAP_FAILED) {
        return refuse(fd, path, strerror(errno), why);
    }
    if (file->magic != 0 && file->magic != JOURNAL_MAGIC) {
        munmap(file, sizeof(*file));
        return refuse(fd, path, "not a journal of this version", why);
    }
    file->magic = JOURNAL_MAGIC;
    j = mem_calloc(1, sizeof(*j));
    j->file = file;
    j->fd = fd;
    j->path = mem_strdup(path);
    return j;
}

void journal_close(struct journal *j)
{
    if (j == NULL) {
        return;
    }
    if (journal_next(j, NULL) == NULL) {
        unlink(j->path);
    }
    munmap(j->file, sizeof(*j->file));
    close(j->fd);
    mem_free(j->path);
    mem_free(j);
}

int64_t journal_owner(const struct journal *j)
{
    return j->file->owner;
}

void journal_set_owner(struct journal *j, int64_t worker_id)
{
    j->file->owner = worker_id;
}

static void publish_id(struct journal_batch *b, int64_t batch_id)
{
    atomic_thread_fence(memory_order_release);
    b->batch_id = batch_id;
    atomic_thread_fence(memory_order_release);
}

static void publish_state(struct journal_letter *l, enum journal_state state)
{
    atomic_thread_fence(memory_order_release);
    l->state = (uint8_t)state;
}

struct journal_batch *journal_add(struct journal *j, int64_t batch_id,
                                  int64_t epoch, uint32_t letter_count)
{
    if (letter_count > JOURNAL_LETTERS) {
        return NULL;
    }
    for (size_t i = 0; i < JOURNAL_BATCHES; i++) {
        struct journal_batch *b = &j->file->batches[i];

        if (b->batch_id == 0) {
            b->epoch = epoch;
            b->letter_count = letter_count;
            memset(b->letters, 0, letter_count * sizeof(b->letters[0]));
            publish_id(b, batch_id);
            return b;
        }
    }
    return NULL;
}

void journal_remove(struct journal_batch *b)
{
    publish_id(b, 0);
}

void journal_begun(struct journal_batch *b, uint32_t index)
{
    publish_state(&b->letters[index], JOURNAL_BEGUN);
}

void journal_returned(struct journal_batch *b, uint32_t index)
{
    publish_state(&b->letters[index], JOURNAL_WAITING);
}

void journal_answered(struct journal_batch *b, uint32_t index,
                      const struct outcome *outcome)
{
    struct journal_letter *l = &b->letters[index];

    l->verdict = (uint8_t)outcome->verdict;
    l->code = (uint16_t)outcome->code;
    l->enhanced_class = (uint8_t)outcome->enhanced[0];
    l->enhanced = (uint16_t)((outcome->enhanced[1] & 255) << 8 |
                             (outcome->enhanced[2] & 255));
    l->suppress = outcome->suppress;
    publish_state(l, JOURNAL_ANSWERED);
}

struct outcome journal_outcome(const struct journal_batch *b, uint32_t index)
{
    static const char words[] = "the worker ended before the reply was seen";
    static const struct outcome unsure = {
        .verdict = VERDICT_UNSURE,
        .text = {words, sizeof(words) - 1},
    };
    const struct journal_letter *l = &b->letters[index];

    switch ((enum journal_state)l->state) {
    case JOURNAL_WAITING: break;
    case JOURNAL_BEGUN: return unsure;
    case JOURNAL_ANSWERED:
        if (l->verdict == VERDICT_NONE || l->verdict > VERDICT_SKIPPED) {
            return unsure; /* no worker wrote this */
        }
        return (struct outcome){
            .verdict = (enum verdict)l->verdict,
            .code = l->code,
            .enhanced = {l->enhanced_class, l->enhanced >> 8,
                         l->enhanced & 255},
            .suppress = l->suppress,
            .text = SPAN_LIT("recovered from the journal"),
        };
    }
    return (struct outcome){.verdict = VERDICT_NONE};
}

struct journal_batch *journal_next(struct journal *j,
                                   struct journal_batch *after)
{
    struct journal_batch *b = after ? after + 1 : j->file->batches;

    for (; b < j->file->batches + JOURNAL_BATCHES; b++) {
        if (b->batch_id != 0 && b->letter_count <= JOURNAL_LETTERS) {
            return b;
        }
    }
    return NULL;
}
