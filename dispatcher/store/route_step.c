/*
 * route_step - the steps of the router, each a transaction.
 *
 * An error in a step is noted by whichever of its four commands meets it; the
 * answer to COMMIT, which comes in any case, tells what became of the step.
 */
#include "store/route.h"

#include <string.h>

#include "base/embed.h"
#include "base/mem.h"
#include "store/route_inner.h"

/* ---- a transaction ----------------------------------------------------- */

static void note_error(struct route *r, const char *error)
{
    if (r->step_error == NULL) {
        r->step_error = mem_strdup(error);
    }
}

/* Class 42: the statement itself is wrong (a table is gone, a right is
 * missing), so that no event is to blame and none must be set aside. */
static bool is_blameless(const char *error)
{
    return pg_is_passing(error) || strncmp(pg_sqlstate(error), "42", 2) == 0;
}

static void on_done(void *ctx, const PGresult *result, const char *error)
{
    struct route *r = ctx;
    struct route_step step;
    char *words = NULL;

    (void)result;
    if (error != NULL) {
        note_error(r, error);
    }
    step = r->step;
    words = r->step_error;
    r->step_error = NULL;
    step.error = words;
    step.is_lost = words != NULL && !pg_is_ready(r->pg);
    step.is_blameless = words != NULL && is_blameless(words);
    r->is_busy = false;
    r->hooks.on_step(r->ctx, &step);
    mem_free(words);
}

static void on_ignored(void *ctx, const PGresult *result, const char *error)
{
    struct route *r = ctx;

    (void)result;
    if (error != NULL) {
        note_error(r, error);
    }
}

static void on_lock(void *ctx, const PGresult *result, const char *error)
{
    struct route *r = ctx;

    on_ignored(ctx, result, error);
    r->step.is_locked_out = error == NULL && PQntuples(result) == 0;
}

/* BEGIN, lock, the statement, COMMIT: sent without waiting in between. An
 * error in one makes the rest fail and COMMIT roll back; on_done tells. */
static bool run(struct route *r, const char *sql,
                const struct pg_params *params, pg_answer answer)
{
    if (!r->is_ready || r->is_busy) {
        return false;
    }
    r->step = (struct route_step){0};
    r->is_busy = pg_simple(r->pg, "BEGIN ISOLATION LEVEL READ COMMITTED",
                           on_ignored, r) &&
                 pg_query(r->pg, embed_require("queries/route_lock.sql")->data,
                          NULL, on_lock, r) &&
                 pg_query(r->pg, sql, params, answer, r) &&
                 pg_simple(r->pg, "COMMIT", on_done, r);
    return r->is_busy;
}

/* ---- new events -------------------------------------------------------- */

/* Reads the row of route.sql; its columns are the fields of a step. */
static void on_routed(void *ctx, const PGresult *result, const char *error)
{
    struct route *r = ctx;

    on_ignored(ctx, result, error);
    if (error != NULL || PQntuples(result) == 0) {
        return;
    }
    r->step.events = pg_get_int64(result, 0, 0);
    r->step.quarantined = pg_get_int64(result, 0, 1);
    r->step.fanouts = pg_get_int64(result, 0, 2);
    r->step.letters = pg_get_int64(result, 0, 3);
    r->step.batches = pg_get_int64(result, 0, 4);
    r->step.is_finished = pg_get_bool(result, 0, 5);
    r->step.held = pg_get_int64(result, 0, 6);
    r->step.logged = pg_get_int64(result, 0, 7);
    r->step.unlogged = pg_get_int64(result, 0, 8);
}

bool route_run_step(struct route *r, int events)
{
    struct pg_params p = {0};

    pg_param_int32(&p, events > 0 ? events : r->settings.step_events);
    pg_param_int32(&p, r->settings.step_pairs);
    pg_param_int32(&p, r->settings.fanout_threshold);
    return run(r, r->route_sql, &p, on_routed);
}

/* ---- fan-outs ---------------------------------------------------------- */

/* Reads the row of fanout_step.sql: event, letters, batches, done. */
static void on_fanned(void *ctx, const PGresult *result, const char *error)
{
    struct route *r = ctx;

    on_ignored(ctx, result, error);
    if (error != NULL || PQntuples(result) == 0) {
        r->step.is_finished = error == NULL;
        return;
    }
    r->step.fanouts = 1;
    r->step.letters = pg_get_int64(result, 0, 1);
    r->step.batches = pg_get_int64(result, 0, 2);
}

bool route_run_fanout(struct route *r, int passed_over)
{
    struct pg_params p = {0};

    pg_param_int32(&p, r->settings.fanout_step);
    pg_param_int32(&p, passed_over);
    return run(r, r->fanout_sql, &p, on_fanned);
}

/* ---- held letters ------------------------------------------------------ */

/* Reads the row of promote.sql: pairs, letters, batches, finished. */
static void on_promoted(void *ctx, const PGresult *result, const char *error)
{
    struct route *r = ctx;

    on_ignored(ctx, result, error);
    if (error != NULL || PQntuples(result) == 0) {
        return;
    }
    r->step.letters = pg_get_int64(result, 0, 1);
    r->step.batches = pg_get_int64(result, 0, 2);
    r->step.is_finished = pg_get_bool(result, 0, 3);
}

bool route_run_promote(struct route *r, int64_t most_pairs)
{
    struct pg_params p = {0};

    pg_param_int32(&p, r->settings.digest_max);
    pg_param_int64(&p, most_pairs);
    return run(r, embed_require("queries/promote.sql")->data, &p, on_promoted);
}

/* ---- an event that is skipped ------------------------------------------- */

/* Reads the row of route_skip.sql: the event that was set aside. */
static void on_skipped(void *ctx, const PGresult *result, const char *error)
{
    struct route *r = ctx;

    on_ignored(ctx, result, error);
    if (error == NULL && PQntuples(result) == 1) {
        r->step.events = 1;
        r->step.quarantined = 1;
    }
}

bool route_run_skip(struct route *r, const char *reason)
{
    struct pg_params p = {0};

    pg_param_text(&p, reason);
    return run(r, embed_require("queries/route_skip.sql")->data, &p,
               on_skipped);
}
