/*
 * payload - the JSON of an event, from bytes to something that templates may
 * read.
 *
 *     json_t *payload = payload_parse(text, &note, &why);
 *     if (!payload_check(contract, payload, &why)) ...     poison
 *     payload_unknown(contract, payload, on_unknown, ctx);
 *     payload_move_reserved(contract, payload, about);
 *     payload_cut(contract, payload, &note);
 */
#ifndef MAIL_PAYLOAD_H
#define MAIL_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/span.h"
#include "mail/contract.h"

struct payload_fault {
    char reason[200]; /* one line, without control bytes */
    struct span key;  /* of payload_check: the contract's key it is about */
};

/*
 * The payload as a JSON object; caller owns the reference. Bytes that are not
 * UTF-8, lone surrogates and NUL in keys become U+FFFD, numbers beyond 64 bits
 * strings of their digits, and what is nested deeper than REPAIR_DEPTH_MAX
 * null. What was done so is appended to note in words, which may be NULL. NULL
 * and a reason when it is not JSON or not an object.
 */
json_t *payload_parse(struct span text, struct buf *note,
                      struct payload_fault *why);

/*
 * The same object, several times as fast, when text is what PostgreSQL prints
 * of a jsonb or near to it; else NULL, which says nothing about text. Made for
 * payload_parse, which asks it first (payload_quick.c).
 */
json_t *payload_quick(struct span text);

/* Tells of every key that the contract does not list. They stay. */
typedef void payload_unknown_fn(void *ctx, struct span key);
void payload_unknown(const struct contract *c, const json_t *payload,
                     payload_unknown_fn *on_unknown, void *ctx);

/*
 * Takes out the keys whose names are ours (contract_is_reserved), so that no
 * payload can pass itself off as the site or the recipient in a template. Those
 * that the contract lists go into about, where templates read them as
 * {{event.NAME}}, unless about is NULL. False without memory.
 */
bool payload_move_reserved(const struct contract *c, json_t *payload,
                           json_t *about);

/* Sets every key of the contract that is absent to null. False without
 * memory. */
bool payload_fill_absent(const struct contract *c, json_t *payload);

/*
 * Are all required keys there, and all keys of their type? An optional key
 * may be null. False with a reason that names the key.
 */
bool payload_check(const struct contract *c, const json_t *payload,
                   struct payload_fault *why);

/*
 * Shortens strings (at the start of a character) and arrays to what the
 * contract allows, and empties a key of type url whose value is no address of
 * the web or of a mailbox. What was done so is appended to note in words, which
 * may be NULL. False without memory.
 */
bool payload_cut(const struct contract *c, json_t *payload, struct buf *note);

/* Is value of that type? KEY_ANY is true for all; a number beyond 64 bits is a
 * number although its digits are in a string. */
bool payload_is(const json_t *value, enum key_type type);

#endif
