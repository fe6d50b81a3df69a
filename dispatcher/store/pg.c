/*
 * pg - one PostgreSQL connection on a libev loop.
 *
 *   STOPPED ──pg_start──▶ CONNECTING ──on_connect_io──▶ READY
 *                             ▲    └────────┬─────────────┘
 *                             │       lose() (socket, protocol, timeout)
 *                             │             ▼
 *                             └─on_rest── RESTING
 *
 * enter() is the only door. Statements wait in a list; the head of the list is
 * the one under way and nothing else is on the wire, so an answer always
 * belongs to the head. (libpq's pipeline mode is not used: it allows no COPY,
 * and one statement here is worth hundreds of mails, so that the round trip
 * it would save is not worth its failure modes.)
 *
 * What may be believed: in READY, conn is connected and non-blocking, the io
 * watcher is active, and is_sent says whether the head is on the wire. In all
 * other states the list is empty: pg_query refuses, lose() has answered.
 *
 * Answers come from the loop, never from within pg_query: a statement that
 * cannot even be sent marks the connection (is_broken) and on_io loses it in
 * the same round of the loop.
 */
#include "store/pg.h"

#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"

enum {
    REST_FIRST_MS = 100,
    REST_MAX_MS = 5000,
    CONNECT_TIMEOUT_S = 10,
    COPY_PIECE = 64 * 1024,
};

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

static const char *const state_names[] = {
    [PG_STOPPED] = "stopped",
    [PG_CONNECTING] = "connecting",
    [PG_READY] = "ready",
    [PG_RESTING] = "resting",
};

static void on_io(struct ev_loop *loop, struct ev_io *io, int events);
static void on_timer(struct ev_loop *loop, struct ev_timer *timer, int events);
static void send_head(struct pg *pg);

static void enter(struct pg *pg, enum pg_state state)
{
    log_debug("connection", "pg=%s from=%s to=%s", pg->name,
              state_names[pg->state], state_names[state]);
    pg->state = state;
}

/* ---- life ------------------------------------------------------------------
 */

struct pg *pg_new(struct ev_loop *loop, const char *conninfo, const char *name,
                  const struct pg_hooks *hooks, void *ctx)
{
    struct pg *pg = mem_calloc(1, sizeof(*pg));

    pg->loop = loop;
    pg->conninfo = mem_strdup(conninfo);
    pg->name = mem_strdup(name);
    pg->hooks = *hooks;
    pg->ctx = ctx;
    pg->rest_ms = REST_FIRST_MS;
    list_init(&pg->requests);
    map_init(&pg->prepared);
    ev_init(&pg->io, on_io);
    ev_init(&pg->timer, on_timer);
    pg->io.data = pg;
    pg->timer.data = pg;
    return pg;
}

static void request_free(struct request *r)
{
    PQclear(r->result);
    buf_release(&r->data);
    mem_free(r->owned);
    mem_free(r->error);
    mem_free(r);
}

/*
 * While connecting, the watcher always starts anew: libpq closes the socket of
 * an address that refuses, and the next address may get the same number. The
 * loop would wait for the closed one.
 */
static void watch(struct pg *pg, int events)
{
    int fd = PQsocket(pg->conn);

    if (pg->state == PG_READY && ev_is_active(&pg->io) && pg->io.fd == fd &&
        (pg->io.events & (EV_READ | EV_WRITE)) == events) {
        return;
    }
    ev_io_stop(pg->loop, &pg->io);
    if (fd >= 0) {
        ev_io_set(&pg->io, fd, events);
        ev_io_start(pg->loop, &pg->io);
    }
}

static void hang_up(struct pg *pg)
{
    ev_io_stop(pg->loop, &pg->io);
    ev_timer_stop(pg->loop, &pg->timer);
    PQfinish(pg->conn);
    pg->conn = NULL;
    pg->is_sent = false;
    pg->is_preparing = false;
    pg->is_copying = false;
    pg->is_broken = false;
    map_clear(&pg->prepared);
}

/* Answers everything queued with an error. */
static void fail_all(struct pg *pg, const char *why)
{
    struct list_node *n = NULL;

    while ((n = list_take(&pg->requests)) != NULL) {
        struct request *r = LIST_OF(n, struct request, node);

        r->answer(r->ctx, NULL, why);
        request_free(r);
    }
}

void pg_free(struct pg *pg)
{
    if (pg == NULL) {
        return;
    }
    hang_up(pg);
    enter(pg, PG_STOPPED);
    fail_all(pg, "connection closed");
    map_release(&pg->prepared);
    mem_free(pg->conninfo);
    mem_free(pg->name);
    mem_free(pg);
}

/* libpq's messages end in a newline and may hold several lines. */
static char *one_line(const char *text)
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

