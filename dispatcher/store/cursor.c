/*
 * cursor - how far a source of notifications has been read, in PostgreSQL.
 */
#include "store/cursor.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/embed.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/pg.h"

struct cursor {
    struct pg *pg;
    char *source;
    char owner[300]; /* ours: host and process id */
    struct cursor_hooks hooks;
    void *ctx;
    bool is_closing; /* in cursor_free: nobody wants to hear of it */
};

static const char *const gap_names[] = {
    [GAP_NONE] = NULL,
    [GAP_LOST] = "lost",
    [GAP_AHEAD] = "ahead",
    [GAP_SHORT] = "short",
};

const char *cursor_gap_name(enum cursor_gap gap)
{
    return gap_names[gap];
}

/* ---- life ---------------------------------------------------------------- */

static void on_settings(void *ctx, const PGresult *result, const char *error)
{
    const struct cursor *c = ctx;

    (void)result;
    if (error != NULL) {
        log_debug("keepalives of the server refused", "source=%s why=\"%s\"",
                  c->source, error);
    }
}

/* A host that died holds the lock until the server notices: within 20 s, not
 * after the two hours that are usual. */
static void on_pg_ready(void *ctx)
{
    struct cursor *c = ctx;

    (void)!pg_simple(c->pg,
                     "SET tcp_keepalives_idle = 10;"
                     "SET tcp_keepalives_interval = 5;"
                     "SET tcp_keepalives_count = 2",
                     on_settings, c);
    c->hooks.on_ready(c->ctx);
}

static void on_pg_lost(void *ctx, const char *why)
{
    struct cursor *c = ctx;

    c->hooks.on_lost(c->ctx, why);
}

struct cursor *cursor_new(struct ev_loop *loop, const char *dsn,
                          const char *source, const struct cursor_hooks *hooks,
                          void *ctx)
{
    static const struct pg_hooks pg_hooks = {on_pg_ready, on_pg_lost};
    struct cursor *c = mem_calloc(1, sizeof(*c));
    char host[256] = "";

    gethostname(host, sizeof(host) - 1);
    snprintf(c->owner, sizeof(c->owner), "%s/%d", host, (int)getpid());
    c->source = mem_strdup(source);
    c->hooks = *hooks;
    c->ctx = ctx;
    c->pg = pg_new(loop, dsn, "postbatch intake", &pg_hooks, c);
    return c;
}

void cursor_start(struct cursor *c)
{
    pg_start(c->pg);
}

void cursor_free(struct cursor *c)
{
    if (c == NULL) {
        return;
    }
    c->is_closing = true;
    pg_free(c->pg);
    mem_free(c->source);
    mem_free(c);
}

bool cursor_is_ready(const struct cursor *c)
{
    return pg_is_ready(c->pg);
}

/* An answer with an error: true when the hooks have heard of it, or will by
 * on_lost. */
static bool is_failure(struct cursor *c, const char *error)
{
    if (error != NULL && !c->is_closing && pg_is_ready(c->pg)) {
        c->hooks.on_failed(c->ctx, error);
    }
    return error != NULL;
}

static const char *query(const char *path)
{
    return embed_require(path)->data;
}

/* ---- the right to poll --------------------------------------------------- */

static void on_claimed(void *ctx, const PGresult *result, const char *error)
{
    struct cursor *c = ctx;
    struct cursor_claim claim;

    if (is_failure(c, error)) {
        return;
    }
    claim.is_ours = pg_get_bool(result, 0, 0);
    claim.next = pg_get_int64(result, 0, 1);
    claim.owner = pg_get_text(result, 0, 2);
    c->hooks.on_claimed(c->ctx, &claim);
}

void cursor_claim(struct cursor *c)
{
    struct pg_params p = {0};

    pg_param_text(&p, c->source);
    pg_param_text(&p, c->owner);
    (void)!pg_query(c->pg, query("queries/intake_claim.sql"), &p, on_claimed,
                    c);
}

static void on_begun(void *ctx, const PGresult *result, const char *error)
{
    struct cursor *c = ctx;

    (void)result;
    if (!is_failure(c, error)) {
        cursor_claim(c); /* reads it, whoever has put it there */
    }
}

void cursor_begin(struct cursor *c, int64_t next)
{
    struct pg_params p = {0};

    pg_param_text(&p, c->source);
    pg_param_int64(&p, next);
    pg_param_text(&p, c->owner);
    (void)!pg_query(c->pg, query("queries/intake_begin.sql"), &p, on_begun, c);
}

/* ---- steps --------------------------------------------------------------- */

void cursor_step_init(struct cursor_step *step, size_t count)
{
    *step = (struct cursor_step){.gap = GAP_NONE};
    buf_init(&step->types, 0);
    buf_init(&step->times, 0);
    buf_init(&step->payloads, 0);
    pg_array_begin(&step->types, PG_TYPE_TEXT, count);
    pg_array_begin(&step->times, PG_TYPE_INT8, count);
    pg_array_begin(&step->payloads, PG_TYPE_TEXT, count);
}

void cursor_step_add(struct cursor_step *step, struct span type, int64_t time_s,
                     struct span payload)
{
    pg_array_text(&step->types, type);
    pg_array_int64(&step->times, time_s);
    pg_array_text(&step->payloads, payload);
}

bool cursor_step_is_whole(const struct cursor_step *step)
{
    return buf_ok(&step->types) && buf_ok(&step->times) &&
           buf_ok(&step->payloads);
}

void cursor_step_release(struct cursor_step *step)
{
    buf_release(&step->types);
    buf_release(&step->times);
    buf_release(&step->payloads);
}

static void on_kept(void *ctx, const PGresult *result, const char *error)
{
    struct cursor *c = ctx;
    struct cursor_kept kept;

    if (is_failure(c, error)) {
        return;
    }
    kept.is_kept = pg_get_bool(result, 0, 0);
    kept.events = pg_get_int64(result, 0, 1);
    kept.new_unknown = pg_get_text(result, 0, 2);
    c->hooks.on_kept(c->ctx, &kept);
}

void cursor_keep(struct cursor *c, const struct cursor_step *step)
{
    struct pg_params p = {0};

    pg_param_text(&p, c->source);
    pg_param_int64(&p, step->from);
    pg_param_int64(&p, step->next);
    pg_param_binary(&p, &step->types);
    pg_param_binary(&p, &step->times);
    pg_param_binary(&p, &step->payloads);
    pg_param_text(&p, cursor_gap_name(step->gap));
    if (step->gap == GAP_NONE || step->gap == GAP_AHEAD) {
        pg_param_text(&p, NULL);
    } else {
        pg_param_int64(&p, step->missing);
    }
    (void)!pg_query(c->pg, query("queries/intake_keep.sql"), &p, on_kept, c);
}

static void on_noted(void *ctx, const PGresult *result, const char *error)
{
    struct cursor *c = ctx;

    (void)result;
    if (error != NULL) {
        log_debug("a failure of the intake was not noted",
                  "source=%s why=\"%s\"", c->source, error);
    }
    if (!c->is_closing && pg_is_ready(c->pg)) {
        c->hooks.on_noted(c->ctx);
    }
}

void cursor_note_failure(struct cursor *c, const char *why)
{
    struct pg_params p = {0};

    pg_param_text(&p, c->source);
    pg_param_text(&p, why);
    (void)!pg_query(c->pg, query("queries/intake_failed.sql"), &p, on_noted, c);
}
