/*
 * session - one SMTP conversation, from the server's side.
 *
 * Here: the modes, lines, replies and the faults done to them. The commands
 * are in verbs.c, envelope.c, content.c, bdat.c and
 * auth.c.
 */
#include "bench/sink/session.h"

#include "base/clock.h"
#include "base/log.h"
#include "bench/sink/talk.h"

enum {
    LINE_KEPT = 16 * 1024, /* longest line of AUTH is 12288 (RFC 4954 §4) */
    SPLIT_GAP_US = 1000
};

static const char *const mode_names[] = {
    [SESSION_COMMAND] = "command", [SESSION_DATA] = "data",
    [SESSION_BDAT] = "bdat",       [SESSION_AUTH] = "auth",
    [SESSION_HANDSHAKE] = "tls",   [SESSION_DEAF] = "deaf",
};

static const char garbage[] = "\x16\x03\x01 \xff\xfe this is no reply\r\n";

void session_enter(struct session *s, enum session_mode mode)
{
    if (log_wants(LOG_LEVEL_DEBUG)) {
        log_debug("session", "connection=%llu from=%s to=%s",
                  (unsigned long long)s->number, mode_names[s->mode],
                  mode_names[mode]);
    }
    s->mode = mode;
}

void session_init(struct session *s, struct sink *sink, struct outbox *out,
                  uint64_t number, bool tls)
{
    *s = (struct session){
        .sink = sink, .out = out, .number = number, .tls = tls};
    buf_init(&s->line, LINE_KEPT);
    buf_init(&s->sender, 0);
    buf_init(&s->recipients, 0);
    buf_init(&s->header, 0);
    buf_init(&s->content, 0);
    s->must_wait = "the greeting";
}

void session_release(struct session *s)
{
    buf_release(&s->line);
    buf_release(&s->sender);
    buf_release(&s->recipients);
    buf_release(&s->header);
    buf_release(&s->content);
}

void session_clear_mail(struct session *s)
{
    s->mail = (struct mail){.number = s->mail.number};
    buf_clear(&s->sender);
    buf_clear(&s->recipients);
    buf_clear(&s->header);
    buf_clear(&s->content);
}

void session_offend(struct session *s, struct span bytes, const char *what)
{
    if (!s->desynced) {
        offences_add(&s->sink->offences, s->number, s->mail.number, bytes,
                     what);
    }
}

struct fault *session_fault(struct session *s, enum fault_verb verb,
                            struct span about)
{
    bool of_mail = verb == FAULT_MAIL || verb == FAULT_RCPT ||
                   verb == FAULT_DATA || verb == FAULT_CONTENT ||
                   verb == FAULT_RSET;

    return faults_find(&s->sink->options.faults, verb,
                       of_mail ? s->mail.number : s->number,
                       s->sink->tally.commands, about);
}

static void put(struct session *s, const char *text, size_t n, int64_t delay_us)
{
    if (delay_us > 0 && s->sink->options.dot_serial) {
        outbox_put_after(s->out, text, n, delay_us);
    } else {
        outbox_put(s->out, text, n, delay_us);
    }
}

/* Ends the connection behind what was put. */
static void end(struct session *s, enum outbox_step how)
{
    outbox_end(s->out, how);
    s->ended_by_us = true;
    session_enter(s, SESSION_DEAF);
}

void session_farewell(struct session *s, const char *text, size_t n)
{
    outbox_put(s->out, text, n, 0);
    end(s, OUTBOX_QUIT);
}

/* A reply that goes out after all, in an odd way. */
static void reply_oddly(struct session *s, const struct fault *fault,
                        const char *text, size_t n, int64_t delay_us)
{
    const char *extra = "250 2.0.0 and one more\r\n";

    if (fault->action == FAULT_REPLY) {
        text = fault->text;
        n = strlen(text);
    } else if (n == 0) {
        text = "554 5.6.0 Refused\r\n"; /* noswallow without a text */
        n = strlen(text);
    }
    if (fault->split) {
        put(s, "", 0, delay_us);
        outbox_split(s->out, text, n, SPLIT_GAP_US);
    } else {
        put(s, text, n, delay_us);
    }
    if (fault->extra) {
        extra = fault->text ? fault->text : extra;
        outbox_put(s->out, extra, strlen(extra), 0);
        s->desynced = true;
    }
    if (fault->fin) {
        end(s, OUTBOX_FIN);
    } else if (fault->text != NULL && strncmp(fault->text, "421", 3) == 0) {
        end(s, OUTBOX_QUIT);
    }
}

