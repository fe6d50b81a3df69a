/*
 * pg - one PostgreSQL connection on a libev loop, without ever blocking it.
 *
 * Statements are queued and answered in order, each through its own callback.
 * A connection that breaks answers every queued statement with an error,
 * rests (growing, capped) and connects again by itself. Statements are
 * prepared once per connection, by the address of their text.
 *
 *     struct pg *pg = pg_new(loop, conninfo, "lease", &hooks, ctx);
 *     pg_start(pg);
 *     struct pg_params p = {0};
 *     pg_param_int64(&p, 42);
 *     pg_query(pg, sql, &p, on_rows, ctx);
 */
#ifndef STORE_PG_H
#define STORE_PG_H

#include <ev.h>
#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"

enum pg_state {
    PG_STOPPED,    /* before pg_start, after pg_stop */
    PG_CONNECTING, /* PQconnectPoll is at work */
    PG_READY,      /* statements go out */
    PG_RESTING,    /* lost; a timer leads back to PG_CONNECTING */
};

struct pg;

struct pg_hooks {
    /* The connection is usable; session settings may be queued here. */
    void (*on_ready)(void *ctx);
    /* It is gone; every queued statement has been answered with an error. */
    void (*on_lost)(void *ctx, const char *why);
};

/*
 * The answer to one statement. result is NULL when the connection broke
 * before an answer; error is NULL on success, else one line with SQLSTATE.
 * The result is freed after the call.
 */
typedef void (*pg_answer)(void *ctx, const PGresult *result, const char *error);

/* One row of an answer, in a result of its own; freed after the call. */
typedef void (*pg_row)(void *ctx, const PGresult *row);

enum { PG_PARAMS_MAX = 16 };

/* Parameters of one statement, in binary where that is simpler. The bytes of
 * int64 and int32 values are kept inside; text and arrays are referred to and
 * must live until pg_query returns. */
struct pg_params {
    int count;
    const char *values[PG_PARAMS_MAX];
    int lengths[PG_PARAMS_MAX];
    int formats[PG_PARAMS_MAX]; /* 0 text, 1 binary */
    char bytes[PG_PARAMS_MAX][8];
};

void pg_param_int64(struct pg_params *p, int64_t value);
void pg_param_int32(struct pg_params *p, int32_t value);
void pg_param_int16(struct pg_params *p, int16_t value);
/* NULL text is SQL NULL. */
void pg_param_text(struct pg_params *p, const char *text);
/* A binary value built by a pg_array; it must live until pg_query returns. */
void pg_param_binary(struct pg_params *p, const struct buf *value);

/* Where the five characters of the SQLSTATE begin at the end of an answer's
 * error (a bracket follows them); "" when there is none. The words before it
 * may hold anything. */
const char *pg_sqlstate(const char *error);
/*
 * The error speaks of the state of the server, not of the statement or the
 * data: the same may succeed later.
 */
bool pg_is_passing(const char *error);

/* name appears in application_name and in the log. Nothing happens yet. */
struct pg *pg_new(struct ev_loop *loop, const char *conninfo, const char *name,
                  const struct pg_hooks *hooks, void *ctx);
void pg_start(struct pg *pg);
/* Answers what is queued with an error and closes. */
void pg_free(struct pg *pg);

bool pg_is_ready(const struct pg *pg);
/* Statements queued or under way. */
size_t pg_pending(const struct pg *pg);

/*
 * Queues a prepared statement: sql must be a constant (its address is its
 * identity). Results come in binary. False when the connection is not ready;
 * then answer is never called.
 */
bool pg_query(struct pg *pg, const char *sql, const struct pg_params *params,
              pg_answer answer, void *ctx) __attribute__((warn_unused_result));
/*
 * As pg_query, but each row is handed over as it arrives and not kept: for
 * results whose size is not ours to decide. answer comes last, with no rows.
 */
bool pg_query_rows(struct pg *pg, const char *sql,
                   const struct pg_params *params, pg_row on_row,
                   pg_answer answer, void *ctx)
    __attribute__((warn_unused_result));
/* Queues plain text (BEGIN, COMMIT, several commands); no parameters. */
bool pg_simple(struct pg *pg, const char *sql, pg_answer answer, void *ctx)
    __attribute__((warn_unused_result));
/*
 * Queues "COPY ... FROM STDIN" with all its data; takes the bytes of data
 * (which is empty afterwards).
 */
bool pg_copy(struct pg *pg, const char *sql, struct buf *data, pg_answer answer,
             void *ctx) __attribute__((warn_unused_result));

/* ---- binary arrays: "int8[]" and "text[]" parameters ------------------- */

enum pg_type {
    PG_TYPE_INT8 = 20,
    PG_TYPE_INT2 = 21,
    PG_TYPE_INT4 = 23,
    PG_TYPE_TEXT = 25
};

/* Begins a one-dimensional array of count elements in b (which is cleared). */
void pg_array_begin(struct buf *b, enum pg_type type, size_t count);
void pg_array_int64(struct buf *b, int64_t value);
void pg_array_int16(struct buf *b, int16_t value);
void pg_array_int32(struct buf *b, int32_t value);
void pg_array_text(struct buf *b, struct span text);
void pg_array_null(struct buf *b);

/* ---- binary results --------------------------------------------------------
 */

/* A NULL or a value of another size gives 0. */
int64_t pg_get_int64(const PGresult *r, int row, int column);
int32_t pg_get_int32(const PGresult *r, int row, int column);
int16_t pg_get_int16(const PGresult *r, int row, int column);
/* timestamptz, as microseconds since 1970; 0 for NULL. */
int64_t pg_get_time_us(const PGresult *r, int row, int column);
bool pg_get_bool(const PGresult *r, int row, int column);
/* The bytes live as long as r. NULL gives the empty span. */
struct span pg_get_text(const PGresult *r, int row, int column);

/* A one-dimensional binary array of numbers in a result. */
struct pg_array {
    const char *at;
    int count; /* 0 for NULL and the empty array, -1 for one of another shape */
};
/* Elements must be of this type, and none NULL. */
struct pg_array pg_get_array(const PGresult *r, int row, int column,
                             enum pg_type type);
/* The next element; call count times. */
int64_t pg_array_next_int64(struct pg_array *a);
int16_t pg_array_next_int16(struct pg_array *a);

/* ---- binary COPY ------------------------------------------------------- */

void pg_copy_begin(struct buf *b);
void pg_copy_row(struct buf *b, int columns);
void pg_copy_null(struct buf *b);
void pg_copy_int64(struct buf *b, int64_t value);
void pg_copy_int16(struct buf *b, int16_t value);
void pg_copy_text(struct buf *b, struct span text);
void pg_copy_end(struct buf *b);

/* timestamptz in binary counts microseconds from 2000-01-01. */
#define PG_EPOCH_US 946684800000000LL

#endif
