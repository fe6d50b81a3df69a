/*
 * preview - a folder of templates, loaded, and letters composed from it.
 *
 * Letters are composed as the service composes them; only what a letter is
 * about comes from elsewhere: from the samples of a contract, or from one
 * event that was read from the database.
 */
#ifndef PREVIEW_PREVIEW_H
#define PREVIEW_PREVIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/problems.h"
#include "engine/settings.h"
#include "mail/catalog.h"
#include "mail/trial.h"

/* The name of the sample that is a letter about several events: all samples of
 * a type that gathers; of the type for digests, one event each of others. */
#define PREVIEW_TOGETHER "together"

struct preview {
    const struct settings *settings;
    const char *folder; /* of the templates; as given */
    struct problems problems;
    struct catalog *catalog;
    struct composer *composer;
    bool stands_in; /* example.org stands in for a site that is not set */
};

/* A letter that was composed. The spans are the composer's, until its next
 * letter. */
struct preview_letter {
    struct buf message; /* as it goes to a relay */
    struct buf why;     /* not empty: there is no letter */
    struct span subject;
    struct span text;
    struct span html;
    struct recipient to;
    struct span role; /* why the recipient gets it; may be empty */
};

/* What a letter is about, when it is no sample. */
struct preview_event {
    struct trial_event event;
    struct span role; /* empty: the first of the type's roles */
};

/* Loads folder; what is wrong with it is in p->problems. settings and folder
 * must outlive p. */
void preview_load(struct preview *p, const struct settings *settings,
                  const char *folder);
void preview_release(struct preview *p);

void preview_letter_init(struct preview_letter *letter);
void preview_letter_release(struct preview_letter *letter);

/* The type of that name that can be mailed. NULL, with the reason in why:
 * file and line, or the name that may have been meant. */
const struct event_type *preview_type(const struct preview *p, struct span name,
                                      struct buf *why);
/* Can be mailed, or would be if it were not broken. */
bool preview_is_shown(const struct event_type *type);
/* The folder that the type's folder is in, below the root: "obs"; "." is the
 * root itself. */
struct span preview_group(const struct preview *p,
                          const struct event_type *type);
/* The sample that is shown when none was named: "fullest", or the first; of
 * the type for digests, PREVIEW_TOGETHER. Empty when the type has none. */
struct span preview_first_sample(const struct preview *p,
                                 const struct event_type *type);
/* May PREVIEW_TOGETHER be asked for? */
bool preview_has_together(const struct event_type *type);

/*
 * Composes a sample, or an event that is no sample, for the recipient to. An
 * empty sample is preview_first_sample. False: letter->why says why.
 */
bool preview_sample(struct preview *p, const struct event_type *type,
                    struct span sample, struct recipient to,
                    struct preview_letter *letter);
/* Appends the payloads of such a letter's events, as a JSON array. */
void preview_payloads(const struct preview *p, const struct event_type *type,
                      struct span sample, struct buf *out);
bool preview_event(struct preview *p, const struct event_type *type,
                   const struct preview_event *event, struct recipient to,
                   struct preview_letter *letter);

#endif
