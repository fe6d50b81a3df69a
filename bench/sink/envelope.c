/*
 * envelope - the commands MAIL and RCPT.
 */
#include <stdlib.h>
#include <strings.h>

#include "bench/sink/talk.h"

enum { PATH_OCTETS = 256, LOCAL_OCTETS = 64 };

/* True when any octet is above 127. */
static bool is_eight_bit(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        if ((unsigned char)s.ptr[i] >= 0x80) {
            return true;
        }
    }
    return false;
}

/* "FROM:<a@b> PARAMETERS": the address into *address, and args becomes the
 * parameters. False when there is no path. */
static bool take_path(struct session *s, struct span *args, const char *word,
                      struct span *address)
{
    size_t n = strlen(word);
    const struct span whole = *args;
    bool quoted = false;
    size_t i = 0;

    if (args->len < n || strncasecmp(args->ptr, word, n) != 0) {
        return false;
    }
    i = n;
    if (i < args->len && args->ptr[i] == ' ') {
        session_offend(s, whole, "space in front of the path");
        while (i < args->len && args->ptr[i] == ' ') {
            i++;
        }
    }
    if (i >= args->len || args->ptr[i] != '<') {
        return false;
    }
    address->ptr = args->ptr + ++i;
    for (; i < args->len && (quoted || args->ptr[i] != '>'); i++) {
        if (quoted && args->ptr[i] == '\\') {
            i++;
        } else if (args->ptr[i] == '"') {
            quoted = !quoted;
        }
    }
    if (i >= args->len) {
        return false;
    }
    address->len = (size_t)(args->ptr + i - address->ptr);
    args->ptr += i + 1;
    args->len -= i + 1;
    if (args->len > 0 && args->ptr[0] != ' ') {
        session_offend(s, whole, "no space behind the path");
    }
    return true;
}

static void check_address(struct session *s, struct span address,
                          bool may_be_empty)
{
    const char *at = memrchr(address.ptr, '@', address.len);
    const struct span bad = address;

    if (address.len == 0) {
        if (!may_be_empty) {
            session_offend(s, bad, "empty recipient");
        }
        return;
    }
    if (address.len + 2 > PATH_OCTETS) {
        session_offend(s, bad, "path over 256 octets");
    }
    if (at == NULL || at == address.ptr ||
        at + 1 == address.ptr + address.len) {
        session_offend(s, bad, "address without a local part or a domain");
        return;
    }
    if (at - address.ptr > LOCAL_OCTETS) {
        session_offend(s, bad, "local part over 64 octets");
    }
    if (address.ptr[0] != '"' &&
        (memchr(address.ptr, ' ', address.len) != NULL ||
         memchr(address.ptr, '<', address.len) != NULL)) {
        session_offend(s, bad, "unquoted special in an address");
    }
}

/* One parameter of MAIL. False when it must be refused. */
static bool mail_parameter(struct session *s, struct span word)
{
    const char *equals = memchr(word.ptr, '=', word.len);
    struct span key = word;
    struct span value = SPAN_NONE;
    char number[24] = "";

    if (equals != NULL) {
        key.len = (size_t)(equals - word.ptr);
        value = span_make(equals + 1, word.len - key.len - 1);
    }
    if (key.len == 4 && strncasecmp(key.ptr, "SIZE", 4) == 0) {
        memcpy(number, value.ptr ? value.ptr : "",
               value.len < 20 ? value.len : 20);
        s->mail.declared = strtoull(number, NULL, 10);
        return session_offers_size(s) && value.len > 0 &&
               strspn(number, "0123456789") == value.len;
    }
    if (key.len == 4 && strncasecmp(key.ptr, "BODY", 4) == 0) {
        s->mail.eight_bit =
            value.len == 8 && strncasecmp(value.ptr, "8BITMIME", 8) == 0;
        return session_offers_8bitmime(s) &&
               (s->mail.eight_bit ||
                (value.len == 4 && strncasecmp(value.ptr, "7BIT", 4) == 0));
    }
    if (key.len == 8 && strncasecmp(key.ptr, "SMTPUTF8", 8) == 0) {
        s->mail.utf8 = true;
        return session_offers_smtputf8(s) && equals == NULL;
    }
    if (key.len == 4 && strncasecmp(key.ptr, "AUTH", 4) == 0) {
        return session_offers_auth(s) && value.len > 0;
    }
    return false;
}

static bool mail_parameters(struct session *s, struct span args)
{
    while (args.len > 0) {
        const char *space = NULL;
        struct span word = args;

        if (args.ptr[0] == ' ') {
            args.ptr++;
            args.len--;
            continue;
        }
        space = memchr(args.ptr, ' ', args.len);
        word.len = space ? (size_t)(space - args.ptr) : args.len;
        if (!mail_parameter(s, word)) {
            session_offend(s, word, "parameter that was not offered");
            return false;
        }
        args.ptr += word.len;
        args.len -= word.len;
    }
    return true;
}

