/*
 * migrations - the migrations that are built in, and which of them a database
 * has. Private to migrate.
 */
#ifndef STORE_MIGRATIONS_H
#define STORE_MIGRATIONS_H

#include <libpq-fe.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/embed.h"

enum { SHA256_HEX_MAX = 2 * EVP_MAX_MD_SIZE + 1 };

struct migration {
    int version; /* the number its file name begins with */
    const struct embed_file *file;
    char sha256[SHA256_HEX_MAX]; /* of the file, in hexadecimal */
    bool is_applied;             /* known after migrations_read */
};

struct migrations {
    struct migration *items; /* by version */
    size_t count;
    int newest;         /* version of the last one; 0 = none built in */
    int newest_applied; /* 0 = none applied */
};

/* All that are built in, none of them applied. */
void migrations_init(struct migrations *m);
void migrations_release(struct migrations *m);
/* Marks what the database has. False, with words to err, when it cannot be
 * read, has one that is not built in, or one that was another file then. */
bool migrations_read(struct migrations *m, PGconn *conn, FILE *err)
    __attribute__((warn_unused_result));

/* Runs sql; on an error tells it to err and gives NULL. Free with PQclear. */
PGresult *migrations_query(PGconn *conn, const char *sql, FILE *err);

#endif
