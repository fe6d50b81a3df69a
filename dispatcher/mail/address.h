/*
 * address - which mail addresses we write to.
 *
 * Stricter than RFC 5321 on purpose: quoted local parts and address literals
 * are refused, because nobody has such an address and every mailer that took
 * them has had an injection bug for it. What passes here holds no byte that
 * could end a header line, an angle bracket or an SMTP command.
 */
#ifndef MAIL_ADDRESS_H
#define MAIL_ADDRESS_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/span.h"

enum {
    ADDRESS_MAX = 254,      /* octets: RFC 5321 §4.5.3.1.3 without the <> */
    ADDRESS_LOCAL_MAX = 64, /* octets: RFC 5321 §4.5.3.1.1 */
};

enum address_kind {
    ADDRESS_OK,             /* plain ASCII: give it to any relay */
    ADDRESS_IDN_DOMAIN,     /* any relay takes it after address_to_ascii */
    ADDRESS_NEEDS_SMTPUTF8, /* local part outside ASCII: RFC 6531 only */
    ADDRESS_INVALID,
};

/*
 * Looks at an address without angle brackets and display name. Unless the
 * kind is ADDRESS_OK or ADDRESS_IDN_DOMAIN, *why (why may be NULL) becomes a
 * static phrase that completes "the address ...", such as "has no @".
 */
enum address_kind address_check(struct span address, const char **why);

/* address_check says ADDRESS_OK. */
bool address_is_valid(struct span address);

/*
 * Appends the address as every relay takes it: the domain as A-labels
 * (IDNA2008, non-transitional). The result is valid in the sense of
 * address_is_valid. False, and nothing appended, when the local part is not
 * ASCII, the address is invalid or out is broken.
 */
bool address_to_ascii(struct span address, struct buf *out);

#endif
