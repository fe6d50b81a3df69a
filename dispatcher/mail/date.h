/*
 * date - the Date field of RFC 5322 §3.3.
 *
 * Always UTC, always English, whatever the locale of the process.
 */
#ifndef MAIL_DATE_H
#define MAIL_DATE_H

#include <stdint.h>

#include "base/buf.h"

enum { DATE_LENGTH = 31 }; /* "Sun, 22 Nov 2026 14:05:09 +0000" */

/*
 * Appends the moment us (microseconds since 1970-01-01 UTC) in DATE_LENGTH
 * bytes, without a line end. A year must have four digits and not lie before
 * 1900: what lies outside is written as the nearest moment inside.
 */
void date_write(struct buf *out, int64_t us);

#endif
