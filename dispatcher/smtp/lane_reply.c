/*
 * lane_reply - what a lane hears.
 *
 * Every command that was written left an expectation behind, and replies are
 * matched to them by count alone (RFC 2920 section 3.1). What a reply means
 * is said by verdict.c; here it is carried out.
 *
 * Once a letter is judged its further replies are read and dropped: a
 * refused RCPT leaves the reply to DATA or BDAT to come. When such a DATA
 * is answered by 354 all the same, a lone dot ends it (RFC 2920 section 3.1).
 */
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "smtp/lane.h"

/* Ends the lane because of a reply; letters behind it are judged by answer. */
static void end_by_reply(struct lane *l, enum place place, enum answer answer)
{
    char memory[REPLY_TEXT_MAX];
    struct span said = reply_text(&l->reply, memory);
    char text[256];

    said.len = said.len < 120 ? said.len : 120;
    snprintf(text, sizeof(text), "%s: \"%d %.*s\" at %s",
             answer == ANSWER_CLOSING ? "closed by the relay" : "out of step",
             l->reply.code, SPAN_ARG(said), place_name(place));
    if (answer == ANSWER_GARBAGE && l->gear != GEAR_LOCKSTEP) {
        relay_demote(l->relay, l->gear, clock_monotonic_ms(), text);
    }
    lane_end(l, answer, text);
}

static void tell_trouble(struct lane *l, const struct judgement *j,
                         enum place place)
{
    char memory[REPLY_TEXT_MAX];
    struct span said = reply_text(&l->reply, memory);
    char text[320];

    if (j->relay == RELAY_NOTHING) {
        return;
    }
    said.len = said.len < 200 ? said.len : 200;
    snprintf(text, sizeof(text), "%s: \"%d %.*s\" at %s", j->why, l->reply.code,
             SPAN_ARG(said), place_name(place));
    l->ops->trouble(l, j, text);
}

static struct judgement judge(const struct lane *l, enum place place,
                              const struct flight *f)
{
    struct question q = {.place = place,
                         .answer = ANSWER_REPLY,
                         .code = l->reply.code,
                         .enhanced = l->reply.enhanced,
                         .given = f ? lane_given(l, f) : GIVEN_NOTHING};

    return verdict_judge(&q);
}

/*
 * No more letters here, and the relay said so. One that takes none on a new
 * connection either must not be asked in a loop: without use, the lane ends as
 * one that the relay closed.
 */
static void drain_by_reply(struct lane *l, enum place place,
                           const struct judgement *j)
{
    if (j->scope == SCOPE_LANE && !l->was_useful) {
        end_by_reply(l, place, ANSWER_CLOSING);
    } else {
        lane_drain(l);
    }
}

/* True when the lane lives on. */
static bool carry_out(struct lane *l, enum place place, struct flight *f,
                      const struct judgement *j)
{
    bool was_settled = f == NULL || f->is_settled;

    if (!was_settled && j->fate != FATE_GO_ON) {
        lane_settle(l, f, j, &l->reply, NULL);
        tell_trouble(l, j, place);
    }
    if (l->state == LANE_CLOSED) {
        return false;
    }
    if (l->reply.code == 421) {
        end_by_reply(l, place, ANSWER_CLOSING);
        return false;
    }
    if (was_settled && f != NULL) {
        return true; /* "503 need MAIL" after a refused MAIL is no news */
    }
    switch (j->lane) {
    case EFFECT_KEEP: break;
    case EFFECT_RSET:
        /* A dot ends the transaction whatever is answered. */
        l->rset_due = l->rset_due ||
                      (f != NULL && f->mail_ok &&
                       (place != PLACE_CONTENT || l->gear == GEAR_STREAMED));
        break;
    case EFFECT_DRAIN: drain_by_reply(l, place, j); break;
    case EFFECT_CLOSE: end_by_reply(l, place, ANSWER_GARBAGE); break;
    }
    return l->state != LANE_CLOSED;
}

/* The letter is over before its content: nothing more of it is expected. */
static void drop_envelope(struct lane *l, struct flight *f)
{
    if (l->held != NULL) {
        outbox_recycle(&l->out, l->held);
        l->held = NULL;
    }
    l->rset_due = l->rset_due || f->mail_ok;
    lane_flight_drop(l);
    l->ops->wants_turn(l);
}

static void hear_mail(struct lane *l, unsigned at)
{
    struct flight *f = &l->flights[at];
    struct judgement j = judge(l, PLACE_MAIL, f);

    if (!carry_out(l, PLACE_MAIL, f, &j)) {
        return;
    }
    f->mail_ok = j.fate == FATE_GO_ON;
    if (f->mail_ok) {
        l->rset_due = false; /* a clean start */
    }
    if (l->gear != GEAR_LOCKSTEP) {
        return;
    }
    if (!f->mail_ok) {
        drop_envelope(l, f);
        return;
    }
    lane_write_rcpt(l, f, outbox_tail(&l->out));
    lane_expect(l, PLACE_RCPT, at);
    l->ops->wants_turn(l);
}

static void hear_rcpt(struct lane *l, unsigned at)
{
    struct flight *f = &l->flights[at];
    struct judgement j = judge(l, PLACE_RCPT, f);

    if (!carry_out(l, PLACE_RCPT, f, &j) || l->gear != GEAR_LOCKSTEP) {
        return;
    }
    if (j.fate != FATE_GO_ON) {
        drop_envelope(l, f);
        return;
    }
    buf_puts(outbox_tail(&l->out), "DATA\r\n");
    lane_expect(l, PLACE_DATA, at);
    l->ops->wants_turn(l);
}

