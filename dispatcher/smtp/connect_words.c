/*
 * connect_words - why there is no connection, in words for an operator:
 * where, what was expected, what was said, what to look at.
 */
#include <string.h>

#include "base/mem.h"
#include "smtp/connect_parts.h"

/* What libcurl's codes mean for an operator. */
static const struct trouble {
    CURLcode rc;
    enum place place;
    bool needs_person;
    const char *what;
    const char *advice;
} troubles[] = {
    {CURLE_COULDNT_RESOLVE_HOST, PLACE_GREETING, false,
     "the host name was not found", "check host and the name service"},
    {CURLE_COULDNT_CONNECT, PLACE_GREETING, false, "no connection",
     "check that the relay runs, host and port, and the firewall"},
    {CURLE_OPERATION_TIMEDOUT, PLACE_GREETING, false, "no answer in time",
     "check host, port and tls: a relay that speaks first does not answer a "
     "TLS handshake, and the other way round"},
    {CURLE_SSL_CONNECT_ERROR, PLACE_STARTTLS, false, "TLS failed",
     "check port and tls: implicit is for port 465, starttls for 587 and 25"},
    {CURLE_PEER_FAILED_VERIFICATION, PLACE_STARTTLS, true,
     "the certificate was not accepted",
     "check that host is the name in the certificate, or set ca_file"},
    {CURLE_SSL_CACERT_BADFILE, PLACE_STARTTLS, true,
     "the file of authorities could not be read", "check ca_file"},
    {CURLE_SSL_CERTPROBLEM, PLACE_STARTTLS, true,
     "our own certificate could not be used", "check cert_file and key_file"},
    {CURLE_USE_SSL_FAILED, PLACE_STARTTLS, true, "STARTTLS was expected",
     "set tls to implicit for port 465, or to none for a relay on this host"},
    {CURLE_LOGIN_DENIED, PLACE_AUTH, true, "the credentials were not accepted",
     "check user, password and auth"},
    {CURLE_REMOTE_ACCESS_DENIED, PLACE_EHLO, false, "EHLO was refused",
     "check helo"},
    {CURLE_WEIRD_SERVER_REPLY, PLACE_GREETING, false, "no SMTP greeting",
     "check host and port"},
    {CURLE_GOT_NOTHING, PLACE_GREETING, false, "the relay closed at once",
     "check host and port, and whether the relay refuses this host"},
    {CURLE_RECV_ERROR, PLACE_GREETING, false, "the connection broke",
     "look at the relay's log"},
    {CURLE_SEND_ERROR, PLACE_GREETING, false, "the connection broke",
     "look at the relay's log"},
    {CURLE_INTERFACE_FAILED, PLACE_GREETING, true,
     "source_address cannot be used", "check source_address"},
    {CURLE_OK, PLACE_GREETING, false, "no connection",
     "look at the relay's log"}, /* any other */
};

/* libcurl drops the connection when a reply is already there before TLS has
 * begun: it would count as said under TLS (CVE-2011-0411). */
static const struct trouble smuggled = {
    CURLE_WEIRD_SERVER_REPLY, PLACE_STARTTLS, true,
    "bytes behind the reply to STARTTLS, nothing was sent",
    "somebody between here and the relay may be changing what is said; look "
    "at the relay's software and at what is on the way, or set tls to "
    "implicit"};

static const struct trouble *find_trouble(const struct link *l, CURLcode rc)
{
    const struct trouble *t = troubles;

    if (rc == CURLE_WEIRD_SERVER_REPLY && l->greetings > 1) {
        return &smuggled;
    }

    while (t->rc != rc && t->rc != CURLE_OK) {
        t++;
    }
    return t;
}

void link_put_text(char *out, size_t size, const char *text)
{
    size_t len = strlen(text);

    len = len < size - 1 ? len : size - 1;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];

        out[i] = c < 0x20 || c == 0x7f ? ' ' : text[i];
    }
    out[len] = '\0';
}

void link_describe(const struct link *l, CURLcode rc,
                   struct link_result *result)
{
    const struct relay_settings *s = l->settings;
    const struct trouble *t = find_trouble(l, rc);
    const char *detail = l->error[0] ? l->error : curl_easy_strerror(rc);
    char memory[REPLY_TEXT_MAX];
    char *text = NULL;

    result->place = t->place;
    result->needs_person = t->needs_person;
    result->answer =
        rc == CURLE_OPERATION_TIMEDOUT ? ANSWER_TIMEOUT : ANSWER_LOST;
    if (l->replies > 0 && l->reply.is_over && l->reply.code >= 400) {
        result->answer = ANSWER_REPLY;
        result->needs_person = false; /* the reply code says it better */
        result->code = l->reply.code;
        memcpy(result->enhanced, l->reply.enhanced, sizeof(result->enhanced));
        text = mem_printf("%s:%d: %s: \"%d %.*s\"; %s",
                          s->unix_path ? s->unix_path : s->host,
                          relay_settings_port(s), t->what, l->reply.code,
                          SPAN_ARG(reply_text(&l->reply, memory)), t->advice);
    } else {
        text = mem_printf("%s:%d: %s (%s); %s",
                          s->unix_path ? s->unix_path : s->host,
                          relay_settings_port(s), t->what, detail, t->advice);
    }
    link_put_text(result->text, sizeof(result->text), text);
    mem_free(text);
}
