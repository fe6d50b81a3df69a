/*
 * problems - what is wrong with files that people wrote, all of it at once.
 *
 * A loader (templates, contracts, configuration) adds a problem and goes on,
 * so that one run of "postbatch check" shows everything. Each names the file,
 * the line where one is known, what is wrong and what to do.
 */
#ifndef BASE_PROBLEMS_H
#define BASE_PROBLEMS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

enum severity { SEVERITY_NOTE, SEVERITY_WARNING, SEVERITY_ERROR };
/* "note", "warning", "error" */
const char *severity_name(enum severity severity);

struct problem {
    enum severity severity;
    char *file;    /* path as given, or NULL */
    int line;      /* from 1; 0 = the whole file */
    char *text;    /* one line of prose, no trailing dot or newline */
    char *type;    /* the event type it is about, or NULL */
    char *key;     /* the payload key, or NULL */
    char *nearest; /* the name that may have been meant, or NULL */
};

struct problems {
    struct problem *items;
    size_t count;
    size_t errors;   /* how many of them are errors, */
    size_t warnings; /* and how many warnings */
};

void problems_init(struct problems *p);
void problems_release(struct problems *p);
/* file may be NULL; everything is copied. */
void problems_add(struct problems *p, enum severity severity, const char *file,
                  int line, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/*
 * Says what the problem that was added last is about, for programs that read
 * it: copies; an empty span says nothing. Said again, it replaces what was
 * said. A nearest name also goes behind the text: "...; did you mean
 * 'comment'?"
 */
void problems_about(struct problems *p, struct span type, struct span key,
                    struct span nearest);
/* "file:12: error: text" for each, to standard error. */
void problems_print(const struct problems *p);

#endif
