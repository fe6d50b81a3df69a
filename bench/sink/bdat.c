/*
 * bdat - the command BDAT and its chunks (RFC 3030).
 */
#include <stdio.h>
#include <strings.h>

#include "bench/sink/talk.h"

/* The end of a transaction that failed by BDAT. */
void bdat_fail(struct session *s, bool is_last)
{
    bool stays = s->tx == TX_BROKEN || s->sink->options.bdat_needs_reset;

    s->tx = is_last && !stays ? TX_NONE : TX_BROKEN;
    session_clear_mail(s);
}

/* "1234", "1234 LAST" */
static bool parse_bdat(struct span args, uint64_t *octets, bool *is_last)
{
    size_t i = 0;

    *octets = 0;
    for (; i < args.len && args.ptr[i] >= '0' && args.ptr[i] <= '9'; i++) {
        if (i == 15) {
            return false;
        }
        *octets = *octets * 10 + (uint64_t)(args.ptr[i] - '0');
    }
    *is_last = args.len == i + 5 && args.ptr[i] == ' ' &&
               strncasecmp(args.ptr + i + 1, "LAST", 4) == 0;
    return i > 0 && (*is_last || args.len == i);
}

/*
 * True for the one BDAT outside a transaction that no client is blamed for:
 * as the first thing on a connection it asks whether a refused chunk is read
 * over. Any other is out of order.
 */
static bool take_probe(struct session *s)
{
    bool is_probe = s->tx == TX_NONE && s->mails == 0 && !s->probed;

    s->probed = true;
    s->sink->tally.bdat_probes += is_probe;
    return is_probe;
}

/* The reply that this chunk must get, whatever is in it; or NULL. */
static const char *chunk_objection(struct session *s, uint64_t octets)
{
    const struct options *o = &s->sink->options;

    if (s->tx != TX_OPEN) {
        if (!take_probe(s) &&
            (s->tx == TX_NONE || !session_offers_pipelining(s))) {
            session_offend(s, SPAN_NONE, "BDAT out of order");
        }
        return "503 5.5.1 Need MAIL and RCPT first\r\n";
    }
    if (s->mail.rcpt_taken == 0) {
        if (s->mail.rcpt_tried == 0) {
            session_offend(s, SPAN_NONE, "BDAT without RCPT");
        }
        return "554 5.5.1 No valid recipients\r\n";
    }
    if (o->size_limit > 0 && s->mail.size + octets > o->size_limit) {
        session_offend(s, SPAN_NONE, "content above the SIZE that was offered");
        return "552 5.3.4 Too big\r\n";
    }
    return NULL;
}

/* All octets of the chunk have come. */
static void finish_chunk(struct session *s)
{
    char text[64];
    int n = 0;

    s->after_bdat = true;
    if (s->mail.chunk_is_last && s->tx == TX_OPEN) {
        content_finish(s, true);
        return;
    }
    session_enter(s, SESSION_COMMAND);
    if (s->mail.doom != NULL) {
        s->sink->tally.refused_content++;
        session_reply(s, NULL, s->mail.doom, strlen(s->mail.doom), 0);
        bdat_fail(s, s->mail.chunk_is_last);
        return;
    }
    s->mail.chunks++;
    n = snprintf(text, sizeof(text), "250 2.0.0 %llu octets\r\n",
                 (unsigned long long)s->mail.chunk_octets);
    session_reply(s, NULL, text, (size_t)n, 0);
}

/* Refuses a chunk without taking its octets. */
static void leave_chunk(struct session *s, const struct fault *fault)
{
    const char *text = s->mail.doom;

    if (text == NULL) {
        text = fault != NULL && fault->text != NULL ? fault->text
                                                    : "554 5.6.0 Refused\r\n";
    }
    s->sink->tally.refused_content++;
    session_reply(s, NULL, text, strlen(text), 0);
    s->desynced = true;
    bdat_fail(s, s->mail.chunk_is_last);
}

void bdat_run(struct session *s, struct span args)
{
    uint64_t octets = 0;
    bool is_last = false;
    const struct fault *fault = NULL;

    if (!session_offers_chunking(s)) {
        session_offend(s, args, "BDAT without CHUNKING offered");
        session_reply(s, NULL, TEXT("502 5.5.1 Unknown command"), 0);
        s->desynced = true;
        return;
    }
    if (!parse_bdat(args, &octets, &is_last) || (octets == 0 && !is_last)) {
        session_offend(s, args, "BDAT with a bad argument");
        session_reply(s, NULL, TEXT("501 5.5.4 Syntax: BDAT octets [LAST]"), 0);
        return;
    }
    s->mail.chunk_left = octets;
    s->mail.chunk_octets = octets;
    s->mail.chunk_is_last = is_last;
    s->mail.doom = chunk_objection(s, octets);
    if (s->mail.doom == NULL && s->mail.chunks == 0) {
        content_begin(s, false);
    }
    fault = s->mail.fault;
    if ((fault != NULL && fault->noswallow) ||
        (s->sink->options.no_swallow &&
         (s->mail.doom != NULL || fault_refuses(fault)))) {
        leave_chunk(s, fault);
        return;
    }
    session_enter(s, SESSION_BDAT);
    if (octets == 0) {
        finish_chunk(s);
    }
}

size_t bdat_feed(struct session *s, const char *bytes, size_t n)
{
    size_t used = n;

    if (used > s->mail.chunk_left) {
        used = (size_t)s->mail.chunk_left;
    }
    if (s->mail.doom == NULL) {
        /* The header section first: see ids_expect. */
        content_take(s, bytes, used);
        scan_feed(&s->scan, bytes, used);
        content_report(s, bytes, used);
    }
    s->mail.chunk_left -= used;
    if (s->mail.chunk_left == 0) {
        finish_chunk(s);
    }
    return used;
}
