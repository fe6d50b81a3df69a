/*
 * content - the command DATA, and the octets of content.
 *
 * Each piece goes once through scan, and its beginning through header; the
 * octets are copied only when a maildir keeps them or when the header section
 * comes in pieces.
 */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/log.h"
#include "bench/sink/header.h"
#include "bench/sink/talk.h"

enum { HEADER_OCTETS = 256 * 1024 };

static const char *const finding_words[SCAN_FINDINGS] = {
    [SCAN_BARE_CR] = "bare CR in content",
    [SCAN_BARE_LF] = "bare LF in content",
    [SCAN_NUL] = "NUL in content",
    [SCAN_LONG_LINE] = "line over 998 octets",
    [SCAN_LONE_DOT] = "leading dot that was not doubled",
    [SCAN_EIGHT_BIT] = "8-bit content without BODY=8BITMIME",
};

void content_begin(struct session *s, bool dots)
{
    scan_start(&s->scan, dots);
    s->mail.fault = session_fault(s, FAULT_CONTENT, buf_view(&s->recipients));
}

static void check_header(struct session *s, const struct header *h)
{
    static const enum header_field needed[] = {HEADER_MESSAGE_ID, HEADER_DATE,
                                               HEADER_FROM};
    char what[80];

    for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
        if ((h->seen & (1u << needed[i])) == 0) {
            snprintf(what, sizeof(what), "no %s", header_name(needed[i]));
            session_offend(s, SPAN_NONE, what);
        }
    }
    for (int i = 0; h->twice != 0 && i < HEADER_FIELDS; i++) {
        if (h->twice & (1u << i)) {
            snprintf(what, sizeof(what), "%s more than once",
                     header_name((enum header_field)i));
            session_offend(s, SPAN_NONE, what);
        }
    }
    if (h->malformed.ptr != NULL) {
        session_offend(s, h->malformed, "header line that is no field");
    }
    if (h->eight_bit.ptr != NULL && !s->mail.utf8) {
        session_offend(s, h->eight_bit, "8-bit header without SMTPUTF8");
    }
}

static void keep_header(struct session *s, const struct header *h)
{
    size_t n = h->message_id.len;

    s->mail.header_done = true;
    if (n >= sizeof(s->id_text)) {
        session_offend(s, h->message_id, "Message-ID over 255 octets");
        n = sizeof(s->id_text) - 1;
    }
    if (n > 0) {
        memcpy(s->id_text, h->message_id.ptr, n);
    }
    s->mail.message_id = span_make(s->id_text, n);
    if (s->sink->options.count) {
        s->mail.hash = ids_hash(s->mail.message_id);
        ids_expect(&s->sink->ids, s->mail.hash);
    }
    check_header(s, h);
}

/* Content bytes[0..n) while the header section is not complete. */
static void feed_header(struct session *s, const char *bytes, size_t n)
{
    struct header h;

    if (s->header.len == 0 && header_read(&h, bytes, n)) {
        keep_header(s, &h);
        return;
    }
    if (s->header.len + n > HEADER_OCTETS) {
        n = HEADER_OCTETS - s->header.len;
    }
    buf_put(&s->header, bytes, n);
    /* Reading it again for each small piece would be slow: only when the
     * empty line may have come. */
    if (memchr(bytes, '\n', n) != NULL &&
        (header_read(&h, s->header.data, s->header.len) ||
         s->header.len == HEADER_OCTETS)) {
        keep_header(s, &h);
    }
}

/* The octets around place in bytes[0..n). */
static struct span around(const char *bytes, size_t n, size_t place)
{
    size_t from = place > 20 ? place - 20 : 0;

    return span_make(bytes + from, n - from < 60 ? n - from : 60);
}

void content_report(struct session *s, const char *bytes, size_t n)
{
    for (int i = 0; s->scan.fresh != 0 && i < SCAN_FINDINGS; i++) {
        if ((s->scan.fresh & (1u << i)) == 0 ||
            (i == SCAN_EIGHT_BIT && s->mail.eight_bit)) {
            continue;
        }
        session_offend(s, around(bytes, n, s->scan.where[i]), finding_words[i]);
    }
}

