/*
 * lane_check - the last line of defence before a command is written.
 *
 * Nothing that came from outside goes into a command unchecked: an address
 * with a control character, a space or a bracket never leaves, and content
 * must be CRLF lines without a leading dot, so that it needs no dot-stuffing
 * and cannot end early (RFC 5321 section 4.5.2). A bare CR or LF would let
 * the next relay see another end than we do (CVE-2023-51764).
 */
#include "smtp/lane.h"

enum { ADDRESS_MAX = 254 }; /* RFC 5321 section 4.5.3.1.3, without brackets */

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

/* CRLF lines, the last one ended, no leading dot, no bare CR or LF, no NUL. */
static bool content_is_sound(struct span s)
{
    const char *at = s.ptr;
    const char *end = s.ptr + s.len;

    if (s.len < 2 || end[-1] != '\n' || *at == '.' ||
        memchr(at, '\0', s.len) != NULL) {
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

static const struct lane_refusal bad_sender = {
    1, 7, "sender address holds bytes that must not be in a command", false};
static const struct lane_refusal bad_recipient = {
    1, 3,
    "recipient address is empty or holds bytes that must not be in a "
    "command",
    false};
static const struct lane_refusal no_smtputf8 = {
    6, 7, "the letter needs SMTPUTF8, which the relay does not offer", true};
static const struct lane_refusal no_8bitmime = {
    6, 3, "the letter needs 8BITMIME, which the relay does not offer", true};
static const struct lane_refusal too_big = {3, 4, "larger than the relay takes",
                                            true};
static const struct lane_refusal too_big_for_us = {
    3, 4, "larger than letter_max of this relay, or out of memory", false};
static const struct lane_refusal unsound = {
    6, 0,
    "content is not in CRLF lines without leading dots: an error of "
    "the composer",
    false};

const struct lane_refusal *lane_refusal(const struct lane *l, struct parcel *p,
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
    p->needs_smtputf8 =
        p->needs_smtputf8 || !is_ascii(p->from) || !is_ascii(p->to);
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
