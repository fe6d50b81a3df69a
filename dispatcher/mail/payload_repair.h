/*
 * payload_repair - what the parser refuses and a mail need not be lost for.
 * Private to the payload.
 */
#ifndef MAIL_PAYLOAD_REPAIR_H
#define MAIL_PAYLOAD_REPAIR_H

#include <stdbool.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/span.h"

enum {
    REPAIR_BYTES = 1,   /* ill-formed UTF-8, lone surrogates, NUL: U+FFFD */
    REPAIR_NUMBERS = 2, /* beyond 64 bits: their digits, as strings */
    REPAIR_DEPTH = 4,   /* arrays and objects nested too deep: null */
};

/* Deepest nesting that is kept; a little less than what jansson takes. */
enum { REPAIR_DEPTH_MAX = 2000 };

/* Appends text to out, repaired; gives what had to be done, or-ed. out takes at
 * most three bytes for each of text. */
unsigned payload_repair(struct buf *out, struct span text);

/* Does value hold the digits of a number that no 64 bits can hold? Of an
 * integer, if is_integer. Such a number is what it says and not a string. */
bool payload_is_wide(const json_t *value, bool is_integer);

#endif
