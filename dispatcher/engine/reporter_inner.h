/*
 * reporter_inner - what the files of the reporter share; private to them.
 */
#ifndef ENGINE_REPORTER_INNER_H
#define ENGINE_REPORTER_INNER_H

#include "base/list.h"
#include "engine/hook.h"
#include "engine/reporter.h"
#include "store/alarms.h"
#include "web/errbit.h"

struct backend;

/* A report on its way to a backend. */
struct delivery {
    struct list_node node;
    struct backend *backend;
    int64_t claim;
    int tries;
    char *cause;           /* for the log */
    struct web_call *call; /* errbit */
};

/* Where reports go. */
struct backend_kind {
    const char *name;
    int most; /* reports on their way at a time */
    /* Begins to tell; ends by delivery_end, maybe at once. */
    void (*tell)(struct delivery *d, const struct report *report);
};

struct backend {
    const struct backend_kind *kind;
    struct reporter *reporter;
    struct list deliveries;
    bool is_on;
    bool is_asking;    /* for what it is due */
    bool has_more;     /* there may be, beyond what was taken */
    int64_t rested_ms; /* monotonic: not to be used before */
};

enum { BACKEND_LOG, BACKEND_ERRBIT, BACKEND_COMMAND, BACKEND_COUNT };

extern const struct backend_kind backend_kinds[BACKEND_COUNT];

/* A relay, as far as its alarms go. */
struct relay_watch {
    bool is_suspect;    /* an alarm of it may be open */
    uint64_t sent_then; /* letters it had taken when that was so */
};

/* On the way out. */
enum finish {
    FINISH_NOT,
    FINISH_WANTED,  /* a look that is under way may have begun too early */
    FINISH_LOOKING, /* the last look */
    FINISH_TELLING, /* what it has found */
    FINISH_DONE,
};

struct reporter {
    struct ev_loop *loop;
    const struct settings *settings;
    const struct catalog *catalog;
    struct pool *pool;
    bool looks;
    char host[256];
    struct alarms *alarms;
    struct web_client *client; /* NULL: no errbit */
    struct hook *hook;         /* NULL: no command */
    struct errbit_settings errbit;
    struct backend backends[BACKEND_COUNT];
    struct relay_watch *relays; /* by the pool's order */
    struct ev_timer tick;
    struct ev_timer deadline; /* of finishing */
    enum finish finish;
};

/* ---- reporter_backends.c ----------------------------------------------- */

/* A report was told, or not: then it is tried again, and the backend rests. */
enum telling { TELLING_DONE, TELLING_AGAIN };

/* In reporter.c: settles the claim and frees d. */
void delivery_end(struct delivery *d, enum telling telling);

/* ---- reporter_relays.c ------------------------------------------------- */

/* Resolves the alarms of relays that have taken letters since. */
void reporter_look_at_relays(struct reporter *r);

#endif
