/*
 * audition - what would become of one event, without sending or storing
 * anything.
 *
 * A trial (trial.h) of one event, with all that it needs kept from one to the
 * next: for those who try thousands.
 *
 *     struct audition *a = audition_new(&settings, catalog);
 *     if (!audition_run(a, type, payload, id, created_us)) {
 *         ... audition_reason(a)
 *     }
 *     audition_free(a);
 */
#ifndef MAIL_AUDITION_H
#define MAIL_AUDITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "mail/catalog.h"
#include "mail/composer.h"

struct audition;

/* Copies settings; a missing from_email is made up. catalog must outlive the
 * audition. */
struct audition *audition_new(const struct composer_settings *settings,
                              const struct catalog *catalog);
/* As audition_new, with a composer of somebody else, which must outlive it. */
struct audition *audition_over(struct composer *composer,
                               const struct catalog *catalog);
struct composer *audition_composer(const struct audition *a);
/* NULL is fine. */
void audition_free(struct audition *a);

/*
 * Composes a letter about an event of that type. False: it would be set aside;
 * audition_stage says where, audition_reason why. What these and the others
 * return lives until the next audition.
 */
bool audition_run(struct audition *a, struct span type, struct span payload,
                  int64_t id, int64_t created_us);
/* "type", "parse", "contract", "render", or "size": the letter is too large. */
struct span audition_stage(const struct audition *a);
struct span audition_reason(const struct audition *a);
/* Of the letter that was written: its subject as the template gave it, and all
 * its bytes. */
struct span audition_subject(const struct audition *a);
struct span audition_message(const struct audition *a);

/* Calls on_key for each key of the payload that the contract of that type does
 * not list. An unknown type, or a payload that is no object, has none. */
void audition_unknown_keys(const struct audition *a, struct span type,
                           struct span payload,
                           void (*on_key)(void *ctx, struct span key),
                           void *ctx);

#endif