/* The connection is of no use any more: tell everybody, rest, come back. */
static void lose(struct pg *pg, const char *why)
{
    char *words = one_line(why);

    hang_up(pg);
    enter(pg, PG_RESTING);
    log_warn("database connection lost", "pg=%s retry_ms=%d why=\"%s\"",
             pg->name, pg->rest_ms, words);
    ev_timer_set(&pg->timer, pg->rest_ms / 1000.0, 0.0);
    ev_timer_start(pg->loop, &pg->timer);
    pg->rest_ms = pg->rest_ms * 2 > REST_MAX_MS ? REST_MAX_MS : pg->rest_ms * 2;
    fail_all(pg, words);
    pg->hooks.on_lost(pg->ctx, words);
    mem_free(words);
}

/* ---- connecting ------------------------------------------------------------
 */

/*
 * Statistics of queue tables lie: they were gathered when the tables were
 * empty, or full. So plans are generic and follow the indexes, and no
 * statement of ours may hold back the horizon of vacuum by dawdling.
 */
static const char session_settings[] =
    "SET plan_cache_mode = force_generic_plan;"
    "SET enable_seqscan = off; SET enable_hashjoin = off;"
    "SET enable_mergejoin = off; SET jit = off;"
    "SET max_parallel_workers_per_gather = 0;"
    "SET statement_timeout = '60s'; SET lock_timeout = '10s';"
    "SET idle_in_transaction_session_timeout = '30s'";

static void on_settings(void *ctx, const PGresult *result, const char *error)
{
    const struct pg *pg = ctx;

    (void)result;
    if (error != NULL) {
        log_warn("session settings refused", "pg=\"%s\" why=\"%s\"", pg->name,
                 error);
    }
}

/* libpq would write notices to standard error, in several lines. */
static void on_notice(void *ctx, const char *text)
{
    const struct pg *pg = ctx;
    char *words = one_line(text);

    log_debug("database notice", "pg=\"%s\" text=\"%s\"", pg->name, words);
    mem_free(words);
}

static void connected(struct pg *pg)
{
    ev_timer_stop(pg->loop, &pg->timer);
    PQsetnonblocking(pg->conn, 1);
    pg->rest_ms = REST_FIRST_MS;
    watch(pg, EV_READ);
    enter(pg, PG_READY);
    (void)!pg_simple(pg, session_settings, on_settings, pg); /* it is READY */
    pg->hooks.on_ready(pg->ctx);
}

static void poll_connect(struct pg *pg)
{
    switch (PQconnectPoll(pg->conn)) {
    case PGRES_POLLING_OK: connected(pg); return;
    case PGRES_POLLING_READING: watch(pg, EV_READ); return;
    case PGRES_POLLING_WRITING: watch(pg, EV_WRITE); return;
    case PGRES_POLLING_ACTIVE: return;
    case PGRES_POLLING_FAILED: lose(pg, PQerrorMessage(pg->conn)); return;
    }
}

/* Ours come first, so that the operator's conninfo goes over them; all but the
 * encoding, which templates and mail rely on. A standby is of no use, be it the
 * former primary: snapshots mean nothing there. */
static void connect_now(struct pg *pg)
{
    const char *const keys[] = {"fallback_application_name",
                                "keepalives_idle",
                                "keepalives_interval",
                                "keepalives_count",
                                "tcp_user_timeout",
                                "target_session_attrs",
                                "dbname",
                                "client_encoding",
                                NULL};
    const char *const values[] = {pg->name,     "5",     "2",
                                  "3",          "10000", "read-write",
                                  pg->conninfo, "UTF8",  NULL};

    enter(pg, PG_CONNECTING);
    pg->conn = PQconnectStartParams(keys, values, 1);
    if (pg->conn == NULL || PQstatus(pg->conn) == CONNECTION_BAD) {
        lose(pg, pg->conn ? PQerrorMessage(pg->conn) : "out of memory");
        return;
    }
    PQsetNoticeProcessor(pg->conn, on_notice, pg);
    ev_timer_set(&pg->timer, CONNECT_TIMEOUT_S, 0.0);
    ev_timer_start(pg->loop, &pg->timer);
    /* The documentation says: behave as if it had asked for writing. */
    watch(pg, EV_WRITE);
}

void pg_start(struct pg *pg)
{
    connect_now(pg);
}

static void on_timer(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    struct pg *pg = timer->data;

    (void)loop;
    (void)events;
    if (pg->state == PG_CONNECTING) {
        lose(pg, "no connection within the time allowed");
    } else {
        connect_now(pg);
    }
}

/* ---- errors ---------------------------------------------------------------
 */

static const char sqlstate_mark[] = " (SQLSTATE ";

