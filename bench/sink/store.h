/*
 * store - what is kept of accepted mails: a maildir, a log, both or neither.
 */
#ifndef SINK_STORE_H
#define SINK_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/span.h"

struct store {
    const char *maildir; /* or NULL; the options own it */
    uint64_t keep;       /* maildir: no more mails than this; 0 = all */
    bool raw;            /* maildir: nothing in front of the mail */
    FILE *log;           /* or NULL */
    FILE *doubles;       /* or NULL */
    uint64_t files;
};

/* One accepted mail. */
struct stored_mail {
    uint64_t number;
    uint64_t connection;
    struct span message_id;
    struct span sender;
    struct span recipients; /* one after the other, each ended by a NUL */
    struct span content;    /* only with a maildir: dots already undone */
    uint64_t size;          /* octets of content */
    bool by_bdat;
};

/* Makes DIR/new, DIR/tmp and DIR/cur and opens the logs for appending; all of
 * them may be NULL. False (errno) when that fails. */
bool store_open(struct store *s, const char *maildir, bool raw,
                const char *log_path, const char *doubles_path);
void store_close(struct store *s);
/* False (errno) when the mail could not be kept; then it must be refused. */
bool store_mail(struct store *s, const struct stored_mail *mail);
/* Notes a mail whose Message-ID was there before, if that is wanted. */
void store_double(struct store *s, const struct stored_mail *mail);
/* What was logged so far can be read. */
void store_flush(struct store *s);
/* Writes a file under a temporary name and renames it to path. */
bool store_write_file(const char *path, const char *bytes, size_t n);

#endif
