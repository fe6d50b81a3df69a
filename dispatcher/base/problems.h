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

enum severity { SEVERITY_WARNING, SEVERITY_ERROR };

struct problem {
    enum severity severity;
    char *file; /* path as given, or NULL */
    int line;   /* from 1; 0 = the whole file */
    char *text; /* one line of prose, no trailing dot or newline */
};

struct problems {
    struct problem *items;
    size_t count;
    size_t errors; /* how many of them are errors */
};

void problems_init(struct problems *p);
void problems_release(struct problems *p);
/* file may be NULL; everything is copied. */
void problems_add(struct problems *p, enum severity severity, const char *file,
                  int line, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* "file:12: error: text" for each, to standard error. */
void problems_print(const struct problems *p);

#endif
