/*
 * pool_parts - what the files of the pool share. Not for others.
 */
#ifndef SMTP_POOL_PARTS_H
#define SMTP_POOL_PARTS_H

#include "smtp/lane.h"
#include "smtp/pool.h"

enum {
    ASIDE_MAX = 16,      /* letters that wait for a relay that can carry them */
    RX_SIZE = 64 * 1024, /* bytes received at a time */
};

/* A letter that the relay which took it could not carry. */
struct put_aside {
    struct list_node node;
    struct parcel parcel;
    size_t size;
    char content[];
};

struct pool {
    struct ev_loop *loop;
    const struct pool_ops *ops;
    void *ctx;
    struct relay **relays;
    size_t relay_count;
    struct quota_board *board; /* of the host's workers; NULL = alone */
    int worker;                /* our index on it */
    struct list dirty;         /* lanes that have output, or may have room */
    struct list closed;        /* lanes to be freed */
    struct list aside;         /* struct put_aside */
    ev_prepare turn;           /* fed, never started: one turn a round */
    ev_timer tick;  /* looks at all lanes; runs while there are any */
    ev_timer later; /* a relay may be used again */
    bool is_turn_due;
    bool is_dry;    /* next said there is none */
    bool was_fed;   /* letters were taken in this turn */
    uint64_t taken; /* letters, ever */
    bool is_draining;
    bool is_dead; /* killed: nothing is opened any more */
    void (*drained)(void *ctx);
    char rx[RX_SIZE];
};

/* pool.c: one turn at the end of this round of the loop. */
void pool_wants_turn(struct pool *pool);

/* pool_lanes.c: what lanes ask and tell. */
extern const struct lane_ops pool_lane_ops;

/* pool_choice.c: which relay, which lane, how many. */
void pool_fill(struct pool *pool, int64_t now_ms);
void pool_open_lanes(struct pool *pool, int64_t now_ms);
/* Closes lanes that other workers of this host should have. */
void pool_yield_lanes(struct pool *pool, int64_t now_ms);
/* Milliseconds until something may be possible that is not now; -1 = never. */
int64_t pool_wait_ms(struct pool *pool, int64_t now_ms);
/* True when relay r is used for letters now. */
bool pool_uses(const struct pool *pool, const struct relay *r, int64_t now_ms);
bool relay_can_carry(const struct relay *r, const struct parcel *p,
                     size_t size);

/* pool_feedback.c: what a relay's behaviour leads to. */
void pool_on_trouble(struct lane *l, const struct judgement *j,
                     const char *text);
void pool_on_connect_failed(struct lane *l, const struct link_result *result);
void pool_on_useless(struct lane *l, int64_t now_ms);

#endif
