/*
 * talk - what the parts of a session share among themselves.
 */
#ifndef SINK_TALK_H
#define SINK_TALK_H

#include "bench/sink/session.h"

/* A reply of constant text: its bytes and their number. */
#define TEXT(text) (text "\r\n"), sizeof(text "\r\n") - 1

/* The one door of s->mode. */
void session_enter(struct session *s, enum session_mode mode);
/* Records an offence, unless the client cannot be blamed any more. */
void session_offend(struct session *s, struct span bytes, const char *what);
/* The rule for this occasion, or NULL. */
struct fault *session_fault(struct session *s, enum fault_verb verb,
                            struct span about);
/* Puts a reply the way the rule (or NULL) wants it. */
void session_reply(struct session *s, const struct fault *fault,
                   const char *text, size_t n, int64_t delay_us);
/* Puts a reply and, when it is out, ends the connection in peace. */
void session_farewell(struct session *s, const char *text, size_t n);
/* Looks whether the bytes that follow were sent ahead of a reply that they had
 * to wait for, given that they were sent ahead of some reply. */
void session_check_wait(struct session *s, struct span bytes);
/* True while replies are outstanding that the client cannot have seen when it
 * sent the bytes being fed. */
static inline bool session_is_ahead(const struct session *s)
{
    return s->early || outbox_is_pending(s->out);
}
/* Forgets the mail under way. */
void session_clear_mail(struct session *s);

/* True when the extension is offered to this client at this moment. */
bool session_offers_pipelining(const struct session *s);
bool session_offers_chunking(const struct session *s);
bool session_offers_8bitmime(const struct session *s);
bool session_offers_smtputf8(const struct session *s);
bool session_offers_size(const struct session *s);
bool session_offers_auth(const struct session *s);
bool session_offers_starttls(const struct session *s);

/* verbs.c: one command line without its line end. */
void verbs_run(struct session *s, struct span line);
/* envelope.c: the commands MAIL and RCPT, given what follows the verb. */
void envelope_mail(struct session *s, struct span args);
void envelope_rcpt(struct session *s, struct span args);
/* content.c: DATA, and the octets of content. content_feed takes up to n octets
 * and returns how many were content. */
void content_data(struct session *s, struct span args);
size_t content_feed(struct session *s, const char *bytes, size_t n);
/* Content begins; dots: by DATA. */
void content_begin(struct session *s, bool dots);
/* One piece of content: its header section, and a copy when one is kept. */
void content_take(struct session *s, const char *bytes, size_t n);
/* Records what scan found in the piece it saw last. */
void content_report(struct session *s, const char *bytes, size_t n);
/* All content has come: checks, keeps and counts the mail and replies. */
void content_finish(struct session *s, bool by_bdat);
/* bdat.c: the command BDAT; its octets, as content_feed; the end of a
 * transaction in which a chunk failed. */
void bdat_run(struct session *s, struct span args);
size_t bdat_feed(struct session *s, const char *bytes, size_t n);
void bdat_fail(struct session *s, bool is_last);
/* auth.c: the command AUTH and the lines that answer its challenges. */
void auth_begin(struct session *s, struct span args);
void auth_line(struct session *s, struct span line);

#endif
