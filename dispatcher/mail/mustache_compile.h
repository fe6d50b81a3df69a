/*
 * mustache_compile - a template on its way from source to operations. Private
 * to the mustache files: mustache_compile.c has the tags, mustache_text.c the
 * text between them and its indentation.
 */
#ifndef MAIL_MUSTACHE_COMPILE_H
#define MAIL_MUSTACHE_COMPILE_H

#include "mail/mustache_ops.h"
#include "mail/mustache_scan.h"

struct compile {
    struct template *t;
    struct scan scan;
    struct problems *problems;
    struct buf pool;
    size_t op_room;
    size_t key_count;
    size_t key_room;
    size_t call_room;
    size_t block_room;
    size_t floor;  /* text does not grow operations before this one */
    size_t dedent; /* bytes of space that lines lose here */
    bool fresh;
    bool is_broken;
};

/* items with room for one more than count. */
void *compile_grow(void *items, size_t count, size_t *room, size_t size);
/* Appends an operation. Valid until the next one is. */
struct op *compile_op(struct compile *c, enum op_kind kind, int line);
/* A copy that lives as long as the set. Its arena has no cap, so only a
 * machine without memory refuses, and then the template is broken. */
struct span compile_keep(struct compile *c, struct span s);

/* Is position at of the source the first of a line? */
bool compile_begins_line(const struct compile *c, size_t at);
/* Appends source[from..to) as text, dedented. */
void compile_text(struct compile *c, size_t from, size_t to, int line);
/* The least indentation of source[from..to): the space itself. False when
 * there is no line with anything on it. */
bool compile_shared_indent(const struct compile *c, size_t from, size_t to,
                           struct span *out);
/* The space before a tag that is the first of its line; else nothing. */
struct span compile_space_before(const struct compile *c,
                                 const struct tag *tag);
/* An indentation as it is seen inside of the argument around it; kept. */
struct span compile_dedented(struct compile *c, struct span space);

#endif
