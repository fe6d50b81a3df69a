/*
 * verbs - the commands of a session, except for mail itself.
 */
#include <stdio.h>
#include <strings.h>

#include "bench/sink/talk.h"

enum {
    COMMAND_OCTETS = 512, /* RFC 5321 §4.5.3.1.4, with CRLF */
    MAIL_OCTETS = COMMAND_OCTETS + 26 + 10 + 16 + 500, /* SIZE UTF8 BODY AUTH */
    RCPT_OCTETS = COMMAND_OCTETS + 10,
    AUTH_OCTETS = 12288
};

struct verb {
    const char *name;
    size_t len;
    size_t octets; /* longest line */
    bool is_last;  /* nothing may be pipelined behind it */
    void (*run)(struct session *s, struct span args);
};

bool session_offers_pipelining(const struct session *s)
{
    const struct options *o = &s->sink->options;

    return s->esmtp && !o->no_pipelining && (s->tls || !o->bare_before_tls);
}

static bool offers(const struct session *s, bool hidden)
{
    return s->esmtp && !hidden && (s->tls || !s->sink->options.bare_before_tls);
}

bool session_offers_chunking(const struct session *s)
{
    return offers(s, s->sink->options.no_chunking);
}

bool session_offers_8bitmime(const struct session *s)
{
    return offers(s, s->sink->options.no_8bitmime);
}

bool session_offers_smtputf8(const struct session *s)
{
    return offers(s, s->sink->options.no_smtputf8);
}

bool session_offers_size(const struct session *s)
{
    return offers(s, s->sink->options.no_size);
}

bool session_offers_auth(const struct session *s)
{
    const struct options *o = &s->sink->options;

    return s->esmtp && o->user != NULL && !o->hide_auth &&
           (s->tls || o->auth_plain_ok);
}

bool session_offers_starttls(const struct session *s)
{
    return s->esmtp && s->sink->options.starttls && !s->tls;
}

static void put_ehlo(const struct session *s, struct buf *b)
{
    const struct options *o = &s->sink->options;

    buf_printf(b, "250-%s greets you\r\n", o->name);
    if (session_offers_pipelining(s)) {
        buf_puts(b, "250-PIPELINING\r\n");
    }
    if (session_offers_size(s)) {
        buf_puts(b, "250-SIZE");
        if (o->size_limit > 0) {
            buf_printf(b, " %llu", (unsigned long long)o->size_limit);
        }
        buf_puts(b, "\r\n");
    }
    if (session_offers_starttls(s)) {
        buf_puts(b, "250-STARTTLS\r\n");
    }
    if (session_offers_auth(s)) {
        buf_puts(b, "250-AUTH PLAIN LOGIN\r\n");
    }
    if (session_offers_8bitmime(s)) {
        buf_puts(b, "250-8BITMIME\r\n");
    }
    if (session_offers_smtputf8(s)) {
        buf_puts(b, "250-SMTPUTF8\r\n");
    }
    if (session_offers_chunking(s)) {
        buf_puts(b, "250-CHUNKING\r\n");
    }
    if (o->limits != NULL && offers(s, false)) {
        buf_printf(b, "250-LIMITS %s\r\n", o->limits);
    }
    for (size_t i = 0; i < o->line_count; i++) {
        buf_printf(b, "250-%s\r\n", o->lines[i]);
    }
    buf_puts(b, "250 ENHANCEDSTATUSCODES\r\n");
}

static void run_hello(struct session *s, struct span args, bool esmtp)
{
    struct fault *fault = session_fault(s, FAULT_EHLO, args);
    struct buf b;

    if (fault_refuses(fault)) {
        session_reply(s, fault, "", 0, 0);
        return;
    }
    if (span_trim(args).len == 0) {
        session_offend(s, args, "EHLO or HELO without a name");
    }
    s->greeted = true;
    s->esmtp = esmtp;
    s->tx = TX_NONE;
    session_clear_mail(s);
    buf_init(&b, 0);
    if (esmtp) {
        put_ehlo(s, &b);
    } else {
        buf_printf(&b, "250 %s\r\n", s->sink->options.name);
    }
    session_reply(s, fault, b.data, b.len, 0);
    buf_release(&b);
}

static void run_ehlo(struct session *s, struct span args)
{
    run_hello(s, args, true);
}

static void run_helo(struct session *s, struct span args)
{
    run_hello(s, args, false);
}

static void run_rset(struct session *s, struct span args)
{
    struct fault *fault = session_fault(s, FAULT_RSET, SPAN_NONE);

    if (args.len > 0) {
        session_offend(s, args, "RSET with an argument");
    }
    if (!fault_refuses(fault)) {
        s->tx = TX_NONE;
        session_clear_mail(s);
    }
    session_reply(s, fault, TEXT("250 2.0.0 Ok"), 0);
}

