/*
 * conf - settings as tables: parsed, bounded, explained and printed by one
 * loop each.
 *
 * A setting is a row: section, name, type, place in a struct, preset, bounds,
 * help. A file in INI form sets rows, and environment variables named
 * POSTBATCH_SECTION_NAME go over it. A section may be repeated under a title
 * ("[relay backup]"); then the rows describe each instance.
 */
#ifndef BASE_CONF_H
#define BASE_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/problems.h"

enum conf_type {
    CONF_TEXT,   /* char *: owned by the table's struct; "" when empty */
    CONF_SECRET, /* as CONF_TEXT, never printed */
    CONF_INT,    /* int */
    CONF_BOOL,   /* bool: yes no true false on off 1 0 */
    CONF_MS,     /* int milliseconds: "250ms", "30s", "5m", "4h", "2d" */
    CONF_BYTES,  /* int bytes: "64k", "10m" (1024-based) */
    CONF_CHOICE, /* int: index into choices */
};

struct conf_item {
    const char *section;
    const char *name;
    enum conf_type type;
    size_t offset;
    const char *preset;         /* as one would write it, with its unit */
    int min;                    /* INT, MS and BYTES */
    int max;                    /* 0 = no upper bound */
    const char *const *choices; /* CHOICE: names, NULL at the end */
    const char *help;
};

/* A section that may appear many times, each instance under a title. */
struct conf_group {
    const char *section;
    const struct conf_item *items;
    size_t item_count;
    size_t size;         /* of one instance */
    size_t title_offset; /* char *: where the title goes */
};

struct conf;

/* target is zeroed memory of the plain sections' struct and must outlive the
 * conf. group may be NULL. All presets are applied. */
struct conf *conf_new(const struct conf_item *items, size_t item_count,
                      void *target, const struct conf_group *group);
/* Frees the conf with all texts and instances it has set. */
void conf_free(struct conf *c);

/* Reads an INI file. Each mistake is a problem with file and line. */
void conf_read_file(struct conf *c, const char *path, struct problems *p);
/* Applies environment variables POSTBATCH_*; an unknown one is a problem. */
void conf_read_environment(struct conf *c, const char *const *environment,
                           struct problems *p);
/* Applies "section.name=value", as from a command line. */
void conf_read_assignment(struct conf *c, const char *assignment,
                          struct problems *p);

/* The instances of the repeated section, in order of appearance. */
size_t conf_group_count(const struct conf *c);
void *conf_group_at(const struct conf *c, size_t i);

/* Every setting with preset, bounds and help, as a reference to read. */
void conf_print_reference(const struct conf *c, FILE *out);
/* Every effective value with its origin; secrets are starred. */
void conf_print_values(const struct conf *c, FILE *out);

#endif
