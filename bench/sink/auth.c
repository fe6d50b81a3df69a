/*
 * auth - AUTH PLAIN (RFC 4616) and AUTH LOGIN.
 */
#include <strings.h>

#include <openssl/evp.h>

#include "bench/sink/talk.h"

enum { AUTH_BYTES = 1024 };

/* Decodes base64; -1 when it is none or too long. */
static int decode(struct span text, char *bytes)
{
    int n = 0;

    if (text.len % 4 != 0 || text.len / 4 * 3 >= AUTH_BYTES) {
        return -1;
    }
    n = EVP_DecodeBlock((unsigned char *)bytes, (const unsigned char *)text.ptr,
                        (int)text.len);
    for (size_t i = text.len; n > 0 && i > 0 && text.ptr[i - 1] == '='; i--) {
        n--;
    }
    return n;
}

static void judge(struct session *s, struct span user, struct span password)
{
    const struct options *o = &s->sink->options;
    struct span wanted = span_make(o->user, strcspn(o->user, ":"));
    struct fault *fault = session_fault(s, FAULT_AUTH, user);

    session_enter(s, SESSION_COMMAND);
    s->must_wait = "AUTH";
    if (fault_refuses(fault)) {
        session_reply(s, fault, "", 0, 0);
        return;
    }
    if (!span_equal(user, wanted) || !span_is(password, o->password)) {
        session_reply(s, fault, TEXT("535 5.7.8 Bad credentials"), 0);
        return;
    }
    s->authenticated = true;
    s->sink->tally.authenticated++;
    session_reply(s, fault, TEXT("235 2.7.0 Ok"), 0);
}

static void fail(struct session *s, struct span bytes)
{
    session_offend(s, bytes, "AUTH that is no base64 or cannot be read");
    session_enter(s, SESSION_COMMAND);
    session_reply(s, NULL, TEXT("501 5.5.2 Cannot decode"), 0);
}

/* "authorisation NUL user NUL password" */
static void judge_plain(struct session *s, struct span text)
{
    char bytes[AUTH_BYTES];
    int n = decode(text, bytes);
    const char *user = n > 0 ? memchr(bytes, '\0', (size_t)n) : NULL;
    const char *password = NULL;

    if (user != NULL) {
        user++;
        password = memchr(user, '\0', (size_t)(bytes + n - user));
    }
    if (password == NULL) {
        fail(s, text);
        return;
    }
    judge(s, span_make(user, (size_t)(password - user)),
          span_make(password + 1, (size_t)(bytes + n - password - 1)));
}

static void take_user(struct session *s, struct span text)
{
    char bytes[AUTH_BYTES];
    int n = decode(text, bytes);

    if (n < 0 || (size_t)n >= sizeof(s->auth_user)) {
        fail(s, text);
        return;
    }
    memcpy(s->auth_user, bytes, (size_t)n);
    s->auth_user[n] = '\0';
    s->auth_step = AUTH_PASSWORD;
    session_reply(s, NULL, TEXT("334 UGFzc3dvcmQ6"), 0);
}

static void take_password(struct session *s, struct span text)
{
    char bytes[AUTH_BYTES];
    int n = decode(text, bytes);

    if (n < 0) {
        fail(s, text);
        return;
    }
    judge(s, span_of(s->auth_user), span_make(bytes, (size_t)n));
}

void auth_line(struct session *s, struct span line)
{
    s->must_wait = "AUTH";
    if (span_is(line, "*")) {
        session_enter(s, SESSION_COMMAND);
        session_reply(s, NULL, TEXT("501 5.7.0 Given up"), 0);
        return;
    }
    switch (s->auth_step) {
    case AUTH_PLAIN: judge_plain(s, line); return;
    case AUTH_USER: take_user(s, line); return;
    case AUTH_PASSWORD: take_password(s, line); return;
    }
}

/* What forbids AUTH now, as a reply; or NULL. */
static const char *objection(struct session *s)
{
    const struct options *o = &s->sink->options;

    if (o->require_tls && !s->tls) {
        session_offend(s, SPAN_NONE, "AUTH without TLS");
        return "530 5.7.0 Must issue STARTTLS first\r\n";
    }
    if (!session_offers_auth(s)) {
        session_offend(s, SPAN_NONE, "AUTH that was not offered");
        return "503 5.5.1 Not offered\r\n";
    }
    if (s->authenticated) {
        session_offend(s, SPAN_NONE, "AUTH twice");
        return "503 5.5.1 Already authenticated\r\n";
    }
    if (s->tx == TX_OPEN) {
        session_offend(s, SPAN_NONE, "AUTH inside a transaction");
        return "503 5.5.1 Inside a transaction\r\n";
    }
    return NULL;
}

static void begin_step(struct session *s, enum auth_step step,
                       const char *challenge, struct span initial)
{
    s->auth_step = step;
    session_enter(s, SESSION_AUTH);
    if (initial.len > 0) {
        /* "=" stands for an empty first response (RFC 4954 §4). */
        auth_line(s, span_is(initial, "=") ? SPAN_LIT("") : initial);
        if (s->mode == SESSION_COMMAND && step == AUTH_PLAIN) {
            /* All in one line: may be pipelined behind (RFC 4954 §4). */
            s->must_wait = NULL;
        }
    } else {
        session_reply(s, NULL, challenge, strlen(challenge), 0);
    }
}

void auth_begin(struct session *s, struct span args)
{
    const char *space = memchr(args.ptr, ' ', args.len);
    struct span name = args;
    struct span initial = SPAN_NONE;
    const char *text = objection(s);

    if (text != NULL) {
        session_reply(s, NULL, text, strlen(text), 0);
        return;
    }
    if (space != NULL) {
        name.len = (size_t)(space - args.ptr);
        initial = span_make(space + 1, args.len - name.len - 1);
    }
    if (name.len == 5 && strncasecmp(name.ptr, "PLAIN", 5) == 0) {
        begin_step(s, AUTH_PLAIN, "334 \r\n", initial);
    } else if (name.len == 5 && strncasecmp(name.ptr, "LOGIN", 5) == 0) {
        begin_step(s, AUTH_USER, "334 VXNlcm5hbWU6\r\n", initial);
    } else {
        session_offend(s, args, "mechanism that was not offered");
        session_reply(s, NULL, TEXT("504 5.5.4 Unknown mechanism"), 0);
    }
}
