/*
 * reply - what a relay answers, read byte by byte.
 *
 * A reply is one or more lines "ddd-text" ended by one "ddd text" or "ddd"
 * (RFC 5321 section 4.2). The parser takes the bytes as the network splits
 * them, allocates nothing and believes nothing: a line that does not begin
 * with a reply code, lines of one reply with different codes, a line longer
 * than 4 KiB or a reply longer than 64 KiB is garbage, and behind garbage
 * nothing of that connection can be trusted.
 *
 *     struct reply r;
 *     reply_clear(&r);
 *     while (len > 0) {
 *         size_t used = 0;
 *         switch (reply_feed(&r, bytes, len, &used)) { ... }
 *         bytes += used;
 *         len -= used;
 *     }
 */
#ifndef SMTP_REPLY_H
#define SMTP_REPLY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

enum {
    REPLY_LINE_MAX = 4096,       /* bytes of a line, without its LF */
    REPLY_BYTES_MAX = 64 * 1024, /* bytes of a whole reply */
    REPLY_TEXT_MAX = 512         /* bytes of text that are kept */
};

enum reply_state {
    REPLY_MORE,   /* all bytes used, the reply goes on */
    REPLY_DONE,   /* a whole reply; the bytes behind it were not used */
    REPLY_GARBAGE /* not SMTP: close the connection */
};

struct reply {
    int code;        /* 200 to 599, valid once the first digits were read */
    int enhanced[3]; /* RFC 3463 class.subject.detail; 0.0.0 = none */
    size_t text_len; /* bytes of raw that are in use */
    size_t line_len; /* bytes of the current line so far */
    size_t seen;     /* bytes of this reply so far */
    int line_code;   /* digits of the current line so far */
    bool is_first;   /* no line has ended yet */
    bool is_last;    /* the current line is the last one */
    bool is_over;    /* the reply is whole; the next byte begins another */
    bool is_broken;  /* garbage was seen: stays so */
    char raw[REPLY_TEXT_MAX]; /* text as received, lines joined by a space */
};

/* Ready for the first byte of a connection. */
void reply_clear(struct reply *r);

/*
 * Reads up to len bytes; *used says how many were taken. After REPLY_DONE
 * the members and reply_text are valid until the next call, which begins a
 * new reply by itself. REPLY_GARBAGE repeats for ever.
 */
enum reply_state reply_feed(struct reply *r, const char *bytes, size_t len,
                            size_t *used);

/*
 * The text of a whole reply, without its code, at most REPLY_TEXT_MAX bytes:
 * control bytes and bytes that are not UTF-8 are written as \xNN, so that it
 * can be logged and stored. memory is used only when something had to be
 * escaped; otherwise the span points into r.
 */
struct span reply_text(const struct reply *r, char memory[REPLY_TEXT_MAX]);

/*
 * The same for bytes of any origin (garbage, TLS errors); at most
 * REPLY_TEXT_MAX bytes, cut between characters.
 */
struct span reply_escape(struct span raw, char memory[REPLY_TEXT_MAX]);

#endif