/* Removes the dots that DATA doubled and the line that ended it. */
static void undo_dots(struct buf *b)
{
    size_t to = 0;
    char before[2] = {'\r', '\n'};

    buf_truncate(b, b->len - 3);
    for (size_t from = 0; from < b->len; from++) {
        char c = b->data[from];
        bool is_doubled = c == '.' && before[0] == '\r' && before[1] == '\n' &&
                          from + 1 < b->len && b->data[from + 1] == '.';

        if (!is_doubled) {
            b->data[to++] = c;
        }
        before[0] = before[1];
        before[1] = c;
    }
    buf_truncate(b, to);
}

static bool keep_mail(struct session *s, uint64_t size, bool by_bdat)
{
    struct stored_mail mail = {
        .number = s->mail.number,
        .connection = s->number,
        .message_id = s->mail.message_id,
        .sender = buf_view(&s->sender),
        .recipients = buf_view(&s->recipients),
        .size = size,
        .by_bdat = by_bdat,
    };

    if (s->sink->store.maildir == NULL && s->sink->store.log == NULL) {
        return true;
    }
    if (!by_bdat && s->sink->store.maildir != NULL) {
        undo_dots(&s->content);
    }
    mail.content = buf_view(&s->content);
    return store_mail(&s->sink->store, &mail);
}

static void count_mail(struct session *s, uint64_t size, bool by_bdat)
{
    struct tally *t = &s->sink->tally;
    const struct fault *fault = s->mail.fault;

    t->accepted++;
    t->bytes += size;
    t->recipients += s->mail.rcpt_taken;
    t->by_bdat += by_bdat;
    t->withheld += fault != NULL && (fault->action == FAULT_DROP_AFTER ||
                                     fault->action == FAULT_STALL_AFTER);
    if (s->mail.message_id.len == 0) {
        t->anonymous++;
    } else if (s->sink->options.count) {
        const struct stored_mail mail = {.number = s->mail.number,
                                         .connection = s->number,
                                         .message_id = s->mail.message_id};

        if (!ids_add(&s->sink->ids, s->mail.hash, s->mail.message_id)) {
            store_double(&s->sink->store, &mail);
        }
    }
}

/* Checks that need all of the content. */
static void check_content(struct session *s, uint64_t size, bool by_bdat)
{
    if (by_bdat && !scan_ends_line(&s->scan)) {
        session_offend(s, span_make((const char *)s->scan.last, 2),
                       "BDAT content that does not end in CRLF");
    }
    if (s->mail.declared > 0 && size > s->mail.declared) {
        session_offend(s, SPAN_NONE, "content longer than SIZE= said");
    }
}

/* All content has come: the reply to the final dot or to BDAT LAST. */
void content_finish(struct session *s, bool by_bdat)
{
    const struct options *o = &s->sink->options;
    const struct fault *fault = s->mail.fault;
    uint64_t size = s->mail.size - s->scan.stuffed - (by_bdat ? 0 : 3);
    const char *text = s->mail.doom;
    char accepted[64];
    struct header h;

    session_enter(s, SESSION_COMMAND);
    if (text == NULL) {
        if (!s->mail.header_done) {
            /* No empty line came; the final dot is no header line. */
            if (!by_bdat && s->header.len >= 3) {
                buf_truncate(&s->header, s->header.len - 3);
            }
            header_read(&h, s->header.data, s->header.len);
            keep_header(s, &h);
        }
        check_content(s, size, by_bdat);
        if (o->size_limit > 0 && size > o->size_limit) {
            text = "552 5.3.4 Too big\r\n";
        } else if (!fault_refuses(fault) && !keep_mail(s, size, by_bdat)) {
            log_error("mail not kept", "mail=%llu errno=%m",
                      (unsigned long long)s->mail.number);
            text = "452 4.3.1 No room\r\n";
        }
    }
    if (text != NULL || fault_refuses(fault)) {
        s->sink->tally.refused_content++;
        session_reply(s, text ? NULL : fault, text ? text : "",
                      text ? strlen(text) : 0, o->dot_delay_us);
        if (by_bdat) {
            bdat_fail(s, true);
        } else {
            s->tx = TX_NONE;
            session_clear_mail(s);
        }
        return;
    }
    count_mail(s, size, by_bdat);
    struct buf b;

    buf_wrap(&b, accepted, sizeof(accepted));
    buf_puts(&b, "250 2.0.0 Ok: queued as ");
    buf_u64(&b, s->mail.number);
    buf_puts(&b, "\r\n");
    session_reply(s, fault, b.data, b.len, o->dot_delay_us);
    s->tx = TX_NONE;
    session_clear_mail(s);
}

