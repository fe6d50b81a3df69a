/*
 * route_text - the route statement, composed from the role files.
 *
 * sql/queries/role_part.sql is put around each role; the parts take the place
 * of the line "--{roles}" in route.sql and fanout_step.sql. Only whole lines
 * and the word {role_id} are replaced; the role's own text is never looked
 * into, and its text cannot end the part early because the part closes a
 * parenthesis on a line of its own.
 */
#include "store/route.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/embed.h"
#include "base/mem.h"

/* Appends text with every `what` replaced by `with`. */
static void replace(struct buf *out, struct span text, const char *what,
                    struct span with)
{
    const char *at = text.ptr;
    const char *end = text.ptr + text.len;

    for (;;) {
        const char *hit = memmem(at, (size_t)(end - at), what, strlen(what));

        buf_put(out, at, (size_t)((hit ? hit : end) - at));
        if (hit == NULL) {
            return;
        }
        buf_span(out, with);
        at = hit + strlen(what);
    }
}

static struct span embedded(const char *path)
{
    const struct embed_file *file = embed_require(path);

    return span_make(file->data, file->size);
}

char *route_compose(const char *template_name, const struct route_role *roles,
                    const int *ids, size_t count)
{
    /* A fan-out takes its roles' recipients in the order of their ids. */
    const char *part_path = strcmp(template_name, "fanout_step") == 0
                                ? "queries/fanout_part.sql"
                                : "queries/role_part.sql";
    struct buf parts;
    struct buf text;
    char path[64];

    buf_init(&parts, 0);
    buf_init(&text, 0);
    for (size_t i = 0; i < count; i++) {
        struct buf part;
        char number[16];

        buf_init(&part, 0);
        snprintf(number, sizeof(number), "%d", ids[i]);
        replace(&part, embedded(part_path), "{role_id}", span_of(number));
        replace(&parts, buf_view(&part), "--{role}\n", span_of(roles[i].sql));
        buf_release(&part);
    }
    snprintf(path, sizeof(path), "queries/%s.sql", template_name);
    replace(&text, embedded(path), "--{roles}\n", buf_view(&parts));
    buf_release(&parts);
    return buf_take(&text);
}

char *route_check_text(const char *role_sql)
{
    return mem_printf("EXPLAIN WITH pass AS (SELECT NULL::bigint AS event_id, "
                      "NULL::text AS type, NULL::jsonb AS payload)\n"
                      "SELECT event_id::bigint, recipient_id::bigint FROM (\n"
                      "%s\n) AS role",
                      role_sql);
}

/* ---- role files ------------------------------------------------------------
 */

static void free_role(struct route_role *role)
{
    mem_free(role->name);
    mem_free(role->sql);
    mem_free(role->file);
}

static void put_role(struct route_role **roles, size_t *count,
                     const char *directory, const char *file_name,
                     const char *sql, size_t size)
{
    char *name = mem_strndup(file_name, strlen(file_name) - strlen(".sql"));
    size_t at = 0;

    while (at < *count && strcmp((*roles)[at].name, name) != 0) {
        at++;
    }
    if (at < *count) { /* a file of the operator's goes over ours */
        free_role(&(*roles)[at]);
    } else {
        *roles = mem_realloc(*roles, (*count + 2) * sizeof(**roles));
        (*count)++;
    }
    (*roles)[at] =
        (struct route_role){name, mem_printf("%.*s\n", (int)size, sql),
                            mem_printf("%s/%s", directory, file_name)};
    (*roles)[*count] = (struct route_role){NULL, NULL, NULL};
}

static bool is_sql(const char *name)
{
    size_t len = strlen(name);

    return len > 4 && name[0] != '.' && strcmp(name + len - 4, ".sql") == 0;
}

static void read_role(struct route_role **roles, size_t *count,
                      const char *directory, const char *name,
                      struct problems *problems)
{
    char *path = mem_printf("%s/%s", directory, name);
    char *text = NULL;
    size_t size = 0;
    FILE *file = fopen(path, "re");

    if (file == NULL || getdelim(&text, &size, '\0', file) < 0) {
        problems_add(problems, SEVERITY_ERROR, path, 0, "cannot be read: %s",
                     file ? "empty" : strerror(errno));
    } else {
        put_role(roles, count, directory, name, text, strlen(text));
    }
    free(text);
    if (file != NULL) {
        fclose(file);
    }
    mem_free(path);
}

struct route_role *route_roles_load(const char *directory,
                                    struct problems *problems)
{
    struct route_role *roles = mem_calloc(1, sizeof(*roles));
    const struct embed_file *file = NULL;
    size_t count = 0;
    DIR *dir = NULL;

    while ((file = embed_next("roles/", file)) != NULL) {
        put_role(&roles, &count, "sql/roles", file->path + strlen("roles/"),
                 file->data, file->size);
    }
    if (directory == NULL || directory[0] == '\0') {
        return roles;
    }
    dir = opendir(directory);
    if (dir == NULL) {
        problems_add(problems, SEVERITY_ERROR, directory, 0,
                     "the folder of role files cannot be read: %s",
                     strerror(errno));
        return roles;
    }
    for (struct dirent *d = NULL; (d = readdir(dir)) != NULL;) {
        if (is_sql(d->d_name)) {
            read_role(&roles, &count, directory, d->d_name, problems);
        }
    }
    closedir(dir);
    return roles;
}

void route_roles_free(struct route_role *roles)
{
    for (size_t i = 0; roles != NULL && roles[i].name != NULL; i++) {
        free_role(&roles[i]);
    }
    mem_free(roles);
}
