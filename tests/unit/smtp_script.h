/*
 * smtp_script - a relay inside a test: an SMTP server on the loopback and on
 * the test's own event loop, faithful unless told to misbehave.
 *
 * Letter number k has the sender f<k>@s.test and the recipient t<k>@r.test;
 * a fault names a letter, a place and what happens there. What was accepted
 * is kept, by recipient, so that a test can say what arrived and how often.
 */
#ifndef SMTP_SCRIPT_H
#define SMTP_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ev.h>

enum script_act {
    DO_REPLY,       /* answer with text instead */
    DO_REPLY_CLOSE, /* answer with text and close */
    DO_DROP,        /* close without a word */
    DO_ACCEPT_DROP, /* take the letter, then close without a word */
    DO_STALL,       /* never answer again */
    DO_EXTRA,       /* the right answer, and text behind it */
};

enum script_place { ON_MAIL, ON_RCPT, ON_DATA, ON_CONTENT };

struct fault {
    int letter; /* -1 = any */
    enum script_place place;
    enum script_act act;
    const char *text; /* with CRLF */
    int times;        /* 0 = always; else how often */
};

struct script {
    struct ev_loop *loop;
    ev_io accept;
    int port;
    const char *offers;   /* EHLO lines, separated by spaces of '|' */
    const char *greeting; /* NULL = the usual one */
    struct fault *faults;
    size_t fault_count;
    size_t chunk;       /* bytes written a round of the loop; 0 = all */
    bool keeps_refused; /* a refused BDAT does not end the transaction */
    bool does_not_swallow;
    int close_idle_after; /* letters, then 421 and FIN while idle; 0 = never */
    int mail_421_after;   /* letters a connection, then 421 to MAIL */
    int delay_ms;         /* of every write */
    int connections;
    int open;
    int arrived[4096]; /* by letter: how often */
    int strays;        /* letters with more than one recipient */
    int rsets;
    int bdats;
    int groups_max;   /* most MAILs in one read */
    int refuse_after; /* connections, then 421 greetings; 0 = never */
    bool is_mute_to_quit;
    uint64_t bytes;
};

/* Listens on the loopback at once; offers is kept. */
void script_start(struct script *s, struct ev_loop *loop, const char *offers);
void script_stop(struct script *s);

#endif
