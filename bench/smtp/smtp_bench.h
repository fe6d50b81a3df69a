/*
 * smtp_bench - what the sub-commands of bench-smtp share.
 */
#ifndef BENCH_SMTP_BENCH_H
#define BENCH_SMTP_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* What the command line says; which of it counts depends on the command. */
struct bench_options {
    char host[256];
    int port;
    uint64_t mails;
    int lanes;   /* connections or handles at once */
    size_t size; /* octets of a letter */
    const char *gear;
    int window; /* letters in flight on a streamed lane */
};

/* A run, for its line of JSON. */
struct bench_result {
    uint64_t sent;
    uint64_t not_sent; /* refused, unsure or failed */
    uint64_t connections;
    int64_t wall_us;
    int64_t user_us; /* CPU of this process during the run */
    int64_t system_us;
};

/* Both return false when the run could not be done; the reason is told. */
bool transfer_run(const struct bench_options *o, struct bench_result *r);
bool lanes_run(const struct bench_options *o, struct bench_result *r);

/* Begins and ends the measuring of *r: time and CPU. */
void bench_start(struct bench_result *r);
void bench_stop(struct bench_result *r);

/* Appends a letter to recipient number, of size octets (at least the header
 * section), CRLF lines of at most 72 octets, none beginning with a dot. */
void bench_letter(struct buf *b, uint64_t number, size_t size);
/* Writes the recipient's address, which differs for every number. */
void bench_recipient(char *memory, size_t size, uint64_t number);

#define BENCH_SENDER "bounces@bench.example"

#endif
