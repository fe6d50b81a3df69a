/*
 * check_live - the database and the relays of the settings.
 */
#include <ev.h>
#include <stdio.h>

#include "base/mem.h"
#include "engine/check.h"
#include "smtp/probe.h"
#include "store/admin.h"
#include "store/migrate.h"

/* ---- the database ------------------------------------------------------ */

static bool is_wanted(const struct catalog *catalog, const char *role)
{
    for (size_t i = 0; i < catalog_count(catalog); i++) {
        const struct contract *c = catalog_at(catalog, i)->contract;

        for (size_t k = 0; c->is_mailable && k < c->role_count; k++) {
            if (span_is(c->roles[k], role)) {
                return true;
            }
        }
    }
    return false;
}

static void try_roles(struct check *c, struct admin *admin)
{
    for (const struct route_role *r = c->roles; r->name != NULL; r++) {
        char *why = admin_check_role(admin, r->sql);

        c->roles_usable += why == NULL;
        if (why != NULL && is_wanted(c->catalog, r->name)) {
            problems_add(&c->problems, SEVERITY_WARNING, r->file, 0,
                         "role \"%s\" cannot be used with this database, "
                         "events of types that name it would be set aside: "
                         "%s",
                         r->name, why);
        }
        mem_free(why);
    }
    buf_printf(&c->facts, "roles      %zu can be used with this database\n",
               c->roles_usable);
}

void check_database(struct check *c)
{
    struct admin *admin = admin_open(c->settings->dsn);

    if (admin == NULL) {
        problems_add(&c->problems, SEVERITY_ERROR, NULL, 0,
                     "the database cannot be reached");
        return;
    }
    if (!migrate_check(c->settings->dsn, stderr)) {
        problems_add(&c->problems, SEVERITY_ERROR, NULL, 0,
                     "the database does not have the schema of this program "
                     "(\"postbatch migrate\" makes it), or its user lacks the "
                     "role postbatch_worker");
    } else {
        buf_puts(&c->facts, "database   reachable, schema as it should be\n");
        try_roles(c, admin);
    }
    admin_close(admin);
}

/* ---- relays ------------------------------------------------------------ */

struct look {
    const struct relay_settings *relay;
    struct check *check;
};

static void on_report(void *ctx, const struct relay_report *report)
{
    const struct look *look = ctx;

    if (!report->is_ok) {
        problems_add(&look->check->problems, SEVERITY_ERROR, NULL, 0,
                     "relay %s: %s", look->relay->name, report->text);
        return;
    }
    buf_printf(&look->check->facts,
               "relay      %s: \"%s\" in %lld ms, %s%s, gear %s\n",
               look->relay->name, report->text, (long long)report->took_ms,
               report->is_tls ? "TLS" : "no TLS",
               report->is_auth ? ", authenticated" : "",
               gear_name(report->gear));
}

void check_relays(struct check *c)
{
    struct ev_loop *loop = ev_default_loop(EVFLAG_AUTO);
    const struct settings *s = c->settings;

    if (s->relay_count == 0) {
        problems_add(&c->problems, SEVERITY_ERROR, NULL, 0,
                     "no [relay NAME] section: where shall mail go?");
    }
    for (size_t i = 0; i < s->relay_count; i++) {
        struct look look = {s->relays[i], c};

        relay_probe(loop, s->relays[i], on_report, &look);
        ev_run(loop, 0);
    }
}
