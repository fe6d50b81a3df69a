/*
 * admin - the questions and orders of people: synchronous, one connection,
 * one command. (The service never uses it: nothing there may block.)
 */
#ifndef STORE_ADMIN_H
#define STORE_ADMIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"

struct admin;

/* Connects; NULL after saying on standard error what went wrong. */
struct admin *admin_open(const char *dsn);
/* As admin_open, for a connection on which the database refuses to write. */
struct admin *admin_open_read_only(const char *dsn);
void admin_close(struct admin *a);

/* Hands in one event, as an application does. urgency may be NULL. 0 after
 * saying what went wrong. */
int64_t admin_emit(struct admin *a, const char *type, const char *payload,
                   const char *urgency);

/*
 * Runs sql/queries/NAME.sql with text parameters (NULL = SQL NULL). Rows are
 * then read by admin_rows and admin_text until the next call. False after
 * saying what went wrong.
 */
bool admin_query(struct admin *a, const char *name, const char *const *params,
                 int count);
/* What is run between the two is done whole or not at all; without admin_commit
 * it is not done. False after saying what went wrong. */
bool admin_begin(struct admin *a);
bool admin_commit(struct admin *a);
/*
 * Begins a transaction, and waits until no other command sends letters again:
 * two at one instant would send the same ones. False after saying what went
 * wrong. admin_commit ends it.
 */
bool admin_begin_resend(struct admin *a);

/*
 * As admin_query, for large answers: calls on_row for each row as it comes,
 * when it is row 0 of admin_text. No more than one row is held at a time.
 */
bool admin_stream(struct admin *a, const char *name, const char *const *params,
                  int count, void (*on_row)(void *ctx, const struct admin *a),
                  void *ctx);
int admin_rows(const struct admin *a);
int admin_columns(const struct admin *a);
const char *admin_column_name(const struct admin *a, int column);
/* The value as text, "" for NULL; lives until the next admin_query. */
const char *admin_text(const struct admin *a, int row, int column);
/* As admin_text, with its length. */
struct span admin_span(const struct admin *a, int row, int column);
bool admin_is_null(const struct admin *a, int row, int column);

/* Appends the row as a JSON object, columns by their names. */
void admin_put_json(const struct admin *a, int row, struct buf *b);

/*
 * Can this role's SQL be used with this database? NULL when it can, else why
 * not (caller frees).
 */
char *admin_check_role(struct admin *a, const char *sql);

#endif