/* Everything that forbids a MAIL before its argument is looked at. */
static const char *mail_objection(struct session *s, struct span args)
{
    const struct options *o = &s->sink->options;

    if (!s->greeted) {
        session_offend(s, args, "MAIL before EHLO");
        return "503 5.5.1 Say EHLO first\r\n";
    }
    if (s->tx == TX_OPEN) {
        session_offend(s, args, "MAIL inside a transaction");
        return "503 5.5.1 Nested MAIL\r\n";
    }
    if (s->tx == TX_BROKEN) {
        if (!session_offers_pipelining(s)) {
            session_offend(s, args, "MAIL without RSET after a failed BDAT");
        }
        return "503 5.5.1 RSET after a failed BDAT\r\n";
    }
    if (o->require_tls && !s->tls) {
        return "530 5.7.0 Must issue STARTTLS first\r\n";
    }
    if (o->require_auth && !s->authenticated) {
        return "530 5.7.0 Authentication required\r\n";
    }
    if (o->mail_max > 0 && s->mails > o->mail_max) {
        session_offend(s, args, "more mails than MAILMAX");
        return "452 4.5.3 Too many mails in this session\r\n";
    }
    return NULL;
}

static void refuse_mail(struct session *s, const struct fault *fault,
                        const char *text)
{
    s->sink->tally.refused_mail++;
    if (s->tx != TX_OPEN && s->tx != TX_BROKEN) {
        s->tx = TX_REFUSED;
    }
    session_reply(s, fault, text, strlen(text), 0);
}

void envelope_mail(struct session *s, struct span args)
{
    const struct options *o = &s->sink->options;
    struct tally *tally = &s->sink->tally;
    struct span address = SPAN_NONE;
    struct fault *fault = NULL;
    const struct span whole = args;
    uint64_t before = s->mail.number;
    const char *objection = NULL;

    if (++tally->mails_begun == 1) {
        tally_first_mail(tally);
    }
    s->mails++;
    if (o->mails_per_connection > 0 && s->mails > o->mails_per_connection) {
        tally->refused_mail++;
        session_farewell(s, TEXT("421 4.7.0 Enough mail on this connection"));
        return;
    }
    s->mail.number = tally->mails_begun;
    objection = mail_objection(s, args);
    if (objection != NULL) {
        if (s->tx == TX_OPEN) {
            s->mail.number = before;
        }
        refuse_mail(s, NULL, objection);
        return;
    }
    session_clear_mail(s);
    if (!take_path(s, &args, "FROM:", &address)) {
        session_offend(s, whole, "MAIL without a path");
        refuse_mail(s, NULL, "501 5.5.4 Syntax: MAIL FROM:<address>\r\n");
        return;
    }
    check_address(s, address, true);
    fault = session_fault(s, FAULT_MAIL, address);
    if (fault_refuses(fault)) {
        refuse_mail(s, fault, "");
        return;
    }
    if (!mail_parameters(s, args)) {
        refuse_mail(s, NULL, "555 5.5.4 Parameter not offered\r\n");
        return;
    }
    if (o->size_limit > 0 && s->mail.declared > o->size_limit) {
        session_offend(s, whole, "SIZE above what was offered");
        refuse_mail(s, NULL, "552 5.3.4 Too big\r\n");
        return;
    }
    if (!s->mail.utf8 && is_eight_bit(address)) {
        session_offend(s, address, "SMTPUTF8 needed but not declared");
    }
    s->tx = TX_OPEN;
    buf_span(&s->sender, address);
    session_reply(s, fault, TEXT("250 2.1.0 Ok"), 0);
}

static void refuse_rcpt(struct session *s, const struct fault *fault,
                        const char *text)
{
    s->sink->tally.refused_rcpt++;
    session_reply(s, fault, text, strlen(text), 0);
}

static bool rcpt_is_in_order(struct session *s, struct span args)
{
    if (s->tx == TX_OPEN && s->mail.chunks == 0) {
        return true;
    }
    /* Behind a MAIL that was refused it may have been on the way already. */
    if (s->tx == TX_NONE || s->tx == TX_OPEN || !session_offers_pipelining(s)) {
        session_offend(s, args, "RCPT out of order");
    }
    return false;
}

void envelope_rcpt(struct session *s, struct span args)
{
    const struct options *o = &s->sink->options;
    struct span address = SPAN_NONE;
    struct fault *fault = NULL;
    const struct span whole = args;

    if (!rcpt_is_in_order(s, args)) {
        refuse_rcpt(s, NULL, "503 5.5.1 Need MAIL first\r\n");
        return;
    }
    s->mail.rcpt_tried++;
    if (o->rcpt_max > 0 && s->mail.rcpt_tried > o->rcpt_max) {
        session_offend(s, args, "more recipients than RCPTMAX");
        refuse_rcpt(s, NULL, "452 4.5.3 Too many recipients\r\n");
        return;
    }
    if (!take_path(s, &args, "TO:", &address)) {
        session_offend(s, whole, "RCPT without a path");
        refuse_rcpt(s, NULL, "501 5.5.4 Syntax: RCPT TO:<address>\r\n");
        return;
    }
    check_address(s, address, false);
    if (span_trim(args).len > 0) {
        session_offend(s, whole, "parameter that was not offered");
        refuse_rcpt(s, NULL, "555 5.5.4 Parameter not offered\r\n");
        return;
    }
    if (!s->mail.utf8 && is_eight_bit(address)) {
        session_offend(s, address, "SMTPUTF8 needed but not declared");
    }
    fault = session_fault(s, FAULT_RCPT, address);
    if (fault_refuses(fault)) {
        refuse_rcpt(s, fault, "");
        return;
    }
    s->mail.rcpt_taken++;
    buf_span(&s->recipients, address);
    buf_putc(&s->recipients, '\0');
    session_reply(s, fault, TEXT("250 2.1.5 Ok"), 0);
}
