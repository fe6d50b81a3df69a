/*
 * limits - how much a relay may be given now: letters a second and a minute,
 * connections a second, connections at once, and rest after trouble.
 *
 * Plain numbers without a pointer, and every function is arithmetic on them
 * with the time passed in: the struct lives in memory that all workers of a
 * host share (see quota.h).
 *
 * Connections at once follow feedback, as in Postfix's queue manager: the
 * first is opened at once; each accepted letter adds a part of a connection,
 * so that a full round of letters adds a whole one; trouble takes them away,
 * as much for a letter as a letter adds, or half when the relay asks for less.
 * A relay that is not there rests for base x failures squared.
 */
#ifndef SMTP_LIMITS_H
#define SMTP_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

struct limits_settings {
    double letters_per_s; /* 0 = no limit */
    double letters_per_min;
    double connects_per_s;
    int lanes_min;       /* connections that stay open without letters */
    int lanes_max;       /* connections at once, never more */
    int64_t rest_ms;     /* first rest after a failed connection, or when the
                            relay asks for less */
    int64_t rest_max_ms; /* longest rest */
    int64_t pause_ms;    /* rest of a relay that refuses us */
};

/* A token bucket: filled at a steady rate, emptied by use. */
struct bucket {
    double per_ms; /* 0 = no limit */
    double size;   /* most tokens it holds */
    double tokens;
    int64_t at_ms; /* when tokens was right */
};

struct limits {
    struct bucket second;
    struct bucket minute;
    struct bucket connects;
    struct limits_settings settings;
    double lanes;          /* connections allowed, 1 to lanes_max */
    int64_t grow_at_ms;    /* lanes may not grow before */
    int64_t rest_until_ms; /* nothing is sent before */
    int hosts;             /* that share the rates and the connections */
    bool is_paused;        /* the rest is a pause: a person must look */
    int failures;          /* failed connections since the last success */
    int strains;           /* since a letter was taken */
    int slowdowns;         /* requests for less since the last quiet time */
    int64_t slowed_ms;     /* when the last of them came */
    uint64_t seed;         /* for jitter */
};

/* seed: anything that differs between processes. */
void limits_init(struct limits *l, const struct limits_settings *settings,
                 int64_t now_ms, uint64_t seed);

/* So many hosts, from 1, use the relay: each takes its part of the rates and
 * of the connections, at least one. */
void limits_share(struct limits *l, int hosts, int64_t now_ms);
/* Connections at once that are never exceeded: this host's part. */
int limits_lanes_max(const struct limits *l);

/* One letter: false when it has to wait (see limits_wait_ms). */
bool limits_take_letter(struct limits *l, int64_t now_ms);
/* The letter that was taken for was not sent after all. */
void limits_give_letter(struct limits *l);
/* Letters that could be taken now, at most most. */
double limits_letters(struct limits *l, int64_t now_ms, double most);
/* One connection. */
bool limits_take_connect(struct limits *l, int64_t now_ms);
/* Milliseconds until a letter, or a connection, can be taken; 0 = now. */
int64_t limits_wait_ms(struct limits *l, int64_t now_ms);
int64_t limits_connect_wait_ms(struct limits *l, int64_t now_ms);
/* Milliseconds of rest that remain; 0 = none. */
int64_t limits_rest_ms(const struct limits *l, int64_t now_ms);
/* Connections allowed now, at least 1. */
int limits_lanes(const struct limits *l);

/* The relay took a letter. */
void limits_accepted(struct limits *l, int64_t now_ms);
/* So many connections work at once: at least that many are allowed. */
void limits_proven(struct limits *l, int open);
/* The relay answered about a letter, whatever it said: it is alive. */
void limits_alive(struct limits *l);
/*
 * A connection could not be made, or ended before it was of any use; open is
 * how many others work. With others open the relay has shown its limit; with
 * none it is not there and rests; more failures during that rest are the same
 * one. Returns the rest in milliseconds.
 */
int64_t limits_failed(struct limits *l, int64_t now_ms, int open);
/* The relay asked for less. Returns the rest in milliseconds. */
int64_t limits_slower(struct limits *l, int64_t now_ms);
/* It had trouble with a letter, maybe with all: takes away what a letter that
 * it takes adds. True when there were so many in a row that it counts as a
 * request for less (the caller calls limits_slower). */
bool limits_strained(struct limits *l, int64_t now_ms);
/* The relay refuses us: pause_ms of rest. */
int64_t limits_pause(struct limits *l, int64_t now_ms);
/* Ends any rest: an operator says that the trouble is over. */
void limits_resume(struct limits *l);

#endif
