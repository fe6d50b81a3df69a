/*
 * lane_send - what a lane says: three gears.
 *
 *     lockstep   MAIL ? RCPT ? DATA ? content . ?            (? = waits)
 *     pipelined  MAIL RCPT DATA ? content . MAIL RCPT DATA ? content . ...
 *     streamed   MAIL RCPT BDAT content RSET MAIL RCPT BDAT content ...
 *
 * Pipelined: the content is the first of a group and the next envelope
 * follows it in the same write (RFC 2920 section 3.1). Once an envelope is
 * out and its DATA is answered by 354 there is no way back, so an envelope
 * is glued only when its content is at hand: it waits in `held`.
 *
 * Streamed: one BDAT LAST a letter (RFC 3030), so the relay can refuse and
 * skip it whole. While letters are in flight nobody knows whether the one
 * before was refused, and a relay that keeps a refused transaction open
 * would add the next recipient to it: that letter would then go to two
 * people. So RSET goes before every MAIL that follows something unanswered,
 * and after every refusal. Relays count RSETs without mail between; here
 * there is mail between.
 *
 * The content is composed right into the block that is sent. The envelope is
 * known only afterwards, so room is left before the content and closed up.
 */
#include <stdio.h>

#include "base/log.h"
#include "smtp/lane.h"

enum {
    ENVELOPE_MAX = 768 /* RSET, MAIL, RCPT, BDAT with all parameters */
};

bool lane_has_room(const struct lane *l)
{
    if ((l->state != LANE_READY && l->state != LANE_SENDING) || l->is_blocked ||
        (l->letters_max > 0 && l->letters >= l->letters_max)) {
        return false;
    }
    switch (l->gear) {
    case GEAR_LOCKSTEP: return l->flight_count == 0;
    case GEAR_PIPELINED: return l->flight_count < 2 && l->held == NULL;
    case GEAR_STREAMED:
        return l->flight_count < (unsigned)relay_window(l->relay) &&
               outbox_pending(&l->out) < OUTBOX_FULL;
    case GEAR_AUTO: return false;
    }
    return false;
}

unsigned lane_room(const struct lane *l)
{
    unsigned most = 0;

    if (l->state != LANE_READY && l->state != LANE_SENDING) {
        return 0;
    }
    switch (l->gear) {
    case GEAR_LOCKSTEP: most = 1; break;
    case GEAR_PIPELINED: most = 2; break;
    case GEAR_STREAMED: most = (unsigned)relay_window(l->relay); break;
    case GEAR_AUTO: break;
    }
    return most > l->flight_count ? most - l->flight_count : 0;
}

static void refuse(struct lane *l, void *letter, const struct lane_refusal *why,
                   enum fate fate)
{
    struct judgement j = {.fate = fate,
                          .scope = SCOPE_LETTER,
                          .lane = EFFECT_KEEP,
                          .why = "refused by ourselves"};
    struct outcome o = {
        .verdict = fate_verdict(fate),
        .enhanced = {fate == FATE_FAILED ? 5 : 4, why->subject, why->detail},
        .text = span_of(why->text)};

    l->ops->judged(l, letter, &j, &o);
}

/*
 * Takes the next letter with its content at b->data[from..]. False when
 * there is none, or it was refused: *is_dry tells which.
 */
static bool take(struct lane *l, struct parcel *p, struct buf *b, size_t from,
                 bool *is_dry)
{
    const struct lane_refusal *why = NULL;
    enum aside aside = ASIDE_NOWHERE;
    struct span content = SPAN_NONE;

    *p = (struct parcel){.letter = NULL};
    *is_dry = !l->ops->take(l, p, b);
    if (*is_dry) {
        return false;
    }
    why = lane_refusal(l, p, b, from);
    if (why == NULL) {
        return true;
    }
    if (why->is_of_relay) {
        content = span_make(b->data + from, b->len - from);
        aside = l->ops->keep_aside(l, p, content);
    }
    if (aside != ASIDE_KEPT) {
        refuse(l, p->letter, why,
               aside == ASIDE_FULL ? FATE_DEFERRED : FATE_FAILED);
    }
    return false;
}

static void write_path(struct buf *out, const char *verb, struct span path)
{
    buf_puts(out, verb);
    buf_span(out, path);
    buf_putc(out, '>');
}

void lane_write_mail(struct lane *l, const struct flight *f, struct buf *out)
{
    unsigned offers = l->relay->ehlo.offers;

    write_path(out, "MAIL FROM:<", f->from);
    if (offers & EHLO_SIZE) {
        buf_puts(out, " SIZE=");
        buf_u64(out, f->size);
    }
    if (f->needs_8bitmime || (f->needs_smtputf8 && offers & EHLO_8BITMIME)) {
        buf_puts(out, " BODY=8BITMIME");
    }
    if (f->needs_smtputf8) {
        buf_puts(out, " SMTPUTF8");
    }
    buf_puts(out, "\r\n");
}

