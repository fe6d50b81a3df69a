/*
 * composer_state - what a composer holds; private to the composer.
 */
#ifndef MAIL_COMPOSER_STATE_H
#define MAIL_COMPOSER_STATE_H

#include "base/arena.h"
#include "base/map.h"
#include "mail/composer.h"
#include "mail/composer_event.h"
#include "mail/message.h"

struct composer {
    struct composer_settings settings; /* texts are copies */
    const struct catalog *catalog;

    json_t *base; /* what templates see below the payload */
    json_t *recipient_name;
    json_t *recipient_email;
    json_t *greeting;
    json_t *role;
    json_t *events;
    json_t *event_count;
    bool is_several; /* as base has it */

    char **roles; /* by id; NULL = unknown */
    int role_count;

    composer_drift_fn *on_drift;
    void *drift_ctx;

    struct buf from; /* fields that are the same in many letters */
    struct buf list;
    const struct event_type *list_of; /* whose List-Id is in list */

    struct buf subject; /* scratch, one letter at a time */
    struct buf thread;
    struct buf text;
    struct buf html;
    struct buf ids;    /* message id, thread id */
    struct buf values; /* header values, one after the other */
    struct buf why;
    struct buf note;
    struct message_header *headers;
    size_t header_room;
};

/* The name of a role, or "". */
static inline const char *composer_role(const struct composer *c, int id)
{
    return id > 0 && id < c->role_count && c->roles[id] ? c->roles[id] : "";
}

/* The ids of a letter, without "<>"; thread may be empty. The bytes are the
 * composer's until the next letter. */
struct letter_ids {
    struct span message;
    struct span thread;
};
/* c->thread holds the rendered thread. */
struct letter_ids composer_ids(struct composer *c, const struct letter *letter);
/* The field List-Id of letters of that type, or nothing; c->ids is used for it.
 * The bytes are the composer's until the next letter. */
struct span composer_list(struct composer *c, const struct event_type *type);
/* The moment of the letter's newest event, poison or not. */
int64_t composer_date_us(const struct letter *letter);

/* Tells of an unknown key. */
struct drift {
    struct composer *c;
    const struct event *event;
};
void composer_drift(void *drift, struct span key);

#endif
