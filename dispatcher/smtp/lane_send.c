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
 *
 * Nothing that came from outside goes into a command unchecked: an address
 * with a control character, a space or a bracket never leaves (last line of
 * defence), and content must be CRLF lines without a leading dot, so that
 * it needs no dot-stuffing and cannot end early (RFC 5321 section 4.5.2).
 */
#include <stdio.h>

#include "base/log.h"
#include "smtp/lane.h"

enum {
    ADDRESS_MAX = 254, /* RFC 5321 section 4.5.3.1.3, without brackets */
    ENVELOPE_MAX = 768 /* RSET, MAIL, RCPT, BDAT with all parameters */
};

bool lane_has_room(const struct lane *l)
{
    if ((l->state != LANE_READY && l->state != LANE_SENDING) ||
        l->is_blocked ||
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

static bool address_is_safe(struct span address)
{
    if (address.len > ADDRESS_MAX) {
        return false;
    }
    for (size_t i = 0; i < address.len; i++) {
        unsigned char c = (unsigned char)address.ptr[i];

        if (c <= ' ' || c == 0x7f || c == '<' || c == '>') {
            return false;
        }
    }
    return true;
}

static bool is_ascii(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        if ((unsigned char)s.ptr[i] >= 0x80) {
            return false;
        }
    }
    return true;
}

/* CRLF lines, the last one ended, no leading dot, no bare CR or LF. */
static bool content_is_sound(struct span s)
{
    const char *at = s.ptr;
    const char *end = s.ptr + s.len;

    if (s.len < 2 || end[-1] != '\n' || *at == '.') {
        return false;
    }
    while (at < end) {
        const char *cr = memchr(at, '\r', (size_t)(end - at));

        /* Between at and cr there must be no LF, behind cr there must be
         * one, and behind that no dot. */
        if (cr == NULL || cr + 1 == end || cr[1] != '\n' ||
            memchr(at, '\n', (size_t)(cr - at)) != NULL ||
            (cr + 2 < end && cr[2] == '.')) {
            return false;
        }
        at = cr + 2;
    }
    return true;
}

/* A letter that we ourselves refuse: why, in RFC 3463 and in words. */
struct refusal {
    int subject;
    int detail;
    const char *text;
};

static const struct refusal bad_sender = {
    1, 7, "sender address holds bytes that must not be in a command"};
static const struct refusal bad_recipient = {
    1, 3, "recipient address is empty or holds bytes that must not be in a "
          "command"};
static const struct refusal no_smtputf8 = {
    6, 7, "the letter needs SMTPUTF8, which the relay does not offer"};
static const struct refusal no_8bitmime = {
    6, 3, "the letter needs 8BITMIME, which the relay does not offer"};
static const struct refusal too_big = {3, 4, "larger than the relay takes"};
static const struct refusal too_big_for_us = {
    3, 4, "larger than letter_max of this relay, or out of memory"};
static const struct refusal unsound = {
    6, 0, "content is not in CRLF lines without leading dots: an error of "
          "the composer"};

/* Why this letter cannot go this way, or NULL. */
static const struct refusal *find_refusal(const struct lane *l,
                                          const struct parcel *p,
                                          const struct buf *b, size_t from)
{
    const struct ehlo *e = &l->relay->ehlo;
    size_t size = b->len - from;

    if (!address_is_safe(p->from)) {
        return &bad_sender;
    }
    if (p->to.len == 0 || !address_is_safe(p->to)) {
        return &bad_recipient;
    }
    if (!buf_ok(b) || size > l->relay->settings.letter_max) {
        return &too_big_for_us;
    }
    if (!content_is_sound(span_make(b->data + from, size))) {
        return &unsound;
    }
    if (p->needs_smtputf8 && !(e->offers & EHLO_SMTPUTF8)) {
        return &no_smtputf8;
    }
    if (p->needs_8bitmime && !(e->offers & EHLO_8BITMIME)) {
        return &no_8bitmime;
    }
    if (e->size_max > 0 && size > e->size_max) {
        return &too_big;
    }
    return NULL;
}

static void refuse(struct lane *l, void *letter, const struct refusal *why,
                   enum fate fate)
{
    struct judgement j = {.fate = fate,
                          .scope = SCOPE_LETTER,
                          .lane = EFFECT_KEEP,
                          .why = "refused by ourselves"};
    struct outcome o = {.verdict = fate_verdict(fate),
                        .enhanced = {fate == FATE_FAILED ? 5 : 4, why->subject,
                                     why->detail},
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
    const struct refusal *why = NULL;
    enum aside aside = ASIDE_NOWHERE;
    struct span content = SPAN_NONE;

    *p = (struct parcel){.letter = NULL};
    *is_dry = !l->ops->take(l, p, b);
    if (*is_dry) {
        return false;
    }
    p->needs_smtputf8 =
        p->needs_smtputf8 || !is_ascii(p->from) || !is_ascii(p->to);
    why = find_refusal(l, p, b, from);
    if (why == NULL) {
        return true;
    }
    if (why == &no_smtputf8 || why == &no_8bitmime || why == &too_big) {
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

/* MAIL, RCPT, BDAT and the content: the whole letter at once. */
static bool send_streamed(struct lane *l, bool *is_dry)
{
    char memory[ENVELOPE_MAX];
    struct parcel p;
    struct buf envelope;
    struct buf *b = outbox_tail(&l->out);
    size_t from = b->len;
    size_t content = from + ENVELOPE_MAX;
    size_t size = 0;
    unsigned at = 0;
    bool needs_rset = l->rset_due || l->flight_count > 0;

    *is_dry = false;
    if (!buf_room(b, ENVELOPE_MAX)) {
        b->broken = false; /* what is in it is whole; memory comes back */
        *is_dry = true;
        return false;
    }
    b->len = content;
    if (!take(l, &p, b, content, is_dry)) {
        b->broken = false;
        buf_truncate(b, from);
        return false;
    }
    size = b->len - content;
    at = lane_flight_add(l, &p, size);
    buf_wrap(&envelope, memory, sizeof(memory));
    if (needs_rset) {
        write_rset(l, at, &envelope);
    }
    lane_write_mail(l, &l->flights[at], &envelope);
    lane_expect(l, PLACE_MAIL, at);
    lane_write_rcpt(l, &l->flights[at], &envelope);
    lane_expect(l, PLACE_RCPT, at);
    l->flights[at].content_from = outbox_end(&l->out) - size - ENVELOPE_MAX +
                                  envelope.len;
    buf_puts(&envelope, "BDAT ");
    buf_u64(&envelope, size);
    buf_puts(&envelope, " LAST\r\n");
    lane_expect(l, PLACE_CONTENT, at);
    memcpy(b->data + from, envelope.data, envelope.len);
    memmove(b->data + from + envelope.len, b->data + content, size);
    b->len = from + envelope.len + size;
    l->flights[at].content_end = outbox_end(&l->out);
    l->ops->begun(l, p.letter);
    return true;
}

/* The envelope, and the content into `held` until 354 comes. */
static bool send_envelope(struct lane *l, bool *is_dry)
{
    struct parcel p;
    struct block *held = outbox_block(&l->out);
    struct buf *out = NULL;
    unsigned at = 0;

    if (!take(l, &p, &held->bytes, 0, is_dry)) {
        outbox_recycle(&l->out, held);
        return false;
    }
    l->held = held;
    at = lane_flight_add(l, &p, held->bytes.len);
    out = outbox_tail(&l->out);
    if (l->rset_due) {
        write_rset(l, at, out);
        if (l->gear == GEAR_LOCKSTEP) {
            return true; /* MAIL follows its reply */
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
    return true;
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