static void run_noop(struct session *s, struct span args)
{
    (void)args;
    session_reply(s, session_fault(s, FAULT_ANY, SPAN_NONE),
                  TEXT("250 2.0.0 Ok"), 0);
}

static void run_vrfy(struct session *s, struct span args)
{
    (void)args;
    session_reply(s, NULL, TEXT("252 2.1.5 Send some mail, I will try"), 0);
}

static void run_help(struct session *s, struct span args)
{
    (void)args;
    session_reply(s, NULL, TEXT("214 2.0.0 See RFC 5321"), 0);
}

static void run_quit(struct session *s, struct span args)
{
    struct fault *fault = session_fault(s, FAULT_QUIT, SPAN_NONE);

    (void)args;
    s->ended_by_us = true;
    if (fault != NULL) {
        session_reply(s, fault, TEXT("221 2.0.0 Bye"), 0);
    } else {
        session_farewell(s, TEXT("221 2.0.0 Bye"));
    }
}

static void run_starttls(struct session *s, struct span args)
{
    struct fault *fault = session_fault(s, FAULT_STARTTLS, SPAN_NONE);

    if (args.len > 0) {
        session_offend(s, args, "STARTTLS with an argument");
    }
    if (!session_offers_starttls(s)) {
        session_offend(s, args, "STARTTLS that was not offered");
        session_reply(s, NULL, TEXT("503 5.5.1 Not offered"), 0);
        return;
    }
    session_reply(s, fault, TEXT("220 2.0.0 Go ahead"), 0);
    if (!fault_refuses(fault) && s->mode == SESSION_COMMAND) {
        outbox_end(s->out, OUTBOX_TLS);
        session_enter(s, SESSION_HANDSHAKE);
    }
}

static const struct verb verbs[] = {
#define VERB(name, octets, is_last, run)                                       \
    {                                                                          \
        name, sizeof(name) - 1, octets, is_last, run                           \
    }
    VERB("RCPT", RCPT_OCTETS, false, envelope_rcpt),
    VERB("MAIL", MAIL_OCTETS, false, envelope_mail),
    VERB("BDAT", COMMAND_OCTETS, false, bdat_run),
    VERB("DATA", COMMAND_OCTETS, true, content_data),
    VERB("RSET", COMMAND_OCTETS, false, run_rset),
    VERB("EHLO", COMMAND_OCTETS, true, run_ehlo),
    VERB("HELO", COMMAND_OCTETS, true, run_helo),
    VERB("QUIT", COMMAND_OCTETS, true, run_quit),
    VERB("NOOP", COMMAND_OCTETS, true, run_noop),
    VERB("AUTH", AUTH_OCTETS, true, auth_begin),
    VERB("STARTTLS", COMMAND_OCTETS, true, run_starttls),
    VERB("VRFY", COMMAND_OCTETS, true, run_vrfy),
    VERB("EXPN", COMMAND_OCTETS, true, run_vrfy),
    VERB("HELP", COMMAND_OCTETS, true, run_help),
#undef VERB
};

static uint32_t first_four(const char *text)
{
    uint32_t word = 0;

    memcpy(&word, text, sizeof(word));
    return word & 0xdfdfdfdfu; /* capital letters */
}

static const struct verb *find_verb(struct span line)
{
    uint32_t word = line.len >= 4 ? first_four(line.ptr) : 0;

    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        const struct verb *verb = &verbs[i];

        if (word == first_four(verb->name) && line.len >= verb->len &&
            strncasecmp(line.ptr, verb->name, verb->len) == 0 &&
            (line.len == verb->len || line.ptr[verb->len] == ' ')) {
            return verb;
        }
    }
    return NULL;
}

/* Octets that no command may have; 8-bit ones are MAIL's and RCPT's affair. */
static void check_octets(struct session *s, struct span line)
{
    for (size_t i = 0; i < line.len; i++) {
        unsigned char c = (unsigned char)line.ptr[i];

        if (c < 0x20 || c == 0x7f) {
            session_offend(s, line,
                           c == '\r' ? "bare CR in a command"
                                     : "control character in a command");
            return;
        }
    }
}

void verbs_run(struct session *s, struct span line)
{
    const struct verb *verb = find_verb(line);
    struct span args = line;

    s->sink->tally.commands++;
    check_octets(s, line);
    if (verb == NULL) {
        session_offend(s, line,
                       s->after_bdat ? "unknown command behind BDAT octets"
                                     : "unknown command");
        s->after_bdat = false;
        session_reply(s, session_fault(s, FAULT_ANY, SPAN_NONE),
                      TEXT("500 5.5.2 Unknown command"), 0);
        return;
    }
    if (line.len + 2 > verb->octets) {
        session_offend(s, line, "command line too long");
    }
    s->after_bdat = false;
    args.ptr += verb->len;
    args.len -= verb->len;
    if (args.len > 0) {
        args.ptr++;
        args.len--;
    }
    if (verb->is_last) {
        s->must_wait = verb->name;
    }
    verb->run(s, args);
}
