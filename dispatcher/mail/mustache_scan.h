/*
 * mustache_scan - the tags of a template source, in order. Private to the
 * mustache files.
 *
 * The text of a template is what lies between tags: between one tag's `to`
 * and the next one's `from`. A tag that stands alone on its line takes the
 * whole line with it, so its from and to lie outside of start and end.
 */
#ifndef MAIL_MUSTACHE_SCAN_H
#define MAIL_MUSTACHE_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/problems.h"
#include "base/span.h"

enum tag_kind {
    TAG_VALUE,      /* {{x}} */
    TAG_RAW,        /* {{{x}}} and {{&x}} */
    TAG_SECTION,    /* {{#x}} */
    TAG_INVERTED,   /* {{^x}} */
    TAG_CLOSE,      /* {{/x}} */
    TAG_COMMENT,    /* {{! }} */
    TAG_DELIMITERS, /* {{=<% %>=}} */
    TAG_PARTIAL,    /* {{>x}} */
    TAG_PARENT,     /* {{<x}} */
    TAG_BLOCK,      /* {{$x}} outside of a parent: a parameter */
    TAG_ARGUMENT,   /* {{$x}} directly inside of a parent */
};

struct tag {
    enum tag_kind kind;
    bool is_dynamic;    /* {{>*x}}: x names the key that holds the name */
    bool is_standalone; /* no text of its line is left */
    struct span name;   /* in the source; without sigil and space */
    int line;           /* from 1 */
    size_t start;       /* first byte of the tag in the source */
    size_t end;         /* one past its last */
    size_t from;        /* text before it ends here */
    size_t to;          /* text after it begins here */
    size_t pair;        /* index of the tag that closes or opens this one */
};

struct scan {
    struct span source;
    const char *file;
    struct problems *problems;
    struct tag *tags;
    size_t count;
    struct span open; /* delimiters at this point */
    struct span close;
    size_t at; /* next byte to look at */
    int line;  /* of the byte line_at */
    size_t line_at;
};

/* Most bytes of a template source; most tags; deepest nesting. */
enum { SCAN_BYTES_MAX = 4 << 20, SCAN_TAGS_MAX = 20000, SCAN_DEPTH_MAX = 64 };

/* Fills s->tags (scan_release frees them). False after adding an error. */
bool scan_run(struct scan *s, struct span source, const char *file,
              struct problems *problems);
void scan_release(struct scan *s);

/* Sets is_standalone, from and to of all tags; the last step of scan_run. */
void scan_trim(struct scan *s);
/* The start of the line of position at, when only spaces and tabs lie between;
 * else SIZE_MAX. */
size_t scan_head(const struct scan *s, size_t at);

#endif