void content_data(struct session *s, struct span args)
{
    struct fault *fault = NULL;
    bool go = s->mail.rcpt_taken > 0;

    if (args.len > 0) {
        session_offend(s, args, "DATA with an argument");
    }
    if (s->tx != TX_OPEN || s->mail.chunks > 0) {
        if (s->tx == TX_NONE || s->tx == TX_OPEN ||
            !session_offers_pipelining(s)) {
            session_offend(s, SPAN_NONE,
                           s->tx == TX_OPEN ? "DATA and BDAT in one transaction"
                                            : "DATA out of order");
        }
        session_reply(s, NULL, TEXT("503 5.5.1 Need MAIL and RCPT first"), 0);
        return;
    }
    if (s->mail.rcpt_tried == 0) {
        session_offend(s, SPAN_NONE, "DATA without RCPT");
    }
    fault = session_fault(s, FAULT_DATA, buf_view(&s->recipients));
    if (fault != NULL && fault->action == FAULT_REPLY) {
        go = fault->text[0] == '3';
    }
    if (fault_refuses(fault)) {
        session_reply(s, fault, "", 0, 0);
        return;
    }
    if (!go) {
        session_reply(s, fault, TEXT("554 5.5.1 No valid recipients"), 0);
        return;
    }
    session_reply(s, fault, TEXT("354 End data with <CR><LF>.<CR><LF>"), 0);
    if (s->mode == SESSION_COMMAND) {
        session_enter(s, SESSION_DATA);
        content_begin(s, true);
        s->mail.doom =
            s->mail.rcpt_taken > 0 ? NULL : "554 5.5.1 No valid recipients\r\n";
    }
}

/* One piece of content that is looked at and maybe kept. */
void content_take(struct session *s, const char *bytes, size_t n)
{
    s->mail.size += n;
    if (!s->mail.header_done) {
        feed_header(s, bytes, n);
    }
    if (s->sink->store.maildir != NULL) {
        buf_put(&s->content, bytes, n);
    }
}

static size_t feed_data(struct session *s, const char *bytes, size_t n)
{
    size_t used = 0;

    if (s->must_wait != NULL) {
        if (session_is_ahead(s)) {
            session_check_wait(s, around(bytes, n, 0));
        }
        s->must_wait = NULL;
    }
    used = scan_feed(&s->scan, bytes, n);
    if (s->mail.doom == NULL) {
        content_report(s, bytes, used);
        content_take(s, bytes, used);
    } else {
        s->mail.size += used;
        if (s->scan.ended && s->mail.size > 3) {
            session_offend(s, around(bytes, n, 0),
                           "content though all recipients were refused");
        }
    }
    if (s->scan.ended) {
        content_finish(s, false);
    }
    return used;
}

size_t content_feed(struct session *s, const char *bytes, size_t n)
{
    const struct fault *fault = s->mail.fault;

    if (fault != NULL && fault->action == FAULT_CUT) {
        s->sink->tally.cut++;
        session_reply(s, fault, "", 0, 0);
        return n;
    }
    return s->mode == SESSION_DATA ? feed_data(s, bytes, n)
                                   : bdat_feed(s, bytes, n);
}
