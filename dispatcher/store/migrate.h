/*
 * migrate - brings a database to the schema that this program needs.
 *
 * The migrations are the files sql/NNNN_*.sql, built in; they only go forward.
 * postbatch.schema_version remembers which ran, with the SHA-256 of each, so
 * that a file that was changed afterwards is noticed. For commands: this is
 * the one part of the store that waits for the database.
 */
#ifndef STORE_MIGRATE_H
#define STORE_MIGRATE_H

#include <stdbool.h>
#include <stdio.h>

/*
 * Runs the migrations that the database does not have yet, up to to_version
 * (0 = all), each in a transaction of its own; at most one migrate at a time
 * works on a database, others wait. With print_only nothing is changed: the
 * SQL that would run is written to out, ready for psql. Otherwise a line for
 * each step goes to out. What goes wrong is told to err, with what to do, and
 * gives false; what had run by then stays.
 */
bool migrate_run(const char *conninfo, int to_version, bool print_only,
                 FILE *out, FILE *err) __attribute__((warn_unused_result));

/*
 * Whether the schema is exactly the one that this program was built with. If
 * not, or if the database cannot be reached, err is told why and what to do.
 */
bool migrate_check(const char *conninfo, FILE *err)
    __attribute__((warn_unused_result));

#endif
