/*
 * smtp_bench - what the sub-commands of bench-smtp share.
 */
#ifndef BENCH_SMTP_BENCH_H
#define BENCH_SMTP_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/span.h"

enum { BENCH_RELAYS = 8, BENCH_DIGITS = 12 };

struct bench_relay {
    char host[256];
    int port;
};

/* What the command line says; which of it counts depends on the command. */
struct bench_options {
    struct bench_relay relays[BENCH_RELAYS];
    int relay_count;
    int64_t mails;
    int64_t lanes;  /* connections or handles at once, for each relay */
    int64_t size;   /* octets of a letter */
    int64_t window; /* letters in flight on a streamed lane */
    int64_t each;   /* letters a connection; 0 = no limit */
    int64_t again;  /* how often a letter that came back goes out again */
    int64_t timeout_ms;
    int64_t rest_ms; /* first rest of a relay in trouble, and the longest */
    int64_t doubts;  /* policy refusals in a row that pause a relay */
    const char *gear;
    const char *tls;
    const char *ca_file;
    const char *from; /* addresses; "%" stands for the letter's number */
    const char *to;
    bool tells_letters; /* a line of JSON for the end of each try */
    bool watches_loop;  /* measures how long the loop was blocked */
};

/* A run, for its line of JSON. */
struct bench_result {
    uint64_t sent;
    uint64_t deferred;
    uint64_t failed;
    uint64_t unsure;
    uint64_t returned; /* came back as often as was allowed */
    uint64_t tries;    /* letters given to lanes */
    uint64_t connections;
    int64_t wall_us;
    int64_t user_us; /* CPU of this process during the run */
    int64_t system_us;
    int64_t longest_block_us; /* of the loop, without waiting for a CPU */
    int64_t longest_late_us;  /* the same with it */
};

/* Letters that are over, whatever became of them. */
uint64_t bench_ended(const struct bench_result *r);

/* False when the command line makes no sense; the reason is told. *command
 * gets the one word that is no option, or NULL. */
bool options_read(struct bench_options *o, int argc, char **argv,
                  const char **command);
void options_describe(FILE *file);

/* Both return false when the run could not be done; the reason is told. */
bool transfer_run(const struct bench_options *o, struct bench_result *r);
bool lanes_run(const struct bench_options *o, struct bench_result *r);

/* Begins and ends the measuring of *r: time and CPU. */
void bench_start(struct bench_result *r);
void bench_stop(struct bench_result *r);

/* Appends a letter to recipient number, of size octets (at least the header
 * section), CRLF lines of at most 72 octets, none beginning with a dot. */
void bench_letter(struct buf *b, uint64_t number, size_t size);
/* Writes pattern with BENCH_DIGITS digits of number in place of its "%", cut
 * to size. */
struct span bench_address(char *memory, size_t size, const char *pattern,
                          uint64_t number);
/* Writes number with BENCH_DIGITS digits. */
void bench_digits(char *at, uint64_t number);

#endif
