/*
 * composer - from a letter to the bytes that go to the relay.
 *
 * letter -> events parsed and held against their contracts -> context ->
 * subject, text and html rendered -> message written.
 *
 * The same letter gives the same bytes, whenever and wherever it is composed:
 * Message-ID and Date come from what is stored (origin batch, recipient,
 * events), so that whoever gets a letter twice can see that it is one.
 *
 * One composer serves one thread. It keeps its scratch memory from letter to
 * letter, at most a few times letter_max.
 */
#ifndef MAIL_COMPOSER_H
#define MAIL_COMPOSER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/span.h"
#include "mail/catalog.h"
#include "model.h"

/* What all letters have in common. NULL is as good as "". */
struct composer_settings {
    const char *from_name;
    const char *from_email;
    const char *reply_to;  /* an address */
    const char *domain;    /* right side of every Message-ID */
    const char *list_id;   /* right side of every List-Id */
    const char *site_name; /* the rest is for templates */
    const char *site_url;
    const char *settings_url; /* where recipients choose their mails */
    bool precedence_bulk;     /* add Precedence: bulk */
    size_t letter_max;        /* most bytes of a rendered text, html or header,
                                 each; 0 = 1 MiB; headers have 64 KiB at least */
};

struct composer;

/* Copies settings; catalog must outlive the composer. */
struct composer *composer_new(const struct composer_settings *settings,
                              const struct catalog *catalog);
/* NULL is fine. */
void composer_free(struct composer *c);

/* Letters with role id are called after name, which is copied. id > 0. */
void composer_set_role(struct composer *c, int id, const char *name);

/*
 * Calls fn for each payload key that its contract does not list, when an event
 * is prepared in the first attempt of its batch. The mail goes out all the
 * same.
 */
typedef void composer_drift_fn(void *ctx, const struct event *event,
                               struct span key);
void composer_on_drift(struct composer *c, composer_drift_fn *fn, void *ctx);

enum compose_result {
    COMPOSE_DONE,
    COMPOSE_POISON,    /* an event was found to be poison: call again, the
                          others may still make a letter */
    COMPOSE_NO_EVENTS, /* all events of the letter are poison */
    COMPOSE_ADDRESS,   /* nobody to write to; letter->outcome.text says why */
    COMPOSE_NO_ROOM,   /* out cannot take it (or memory is out); as it was */
};

/*
 * Appends the message of letter to out, ready for the wire: CRLF lines, no
 * line begins with a dot. Events that are poison already are left out. With
 * COMPOSE_POISON, one more event has is_poison, poison_stage ("type", "parse",
 * "contract" or "render") and poison_reason, which lies in the arena of the
 * letter's batch. Fills event->parsed, which event_release frees.
 */
enum compose_result composer_write(struct composer *c, struct letter *letter,
                                   struct buf *out)
    __attribute__((warn_unused_result));

/* The subject of the letter that was composed last, as its template gave it,
 * without space around it. The bytes are the composer's until the next one. */
struct span composer_subject(const struct composer *c);
/* Its two bodies, before they were encoded; html may be empty. */
struct span composer_text(const struct composer *c);
struct span composer_html(const struct composer *c);

/* Frees event->parsed. To be called before the batch's arena goes, and before
 * the catalog does. */
void event_release(struct event *event);

#endif
