/*
 * header - the header section of a mail that arrived: is it complete and sane?
 */
#ifndef SINK_HEADER_H
#define SINK_HEADER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

/* The fields that may come only once (RFC 5322 §3.6, RFC 2045). */
enum header_field {
    HEADER_DATE,
    HEADER_FROM,
    HEADER_MESSAGE_ID,
    HEADER_SENDER,
    HEADER_REPLY_TO,
    HEADER_TO,
    HEADER_CC,
    HEADER_BCC,
    HEADER_IN_REPLY_TO,
    HEADER_REFERENCES,
    HEADER_SUBJECT,
    HEADER_MIME_VERSION,
    HEADER_CONTENT_TYPE,
    HEADER_ENCODING,
    HEADER_FIELDS
};

struct header {
    unsigned seen;          /* bits of header_field */
    unsigned twice;         /* those that came more than once */
    struct span message_id; /* trimmed; into the bytes given */
    struct span malformed;  /* first line that is no field; else ptr NULL */
    struct span eight_bit;  /* first line with a byte above 127; else NULL */
};

/* Reads bytes[0..n), which begin at the first byte of the content. True when
 * the empty line that ends the section was seen; otherwise what is there was
 * read and *h describes that much. */
bool header_read(struct header *h, const char *bytes, size_t n);
const char *header_name(enum header_field field);

#endif
