/*
 * session - one SMTP conversation, from the server's side.
 *
 * Bytes in, replies into the outbox; no sockets and, but for late replies, no
 * clock. Everything the client does that RFC 5321 and the extensions forbid is
 * recorded as an offence; the conversation then goes on as well as it can.
 *
 *     COMMAND  -> DATA       354 was put
 *              -> BDAT       a chunk was announced
 *              -> AUTH       a challenge was put
 *              -> HANDSHAKE  220 to STARTTLS was put; -> COMMAND when secured
 *     any      -> DEAF       a fault, QUIT or 421: what comes is dropped
 */
#ifndef SINK_SESSION_H
#define SINK_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"
#include "bench/sink/fault.h"
#include "bench/sink/outbox.h"
#include "bench/sink/scan.h"
#include "bench/sink/sink.h"

enum session_mode {
    SESSION_COMMAND,
    SESSION_DATA,
    SESSION_BDAT,
    SESSION_AUTH,
    SESSION_HANDSHAKE,
    SESSION_DEAF
};

enum transaction {
    TX_NONE,
    TX_OPEN,    /* MAIL was accepted */
    TX_REFUSED, /* MAIL was refused; RCPT and such may have been on the way */
    TX_BROKEN,  /* a chunk was refused: RSET must follow */
};

enum auth_step { AUTH_PLAIN, AUTH_USER, AUTH_PASSWORD };

/* The mail under way; forgotten when it ends. */
struct mail {
    uint64_t number;       /* of the sink's mails, from 1 */
    uint64_t declared;     /* by SIZE=; 0 = not */
    bool eight_bit;        /* BODY=8BITMIME */
    bool utf8;             /* SMTPUTF8 */
    unsigned rcpt_tried;   /* RCPT commands */
    unsigned rcpt_taken;   /* accepted ones */
    struct fault *fault;   /* for the content; looked up when it begins */
    const char *doom;      /* reply that is certain already, or NULL */
    uint64_t size;         /* octets of content so far, as they came */
    unsigned chunks;       /* BDATs taken */
    uint64_t chunk_left;   /* octets of this BDAT still to come */
    uint64_t chunk_octets; /* of this BDAT */
    bool chunk_is_last;
    bool header_done;
    struct span message_id; /* points to id_text, or is empty */
    struct id_hash hash;    /* of message_id */
};

struct session {
    struct sink *sink;
    struct outbox *out;
    uint64_t number; /* of the connection, from 1 */
    enum session_mode mode;
    enum transaction tx;
    bool tls;
    bool greeted; /* EHLO or HELO was accepted */
    bool esmtp;   /* by EHLO */
    bool authenticated;
    bool ended_by_us; /* 421, QUIT or a fault: its end is no surprise */
    bool desynced;    /* a fault made nonsense of the stream: blame nobody */
    bool probed;      /* a BDAT outside a transaction has come */
    bool after_bdat;  /* the last thing that came was a chunk */
    bool early;       /* the bytes being fed were sent before the last reply
                         was on the wire */
    bool line_ahead;  /* the line begun was sent ahead of a reply */
    bool line_long;   /* the line begun is too long to keep */
    const char *must_wait; /* behind this command nothing may be pipelined */
    uint64_t mails;        /* MAIL commands on this connection */
    enum auth_step auth_step;
    char auth_user[256];
    struct mail mail;
    struct scan scan;
    struct buf line;       /* an unfinished line */
    struct buf sender;     /* of the mail under way */
    struct buf recipients; /* accepted ones, each ended by a NUL */
    struct buf header;     /* header section that came in pieces */
    struct buf content;    /* all octets; only with a maildir */
    char id_text[256];
};

/* tls: the connection is secured already. sink and out outlive s. */
void session_init(struct session *s, struct sink *sink, struct outbox *out,
                  uint64_t number, bool tls);
void session_release(struct session *s);
/* Puts the greeting (or whatever a rule for connect says). */
void session_greet(struct session *s);
/* Refuses the connection with 421. */
void session_turn_away(struct session *s);
/* Takes bytes[0..n), all of them. early: see struct session. */
void session_feed(struct session *s, const char *bytes, size_t n, bool early);
/* The handshake after STARTTLS is done: all that was said is forgotten. */
void session_secured(struct session *s);
/* The client has ended the connection. */
void session_ended(struct session *s);

#endif
