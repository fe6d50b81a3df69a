/*
 * pg_errors - the words of an error, on one line, and what they tell a program.
 *
 * An error goes through the program as words for a log. Its SQLSTATE is kept
 * at their end, where pg_sqlstate finds it again.
 */
#include "store/pg.h"

#include <string.h>

#include "base/mem.h"
#include "store/pg_inner.h"

static const char sqlstate_mark[] = " (SQLSTATE ";

enum { SQLSTATE_LEN = 5 };

/* libpq's messages end in a newline and may hold several lines. */
char *pg_one_line(const char *text)
{
    char *copy = mem_strdup(text ? text : "unknown error");
    size_t len = strlen(copy);

    while (len > 0 && copy[len - 1] == '\n') {
        copy[--len] = '\0';
    }
    for (char *p = copy; *p != '\0'; p++) {
        if (*p == '\n') {
            *p = ' ';
        }
    }
    return copy;
}

char *pg_error_words(const PGresult *result)
{
    char *words = pg_one_line(PQresultErrorMessage(result));
    const char *code = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    char *whole =
        mem_printf("%s%s%s)", words, sqlstate_mark, code ? code : "?????");

    mem_free(words);
    return whole;
}

const char *pg_sqlstate(const char *error)
{
    size_t tail = sizeof(sqlstate_mark) - 1 + SQLSTATE_LEN + 1;
    size_t len = strlen(error);

    if (len < tail || strncmp(error + len - tail, sqlstate_mark,
                              sizeof(sqlstate_mark) - 1) != 0) {
        return "";
    }
    return error + len - SQLSTATE_LEN - 1;
}

/* Classes of PostgreSQL's documentation, appendix A. A statement that takes
 * too long (57014) is not among them: fewer data may help it. */
bool pg_is_passing(const char *error)
{
    static const char *const heads[] = {
        "08",  /* connection */
        "25",  /* transaction state: read only, or timed out while idle */
        "28",  /* authorization */
        "40",  /* rolled back: deadlock, serialization */
        "53",  /* no disk, no memory, too many connections */
        "55",  /* object not as required: locked, in use */
        "57P", /* an operator intervened */
        "58",  /* the system under the server */
        "XX",  /* inside the server */
    };
    const char *state = pg_sqlstate(error);

    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        if (strncmp(state, heads[i], strlen(heads[i])) == 0) {
            return true;
        }
    }
    return false;
}
