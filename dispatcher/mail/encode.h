/*
 * encode - text as bytes that any relay carries unharmed.
 *
 * Whatever goes in, what comes out is 7-bit, ends every line with CRLF, holds
 * no other CR or LF, no NUL, no line of more than 998 bytes and no line that
 * begins with a dot. So nothing needs dot-stuffing (RFC 5321 §4.5.2), nothing
 * needs 8BITMIME, no relay has reason to change a signed mail, and text from
 * outside cannot end the mail (SMTP smuggling).
 *
 * Input is UTF-8 from anywhere. Each ill-formed sequence and, in bodies, each
 * NUL becomes U+FFFD. Nothing here fails but by way of the buf.
 */
#ifndef MAIL_ENCODE_H
#define MAIL_ENCODE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/span.h"

enum {
    ENCODE_LINE = 76,        /* bytes of an encoded line: RFC 2045 §6.7 */
    ENCODE_FOLD = 78,        /* bytes of a header line: RFC 5322 §2.1.1 */
    ENCODE_LINE_MAX = 998,   /* bytes of any line: RFC 5322 §2.1.1 */
    ENCODE_VALUE_MAX = 4096, /* bytes of a header value that are looked at */
    ENCODE_NAME_MAX = 256,   /* bytes of a display name that are looked at */
};

/* --- bodies (encode.c) -------------------------------------------------- */

enum encode_transfer { ENCODE_QP, ENCODE_BASE64 };
/* "quoted-printable", "base64": for Content-Transfer-Encoding. */
const char *encode_transfer_name(enum encode_transfer transfer);

struct encode_plan {
    enum encode_transfer transfer;
    size_t qp_room; /* bytes to reserve for quoted-printable */
};

/*
 * The better transfer encoding for text: quoted-printable unless it would
 * make the text more than 1.4 times as long. One pass over the bytes.
 */
struct encode_plan encode_plan(struct span text);

/* encode_qp or encode_base64, as planned for this very text. */
void encode_body(struct buf *out, struct span text,
                 const struct encode_plan *plan);

/*
 * Appends text as lines of at most 76 bytes (RFC 2045 §6.7). LF, CRLF and CR
 * all end a line; the last line gets an end if it has none, so that even
 * empty text gives one CRLF. A dot that would begin a line is written "=2E"
 * and the F of "From " there "=46", for mailboxes that are mbox files.
 */
void encode_qp(struct buf *out, struct span text);

/* The same text in base64 (RFC 2045 §6.8); line ends are CRLF within. */
void encode_base64(struct buf *out, struct span text);

/*
 * Writes n bytes as base64 digits to to, which has room for (n + 2) / 3 * 4
 * bytes; no line ends. Returns how many were written.
 */
size_t encode_base64_digits(char *to, const char *from, size_t n);

/* --- header fields (encode_header.c) ------------------------------------ */

/*
 * Appends the field "Name: value" with its CRLF. Before anything else, each
 * run of white space and control characters (CR, LF, NUL, but also U+0085,
 * U+2028 and their kind) becomes one space, and none stays at the ends. A
 * value outside ASCII is written as encoded words (RFC 2047), and so is one
 * that only looks like an encoded word or cannot be folded. name must be a
 * field name of at most 76 bytes; an empty value gives no field.
 */
void encode_field(struct buf *out, struct span name, struct span value);

/*
 * Appends the field "Name: display name <inside>" with its CRLF, for From,
 * To, Reply-To and List-Id. The display name is cleaned like a value; it is
 * written as words, as a quoted string or as encoded words, whatever it
 * needs, and left out when it is empty. inside is an address that
 * address_check found ADDRESS_OK, or another text of at most 254 printable
 * ASCII bytes without <, > and white space.
 */
void encode_mailbox(struct buf *out, struct span name, struct span display,
                    struct span inside);

/*
 * Appends the field "Name: <id>" with its CRLF; id must be of the kind that
 * encode_mailbox wants inside.
 */
void encode_id_field(struct buf *out, struct span name, struct span id);

#endif
