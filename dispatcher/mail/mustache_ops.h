/*
 * mustache_ops - what a compiled template is made of. Private to the mustache
 * files.
 *
 *     {{#list}}item {{name}}, {{/list}}end
 *
 *     0  SECTION list   to 4
 *     1  TEXT "item "
 *     2  VALUE name
 *     3  TEXT ", "
 *     4  TEXT "end"
 *
 * A section, block or call is followed by its body; `to` is the operation
 * behind it.
 */
#ifndef MAIL_MUSTACHE_OPS_H
#define MAIL_MUSTACHE_OPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/map.h"
#include "mail/mustache.h"

enum op_kind {
    OP_TEXT,     /* copy bytes */
    OP_INDENT,   /* a line begins here that does not begin with text */
    OP_VALUE,    /* print a value */
    OP_SECTION,  /* body once, for each item, or not at all */
    OP_INVERTED, /* body when the value is false */
    OP_CALL,     /* partial or parent; its body holds the arguments */
    OP_BLOCK,    /* body, or the argument of that name */
};

/* Keys that speak of the innermost list item. */
enum pseudo { PSEUDO_NONE, PSEUDO_FIRST, PSEUDO_LAST, PSEUDO_INDEX };

struct op {
    uint8_t kind;     /* enum op_kind */
    uint8_t pseudo;   /* enum pseudo; of names */
    bool is_escaped;  /* VALUE: for HTML */
    bool starts_line; /* TEXT: its first byte is the first of a line */
    uint16_t keys;    /* names: how many keys; 0 = the item itself */
    uint32_t at;      /* TEXT: first byte in the pool; names: first key;
                         CALL: index of the call; BLOCK: of the block */
    uint32_t to;      /* TEXT: bytes; with a body: the op behind it */
    int32_t line;
};

/* A partial or parent tag. */
struct call {
    struct span name;        /* of a dynamic one: the key that holds it */
    struct template *target; /* NULL: dynamic, or missing and allowed to */
    struct span indent;      /* goes before each line of the target */
    bool is_dynamic;
    bool is_standalone; /* else the target goes on in the same line */
    uint16_t keys;      /* dynamic: the dotted name */
    uint32_t key;
    uint32_t first_block; /* arguments: a range of blocks */
    uint32_t block_count;
};

/* A block: the argument of a call, or the place where one may go. */
struct block {
    struct span name;
    struct span indent; /* place: goes before each line of the argument */
    bool is_standalone; /* place: else the argument goes on in its line */
    uint32_t from;      /* body: ops[from..to) */
    uint32_t to;
};

enum template_state {
    TEMPLATE_NEW, /* asked for, not compiled yet */
    TEMPLATE_READY,
    TEMPLATE_BROKEN, /* its problems have been told */
};

struct template
{
    struct template_set *set;
    struct template *next; /* in set->templates */
    char *name;
    char *file;
    enum template_escape escape;
    enum template_state state;
    struct span source; /* while TEMPLATE_NEW; belongs to the loader */
    struct op *ops;
    size_t op_count;
    char *pool; /* bytes of all TEXT */
    struct span *keys;
    struct call *calls;
    size_t call_count;
    struct block *blocks;
    size_t block_count;
};

struct template_set {
    struct template_loader loader;
    struct arena arena;         /* names, templates, indents */
    struct template *templates; /* newest first */
    struct map by_name[2];      /* partials, by escape */
    struct template *broken;    /* a partial that does not compile */
    bool has_dynamic;           /* then all partials there are get loaded */
};

/* Fills t from source (mustache_compile.c). Partials that it names are asked
 * for and not compiled. False after adding an error. */
bool mustache_compile(struct template *t, struct span source,
                      struct problems *problems);
/* The partial of that name, asked for if it was not yet; never compiled here.
 * NULL when there is none, which is a problem unless the set allows it. */
struct template *mustache_ask(struct template *from, struct span name, int line,
                              struct problems *problems);

#endif
