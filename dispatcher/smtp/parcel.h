/*
 * parcel - what a lane needs to know of a letter: the envelope.
 */
#ifndef SMTP_PARCEL_H
#define SMTP_PARCEL_H

#include <stdbool.h>

#include "base/span.h"
#include "model.h"

struct parcel {
    void *letter;     /* the giver's; only handed back */
    struct span from; /* reverse path without brackets; empty = null sender */
    struct span to;   /* recipient, without brackets */
    enum urgency urgency;
    bool needs_smtputf8;
    bool needs_8bitmime;
};

#endif
