/*
 * offence - what the client did that the standards forbid.
 */
#include "bench/sink/offence.h"

#include <stdio.h>

#include "base/mem.h"

void offences_init(struct offences *o, bool off)
{
    *o = (struct offences){.off = off};
}

void offences_release(struct offences *o)
{
    for (size_t i = 0; i < o->kept; i++) {
        mem_free(o->items[i].what);
        mem_free(o->items[i].bytes);
    }
    mem_free(o->items);
    *o = (struct offences){0};
}

static char *escaped(struct span bytes)
{
    size_t take = bytes.len < OFFENCE_BYTES ? bytes.len : OFFENCE_BYTES;
    char *text = mem_alloc(take * 4 + 1);
    char *at = text;

    for (size_t i = 0; i < take; i++) {
        unsigned char c = (unsigned char)bytes.ptr[i];

        if (c == '\r' || c == '\n') {
            *at++ = '\\';
            *at++ = c == '\r' ? 'r' : 'n';
        } else if (c < 0x20 || c >= 0x7f || c == '\\') {
            at += snprintf(at, 5, "\\x%02x", c);
        } else {
            *at++ = (char)c;
        }
    }
    *at = '\0';
    return text;
}

void offences_add(struct offences *o, uint64_t connection, uint64_t mail,
                  struct span bytes, const char *what)
{
    if (o->off) {
        return;
    }
    o->count++;
    if (o->kept == OFFENCES_KEPT) {
        return;
    }
    if (o->items == NULL) {
        o->items = mem_calloc(OFFENCES_KEPT, sizeof(*o->items));
    }
    o->items[o->kept++] =
        (struct offence){connection, mail, mem_strdup(what), escaped(bytes)};
}
