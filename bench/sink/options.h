/*
 * options - the command line of the sink.
 */
#ifndef SINK_OPTIONS_H
#define SINK_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/sink/fault.h"

enum { OPTIONS_LISTENS = 16, OPTIONS_LINES = 16 };

struct listen_spec {
    const char *address; /* HOST:PORT, [HOST]:PORT or a path with "/" */
    bool tls;            /* TLS from the first byte */
};

/* All strings are those of argv. */
struct options {
    struct listen_spec listens[OPTIONS_LISTENS];
    size_t listen_count;
    const char *port_file;
    const char *name; /* in the greeting and the reply to EHLO */

    bool no_pipelining;
    bool no_chunking;
    bool no_8bitmime;
    bool no_smtputf8;
    bool no_size;
    bool bare_before_tls; /* before TLS, EHLO offers STARTTLS alone */
    uint64_t size_limit;  /* octets; 0 = no limit */
    const char *limits;   /* parameters of LIMITS, or NULL */
    uint64_t mail_max;    /* MAILMAX and RCPTMAX in it; 0 = none */
    uint64_t rcpt_max;
    const char *lines[OPTIONS_LINES]; /* further lines of the EHLO reply */
    size_t line_count;

    const char *cert;
    const char *key;
    bool starttls;
    bool require_tls;
    const char *user; /* NULL = no AUTH */
    const char *password;
    bool auth_plain_ok; /* offer AUTH without TLS */
    bool hide_auth;     /* know AUTH, but do not offer it */
    bool require_auth;

    int64_t rtt_us;
    int64_t dot_delay_us;
    bool dot_serial; /* one content after the other takes dot_delay */
    int64_t greet_delay_us;

    struct faults faults;
    bool no_swallow;               /* a refused BDAT is never swallowed */
    bool bdat_needs_reset;         /* a failed BDAT must be followed by RSET */
    uint64_t mails_per_connection; /* 0 = any */
    uint64_t connections;          /* at once; 0 = any */
    uint64_t seed;

    bool count;
    uint64_t expect;
    const char *maildir;
    uint64_t keep; /* mails in the maildir; 0 = all */
    bool raw;
    const char *mail_log;
    const char *double_log;
    const char *summary;
    bool lenient;
    bool verbose;
};

/* Fills o. Returns -1 to go on, or the exit status of the program, which has
 * then been told to the user: 0 after --help, EX_USAGE after a mistake. */
int options_parse(struct options *o, int argc, char **argv);
void options_release(struct options *o);

#endif
