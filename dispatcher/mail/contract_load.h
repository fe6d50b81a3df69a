/*
 * contract_load - the parts of reading contract.json; private to the contract
 * files.
 *
 * contract_load.c walks JSON objects by tables of fields, contract_fields.c
 * has the tables and takes the values.
 */
#ifndef MAIL_CONTRACT_LOAD_H
#define MAIL_CONTRACT_LOAD_H

#include "mail/contract.h"

struct loader {
    struct contract *c;
    struct problems *problems;
    const char *path; /* to the object that is being read: "keys.comment." */
    void *target;     /* struct contract_key, while its fields are read */
};

struct field {
    const char *name; /* NULL ends a table */
    json_type type;   /* JSON_TRUE stands for boolean */
    void (*take)(struct loader *l, const char *name, const json_t *value);
};

/* The fields of a contract. */
extern const struct field contract_fields[];

/* Takes the field "log". */
void contract_take_log(struct loader *l, const char *name, const json_t *value);
/* The key of the contract that key may have been meant to be, or SPAN_NONE. */
struct span contract_nearest_key(const struct contract *c, struct span key);
/* What the log shows must be keys of the contract; once it has them all. */
void contract_check_log(struct contract *c, struct problems *problems);

/* Adds a problem with the path to name; an error breaks the contract. */
void loader_tell(struct loader *l, enum severity severity, const char *name,
                 const char *format, ...) __attribute__((format(printf, 4, 5)));
/* Gives each member of object to the field of its name. */
void loader_take(struct loader *l, const struct field *fields,
                 const json_t *object);
/* A copy that lives as long as the contract; NUL-terminated. */
struct span loader_keep(struct loader *l, struct span text);
/* Zeroed room that lives as long as the contract; NULL breaks it. */
void *loader_array(struct loader *l, size_t count, size_t size);

/* May this name a type or a role? They get into headers and file names. */
bool contract_is_plain_name(struct span name);

enum { CONTRACT_NAME_MAX = 60 }; /* bytes of the name of a type or role */

static inline struct span loader_text(const json_t *value)
{
    return span_make(json_string_value(value), json_string_length(value));
}

#endif
