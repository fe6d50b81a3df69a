/*
 * composer_work - a letter on its way through the composer; private to it.
 */
#ifndef MAIL_COMPOSER_WORK_H
#define MAIL_COMPOSER_WORK_H

#include "mail/composer_state.h"

struct work {
    struct composer *c;
    struct letter *letter;
    struct event *newest;          /* of those that are not poison */
    uint32_t event_count;          /* that are not poison */
    const struct event_type *type; /* whose templates are rendered */
    bool is_digest;                /* it is not the events' own */
    size_t header_count;
};

/* ---- composer_context.c ------------------------------------------------ */

/* Parses the events that nobody has parsed yet, counts those that are not
 * poison and finds the newest of them. COMPOSE_DONE, or why there is no
 * letter. */
enum compose_result work_prepare(struct work *w);
/* Decides whose templates are rendered. */
void work_choose_type(struct work *w);
/*
 * Sets base for the letter; with only != NULL, as if it had this event only.
 * False without memory: base may then speak of another letter.
 */
bool work_set_base(struct work *w, const struct event *only);
/* The event cannot be mailed; c->why becomes the reason. */
enum compose_result work_poison(struct work *w, struct event *event,
                                const char *stage);
/* What was done to an event goes into the ledger with its letter; without room
 * for the words, the mail is more important. */
void work_keep_note(struct work *w, struct event *event);

#endif
