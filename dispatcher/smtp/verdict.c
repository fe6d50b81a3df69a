/*
 * verdict - what an answer of a relay means, in one table.
 *
 * The policy in words. The first rule of the table that fits is the law.
 *
 * THE FIRST DIGIT DECIDES, the enhanced code only refines it (RFC 5321
 * section 4.2.1, RFC 3463). Text is never read, but for a delay it names.
 *
 * Before MAIL (greeting, EHLO, STARTTLS, AUTH) no letter is concerned, so
 * none is counted. 4yz makes the relay rest; 5yz pauses it and calls a
 * person. Refused credentials (530, 534, 535, 538) pause it wherever they
 * come: trying again in a loop locks accounts.
 *
 * MAIL FROM speaks of the sender and of the relay, never of the recipient.
 * 4yz defers the letter and slows the relay. 5yz defers the letter too and
 * raises an alarm: the sender address is our configuration, and a recipient
 * must not be failed for it. Two exceptions are about the letter itself and
 * fail it: too big (552, x.3.4, x.2.3) and SMTPUTF8 refused (x.6.7). And
 * 4.5.3, "too many", is about the connection, because no recipient was named
 * yet: OpenSMTPD says it when a connection has carried a hundred mails. The
 * letter goes back uncounted and the next connection takes it.
 *
 * RCPT TO speaks of one recipient. 4yz defers (greylisting among them), 5yz
 * fails, and only x.1.1, x.1.2, x.1.3, x.1.6, x.1.10 and x.2.1 say that the
 * address is dead and may be suppressed. x.7.z is policy, which is about us:
 * it never suppresses, and many of them in a row, with nothing accepted
 * between, look like "relay access denied" and pause the relay before it
 * fails everybody. x.1.7 and x.1.8 are about the sender, said late. x.5.3
 * is "too many recipients", which a 552 says as well as a 452 (RFC 5321
 * section 4.5.3.1.10): deferred. Any other 552 is permanent, as Postfix has
 * it, because most of them mean "too big" or "mailbox full".
 *
 * CONTENT (the dot, or BDAT LAST). 2yz: the relay has taken responsibility.
 * 4yz, 5yz: it has not, for certain. After 5yz the letter is failed; many in
 * a row look like a filter that dislikes all we write and pause the relay.
 *
 * 421 AT ANY POINT ends the connection and nothing else. Said to MAIL it
 * was meant for the connection (RFC 5321 section 3.8): the letter goes back
 * uncounted. Said to RCPT, DATA or the content it is the answer to a command
 * about this letter, and 4yz, so the letter is deferred: certainly not
 * delivered, but counted, or a letter that makes a relay say 421 would close
 * connections for ever. Letters sent behind it were not read by the relay
 * and go back uncounted, even when their content had been given.
 *
 * 500, 502, 503: we sent only what the relay offered, in order, so these say
 * that the two sides are out of step. Nobody is judged by them: the letter
 * goes back, or is deferred once its content was given, and the connection
 * is closed.
 *
 * 454, x.3.1, x.3.2 and x.7.0 with 4yz are about the relay ("throttling",
 * "out of storage", "system not accepting"): it gets less. Any other x.3.z
 * says that something is wrong at the relay, not how much of it: a lookup, a
 * filter or a disk may have failed for this letter alone, and a relay that
 * takes the next one must not be left alone for it. So it is a strain: it
 * gets a little less for each, more again for each letter it takes, and only
 * many in a row, with nothing accepted between, are a request for less.
 *
 * NO ANSWER. When the relay may have the whole content, the letter is unsure
 * (RFC 1047). When its content had begun, it is deferred: not delivered, but
 * counted, because a letter that breaks connections must not be tried for
 * ever. Otherwise it goes back uncounted. The same holds for garbage. When it
 * is we who stop, a letter that was not wholly given goes back uncounted.
 */
#include "smtp/verdict.h"

#include <stdint.h>

static const char *const place_names[] = {
    [PLACE_GREETING] = "greeting", [PLACE_EHLO] = "EHLO",
    [PLACE_STARTTLS] = "STARTTLS", [PLACE_AUTH] = "AUTH",
    [PLACE_MAIL] = "MAIL FROM",    [PLACE_RCPT] = "RCPT TO",
    [PLACE_DATA] = "DATA",         [PLACE_CONTENT] = "end of content",
    [PLACE_RSET] = "RSET",         [PLACE_IDLE] = "idle connection",
};

const char *place_name(enum place place)
{
    return place < PLACE_COUNT ? place_names[place] : "nowhere";
}

