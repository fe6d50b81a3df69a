/*
 * check - everything that "postbatch check" looks at. Sends nothing, changes
 * nothing.
 *
 *     struct check check;
 *     check_init(&check, settings, "templates");
 *     check_files(&check);
 *     check_database(&check); check_relays(&check);      or
 *     check_diff(&check, old_folder); check_against(&check, dsn, days);
 *     ... check.problems, check.facts
 *     check_release(&check);
 *
 * check_files comes first: the others need what it has loaded.
 */
#ifndef ENGINE_CHECK_H
#define ENGINE_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/problems.h"
#include "engine/settings.h"
#include "mail/catalog.h"
#include "store/route.h"

enum { CHECK_EVENTS_SHOWN = 10 };

/* Events that share their type and what would become of them. */
struct check_group {
    char *type;
    char *
        stage; /* of audition.h; "drift": they have a key that the contract does
                  not list; "mended": set aside now, and would be mailed */
    char *reason; /* in words; of drift: the key */
    int64_t count;
    int64_t events[CHECK_EVENTS_SHOWN]; /* ids of the first ones */
    size_t event_count;
    struct check_group *next;
};

/* What a replay of real events has seen. */
struct check_replay {
    bool is_done;
    int days;
    int64_t events;    /* read from the log */
    int64_t set_aside; /* read from the quarantine, their leaf being gone */
    int64_t letters;   /* would be written */
    int64_t unmailed;  /* of types that are not mailed */
    struct check_group *groups; /* in the order of their first event */
    size_t group_count;
};

struct check {
    const struct settings *settings;
    const char *folder; /* of the templates */
    struct problems problems;
    struct buf facts; /* what was seen, in lines for people */
    struct catalog *catalog;
    struct route_role *roles;
    /* What was seen, in numbers. */
    size_t types;
    size_t mailable;
    size_t letters; /* samples that were composed */
    size_t cases;   /* of the matrix */
    size_t roles_usable;
    struct check_replay replay;
};

/* folder and settings must outlive c. */
void check_init(struct check *c, const struct settings *settings,
                const char *folder);
void check_release(struct check *c);

/* Contracts, templates, samples, role files: what can be seen without a
 * database. Both of the following. */
void check_files(struct check *c);
/* Loads everything and holds it against each other. */
void check_contracts(struct check *c);
/* Composes all samples and tries all cases of the matrix. */
void check_letters(struct check *c);
/* The roles of check_files by name and by the keys they read. */
void check_roles(struct check *c);

/* The database of the settings, and every role against it. */
void check_database(struct check *c);
/* Connects to every relay, as far as a mail would begin. */
void check_relays(struct check *c);

/*
 * What the step from the templates in old_folder to these breaks: an error for
 * each thing that producers, recipients or waiting events may rely on and that
 * is gone, a note for each other change.
 */
void check_diff(struct check *c, const char *old_folder);

/*
 * Reads the events of the last `days` days from the database at dsn, and those
 * that wait in its quarantine, and tries each with these templates. Fills
 * c->replay and adds a problem for each group of events that would be set aside
 * or have keys that no contract lists. Reads only, a page at a time.
 */
void check_against(struct check *c, const char *dsn, int days);

#endif
