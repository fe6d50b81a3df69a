/*
 * smtp_world - a pool, letters and scripted relays for a test.
 *
 * Letters are numbered. One that is returned goes to the end of the queue,
 * as the engine would do it. The world runs until every letter has its
 * outcome, and checks that none has two.
 */
#ifndef SMTP_WORLD_H
#define SMTP_WORLD_H

#include <ev.h>

#include "model.h"
#include "smtp/pool.h"
#include "smtp_script.h"

enum { WORLD_MAX = 4096 };

struct world_letter {
    char from[64];
    char to[64];
    int begun;
    int done;
    int returned;
    enum verdict verdict;
    int code;
    int enhanced[3];
    int retry_after_s;
    bool suppress;
    char text[200];
    char relay[32];
};

struct world {
    struct ev_loop *loop;
    struct pool *pool;
    struct script script;
    struct script second;
    struct world_letter letters[WORLD_MAX];
    int count;
    int queue[WORLD_MAX * 8];
    int first, last;
    int open; /* without an outcome */
    int given;
    size_t content_size;
    const char *content; /* NULL = made of content_size bytes */
    bool utf8_odd;       /* odd letters need SMTPUTF8 */
    bool parks;          /* returned letters stay away */
    int alarms;
    enum pool_alarm alarm_kind;
    char alarm[256];
    bool is_drained;
    ev_timer watchdog;
    int done_before_stop; /* stop the loop after so many outcomes; 0 = all */
};

/* A pool without relays, and a scripted relay that offers these. */
struct world *world_new(const char *offers);
void world_free(struct world *w);
/* Settings for a scripted relay, with times that suit a test. */
struct relay_settings world_settings(const struct script *s, const char *name);
/* False when the pool refuses it. */
bool world_add(struct world *w, const struct relay_settings *r);
/* More letters. */
void world_letters(struct world *w, int count);
/* Runs until all letters are done, or for seconds. */
void world_run(struct world *w, double seconds);
/* The same, after pool_start and pool_wake. */
void world_send(struct world *w, double seconds);
/* pool_drain, and runs until it is drained. */
void world_drain(struct world *w, double seconds);

#endif
