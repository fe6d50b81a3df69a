/*
 * check_roles - role files against contracts.
 *
 * A role finds its recipients by keys of the payload. A contract that names the
 * role and has none of these keys would find nobody, in silence; and a key that
 * no contract with this role has is most likely a slip in the SQL.
 */
#include "engine/check.h"

#include <string.h>

#include "base/mem.h"
#include "base/nearest.h"
#include "mail/key_check.h"
#include "store/role_keys.h"

enum { KEYS_MAX = 32 };

/* A role and the keys that its SQL reads. */
struct role_use {
    const struct route_role *role;
    struct {
        struct span name;
        int line;
        bool is_listed; /* by some contract that names the role */
    } keys[KEYS_MAX];
    size_t key_count;
    bool is_named; /* by a contract of a mailable type */
};

struct role_uses {
    struct role_use *items;
    size_t count;
};

static void on_key(void *ctx, struct span key, int line)
{
    struct role_use *use = ctx;

    for (size_t i = 0; i < use->key_count; i++) {
        if (span_equal(use->keys[i].name, key)) {
            return;
        }
    }
    if (use->key_count < KEYS_MAX) {
        use->keys[use->key_count].name = key;
        use->keys[use->key_count++].line = line;
    }
}

static struct role_uses read_roles(const struct route_role *roles)
{
    struct role_uses uses = {NULL, 0};

    while (roles[uses.count].name != NULL) {
        uses.count++;
    }
    uses.items = mem_calloc(uses.count + 1, sizeof(*uses.items));
    for (size_t i = 0; i < uses.count; i++) {
        uses.items[i].role = &roles[i];
        role_keys(roles[i].sql, on_key, &uses.items[i]);
    }
    return uses;
}

static struct role_use *find_role(const struct role_uses *uses,
                                  struct span name)
{
    for (size_t i = 0; i < uses->count; i++) {
        if (span_is(name, uses->items[i].role->name)) {
            return &uses->items[i];
        }
    }
    return NULL;
}

static bool role_reads(void *ctx, struct span role, struct span key)
{
    const struct role_use *use = find_role(ctx, role);

    for (size_t i = 0; use != NULL && i < use->key_count; i++) {
        if (span_equal(use->keys[i].name, key)) {
            return true;
        }
    }
    return false;
}

/* ---- contracts --------------------------------------------------------- */

static void tell_no_file(const struct contract *c, struct span name,
                         const struct role_uses *uses,
                         struct problems *problems)
{
    struct nearest near = nearest_to(name);

    for (size_t i = 0; i < uses->count; i++) {
        nearest_offer(&near, span_of(uses->items[i].role->name));
    }
    problems_add(problems, SEVERITY_ERROR, c->file, contract_line(c, "roles"),
                 "role \"%.*s\" has no file in sql/roles/ nor in "
                 "templates.roles",
                 SPAN_ARG(name));
    problems_about(problems, c->name, SPAN_NONE, near.best);
}

/* Notes which keys of a role the contract has; tells when it has none. */
static void check_reach(const struct contract *c, struct role_use *use,
                        struct problems *problems)
{
    struct span best = SPAN_NONE;
    bool is_found = use->key_count == 0;

    use->is_named = true;
    for (size_t i = 0; i < use->key_count; i++) {
        struct nearest near = nearest_to(use->keys[i].name);

        if (contract_key(c, use->keys[i].name) != NULL) {
            use->keys[i].is_listed = true;
            is_found = true;
            continue;
        }
        for (size_t k = 0; k < c->key_count; k++) {
            nearest_offer(&near, c->keys[k].name);
        }
        best = best.ptr == NULL ? near.best : best;
    }
    if (!is_found) {
        problems_add(problems, SEVERITY_ERROR, c->file,
                     contract_line(c, "roles"),
                     "role \"%s\" finds nobody: it reads '%.*s'%s "
                     "(%s:%d), and the contract lists no key that it reads",
                     use->role->name, SPAN_ARG(use->keys[0].name),
                     use->key_count > 1 ? " and others" : "", use->role->file,
                     use->keys[0].line);
        problems_about(problems, c->name, use->keys[0].name, best);
    }
}

static void check_contract(const struct contract *c,
                           const struct role_uses *uses,
                           struct problems *problems)
{
    for (size_t i = 0; i < c->role_count; i++) {
        struct role_use *use = find_role(uses, c->roles[i]);

        if (use == NULL) {
            tell_no_file(c, c->roles[i], uses, problems);
        } else {
            check_reach(c, use, problems);
        }
    }
}

/* ---- role files -------------------------------------------------------- */

static bool has_role(const struct contract *c, const char *name)
{
    for (size_t i = 0; i < c->role_count; i++) {
        if (span_is(c->roles[i], name)) {
            return true;
        }
    }
    return false;
}

static void tell_unlisted(const struct check *c, const struct role_use *use,
                          size_t key, struct problems *problems)
{
    struct nearest near = nearest_to(use->keys[key].name);

    for (size_t i = 0; i < catalog_count(c->catalog); i++) {
        const struct contract *contract = catalog_at(c->catalog, i)->contract;

        for (size_t k = 0;
             has_role(contract, use->role->name) && k < contract->key_count;
             k++) {
            nearest_offer(&near, contract->keys[k].name);
        }
    }
    problems_add(problems, SEVERITY_WARNING, use->role->file,
                 use->keys[key].line,
                 "reads '%.*s', which no contract with this role lists",
                 SPAN_ARG(use->keys[key].name));
    problems_about(problems, SPAN_NONE, use->keys[key].name, near.best);
}

void check_roles(struct check *c)
{
    struct role_uses uses = read_roles(c->roles);
    const struct key_readers readers = {role_reads, &uses};

    for (size_t i = 0; i < catalog_count(c->catalog); i++) {
        const struct contract *contract = catalog_at(c->catalog, i)->contract;

        if (contract->is_mailable && !contract->is_broken) {
            check_contract(contract, &uses, &c->problems);
        }
    }
    for (size_t i = 0; i < uses.count; i++) {
        const struct role_use *use = &uses.items[i];

        for (size_t k = 0; use->is_named && k < use->key_count; k++) {
            if (!use->keys[k].is_listed) {
                tell_unlisted(c, use, k, &c->problems);
            }
        }
    }
    key_check_unused(c->catalog, &readers, &c->problems);
    mem_free(uses.items);
}
