/*
 * conf_value - one parser per type of setting; private to conf.
 */
#ifndef BASE_CONF_VALUE_H
#define BASE_CONF_VALUE_H

#include "base/conf.h"

struct conf_unit {
    const char *name; /* NULL ends a table */
    long long factor;
};

/* The units that values of a type may carry, smallest first. */
const struct conf_unit *conf_units(enum conf_type type);
/* What a value of this type looks like, for messages. */
const char *conf_kind(const struct conf_item *item);
/* Parses text into the item's place in target; false when it is not of the
 * type or out of bounds, and then target is unchanged. */
bool conf_set(const struct conf_item *item, void *target, const char *text);

/* The values of one struct: the plain sections, or one group instance. */
struct conf_values {
    const struct conf_item *items;
    size_t count;
    char *title; /* NULL for the plain sections */
    void *target;
    char **origin; /* per item: "preset", "file:12", "environment" */
};

struct conf {
    struct conf_values plain;
    const struct conf_group *group;
    struct conf_values **instances;
    size_t instance_count;
};

#endif
