/*
 * quota_parts - what the files of quota share. Not for others.
 */
#ifndef SMTP_QUOTA_PARTS_H
#define SMTP_QUOTA_PARTS_H

#include <pthread.h>

#include "smtp/quota.h"

struct quota_worker {
    int lanes;              /* connections it has */
    int working;            /* of them, connected */
    int64_t lanes_since_ms; /* when it got the first of them */
    int64_t wanting_ms;     /* when it last said that it wants one; 0 = no */
    int64_t wants_since_ms; /* when it said so first */
};

struct quota_row {
    pthread_mutex_t lock;
    struct limits limits;
    int worker_count;
    struct quota_worker workers[QUOTA_WORKERS];
};

/* The row's limits, locked until quota_unlock; nothing to lock when the row is
 * our own. */
struct limits *quota_lock(const struct quota *q);
void quota_unlock(const struct quota *q);

#endif
