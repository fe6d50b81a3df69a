/*
 * message - a whole mail: RFC 5322 fields, RFC 2046 alternatives.
 *
 * Pure bytes from pure values: the same parts give the same message, byte for
 * byte, so that a letter that is tried again is the same letter to everyone
 * who compares. No clock, no random numbers, no locale.
 *
 *     struct buf out;
 *     buf_init(&out, 1024 * 1024);
 *     if (!message_write(&out, &parts)) ...     too big
 */
#ifndef MAIL_MESSAGE_H
#define MAIL_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"

enum {
    MESSAGE_ID_MAX = 250,      /* bytes of an id of any kind */
    MESSAGE_ID_PART_MAX = 120, /* bytes that message_id_part appends */
};

struct message_header {
    struct span name;
    struct span value;
};

/*
 * What a message is made of. Names, subject and values of headers are UTF-8
 * from anywhere; they are cleaned and encoded. What is empty is left out. So
 * is an address that is not ADDRESS_OK after address_to_ascii, and an id that
 * is not plain (atext, dots, and one "@" where it needs one): check those
 * where they come in, because here nobody hears of it.
 */
struct message_parts {
    struct span from_field; /* from message_put_from; else of the next two */
    struct span from_name;
    struct span from_email;
    struct span to_name;
    struct span to_email; /* outside ASCII before the @: needs SMTPUTF8 */
    struct span reply_to; /* an address */
    struct span subject;
    struct span text;
    struct span html;       /* empty = a message of text only */
    struct span message_id; /* left@right, without <>, as all ids */
    struct span thread_id;  /* first id of the thread, seen or invented */
    struct span list_field; /* from message_put_list; else of the next two */
    struct span list_id;    /* as a host name: RFC 2919 */
    struct span list_name;  /* read only when list_id is there */
    int64_t date_us;        /* microseconds since 1970-01-01 UTC */
    bool precedence_bulk;   /* for old responders that know nothing newer */
    const struct message_header *extra; /* fields of the event type */
    size_t extra_count;
    bool extra_is_taken; /* message_takes_header said so of all their names */
};

/*
 * Appends the message, headers, empty line and body. It is 7-bit, each line
 * ends with CRLF and has at most 998 bytes, and none begins with a dot.
 *
 * An extra field is left out when its name is not one of RFC 5322 §3.6.8, has
 * more than 76 bytes or begins with a dot, when it is one that this function
 * writes or that belongs to the relays or to other kinds of mail (To, Bcc,
 * Received, Content-*, ...), and when an earlier one has the same name.
 *
 * False only when out is broken.
 */
bool message_write(struct buf *out, const struct message_parts *m)
    __attribute__((warn_unused_result));

/* True when message_write would take a field of this name as an extra. */
bool message_takes_header(struct span name);

/* Append the fields From and List-Id as message_write does, for those who write
 * many messages in which they are the same. */
void message_put_from(struct buf *out, struct span name, struct span email);
void message_put_list(struct buf *out, struct span name, struct span id);

/*
 * Appends any text as dot-atom-text (RFC 5322 §3.2.3), to build ids from what
 * people named: ASCII letters, digits and "-" stay, as do dots between them;
 * each other byte becomes "_XX". Different texts give different results (a
 * long one by a hash of the whole), and empty text gives "_".
 */
void message_id_part(struct buf *out, struct span text);

#endif
