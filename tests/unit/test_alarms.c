/*
 * test_alarms - orders to the table of alarms: in which order they go out, and
 * what becomes of them while the database is away. The connection is played.
 */
#include "test.h"

#include "base/mem.h"
#include "store/alarms.h"
#include "store/pg.h"

/* ---- a connection that is played --------------------------------------- */

enum { ASKED_MAX = 16 };

struct pg {
    const struct pg_hooks *hooks;
    void *ctx;
    bool is_ready;
    pg_answer answer; /* NULL: nothing is under way */
    void *answer_ctx;
    char asked[ASKED_MAX][80]; /* "verb first-parameter" */
    int asked_count;
};

static struct pg *played; /* by the test that runs */

struct pg *pg_new(struct ev_loop *loop, const char *conninfo, const char *name,
                  const struct pg_hooks *hooks, void *ctx)
{
    (void)loop;
    (void)conninfo;
    (void)name;
    played = mem_calloc(1, sizeof(*played));
    played->hooks = hooks;
    played->ctx = ctx;
    return played;
}

void pg_start(struct pg *pg)
{
    (void)pg;
}

void pg_free(struct pg *pg)
{
    mem_free(pg);
}

bool pg_is_ready(const struct pg *pg)
{
    return pg->is_ready;
}

bool pg_is_passing(const char *error)
{
    return strstr(error, "passing") != NULL;
}

bool pg_query(struct pg *pg, const char *sql, const struct pg_params *p,
              pg_answer answer, void *ctx)
{
    if (!pg->is_ready) {
        return false;
    }
    assert_null(pg->answer);
    assert_in_range(pg->asked_count, 0, ASKED_MAX - 1);
    snprintf(pg->asked[pg->asked_count++], sizeof(pg->asked[0]), "%s %s",
             strstr(sql, "raise_alarm(") != NULL     ? "raise"
             : strstr(sql, "resolve_alarm(") != NULL ? "resolve"
                                                     : "settle",
             p->formats[0] == 0 ? p->values[0] : "");
    pg->answer = answer;
    pg->answer_ctx = ctx;
    return true;
}

static void answer(const char *error)
{
    pg_answer call = played->answer;

    assert_non_null(call);
    played->answer = NULL;
    call(played->answer_ctx, NULL, error);
}

static void connect_it(void)
{
    played->is_ready = true;
    played->hooks->on_ready(played->ctx);
}

/* Lets all that waits go out, and compares it with what is wanted. */
static void assert_asked(const char *const *want, int count)
{
    while (played->answer != NULL) {
        answer(NULL);
    }
    for (int i = 0; i < count && i < played->asked_count; i++) {
        assert_string_equal(played->asked[i], want[i]);
    }
    assert_int_equal(played->asked_count, count);
}

/* ---- the world ---------------------------------------------------------- */

static void ignore(void *ctx)
{
    (void)ctx;
}

static void ignore_claims(void *ctx, const char *backend,
                          const struct alarms_claim *claims, size_t count)
{
    (void)ctx;
    (void)backend;
    (void)claims;
    (void)count;
}

static struct alarms *make(void)
{
    static const struct alarms_hooks hooks = {ignore, ignore, ignore_claims};
    const struct alarms_settings settings = {.dsn = "", .quiet_ms = 1000};

    return alarms_new(ev_default_loop(EVFLAG_AUTO), &settings, &hooks, NULL);
}

static void raise_cause(struct alarms *a, const char *cause)
{
    const struct report report = {
        .cause = cause,
        .kind = "Kind",
        .severity = "error",
        .component = "relay",
        .action = "main",
        .message = "it is down",
        .params = "{}",
        .lasts = true,
        .count = 1,
    };

    alarms_raise(a, &report);
}

/* ---- tests -------------------------------------------------------------- */

/* A state that ended and came back while the database was away is open. */
static void what_came_back_is_raised_last(void **state)
{
    static const char *const want[] = {"raise a", "raise b", "resolve a",
                                       "raise a"};
    struct alarms *a = make();

    (void)state;
    raise_cause(a, "a");
    raise_cause(a, "b");
    raise_cause(a, "b"); /* one order with the count of two */
    alarms_resolve(a, "a");
    raise_cause(a, "a");
    raise_cause(a, "a");
    assert_int_equal(alarms_pending(a), 4);
    connect_it();
    assert_asked(want, COUNT_OF(want));
    assert_int_equal(alarms_pending(a), 0);
    alarms_free(a);
}

/* What is on its way is not added to: it may have been counted already. */
static void an_order_on_its_way_is_left_alone(void **state)
{
    static const char *const want[] = {"raise a", "raise a"};
    struct alarms *a = make();

    (void)state;
    connect_it();
    raise_cause(a, "a");
    raise_cause(a, "a");
    raise_cause(a, "a");
    assert_int_equal(alarms_pending(a), 2);
    assert_asked(want, COUNT_OF(want));
    alarms_free(a);
}

static void a_lost_connection_loses_no_order(void **state)
{
    static const char *const want[] = {"raise a", "raise a", "raise b"};
    struct alarms *a = make();

    (void)state;
    connect_it();
    raise_cause(a, "a");
    raise_cause(a, "b");
    played->is_ready = false;
    answer("connection lost");
    assert_int_equal(alarms_pending(a), 2);
    connect_it();
    assert_asked(want, COUNT_OF(want));
    alarms_free(a);
}

/* One that the database will never take holds up nobody. */
static void a_refused_order_is_dropped(void **state)
{
    static const char *const want[] = {"raise a", "raise b"};
    struct alarms *a = make();

    (void)state;
    connect_it();
    raise_cause(a, "a");
    raise_cause(a, "b");
    answer("invalid input syntax for type json [22P02]");
    assert_asked(want, COUNT_OF(want));
    assert_int_equal(alarms_pending(a), 0);
    alarms_free(a);
}

static void memory_is_bounded_while_the_database_is_away(void **state)
{
    struct alarms *a = make();
    char cause[20];

    (void)state;
    for (int i = 0; i < 1000; i++) {
        snprintf(cause, sizeof(cause), "cause %d", i);
        raise_cause(a, cause);
    }
    assert_in_range(alarms_pending(a), 100, 500);
    alarms_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_came_back_is_raised_last),
        cmocka_unit_test(an_order_on_its_way_is_left_alone),
        cmocka_unit_test(a_lost_connection_loses_no_order),
        cmocka_unit_test(a_refused_order_is_dropped),
        cmocka_unit_test(memory_is_bounded_while_the_database_is_away),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