enum { SQLSTATE_LEN = 5 };

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

/* ---- statements -------------------------------------------------------------
 */

bool pg_is_ready(const struct pg *pg)
{
    return pg->state == PG_READY;
}

size_t pg_pending(const struct pg *pg)
{
    return pg->requests.count;
}

static struct request *add_request(struct pg *pg, enum request_kind kind,
                                   const char *sql, pg_answer answer, void *ctx)
{
    struct request *r = mem_calloc(1, sizeof(*r));

    r->kind = kind;
    r->sql = sql;
    r->answer = answer;
    r->ctx = ctx;
    buf_init(&r->data, 0);
    list_append(&pg->requests, &r->node);
    return r;
}

/* Copies the parameters' bytes behind each other into one block. */
static void keep_params(struct request *r, const struct pg_params *p)
{
    size_t total = 0;
    char *at = NULL;

    for (int i = 0; i < p->count; i++) {
        if (p->values[i] != NULL && p->formats[i] == 0) {
            total += strlen(p->values[i]) + 1;
        } else if (p->values[i] != NULL) {
            total += (size_t)p->lengths[i];
        }
    }
    r->params = *p;
    r->owned = mem_alloc(total + 1);
    at = r->owned;
    for (int i = 0; i < p->count; i++) {
        size_t size = 0;

        if (p->values[i] == NULL) {
            continue;
        }
        size = p->formats[i] == 0 ? strlen(p->values[i]) + 1
                                  : (size_t)p->lengths[i];
        memcpy(at, p->values[i], size);
        r->params.values[i] = at;
        at += size;
    }
}

bool pg_query(struct pg *pg, const char *sql, const struct pg_params *params,
              pg_answer answer, void *ctx)
{
    static const struct pg_params none = {0};

    if (pg->state != PG_READY) {
        return false;
    }
    keep_params(add_request(pg, REQUEST_QUERY, sql, answer, ctx),
                params ? params : &none);
    send_head(pg);
    return true;
}

bool pg_query_rows(struct pg *pg, const char *sql,
                   const struct pg_params *params, pg_row on_row,
                   pg_answer answer, void *ctx)
{
    struct request *r = NULL;

    if (pg->state != PG_READY) {
        return false;
    }
    r = add_request(pg, REQUEST_QUERY, sql, answer, ctx);
    r->on_row = on_row;
    keep_params(r, params);
    send_head(pg);
    return true;
}

bool pg_simple(struct pg *pg, const char *sql, pg_answer answer, void *ctx)
{
    struct request *r = NULL;

    if (pg->state != PG_READY) {
        return false;
    }
    r = add_request(pg, REQUEST_SIMPLE, NULL, answer, ctx);
    r->owned = mem_strdup(sql);
    r->sql = r->owned;
    send_head(pg);
    return true;
}

bool pg_copy(struct pg *pg, const char *sql, struct buf *data, pg_answer answer,
             void *ctx)
{
    struct request *r = NULL;

    if (pg->state != PG_READY) {
        return false;
    }
    r = add_request(pg, REQUEST_COPY, sql, answer, ctx);
    r->data = *data;
    buf_init(data, data->cap);
    send_head(pg);
    return true;
}

/* The name a statement is prepared under: its address is its identity. */
static void statement_name(const char *sql, char name[32])
{
    snprintf(name, 32, "s%lx", (unsigned long)(uintptr_t)sql);
}

static int send_query(struct pg *pg, struct request *r)
{
    char name[32];

    statement_name(r->sql, name);
    if (map_get_id(&pg->prepared, (int64_t)(uintptr_t)r->sql) == NULL) {
        pg->is_preparing = true;
        return PQsendPrepare(pg->conn, name, r->sql, 0, NULL);
    }
    return PQsendQueryPrepared(pg->conn, name, r->params.count,
                               r->params.values, r->params.lengths,
                               r->params.formats, 1) &&
           (r->on_row == NULL || PQsetSingleRowMode(pg->conn));
}

/* Nothing can be sent any more: on_io will lose the connection. */
static void break_off(struct pg *pg)
{
    pg->is_broken = true;
    ev_feed_event(pg->loop, &pg->io, EV_CUSTOM);
}

static void flush(struct pg *pg)
{
    int left = PQflush(pg->conn);

    if (left < 0) {
        break_off(pg);
        return;
    }
    watch(pg, left > 0 ? EV_READ | EV_WRITE : EV_READ);
}