static void hear_data(struct lane *l, unsigned at)
{
    struct flight *f = &l->flights[at];
    struct judgement j = judge(l, PLACE_DATA, f);

    if (!carry_out(l, PLACE_DATA, f, &j)) {
        return;
    }
    if (l->reply.code < 300 || l->reply.code > 399) {
        drop_envelope(l, f);
        return;
    }
    if (f->is_settled) {
        /* Nobody is to receive it, but the relay waits for content. */
        outbox_recycle(&l->out, l->held);
        l->held = NULL;
        buf_puts(outbox_tail(&l->out), ".\r\n");
        lane_expect(l, PLACE_CONTENT, at);
    } else {
        lane_write_content(l, at);
    }
    l->ops->wants_turn(l);
}

static void hear_content(struct lane *l, unsigned at)
{
    struct flight *f = &l->flights[at];
    struct judgement j = judge(l, PLACE_CONTENT, f);

    if (j.fate == FATE_SENT && !f->is_settled &&
        lane_given(l, f) != GIVEN_ALL) {
        /* Accepted before it was sent: a reply too many somewhere. */
        end_by_reply(l, PLACE_CONTENT, ANSWER_GARBAGE);
        return;
    }
    if (!carry_out(l, PLACE_CONTENT, f, &j)) {
        return;
    }
    if (l->gear == GEAR_STREAMED && l->reply.code >= 300 && f->mail_ok) {
        l->rset_due = true; /* RFC 3030 section 2: after a failed BDAT */
    }
    if (l->gear != GEAR_STREAMED) {
        l->rset_due = false;
    }
    lane_flight_drop(l);
    l->ops->wants_turn(l);
}

static void hear_rset(struct lane *l, unsigned at)
{
    struct judgement j = judge(l, PLACE_RSET, NULL);

    if (!carry_out(l, PLACE_RSET, NULL, &j) || l->gear != GEAR_LOCKSTEP) {
        return;
    }
    lane_write_mail(l, &l->flights[at], outbox_tail(&l->out));
    lane_expect(l, PLACE_MAIL, at);
    l->ops->wants_turn(l);
}

/*
 * PROVING: a chunk without a transaction is refused; a good relay swallows
 * its octets, a bad one takes them for a command and answers once more.
 */
void lane_prove(struct lane *l)
{
    buf_puts(outbox_tail(&l->out), "BDAT 6 LAST\r\nxxxx\r\nRSET\r\n");
    lane_expect(l, PLACE_CONTENT, 0);
    lane_expect(l, PLACE_RSET, 0);
}

static void hear_proof(struct lane *l, enum place place)
{
    bool is_good = place == PLACE_CONTENT
                       ? l->reply.code >= 400 && l->reply.code != 421
                       : l->reply.code / 100 == 2;

    if (!is_good) {
        relay_demote(l->relay, GEAR_STREAMED, clock_monotonic_ms(),
                     "does not swallow a refused chunk");
        lane_end(l, ANSWER_CLOSING, "does not swallow a refused chunk");
    } else if (place == PLACE_RSET) {
        l->relay->gears.is_proven = true;
        lane_enter(l, LANE_READY);
        l->ops->wants_turn(l);
    }
}

static void hear_unasked(struct lane *l)
{
    if (l->state == LANE_QUITTING) {
        lane_end(l, ANSWER_LOST, "quit");
    } else if (l->reply.code == 421) {
        end_by_reply(l, PLACE_IDLE, ANSWER_CLOSING);
    } else {
        end_by_reply(l, PLACE_IDLE, ANSWER_GARBAGE);
    }
}

static void hear_reply(struct lane *l, int64_t now_ms)
{
    struct expect e = l->expects[l->expect_first];

    if (l->expect_count == 0) {
        hear_unasked(l);
        return;
    }
    l->expect_first = (l->expect_first + 1) & (l->expect_size - 1);
    l->expect_count--;
    l->since_ms = now_ms;
    if (l->state == LANE_PROVING) {
        hear_proof(l, (enum place)e.place);
        return;
    }
    switch ((enum place)e.place) {
    case PLACE_MAIL: hear_mail(l, e.flight); break;
    case PLACE_RCPT: hear_rcpt(l, e.flight); break;
    case PLACE_DATA: hear_data(l, e.flight); break;
    case PLACE_CONTENT: hear_content(l, e.flight); break;
    case PLACE_RSET: hear_rset(l, e.flight); break;
    case PLACE_GREETING:
    case PLACE_EHLO:
    case PLACE_STARTTLS:
    case PLACE_AUTH:
    case PLACE_IDLE:
    case PLACE_COUNT: break; /* never expected here */
    }
}

void lane_hear(struct lane *l, const char *bytes, size_t len)
{
    int64_t now_ms = clock_monotonic_ms();

    while (len > 0 && l->state != LANE_CLOSED) {
        size_t used = 0;

        switch (reply_feed(&l->reply, bytes, len, &used)) {
        case REPLY_MORE: return;
        case REPLY_DONE: hear_reply(l, now_ms); break;
        case REPLY_GARBAGE:
            if (l->gear != GEAR_LOCKSTEP) {
                relay_demote(l->relay, l->gear, now_ms, "garbage");
            }
            lane_end(l, ANSWER_GARBAGE, "the relay sent what is no reply");
            return;
        }
        bytes += used;
        len -= used;
    }
}
