/*
 * contract_log - the field "log" of contract.json: which keys of the payload
 * say what the project log shows.
 *
 *     "log": {"project": "project", "package": "package",
 *             "user": ["sender", "user"], "request": "requestid"}
 *
 * A child has its parent's, unless it has its own; an empty one stands for
 * "not logged".
 */
#include <stdio.h>

#include "mail/contract_load.h"

static void take_project(struct loader *l, const char *name,
                         const json_t *value)
{
    (void)name;
    l->c->log.project = loader_keep(l, loader_text(value));
}

static void take_package(struct loader *l, const char *name,
                         const json_t *value)
{
    (void)name;
    l->c->log.package = loader_keep(l, loader_text(value));
}

static void take_request(struct loader *l, const char *name,
                         const json_t *value)
{
    (void)name;
    l->c->log.request = loader_keep(l, loader_text(value));
}

static void take_user(struct loader *l, const char *name, const json_t *value)
{
    struct contract_log *log = &l->c->log;
    json_t *key = NULL;
    size_t i = 0;

    log->users = loader_array(l, json_array_size(value), sizeof(*log->users));
    log->user_count = 0;
    json_array_foreach(value, i, key)
    {
        if (log->users == NULL || !json_is_string(key)) {
            loader_tell(l, SEVERITY_ERROR, name,
                        "number %zu is not the name of a key", i + 1);
            continue;
        }
        log->users[log->user_count++] = loader_keep(l, loader_text(key));
    }
}

static const struct field log_fields[] = {
    {"project", JSON_STRING, take_project},
    {"package", JSON_STRING, take_package},
    {"user", JSON_ARRAY, take_user},
    {"request", JSON_STRING, take_request},
    {0},
};

void contract_take_log(struct loader *l, const char *name, const json_t *value)
{
    struct contract_log *log = &l->c->log;

    log->is_given = true;
    l->path = "log.";
    loader_take(l, log_fields, value);
    l->path = "";
    if (json_object_size(value) > 0 && log->project.len == 0) {
        loader_tell(l, SEVERITY_ERROR, name,
                    "needs \"project\": the key that says what the event "
                    "belongs to; {} stands for not logged");
    }
}

static void check_key(const struct contract *c, struct problems *problems,
                      const char *field, struct span key)
{
    char path[32];

    if (key.len > 0 && contract_key(c, key) == NULL) {
        snprintf(path, sizeof(path), "log.%s", field);
        problems_add(problems, SEVERITY_ERROR, c->file, contract_line(c, path),
                     "%s: the contract has no key '%.*s'", path, SPAN_ARG(key));
        problems_about(problems, c->name, key, contract_nearest_key(c, key));
    }
}

void contract_check_log(struct contract *c, struct problems *problems)
{
    check_key(c, problems, "project", c->log.project);
    check_key(c, problems, "package", c->log.package);
    check_key(c, problems, "request", c->log.request);
    for (size_t i = 0; i < c->log.user_count; i++) {
        check_key(c, problems, "user", c->log.users[i]);
    }
}