/* Puts the head on the wire if nothing is. */
static void send_head(struct pg *pg)
{
    struct list_node *n = list_first(&pg->requests);
    struct request *r = NULL;
    int ok = 0;

    if (n == NULL || pg->is_sent || pg->is_dispatching || pg->is_broken ||
        pg->state != PG_READY) {
        return;
    }
    r = LIST_OF(n, struct request, node);
    ok = r->kind == REQUEST_QUERY ? send_query(pg, r)
                                  : PQsendQuery(pg->conn, r->sql);
    if (!ok) {
        break_off(pg);
        return;
    }
    pg->is_sent = true;
    flush(pg);
}

/* ---- answers ----------------------------------------------------------- */

/* Sends the rest of the head's COPY data; stops where the socket is full. */
static void push_copy(struct pg *pg, struct request *r)
{
    while (r->data_sent < r->data.len) {
        size_t piece = r->data.len - r->data_sent;
        int put = 0;

        if (piece > COPY_PIECE) {
            piece = COPY_PIECE;
        }
        put = PQputCopyData(pg->conn, r->data.data + r->data_sent, (int)piece);
        if (put < 0) {
            break_off(pg);
            return;
        }
        if (put == 0) {
            watch(pg, EV_READ | EV_WRITE);
            return;
        }
        r->data_sent += piece;
    }
    switch (PQputCopyEnd(pg->conn, buf_ok(&r->data) ? NULL : "too big")) {
    case 1:
        pg->is_copying = false;
        flush(pg);
        return;
    case 0: watch(pg, EV_READ | EV_WRITE); return;
    default: break_off(pg); return;
    }
}

static void keep_result(struct request *r, PGresult *result)
{
    switch (PQresultStatus(result)) {
    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK:
    case PGRES_EMPTY_QUERY:
        PQclear(r->result);
        r->result = result;
        return;
    default:
        if (r->error == NULL) {
            char *words = one_line(PQresultErrorMessage(result));
            const char *code = PQresultErrorField(result, PG_DIAG_SQLSTATE);

            r->error = mem_printf("%s%s%s)", words, sqlstate_mark,
                                  code ? code : "?????");
            mem_free(words);
        }
        PQclear(result);
        return;
    }
}

/* The head has been answered in full. */
static void finish_head(struct pg *pg)
{
    struct list_node *n = list_first(&pg->requests);
    struct request *r = LIST_OF(n, struct request, node);

    pg->is_sent = false;
    if (pg->is_preparing) {
        pg->is_preparing = false;
        if (r->error == NULL) {
            /* Prepared: now the statement itself. */
            map_put_id(&pg->prepared, (int64_t)(uintptr_t)r->sql,
                       (void *)(uintptr_t)r->sql);
            PQclear(r->result);
            r->result = NULL;
            send_head(pg);
            return;
        }
    }
    list_remove(&pg->requests, n);
    pg->is_dispatching = true;
    r->answer(r->ctx, r->error ? NULL : r->result, r->error);
    pg->is_dispatching = false;
    request_free(r);
    send_head(pg);
}

static void hand_row(struct pg *pg, struct request *r, PGresult *row)
{
    pg->is_dispatching = true;
    r->on_row(r->ctx, row);
    pg->is_dispatching = false;
    PQclear(row);
}

/* Takes what has arrived; false when the connection was lost. */
static bool take_results(struct pg *pg)
{
    while (pg->state == PG_READY && pg->is_sent && !pg->is_copying &&
           !pg->is_broken && !PQisBusy(pg->conn)) {
        struct request *r =
            LIST_OF(list_first(&pg->requests), struct request, node);
        PGresult *result = PQgetResult(pg->conn);

        if (result == NULL) {
            finish_head(pg);
        } else if (PQresultStatus(result) == PGRES_COPY_IN) {
            PQclear(result);
            pg->is_copying = true;
            push_copy(pg, r);
        } else if (PQresultStatus(result) == PGRES_SINGLE_TUPLE) {
            hand_row(pg, r, result);
        } else {
            keep_result(r, result);
            if (PQstatus(pg->conn) == CONNECTION_BAD) {
                lose(pg, r->error ? r->error : "connection reset");
            }
        }
    }
    return pg->state == PG_READY && !pg->is_broken;
}

static void on_io(struct ev_loop *loop, struct ev_io *io, int events)
{
    struct pg *pg = io->data;

    (void)loop;
    if (pg->state == PG_CONNECTING) {
        poll_connect(pg);
        return;
    }
    if (pg->is_broken ||
        ((events & EV_READ) != 0 && !PQconsumeInput(pg->conn))) {
        lose(pg, PQerrorMessage(pg->conn));
        return;
    }
    if (!take_results(pg)) {
        return;
    }
    if (pg->is_copying) {
        push_copy(pg, LIST_OF(list_first(&pg->requests), struct request, node));
    } else if ((events & EV_WRITE) != 0) {
        flush(pg);
    }
}
