/*
 * trial - one letter, composed outside of the service to be looked at.
 *
 * It goes through the same door as the letters of a batch, so what comes out
 * here comes out there: the same checks, the same bytes.
 */
#ifndef MAIL_TRIAL_H
#define MAIL_TRIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "mail/composer.h"
#include "model.h"

#define TRIAL_US 1513244000000000 /* 2017-12-14 09:33:20 UTC */

enum { TRIAL_MESSAGE_MAX = 4 * 1024 * 1024 }; /* a cap that does for message */

struct trial_event {
    int64_t id;
    int64_t created_us; /* microseconds since 1970-01-01 UTC */
    struct span type;
    struct span payload; /* JSON text */
};

struct trial {
    struct recipient to;
    int role; /* as composer_set_role numbered it; 0 = none */
    const struct trial_event *events; /* oldest first */
    size_t count;                     /* at least 1 */
};

/* Whom samples are written to: jane@example.org, "Jane Doe". */
struct recipient trial_recipient(void);

/* The payload of a sample as JSON text; caller frees with mem_free. */
char *trial_payload(const struct contract_sample *sample);

/*
 * Appends the message to message. False, and the reason in why, when there is
 * none: of an event that is poison, what the quarantine would say of it.
 * *stage (unless stage is NULL) is then "type", "parse", "contract" or
 * "render", as composer_write has it, or else "size" or "address"; it lasts.
 * The parts of the letter are then in composer_subject, _text and _html.
 */
bool trial_write(struct composer *composer, const struct trial *trial,
                 struct buf *message, struct buf *why, struct span *stage)
    __attribute__((warn_unused_result));

#endif
