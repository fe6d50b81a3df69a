/*
 * scan - one pass over mail content as it arrives.
 *
 * Finds the end of DATA and everything about bytes and lines that RFC 5321
 * and 5322 forbid: bare CR and LF, NUL, lines over 998 octets, lines whose
 * leading dot was not doubled; and notes bytes above 127. Content comes in
 * pieces cut anywhere.
 */
#ifndef SINK_SCAN_H
#define SINK_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum scan_finding {
    SCAN_BARE_CR,
    SCAN_BARE_LF,
    SCAN_NUL,
    SCAN_LONG_LINE,
    SCAN_LONE_DOT,
    SCAN_EIGHT_BIT,
    SCAN_FINDINGS
};

/* Where the next byte stands, as far as dots go. */
enum scan_place { SCAN_MID, SCAN_START, SCAN_DOT, SCAN_DOT_CR };

struct scan {
    bool dots;             /* DATA: dots are stuffed, a lone dot ends it */
    bool ended;            /* the lone dot was seen */
    enum scan_place place; /* at MID unless dots */
    bool after_cr;         /* the byte before was CR */
    uint64_t line_len;     /* octets of the unfinished line */
    uint64_t stuffed;      /* dots that were doubled */
    unsigned char last[2]; /* the last two octets of content */
    unsigned seen;         /* bits of scan_finding, for the whole content */
    unsigned fresh;        /* those seen for the first time in the last feed */
    size_t where[SCAN_FINDINGS]; /* and at which octet of that feed */
};

/* dots: the content comes by DATA. */
void scan_start(struct scan *s, bool dots);
/* Looks at bytes[0..n) and says how many of them are content: less than n only
 * when the end of DATA, whose octets count as consumed, was found. */
size_t scan_feed(struct scan *s, const char *bytes, size_t n);
/* True when the content so far ends in CRLF (or is empty). */
bool scan_ends_line(const struct scan *s);

#endif
