/*
 * cursor - how far a source of notifications has been read, in PostgreSQL.
 *
 * Owns one connection. cursor_claim asks for the right to poll the source,
 * which lasts as long as the connection and is given to one at a time, on
 * whatever host; cursor_keep writes what was fetched and moves the cursor, in
 * one transaction, if the cursor is still where the fetch began. (The tables:
 * sql/0005_intake.sql.)
 *
 * One order is under way at a time; each is answered by its hook, from the
 * loop.
 */
#ifndef STORE_CURSOR_H
#define STORE_CURSOR_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"

struct cursor;

struct cursor_claim {
    bool is_ours;      /* we poll; false: owner does */
    int64_t next;      /* where to go on; 0 = the source was never read */
    struct span owner; /* "host/pid" of who polls, or polled last; may be "" */
};

/* Why notifications that were there are missing. */
enum cursor_gap { GAP_NONE, GAP_LOST, GAP_AHEAD, GAP_SHORT };
/* "lost", "ahead", "short": postbatch.intake_gap.reason. NULL for none. */
const char *cursor_gap_name(enum cursor_gap gap);

/* What was fetched; fill it with cursor_step_add between init and keep. */
struct cursor_step {
    int64_t from; /* where the fetch began: the cursor must be there still */
    int64_t next; /* where it will be */
    enum cursor_gap gap;
    int64_t missing; /* GAP_LOST, GAP_SHORT: how many */
    struct buf types;
    struct buf times;
    struct buf payloads;
};

struct cursor_kept {
    bool is_kept; /* false: somebody else has moved the cursor */
    int64_t events;
    struct span new_unknown; /* types seen for the first time, or empty */
};

struct cursor_hooks {
    void (*on_ready)(void *ctx);
    /* The connection is gone, and with it the order under way. */
    void (*on_lost)(void *ctx, const char *why);
    /* Of cursor_claim, and of cursor_begin. */
    void (*on_claimed)(void *ctx, const struct cursor_claim *claim);
    void (*on_kept)(void *ctx, const struct cursor_kept *kept);
    /* Of cursor_note_failure, whether it could be noted or not. */
    void (*on_noted)(void *ctx);
    /* The database refused the order under way. */
    void (*on_failed)(void *ctx, const char *why);
};

/* source names the cursor; it must outlive it. */
struct cursor *cursor_new(struct ev_loop *loop, const char *dsn,
                          const char *source, const struct cursor_hooks *hooks,
                          void *ctx);
void cursor_start(struct cursor *c);
/* No hook is called any more; what is under way may still happen. */
void cursor_free(struct cursor *c);
/* An order may be given. */
bool cursor_is_ready(const struct cursor *c);

/* Asks for the right to poll. */
void cursor_claim(struct cursor *c);
/* Puts the cursor of a source that was never read at next, then claims. */
void cursor_begin(struct cursor *c, int64_t next);

/* A step of count notifications; exactly as many must be added. */
void cursor_step_init(struct cursor_step *step, size_t count);
void cursor_step_add(struct cursor_step *step, struct span type, int64_t time_s,
                     struct span payload);
/* False when memory ran out: do not keep it. */
bool cursor_step_is_whole(const struct cursor_step *step);
void cursor_step_release(struct cursor_step *step);
/* Writes it; the step may be released at once. */
void cursor_keep(struct cursor *c, const struct cursor_step *step);

/* Notes why a try has brought nothing. */
void cursor_note_failure(struct cursor *c, const char *why);

#endif
