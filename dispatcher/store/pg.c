/*
 * pg - one PostgreSQL connection on a libev loop: its life.
 *
 *   STOPPED ──pg_start──▶ CONNECTING ──on_io──▶ READY
 *                             ▲    └──────┬───────┘
 *                             │     pg_lose() (socket, protocol, timeout)
 *                             │           ▼
 *                         on_timer ─── RESTING
 *
 * enter() is the only door. Here a connection is made, lost and made again;
 * what goes over it is in pg_statements.c, what comes back in pg_answers.c.
 */
#include "store/pg.h"

#include "base/log.h"
#include "base/mem.h"
#include "store/pg_inner.h"

enum { REST_FIRST_MS = 100, REST_MAX_MS = 5000, CONNECT_TIMEOUT_S = 10 };

static const char *const state_names[] = {
    [PG_STOPPED] = "stopped",
    [PG_CONNECTING] = "connecting",
    [PG_READY] = "ready",
    [PG_RESTING] = "resting",
};

static void on_io(struct ev_loop *loop, struct ev_io *io, int events);
static void on_timer(struct ev_loop *loop, struct ev_timer *timer, int events);

static void enter(struct pg *pg, enum pg_state state)
{
    log_debug("connection", "pg=%s from=%s to=%s", pg->name,
              state_names[pg->state], state_names[state]);
    pg->state = state;
}

/* ---- life -------------------------------------------------------------- */

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

void pg_free(struct pg *pg)
{
    if (pg == NULL) {
        return;
    }
    hang_up(pg);
    enter(pg, PG_STOPPED);
    pg_fail_all(pg, "connection closed");
    map_release(&pg->prepared);
    mem_free(pg->conninfo);
    mem_free(pg->name);
    mem_free(pg);
}

bool pg_is_ready(const struct pg *pg)
{
    return pg->state == PG_READY;
}

void pg_lose(struct pg *pg, const char *why)
{
    char *words = pg_one_line(why);

    hang_up(pg);
    enter(pg, PG_RESTING);
    log_warn("database connection lost", "pg=%s retry_ms=%d why=\"%s\"",
             pg->name, pg->rest_ms, words);
    ev_timer_set(&pg->timer, pg->rest_ms / 1000.0, 0.0);
    ev_timer_start(pg->loop, &pg->timer);
    pg->rest_ms = pg->rest_ms * 2 > REST_MAX_MS ? REST_MAX_MS : pg->rest_ms * 2;
    pg_fail_all(pg, words);
    pg->hooks.on_lost(pg->ctx, words);
    mem_free(words);
}

/* ---- the socket -------------------------------------------------------- */

/*
 * While connecting, the watcher always starts anew: libpq closes the socket of
 * an address that refuses, and the next address may get the same number. The
 * loop would wait for the closed one.
 */
void pg_watch(struct pg *pg, int events)
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

void pg_break_off(struct pg *pg)
{
    pg->is_broken = true;
    ev_feed_event(pg->loop, &pg->io, EV_CUSTOM);
}

void pg_flush(struct pg *pg)
{
    int left = PQflush(pg->conn);

    if (left < 0) {
        pg_break_off(pg);
        return;
    }
    pg_watch(pg, left > 0 ? EV_READ | EV_WRITE : EV_READ);
}

/* ---- connecting -------------------------------------------------------- */

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
    char *words = pg_one_line(text);

    log_debug("database notice", "pg=\"%s\" text=\"%s\"", pg->name, words);
    mem_free(words);
}

static void connected(struct pg *pg)
{
    ev_timer_stop(pg->loop, &pg->timer);
    PQsetnonblocking(pg->conn, 1);
    pg->rest_ms = REST_FIRST_MS;
    pg_watch(pg, EV_READ);
    enter(pg, PG_READY);
    (void)!pg_simple(pg, session_settings, on_settings, pg); /* it is READY */
    pg->hooks.on_ready(pg->ctx);
}

static void poll_connect(struct pg *pg)
{
    switch (PQconnectPoll(pg->conn)) {
    case PGRES_POLLING_OK: connected(pg); return;
    case PGRES_POLLING_READING: pg_watch(pg, EV_READ); return;
    case PGRES_POLLING_WRITING: pg_watch(pg, EV_WRITE); return;
    case PGRES_POLLING_ACTIVE: return;
    case PGRES_POLLING_FAILED: pg_lose(pg, PQerrorMessage(pg->conn)); return;
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
        pg_lose(pg, pg->conn ? PQerrorMessage(pg->conn) : "out of memory");
        return;
    }
    PQsetNoticeProcessor(pg->conn, on_notice, pg);
    ev_timer_set(&pg->timer, CONNECT_TIMEOUT_S, 0.0);
    ev_timer_start(pg->loop, &pg->timer);
    /* The documentation says: behave as if it had asked for writing. */
    pg_watch(pg, EV_WRITE);
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
        pg_lose(pg, "no connection within the time allowed");
    } else {
        connect_now(pg);
    }
}

/* ---- what the loop tells ----------------------------------------------- */

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
        pg_lose(pg, PQerrorMessage(pg->conn));
        return;
    }
    if (!pg_take_results(pg)) {
        return;
    }
    if (pg->is_copying) {
        pg_push_copy(pg,
                     LIST_OF(list_first(&pg->requests), struct request, node));
    } else if ((events & EV_WRITE) != 0) {
        pg_flush(pg);
    }
}