void lane_write_rcpt(struct lane *l, const struct flight *f, struct buf *out)
{
    (void)l;
    write_path(out, "RCPT TO:<", f->to);
    buf_puts(out, "\r\n");
}

static void write_rset(struct lane *l, unsigned flight, struct buf *out)
{
    buf_puts(out, "RSET\r\n");
    lane_expect(l, PLACE_RSET, flight);
    l->rset_due = false;
}

/* RSET when it is due, MAIL, RCPT and BDAT for the letter at `at`; returns
 * how many of the bytes come before BDAT. */
static size_t write_envelope(struct lane *l, unsigned at, bool needs_rset,
                             struct buf *out)
{
    const struct flight *f = &l->flights[at];
    size_t before = 0;

    if (needs_rset) {
        write_rset(l, at, out);
    }
    lane_write_mail(l, f, out);
    lane_expect(l, PLACE_MAIL, at);
    lane_write_rcpt(l, f, out);
    lane_expect(l, PLACE_RCPT, at);
    before = out->len;
    buf_puts(out, "BDAT ");
    buf_u64(out, f->size);
    buf_puts(out, " LAST\r\n");
    lane_expect(l, PLACE_CONTENT, at);
    return before;
}

/*
 * The whole letter at once:
 *
 *     | ... | room for the envelope | content |     as it is composed
 *     | ... | envelope | content |                  as it is sent
 *           from
 */
static void send_streamed(struct lane *l, bool *is_dry)
{
    char memory[ENVELOPE_MAX];
    struct parcel p;
    struct buf envelope;
    struct buf *b = outbox_tail(&l->out);
    const size_t from = b->len;
    const size_t content = from + ENVELOPE_MAX;
    const uint64_t position = outbox_end(&l->out);
    const bool needs_rset = l->rset_due || l->flight_count > 0;
    struct flight *f = NULL;
    unsigned at = 0;

    *is_dry = true; /* without memory there is no letter for now */
    if (buf_room(b, ENVELOPE_MAX)) {
        b->len = content;
        if (take(l, &p, b, content, is_dry)) {
            at = lane_flight_add(l, &p, b->len - content);
            f = &l->flights[at];
        }
    }
    if (f == NULL) {
        b->broken = false; /* what was in it before is whole */
        buf_truncate(b, from);
        return;
    }
    buf_wrap(&envelope, memory, sizeof(memory));
    f->content_from = position + write_envelope(l, at, needs_rset, &envelope);
    memcpy(b->data + from, envelope.data, envelope.len);
    memmove(b->data + from + envelope.len, b->data + content, f->size);
    b->len = from + envelope.len + f->size;
    f->content_end = outbox_end(&l->out);
    l->ops->begun(l, p.letter);
}

/* The envelope, and the content into `held` until 354 comes. */
static void send_envelope(struct lane *l, bool *is_dry)
{
    struct parcel p;
    struct block *held = outbox_block(&l->out);
    struct buf *out = NULL;
    unsigned at = 0;

    if (!take(l, &p, &held->bytes, 0, is_dry)) {
        outbox_recycle(&l->out, held);
        return;
    }
    l->held = held;
    at = lane_flight_add(l, &p, held->bytes.len);
    out = outbox_tail(&l->out);
    if (l->rset_due) {
        write_rset(l, at, out);
        if (l->gear == GEAR_LOCKSTEP) {
            return; /* MAIL follows its reply */
        }
    }
    lane_write_mail(l, &l->flights[at], out);
    lane_expect(l, PLACE_MAIL, at);
    if (l->gear == GEAR_PIPELINED) {
        lane_write_rcpt(l, &l->flights[at], out);
        lane_expect(l, PLACE_RCPT, at);
        buf_puts(out, "DATA\r\n");
        lane_expect(l, PLACE_DATA, at);
    }
}

void lane_write_content(struct lane *l, unsigned flight)
{
    struct flight *f = &l->flights[flight];
    struct block *b = l->held;

    l->held = NULL;
    buf_puts(&b->bytes, ".\r\n");
    f->content_from = outbox_end(&l->out);
    l->ops->begun(l, f->letter);
    outbox_queue(&l->out, b);
    f->content_end = outbox_end(&l->out);
    lane_expect(l, PLACE_CONTENT, flight);
}

void lane_fill(struct lane *l, unsigned most)
{
    bool is_dry = false;

    for (unsigned i = 0; i < most && !is_dry && lane_has_room(l); i++) {
        if (l->gear == GEAR_STREAMED) {
            send_streamed(l, &is_dry);
        } else {
            send_envelope(l, &is_dry);
        }
    }
}
