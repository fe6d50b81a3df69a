/*
 * rehearsal - every sample of every type, composed as a real letter would be.
 */
#ifndef MAIL_REHEARSAL_H
#define MAIL_REHEARSAL_H

#include <stddef.h>

#include "base/problems.h"
#include "mail/catalog.h"
#include "mail/composer.h"

enum { REHEARSAL_SUBJECT_MAX = 78 };

/* What a rehearsal has seen. */
struct rehearsal {
    size_t types;   /* mailable ones */
    size_t letters; /* composed */
};

/*
 * Composes a letter of each sample of each mailable type. What cannot be
 * composed is an error; a subject longer than REHEARSAL_SUBJECT_MAX
 * characters is a warning. The problems name the sample and its line in the
 * contract.
 */
struct rehearsal rehearse(struct composer *composer,
                          const struct catalog *catalog,
                          struct problems *problems);

#endif
