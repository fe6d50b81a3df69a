/*
 * matrix - every mailable type, each of its samples, each of its keys, in every
 * state a key may come in.
 *
 * The contract says what must become of each: a letter, or an event set aside
 * with a reason that names the key.
 */
#ifndef MAIL_MATRIX_H
#define MAIL_MATRIX_H

#include <stddef.h>

#include "base/problems.h"
#include "mail/catalog.h"
#include "mail/audition.h"

/* The states of a key. */
enum matrix_state {
    MATRIX_ABSENT,  /* optional: a letter; required: set aside */
    MATRIX_NULL,    /* likewise */
    MATRIX_OTHER,   /* of another type: set aside, unless the type is "any" */
    MATRIX_EMPTY,   /* "", [], {}, 0, false: a letter */
    MATRIX_LONG,    /* 20,000 characters, 1,000 items: a letter */
    MATRIX_HOSTILE, /* line breaks, header fields, markup, braces: a letter
                       without any of their effects */
    MATRIX_PRESENT, /* as in the sample "fullest": a letter */
    MATRIX_STATES,
};
const char *matrix_state_name(enum matrix_state state);

struct matrix {
    size_t cases;
    size_t letters; /* written */
    size_t refused; /* set aside, as they should be */
};

/*
 * Tries all of them. A case that comes out otherwise is an error at the key in
 * its contract: one for a type, key and state, whatever the number of samples.
 */
struct matrix matrix_run(struct audition *audition,
                         const struct catalog *catalog,
                         struct problems *problems);

#endif
