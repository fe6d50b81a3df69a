/*
 * verdict - what an answer of a relay means, in one table.
 *
 * A pure function: from the place in the conversation, the answer (or its
 * absence) and whether the content was fully given, to what becomes of the
 * letter, of the connection and of the relay. The policy is told in words at
 * the head of verdict.c.
 */
#ifndef SMTP_VERDICT_H
#define SMTP_VERDICT_H

#include <stdbool.h>

#include "base/span.h"
#include "model.h"

/* Where in the conversation an answer belongs. */
enum place {
    PLACE_GREETING,
    PLACE_EHLO,
    PLACE_STARTTLS,
    PLACE_AUTH,
    PLACE_MAIL,
    PLACE_RCPT,
    PLACE_DATA,    /* the DATA command */
    PLACE_CONTENT, /* the final dot, or BDAT LAST with its octets */
    PLACE_RSET,
    PLACE_IDLE, /* nothing was asked */
    PLACE_COUNT
};
/* As an operator knows it: "MAIL FROM", "end of content", ...; never NULL. */
const char *place_name(enum place place);

/* What there is in place of a reply. */
enum answer {
    ANSWER_REPLY,   /* a reply with a code */
    ANSWER_LOST,    /* the connection broke */
    ANSWER_TIMEOUT, /* nothing came in time */
    ANSWER_GARBAGE, /* bytes that are no reply, or a reply nobody asked for */
    ANSWER_STOPPED, /* we closed the connection ourselves, at once */
    ANSWER_CLOSING, /* a 421 to an earlier command: this one was not read */
};

/* How far the content of the letter had gone. */
enum given {
    GIVEN_NOTHING, /* not a byte of it */
    GIVEN_PART,    /* it had begun, the relay cannot have all of it */
    GIVEN_ALL,     /* the relay may have all of it */
};

enum fate {
    FATE_GO_ON,    /* no fate yet: the conversation goes on */
    FATE_SENT,     /* VERDICT_SENT */
    FATE_DEFERRED, /* VERDICT_DEFERRED */
    FATE_FAILED,   /* VERDICT_FAILED */
    FATE_UNSURE,   /* VERDICT_UNSURE */
    FATE_RETURNED, /* untouched: it goes out again, no attempt is counted */
};

/* Whom the answer speaks of. */
enum scope { SCOPE_LETTER, SCOPE_LANE, SCOPE_RELAY };

/* What happens to the connection. */
enum lane_effect {
    EFFECT_KEEP,  /* the next MAIL may follow */
    EFFECT_RSET,  /* RSET must come before the next MAIL */
    EFFECT_DRAIN, /* no new letters; those in flight get their answers */
    EFFECT_CLOSE, /* it is of no more use */
};

/* What happens to the relay as a whole. */
enum relay_effect {
    RELAY_NOTHING,
    RELAY_SLOWER, /* it asked for less: a short rest, then fewer at a time */
    RELAY_STRAIN, /* a little less; many in a row, with nothing accepted
                     between, are a request for less */
    RELAY_DOUBT,  /* many in a row, with nothing accepted between, pause it */
    RELAY_ALARM,  /* a doubt that a person hears of at once */
    RELAY_PAUSE,  /* stop using it for a while, tell a person */
};

struct question {
    enum place place;
    enum answer answer;
    int code;            /* reply code; 0 unless ANSWER_REPLY */
    const int *enhanced; /* three numbers; NULL = none */
    enum given given;
};

struct judgement {
    enum fate fate;
    enum scope scope;
    enum lane_effect lane;
    enum relay_effect relay;
    bool suppress;   /* the address itself is dead */
    const char *why; /* the rule in a few words, for logs and tests */
};

/* Always finds a rule. */
struct judgement verdict_judge(const struct question *q);

/* VERDICT_NONE for FATE_GO_ON and FATE_RETURNED. */
enum verdict fate_verdict(enum fate fate);

/*
 * The delay in seconds that a reply text names: "try again in 300 seconds",
 * "wait 5 minutes", "come back in 00:04:59". 0 when it names none; at most a
 * day.
 */
int verdict_delay_s(struct span text);

#endif