void session_reply(struct session *s, const struct fault *fault,
                   const char *text, size_t n, int64_t delay_us)
{
    if (fault == NULL) {
        put(s, text, n, delay_us);
        return;
    }
    switch (fault->action) {
    case FAULT_NONE:
    case FAULT_REPLY: reply_oddly(s, fault, text, n, delay_us); return;
    case FAULT_DROP:
    case FAULT_DROP_AFTER:
    case FAULT_CUT: end(s, OUTBOX_CLOSE); return;
    case FAULT_RESET: end(s, OUTBOX_RESET); return;
    case FAULT_STALL:
    case FAULT_STALL_AFTER: session_enter(s, SESSION_DEAF); return;
    case FAULT_GARBAGE:
        put(s, garbage, sizeof(garbage) - 1, delay_us);
        s->desynced = true;
        return;
    }
}

void session_greet(struct session *s)
{
    const struct options *o = &s->sink->options;
    const struct fault *fault = session_fault(s, FAULT_CONNECT, SPAN_NONE);
    char text[300];
    int n = snprintf(text, sizeof(text), "220 %.200s ESMTP sink\r\n", o->name);

    session_reply(s, fault, text, (size_t)n, o->greet_delay_us);
    if (fault_refuses(fault)) {
        s->sink->tally.refused_connections++;
    }
}

void session_turn_away(struct session *s)
{
    s->sink->tally.refused_connections++;
    session_farewell(s, TEXT("421 4.7.0 Too many connections"));
}

void session_secured(struct session *s)
{
    s->tls = true;
    s->greeted = false;
    s->esmtp = false;
    s->tx = TX_NONE;
    s->must_wait = NULL;
    session_clear_mail(s);
    buf_clear(&s->line);
    session_enter(s, SESSION_COMMAND);
}

void session_ended(struct session *s)
{
    if (s->mode == SESSION_DATA || s->mode == SESSION_BDAT) {
        s->sink->tally.cut++;
    }
    if (!s->ended_by_us) {
        s->sink->tally.without_quit++;
    }
}

void session_check_wait(struct session *s, struct span bytes)
{
    char what[80];

    if (s->must_wait != NULL) {
        snprintf(what, sizeof(what), "bytes sent ahead of the reply to %s",
                 s->must_wait);
        session_offend(s, bytes, what);
    } else if (!session_offers_pipelining(s)) {
        session_offend(s, bytes, "pipelined without PIPELINING offered");
    }
}

/* A whole line, with its LF. */
static void take_line(struct session *s, struct span line)
{
    if (s->line_ahead) {
        session_check_wait(s, line);
    }
    s->must_wait = NULL;
    if (line.len >= 2 && line.ptr[line.len - 2] == '\r') {
        line.len -= 2;
    } else {
        session_offend(s, line, "bare LF in a command");
        line.len -= 1;
    }
    if (s->mode == SESSION_AUTH) {
        auth_line(s, line);
    } else {
        verbs_run(s, line);
    }
}

/* Takes a line or the beginning of one; returns how many bytes. */
static size_t feed_line(struct session *s, const char *bytes, size_t n)
{
    const char *lf = memchr(bytes, '\n', n);
    size_t len = lf ? (size_t)(lf - bytes) + 1 : n;
    bool is_whole = lf != NULL && s->line.len == 0 && !s->line_long;

    if (s->line.len == 0 && !s->line_long) {
        s->line_ahead = session_is_ahead(s);
    }
    if (is_whole && len <= LINE_KEPT) {
        take_line(s, span_make(bytes, len));
        return len;
    }
    buf_put(&s->line, bytes, len);
    if (!buf_ok(&s->line)) {
        s->line_long = true;
        buf_clear(&s->line);
    }
    if (lf == NULL) {
        return len;
    }
    if (s->line_long) {
        s->line_long = false;
        session_offend(s, span_make(bytes, len), "line without end");
        session_reply(s, NULL, TEXT("500 5.5.2 Line too long"), 0);
    } else {
        take_line(s, buf_view(&s->line));
    }
    buf_clear(&s->line);
    return len;
}

void session_feed(struct session *s, const char *bytes, size_t n, bool early)
{
    uint64_t accepted = s->sink->tally.accepted;
    size_t at = 0;

    s->early = early;
    while (at < n) {
        switch (s->mode) {
        case SESSION_COMMAND:
        case SESSION_AUTH: at += feed_line(s, bytes + at, n - at); break;
        case SESSION_DATA:
        case SESSION_BDAT: at += content_feed(s, bytes + at, n - at); break;
        case SESSION_HANDSHAKE:
            session_offend(s, span_make(bytes + at, n - at),
                           "bytes sent ahead of the reply to STARTTLS");
            at = n;
            break;
        case SESSION_DEAF: at = n; break;
        }
    }
    if (s->sink->tally.accepted != accepted) {
        s->sink->tally.last_mail_us = clock_monotonic_us();
    }
}
