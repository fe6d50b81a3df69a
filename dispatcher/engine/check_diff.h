/*
 * check_diff - the parts of comparing two folders of templates; private to the
 * check_diff files. check_diff.c finds what belongs together, check_diff_type.c
 * compares one type.
 */
#ifndef ENGINE_CHECK_DIFF_H
#define ENGINE_CHECK_DIFF_H

#include "engine/check.h"

/* A type as it was and as it is; NULL where it is not there. */
struct diff_pair {
    struct check *check;
    const struct contract *old;
    const struct contract *new;
};

/* Adds a problem about path ("roles") in the contract as it is, or, when it is
 * gone, as it was. */
void diff_tell(const struct diff_pair *pair, enum severity severity,
               const char *path, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Tells of all that has changed in a type that is still there. Both contracts
 * are whole. */
void diff_type(const struct diff_pair *pair, const struct event_type *old,
               const struct event_type *new);

#endif
