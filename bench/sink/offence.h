/*
 * offence - what the client did that the standards forbid.
 *
 * The first thousand are kept with the number of the connection and the bytes
 * at fault, escaped; all are counted.
 */
#ifndef SINK_OFFENCE_H
#define SINK_OFFENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

enum { OFFENCES_KEPT = 1000, OFFENCE_BYTES = 80 };

struct offence {
    uint64_t connection;
    uint64_t mail; /* number of the mail it was about; 0 = none */
    char *what;
    char *bytes; /* up to OFFENCE_BYTES of input, escaped */
};

struct offences {
    bool off; /* lenient: nothing is recorded */
    struct offence *items;
    size_t kept;
    uint64_t count;
};

void offences_init(struct offences *o, bool off);
void offences_release(struct offences *o);
/* Keeps what (a phrase) with a copy of bytes. */
void offences_add(struct offences *o, uint64_t connection, uint64_t mail,
                  struct span bytes, const char *what);

#endif
