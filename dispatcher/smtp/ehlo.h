/*
 * ehlo - what a relay offers.
 *
 * Each line of the EHLO reply behind the first names a service extension
 * (RFC 5321 section 4.1.1.1). Keywords are compared without regard to case.
 * What was offered before STARTTLS is forgotten: the last EHLO counts (RFC
 * 3207 section 4.2).
 */
#ifndef SMTP_EHLO_H
#define SMTP_EHLO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"

enum {
    EHLO_PIPELINING = 1 << 0,          /* RFC 2920 */
    EHLO_CHUNKING = 1 << 1,            /* RFC 3030 */
    EHLO_SIZE = 1 << 2,                /* RFC 1870 */
    EHLO_8BITMIME = 1 << 3,            /* RFC 6152 */
    EHLO_SMTPUTF8 = 1 << 4,            /* RFC 6531 */
    EHLO_ENHANCEDSTATUSCODES = 1 << 5, /* RFC 2034 */
    EHLO_STARTTLS = 1 << 6,            /* RFC 3207 */
    EHLO_AUTH = 1 << 7,                /* RFC 4954 */
    EHLO_LIMITS = 1 << 8,              /* RFC 9422 */
    EHLO_DSN = 1 << 9,                 /* RFC 3461 */
};

struct ehlo {
    unsigned offers;   /* EHLO_ bits */
    uint64_t size_max; /* octets of a letter; 0 = no limit named */
    uint32_t mail_max; /* letters a connection; 0 = no limit named */
    uint32_t rcpt_max; /* recipients a letter; 0 = no limit named */
    char auth[128];    /* mechanisms as offered, upper case; "" = none */
};

/* Forgets all. */
void ehlo_clear(struct ehlo *e);
/* Takes one line without its reply code and line end: "SIZE 10240000". What
 * it does not know it ignores. */
void ehlo_line(struct ehlo *e, struct span line);
/* "PIPELINING CHUNKING SIZE=10240000 ...", for people. */
void ehlo_describe(const struct ehlo *e, struct buf *out);

#endif
