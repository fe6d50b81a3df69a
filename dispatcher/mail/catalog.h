/*
 * catalog - all event types of a templates folder, ready to render.
 *
 * Each folder below the root that has a contract.json is a type, called as
 * the folder. A partial NAME is NAME.mustache in the type's folder, in the
 * folders of the types it extends, or in the folders above, whichever comes
 * first.
 *
 * A type whose files are broken stays in the catalog with its fault, so that
 * its events can be set aside with a reason while all others go on.
 */
#ifndef MAIL_CATALOG_H
#define MAIL_CATALOG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/problems.h"
#include "base/span.h"
#include "mail/contract.h"
#include "mail/mustache.h"

struct event_type {
    struct span name;
    char *folder;
    struct contract *contract; /* never NULL; may be broken */
    char *fault;               /* "file:line: reason", or NULL: all is well */
    struct template_set *set;  /* owns the templates below */
    struct template *subject;  /* these two: of all mailable types */
    struct template *text;
    struct template *html;     /* NULL: mail of text only */
    struct template *thread;   /* NULL: no threading */
    struct template *headline; /* NULL: none of its own */
    struct template **headers; /* one for each of contract->headers; NULL
                                  where its value is empty */
    bool asks_for_events;      /* some template reads "event" or "events" */
};

struct catalog;

/*
 * Loads the tree at dir. Never NULL: what is wrong is told in problems, file
 * and line, and stands in the types' faults. Types that cannot be mailed are
 * there too, without templates.
 */
struct catalog *catalog_load(const char *dir, struct problems *problems);
/* NULL is fine. */
void catalog_free(struct catalog *catalog);

/* The type of that name, or NULL. */
const struct event_type *catalog_find(const struct catalog *catalog,
                                      struct span name);
/* The type that letters about events of several types are rendered by: the
 * one called "digest". NULL when there is none or it cannot be mailed. */
const struct event_type *catalog_digest(const struct catalog *catalog);
/* In the order of their folders. */
size_t catalog_count(const struct catalog *catalog);
const struct event_type *catalog_at(const struct catalog *catalog, size_t i);

/* Can letters be written for events of this type? */
static inline bool event_type_is_mailable(const struct event_type *type)
{
    return type->fault == NULL && type->contract->is_mailable;
}

#endif
