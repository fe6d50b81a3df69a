/*
 * role_keys - which payload keys the SQL of a role reads, and on which line.
 *
 * Understood are the ways in which SQL takes a jsonb apart, where they stand
 * right behind the column payload:
 *
 *     payload -> 'x'      payload ->> 'x'     payload['x']
 *     payload #> '{x,y}'  payload #>> '{x,y}'
 *     payload ? 'x'       payload ?| array['x', 'y']    ?& likewise
 *     payload @> '{"x": 1}'
 *     jsonb_extract_path[_text](payload, 'x', 'y')
 *
 * What is read in another way, or under another name, is not found. Comments
 * and strings are passed over.
 */
#ifndef STORE_ROLE_KEYS_H
#define STORE_ROLE_KEYS_H

#include "base/span.h"

/* Calls on_key for each; key points into sql. */
void role_keys(const char *sql,
               void (*on_key)(void *ctx, struct span key, int line), void *ctx);

#endif