enum verdict fate_verdict(enum fate fate)
{
    switch (fate) {
    case FATE_GO_ON: return VERDICT_NONE;
    case FATE_SENT: return VERDICT_SENT;
    case FATE_DEFERRED: return VERDICT_DEFERRED;
    case FATE_FAILED: return VERDICT_FAILED;
    case FATE_UNSURE: return VERDICT_UNSURE;
    case FATE_RETURNED: return VERDICT_NONE;
    }
    return VERDICT_NONE;
}

/* Sets of places. */
#define AT(place) (1u << (place))
enum {
    AT_MAIL = AT(PLACE_MAIL),
    AT_RCPT = AT(PLACE_RCPT),
    AT_DATA = AT(PLACE_DATA),
    AT_CONTENT = AT(PLACE_CONTENT),
    AT_SETUP = AT(PLACE_GREETING) | AT(PLACE_EHLO) | AT(PLACE_STARTTLS) |
               AT(PLACE_AUTH),
    AT_LETTER = AT_MAIL | AT_RCPT | AT_DATA | AT_CONTENT,
    AT_TARGET = AT_RCPT | AT_DATA | AT_CONTENT, /* about this letter alone */
    AT_ANY = AT(PLACE_COUNT) - 1
};

enum { ANY = -1 };

/* Sets of given. */
enum {
    NOTHING = 1u << GIVEN_NOTHING,
    PART = 1u << GIVEN_PART,
    ALL = 1u << GIVEN_ALL,
    WHATEVER = NOTHING | PART | ALL
};

struct rule {
    uint16_t places;
    uint8_t answer; /* enum answer */
    uint8_t given;
    short low, high;       /* reply codes, both included */
    short subject, detail; /* of the enhanced code, or ANY */
    struct judgement then;
};

#define REPLY(places, low, high)                                               \
    (places), ANSWER_REPLY, WHATEVER, (low), (high), ANY, ANY
#define CODED(places, low, high, subject, detail)                              \
    (places), ANSWER_REPLY, WHATEVER, (low), (high), (subject), (detail)
#define NO_REPLY(answer, given) AT_ANY, (answer), (given), 0, 0, ANY, ANY

#define GO_ON    FATE_GO_ON
#define SENT     FATE_SENT
#define DEFERRED FATE_DEFERRED
#define FAILED   FATE_FAILED
#define UNSURE   FATE_UNSURE
#define RETURNED FATE_RETURNED
#define LETTER   SCOPE_LETTER
#define LANE     SCOPE_LANE
#define RELAY    SCOPE_RELAY
#define KEEP     EFFECT_KEEP
#define RSET     EFFECT_RSET
#define DRAIN    EFFECT_DRAIN
#define CLOSE    EFFECT_CLOSE
#define CALM     RELAY_NOTHING
#define SLOWER   RELAY_SLOWER
#define STRAIN   RELAY_STRAIN
#define DOUBT    RELAY_DOUBT
#define ALARM    RELAY_ALARM
#define PAUSE    RELAY_PAUSE
#define SUPPRESS true
#define DEAD_ADDR                                                              \
    {                                                                          \
        FAILED, LETTER, RSET, CALM, SUPPRESS, "address is dead"                \
    }

