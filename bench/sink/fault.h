/*
 * fault - rules that say when the sink misbehaves, and how.
 *
 *     VERB[~SUBSTRING][@WHEN]=ACTION
 *
 *     VERB    connect ehlo starttls auth mail rcpt data content rset quit any
 *     WHEN    N | N-M | every:K | rate:P       absent = always
 *     ACTION  [split] [fin] [extra] [noswallow] [WHAT]
 *     WHAT    a reply text | drop | drop-after | stall | stall-after |
 *             garbage | reset | cut | 421
 *
 * A rule for content speaks of the reply to the final dot or to BDAT LAST.
 * N counts mails (MAIL commands) over the whole sink; connections for connect,
 * ehlo, starttls, auth and quit; commands for any. The first rule that matches
 * wins.
 */
#ifndef SINK_FAULT_H
#define SINK_FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

enum fault_verb {
    FAULT_CONNECT,
    FAULT_EHLO,
    FAULT_STARTTLS,
    FAULT_AUTH,
    FAULT_MAIL,
    FAULT_RCPT,
    FAULT_DATA,
    FAULT_CONTENT,
    FAULT_RSET,
    FAULT_QUIT,
    FAULT_ANY,
    FAULT_VERBS
};

enum fault_action {
    FAULT_NONE,        /* the usual reply, maybe split or with extra */
    FAULT_REPLY,       /* text instead of the usual reply */
    FAULT_DROP,        /* close, nothing done, no reply */
    FAULT_DROP_AFTER,  /* do it, then close without reply */
    FAULT_STALL,       /* never answer, nothing done */
    FAULT_STALL_AFTER, /* do it, then never answer */
    FAULT_GARBAGE,     /* bytes that are no reply */
    FAULT_RESET,       /* as drop, but with RST */
    FAULT_CUT,         /* content: close while it is arriving */
};

enum fault_when { FAULT_ALWAYS, FAULT_RANGE, FAULT_EVERY, FAULT_RATE };

struct fault {
    char *rule;  /* as written */
    char *match; /* substring of a recipient (mail: of the sender); or NULL */
    char *text;  /* reply with its CRLF, or NULL */
    enum fault_verb verb;
    enum fault_action action;
    enum fault_when when;
    uint64_t first; /* range; every: first = K */
    uint64_t last;
    double rate;
    bool split;     /* the reply goes out byte by byte */
    bool fin;       /* the reply and the end of the stream in one segment */
    bool extra;     /* one more reply that nobody asked for: text, or 250 */
    bool noswallow; /* the octets of the BDAT are not taken as content */
    uint64_t hits;
};

struct faults {
    struct fault *rules;
    size_t count;
    unsigned verbs; /* bits of the verbs that have rules */
    uint64_t dice;  /* state of the generator behind rate:P */
};

void faults_init(struct faults *f, uint64_t seed);
void faults_release(struct faults *f);
/* Adds a rule; false when it makes no sense, with *why in words. */
bool faults_add(struct faults *f, const char *rule, const char **why);
/* The rule for occasion number of verb, or NULL. about: what ~SUBSTRING is
 * looked for in. command: the number of the command, for any. */
struct fault *faults_find(struct faults *f, enum fault_verb verb,
                          uint64_t number, uint64_t command, struct span about);
/* True when the rule means that the command is not carried out. NULL: false. */
bool fault_refuses(const struct fault *f);

#endif
