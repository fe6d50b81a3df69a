/*
 * pg_inner - what the files of a connection share; private to them.
 *
 * What may be believed: in READY, conn is connected and non-blocking, the io
 * watcher is active, and is_sent says whether the head of the requests is on
 * the wire. In all other states the list is empty: pg_query refuses, pg_lose
 * has answered.
 */
#ifndef STORE_PG_INNER_H
#define STORE_PG_INNER_H

#include "base/list.h"
#include "base/map.h"
#include "store/pg.h"

enum request_kind { REQUEST_QUERY, REQUEST_SIMPLE, REQUEST_COPY };

struct request {
    struct list_node node;
    enum request_kind kind;
    const char *sql; /* constant for QUERY and COPY; owned for SIMPLE */
    char *owned;
    struct pg_params params; /* values point into owned or into themselves */
    struct buf data;         /* COPY */
    size_t data_sent;
    pg_row on_row; /* NULL: the rows come with the answer */
    pg_answer answer;
    void *ctx;
    char *error; /* first error seen */
    PGresult *result;
};

struct pg {
    struct ev_loop *loop;
    char *conninfo;
    char *name;
    struct pg_hooks hooks;
    void *ctx;
    enum pg_state state;
    PGconn *conn;
    struct ev_io io;
    struct ev_timer timer; /* connect timeout, or rest */
    struct list requests;
    bool is_sent;        /* the head is on the wire */
    bool is_preparing;   /* what is on the wire is the head's PREPARE */
    bool is_copying;     /* the head's data is going out */
    bool is_dispatching; /* inside answer(): do not recurse */
    bool is_broken;      /* to be lost as soon as the loop runs */
    struct map prepared; /* address of sql -> itself */
    int rest_ms;
};

/* ---- pg.c: the connection ---------------------------------------------- */

/* Waits for these events (EV_READ, EV_WRITE) on the connection's socket. */
void pg_watch(struct pg *pg, int events);
/* The connection is of no use any more: tells everybody, rests, comes back. */
void pg_lose(struct pg *pg, const char *why);
/* Nothing can be sent any more: on_io will lose the connection in this round
 * of the loop, so that no answer comes from within a call. */
void pg_break_off(struct pg *pg);
/* Sends what libpq has; waits for the socket when it is full. */
void pg_flush(struct pg *pg);

/* ---- pg_statements.c --------------------------------------------------- */

/* Puts the head on the wire if nothing is. */
void pg_send_head(struct pg *pg);
/* Answers everything queued with an error. */
void pg_fail_all(struct pg *pg, const char *why);
void pg_request_free(struct request *r);

/* ---- pg_answers.c ------------------------------------------------------ */

/* Sends the rest of the head's COPY data; stops where the socket is full. */
void pg_push_copy(struct pg *pg, struct request *r);
/* Takes what has arrived; false when the connection was lost. */
bool pg_take_results(struct pg *pg);

/* ---- pg_errors.c ------------------------------------------------------- */

/* A message of libpq on one line; caller frees. */
char *pg_one_line(const char *text);
/* The words of a result that is an error, with its SQLSTATE behind them where
 * pg_sqlstate finds it; caller frees. */
char *pg_error_words(const PGresult *result);

#endif