/* clang-format off */
static const struct rule rules[] = {
  /* where and which answer,
   * and what becomes of the letter, the lane and the relay */

  /* The usual day. */
  {REPLY(AT_CONTENT, 200, 299),
   {SENT, LETTER, KEEP, CALM, false, "taken"}},
  {REPLY(AT_MAIL | AT_RCPT, 200, 299),
   {GO_ON, LETTER, KEEP, CALM, false, "go on"}},
  {REPLY(AT_DATA | AT(PLACE_AUTH), 300, 399),
   {GO_ON, LETTER, KEEP, CALM, false, "go on"}},
  {REPLY(AT_SETUP | AT(PLACE_RSET), 200, 299),
   {GO_ON, LANE, KEEP, CALM, false, "go on"}},

  /* No answer. */
  {NO_REPLY(ANSWER_CLOSING, WHATEVER),
   {RETURNED, LANE, CLOSE, CALM, false, "behind a 421, not read"}},
  {NO_REPLY(ANSWER_STOPPED, ALL),
   {UNSURE, LANE, CLOSE, CALM, false, "stopped, content given"}},
  {NO_REPLY(ANSWER_STOPPED, NOTHING | PART),
   {RETURNED, LANE, CLOSE, CALM, false, "stopped before the end of content"}},
  {NO_REPLY(ANSWER_LOST, ALL),
   {UNSURE, LANE, CLOSE, CALM, false, "connection lost, content given"}},
  {NO_REPLY(ANSWER_LOST, PART),
   {DEFERRED, LANE, CLOSE, CALM, false, "connection lost within content"}},
  {NO_REPLY(ANSWER_LOST, NOTHING),
   {RETURNED, LANE, CLOSE, CALM, false, "connection lost before content"}},
  {NO_REPLY(ANSWER_TIMEOUT, ALL),
   {UNSURE, LANE, CLOSE, SLOWER, false, "no answer in time, content given"}},
  {NO_REPLY(ANSWER_TIMEOUT, PART),
   {DEFERRED, LANE, CLOSE, SLOWER, false, "no answer in time within content"}},
  {NO_REPLY(ANSWER_TIMEOUT, NOTHING),
   {RETURNED, LANE, CLOSE, SLOWER, false, "no answer in time before content"}},
  {NO_REPLY(ANSWER_GARBAGE, ALL),
   {UNSURE, LANE, CLOSE, SLOWER, false, "out of step, content given"}},
  {NO_REPLY(ANSWER_GARBAGE, PART),
   {DEFERRED, LANE, CLOSE, SLOWER, false, "out of step within content"}},
  {NO_REPLY(ANSWER_GARBAGE, NOTHING),
   {RETURNED, LANE, CLOSE, SLOWER, false, "out of step before content"}},

  /* The relay closes. */
  {REPLY(AT_TARGET, 421, 421),
   {DEFERRED, LANE, CLOSE, CALM, false, "relay closes at this letter"}},
  {REPLY(AT_SETUP, 421, 421),
   {RETURNED, RELAY, CLOSE, SLOWER, false, "relay closes"}},
  {REPLY(AT_ANY, 421, 421),
   {RETURNED, LANE, CLOSE, CALM, false, "relay closes"}},

  /* Credentials. */
  {REPLY(AT_CONTENT, 530, 530),
   {DEFERRED, RELAY, DRAIN, PAUSE, false, "credentials wanted"}},
  {REPLY(AT_CONTENT, 534, 538),
   {DEFERRED, RELAY, DRAIN, PAUSE, false, "credentials refused"}},
  {REPLY(AT_ANY, 530, 530),
   {RETURNED, RELAY, DRAIN, PAUSE, false, "credentials wanted"}},
  {REPLY(AT_ANY, 534, 538),
   {RETURNED, RELAY, DRAIN, PAUSE, false, "credentials refused"}},
  {CODED(AT_LETTER, 500, 599, 7, 8),
   {DEFERRED, RELAY, DRAIN, PAUSE, false, "credentials refused"}},

  /* Setting up. */
  {REPLY(AT_SETUP, 400, 499),
   {RETURNED, RELAY, CLOSE, SLOWER, false, "relay not ready"}},
  {REPLY(AT_SETUP, 500, 599),
   {RETURNED, RELAY, CLOSE, PAUSE, false, "relay does not want us"}},

  /* Out of step. */
  {REPLY(AT_CONTENT, 500, 500),
   {DEFERRED, LANE, CLOSE, SLOWER, false, "out of step"}},
  {REPLY(AT_CONTENT, 502, 503),
   {DEFERRED, LANE, CLOSE, SLOWER, false, "out of step"}},
  {CODED(AT_DATA | AT_CONTENT, 500, 599, 5, 1),
   {DEFERRED, LANE, CLOSE, SLOWER, false, "out of step"}},
  {REPLY(AT_LETTER, 500, 500),
   {RETURNED, LANE, CLOSE, SLOWER, false, "out of step"}},
  {REPLY(AT_LETTER, 502, 503),
   {RETURNED, LANE, CLOSE, SLOWER, false, "out of step"}},

  /* Too big, and SMTPUTF8: about this letter wherever they are said. */
  {CODED(AT_LETTER, 500, 599, 3, 4),
   {FAILED, LETTER, RSET, CALM, false, "too big for the relay"}},
  {CODED(AT_LETTER, 500, 599, 2, 3),
   {FAILED, LETTER, RSET, CALM, false, "too big for the mailbox"}},
  {CODED(AT_LETTER, 500, 599, 6, 7),
   {FAILED, LETTER, RSET, CALM, false, "SMTPUTF8 not allowed"}},
  {CODED(AT_MAIL, 400, 499, 5, 3),
   {RETURNED, LANE, DRAIN, CALM, false, "enough of this connection"}},
  {CODED(AT_LETTER, 400, 599, 5, 3),
   {DEFERRED, LETTER, RSET, CALM, false, "too many recipients"}},
  {REPLY(AT_MAIL | AT_DATA | AT_CONTENT, 552, 552),
   {FAILED, LETTER, RSET, CALM, false, "too big for the relay"}},

  /* The relay wants less. */
  {REPLY(AT_MAIL, 400, 499),
   {DEFERRED, RELAY, KEEP, SLOWER, false, "relay wants less"}},
  {REPLY(AT_TARGET, 454, 454),
   {DEFERRED, RELAY, RSET, SLOWER, false, "relay wants less"}},
  {CODED(AT_TARGET, 400, 499, 3, 1),
   {DEFERRED, RELAY, RSET, SLOWER, false, "relay wants less"}},
  {CODED(AT_TARGET, 400, 499, 3, 2),
   {DEFERRED, RELAY, RSET, SLOWER, false, "relay wants less"}},
  {CODED(AT_TARGET, 400, 499, 3, ANY),
   {DEFERRED, LETTER, RSET, STRAIN, false, "trouble at the relay"}},
  {CODED(AT_TARGET, 400, 499, 7, 0),
   {DEFERRED, RELAY, RSET, SLOWER, false, "relay wants less"}},

  /* The sender is refused, at once or late. */
  {REPLY(AT_MAIL, 500, 599),
   {DEFERRED, RELAY, KEEP, ALARM, false, "sender refused"}},
  {CODED(AT_TARGET, 500, 599, 1, 7),
   {DEFERRED, RELAY, RSET, ALARM, false, "sender refused"}},
  {CODED(AT_TARGET, 500, 599, 1, 8),
   {DEFERRED, RELAY, RSET, ALARM, false, "sender refused"}},
  {REPLY(AT_RCPT, 555, 555),
   {DEFERRED, RELAY, RSET, ALARM, false, "parameter refused"}},

  /* The address is dead. */
  {CODED(AT_TARGET, 500, 599, 1, 1), DEAD_ADDR},
  {CODED(AT_TARGET, 500, 599, 1, 2), DEAD_ADDR},
  {CODED(AT_TARGET, 500, 599, 1, 3), DEAD_ADDR},
  {CODED(AT_TARGET, 500, 599, 1, 6), DEAD_ADDR},
  {CODED(AT_TARGET, 500, 599, 1, 10), DEAD_ADDR},
  {CODED(AT_TARGET, 500, 599, 2, 1), DEAD_ADDR},

  /* By the first digit. */
  {CODED(AT_RCPT, 500, 599, 7, ANY),
   {FAILED, LETTER, RSET, DOUBT, false, "refused by policy"}},
  {REPLY(AT_RCPT, 500, 599),
   {FAILED, LETTER, RSET, CALM, false, "recipient refused"}},
  {REPLY(AT_DATA | AT_CONTENT, 500, 599),
   {FAILED, LETTER, RSET, DOUBT, false, "content refused"}},
  {REPLY(AT_TARGET, 400, 499),
   {DEFERRED, LETTER, RSET, CALM, false, "not now"}},

  /* A digit that this place does not know: 250 to DATA, 354 to MAIL. */
  {AT_CONTENT, ANSWER_REPLY, ALL, 0, 999, ANY, ANY,
   {UNSURE, LANE, CLOSE, SLOWER, false, "answer makes no sense"}},
  {REPLY(AT_ANY, 0, 999),
   {RETURNED, LANE, CLOSE, SLOWER, false, "answer makes no sense"}},
};
/* clang-format on */

static bool fits(const struct rule *rule, const struct question *q)
{
    if ((rule->places & AT(q->place)) == 0 ||
        rule->answer != (uint8_t)q->answer ||
        (rule->given & 1u << q->given) == 0) {
        return false;
    }
    if (q->answer != ANSWER_REPLY) {
        return true;
    }
    if (q->code < rule->low || q->code > rule->high) {
        return false;
    }
    if (rule->subject == ANY) {
        return true;
    }
    return q->enhanced != NULL && q->enhanced[0] != 0 &&
           q->enhanced[1] == rule->subject &&
           (rule->detail == ANY || q->enhanced[2] == rule->detail);
}

struct judgement verdict_judge(const struct question *q)
{
    size_t count = sizeof(rules) / sizeof(rules[0]);

    for (size_t i = 0; i < count - 1; i++) {
        if (fits(&rules[i], q)) {
            return rules[i].then;
        }
    }
    return rules[count - 1].then;
}
