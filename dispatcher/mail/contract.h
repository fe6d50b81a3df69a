/*
 * contract - what an event type promises: its keys, its roles, its batching.
 *
 * Read from the file contract.json of the type's folder. A contract is plain
 * data; payload.h holds a payload against it.
 */
#ifndef MAIL_CONTRACT_H
#define MAIL_CONTRACT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/arena.h"
#include "base/map.h"
#include "base/problems.h"
#include "base/span.h"
#include "model.h"

enum key_type {
    KEY_STRING,
    KEY_INTEGER,
    KEY_NUMBER, /* integer or real */
    KEY_BOOLEAN,
    KEY_ARRAY,
    KEY_OBJECT,
    KEY_URL, /* a string that may become a link: http, https or mailto */
    KEY_ANY,
};
/* "string", "integer", ... */
const char *key_type_name(enum key_type type);

struct contract_key {
    struct span name;
    struct span about; /* for people, in reasons; may be empty */
    enum key_type type;
    bool is_required; /* there and not null, or the event is poison */
    bool is_long;     /* holds text of people, of any length: always cut */
    bool is_unshown;  /* no template and no role reads it, and that is known */
    size_t cut;       /* most bytes of a string, items of an array; 0 = all */
    const struct contract *owner; /* who lists it: the type or a parent */
};

enum batching_rule {
    BATCHING_EACH,   /* a letter for each event */
    BATCHING_GATHER, /* a letter for a recipient's events of one pass */
};

struct contract_header {
    struct span name;
    struct span value; /* mustache */
};

/* Which keys say what the project log shows of an event. */
struct contract_log {
    bool is_given;       /* the file has one */
    struct span project; /* empty: events of this type are not logged */
    struct span package; /* this and the next may be empty */
    struct span request;
    struct span *users; /* the first that names somebody counts */
    size_t user_count;
};

struct contract_sample {
    struct span name;
    json_t *payload;
};

struct contract {
    char *file;       /* path, for messages */
    struct span name; /* of the event type */
    struct span description;
    struct span extends;           /* name of the parent type; may be empty */
    const struct contract *parent; /* after contracts_resolve */
    bool is_abstract;              /* only there to be extended */
    bool is_mailable;
    struct contract_key *keys; /* own keys behind inherited ones */
    size_t key_count;
    struct map key_by_name; /* -> struct contract_key */
    struct map lines;       /* of the file; see contract_line */
    struct span originator; /* key that names who caused it; may be "" */
    bool has_roles;         /* the file has roles, maybe none */
    struct span *roles;     /* the first that matches is the reason */
    size_t role_count;
    enum frequency frequency; /* where nobody has a preference */
    enum urgency urgency;
    enum batching_rule batching;
    int64_t window_ms;     /* gather: wait for more */
    uint32_t batching_max; /* gather: most events of one letter */
    struct span thread;    /* mustache; empty = no threading */
    struct span headline;  /* mustache; one line for digests */
    struct contract_log log;
    struct contract_header *headers;
    size_t header_count;
    struct contract_sample *samples;
    size_t sample_count;

    bool is_broken;     /* its problems have been told */
    int resolving;      /* for contracts_resolve */
    struct arena arena; /* owns all spans above */
};

/*
 * Reads the contract of the type called name. Every mistake becomes a problem
 * that names the line and the path to the key, such as "keys.comment.cut"; with
 * an error among them the contract is_broken. Never NULL. What depends on the
 * parent is checked by contracts_resolve.
 */
struct contract *contract_load(const char *file, struct span name,
                               struct problems *problems);
/* As contract_load, from bytes in memory. */
struct contract *contract_parse(const char *file, struct span name,
                                struct span text, struct problems *problems);
/* NULL is fine. */
void contract_free(struct contract *c);

/*
 * Lets each contract inherit from the one it extends (keys, roles if it has
 * none of its own, originator, thread, log, headers), then checks what can only
 * be checked now: that the originator and what the log shows are keys, that
 * the samples keep the contract. What is wrong with samples and originator is
 * an error that breaks nothing: it stops a deployment, and never the mail.
 * Circles and unknown parents break the contract; a child of a broken parent is
 * broken. To be called once for all contracts of a tree.
 */
void contracts_resolve(struct contract *const *all, size_t count,
                       struct problems *problems);

/* The key of that name, or NULL. */
const struct contract_key *contract_key(const struct contract *c,
                                        struct span name);
/* The line of the file where path ("keys.comment") stands, or what is around
 * it; 0 when that is not known. */
int contract_line(const struct contract *c, const char *path);
/* Names that templates read from us and never from the payload: "recipient",
 * "site", "events" and so on. */
bool contract_is_reserved(struct span name);
/* The i-th reserved name; NULL at the end. */
const char *contract_reserved(size_t i);

#endif
