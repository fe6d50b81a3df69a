/*
 * tally - what the sink counted, and the summary that says it.
 */
#ifndef SINK_TALLY_H
#define SINK_TALLY_H

#include <stdbool.h>
#include <stdint.h>

struct sink;

struct tally {
    uint64_t connections; /* accepted by accept(2), refused ones too */
    uint64_t open;        /* now */
    uint64_t max_open;
    uint64_t commands;
    uint64_t mails_begun; /* MAIL commands */
    uint64_t accepted;    /* mails taken, also those whose reply was withheld */
    uint64_t withheld;    /* of these: taken, but never answered */
    uint64_t recipients;  /* of accepted mails */
    uint64_t bytes;       /* of accepted mails, without doubled dots */
    uint64_t by_bdat;     /* of accepted mails: how many came by BDAT */
    uint64_t bdat_probes; /* BDATs as the first thing on a connection */
    uint64_t anonymous;   /* accepted mails without a Message-ID */
    uint64_t refused_connections;
    uint64_t refused_mail;
    uint64_t refused_rcpt;
    uint64_t refused_content;
    uint64_t cut;          /* connections that ended inside content */
    uint64_t without_quit; /* connections that ended without QUIT */
    uint64_t handshakes;   /* TLS sessions */
    uint64_t authenticated;
    int64_t started_us;    /* monotonic */
    int64_t first_mail_us; /* monotonic; 0 = no mail yet */
    int64_t last_mail_us;
    int64_t cpu_user_us; /* used before the first mail */
    int64_t cpu_system_us;
};

void tally_start(struct tally *t);
/* Notes the CPU used and the time when the first mail begins. */
void tally_first_mail(struct tally *t);
/* Writes the summary as JSON: to path by way of a temporary file beside it
 * (so that a reader sees the old one or the new one), or with path NULL to
 * standard output. False when it cannot be written (errno). */
bool tally_write(const struct sink *sink, const char *path);

#endif
