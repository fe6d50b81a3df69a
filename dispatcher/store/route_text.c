/*
 * route_text - the route statement, composed from the role files.
 *
 * A part is put around each role, and around every few parts a group where
 * there are many (sql/queries/role_part.sql, group_part.sql, fanout_part.sql);
 * all that takes the place of the line "--{roles}" in route.sql and
 * fanout_step.sql. Only whole lines and words in braces are replaced; the
 * role's own text is put in last and never looked into, and it cannot end the
 * part early because the part closes a parenthesis on a line of its own.
 */
#include "store/route.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
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

/* Where a role has its bit and its byte in an event type, see
 * sql/0010_route_speed.sql: those with high numbers share the last. */
enum { SHARED_BIT = 62, SHARED_BYTE = 255 };

/* 31 roles in groups of 4 to 8 cost the same to 1 %. */
enum { GROUP_ROLES = 6, UNGROUPED_ROLES = 8 };

static int64_t bit_of(int id)
{
    return INT64_C(1) << (id < SHARED_BIT ? id : SHARED_BIT);
}

/* Replaces a word of the text. */
static void fill_in(struct buf *text, const char *word, const char *with)
{
    struct buf filled;

    buf_init(&filled, 0);
    replace(&filled, buf_view(text), word, span_of(with));
    buf_release(text);
    *text = filled;
}

static void fill_in_bits(struct buf *text, const char *word, int64_t bits)
{
    char digits[24];

    snprintf(digits, sizeof(digits), "%" PRId64, bits);
    fill_in(text, word, digits);
}

/* Appends one role with a part around it. */
static void put_part(struct buf *out, const char *path,
                     const struct route_role *role, int id)
{
    struct buf part;
    char byte[4];

    buf_init(&part, 0);
    buf_span(&part, embedded(path));
    snprintf(byte, sizeof(byte), "%02x",
             (unsigned)(id < SHARED_BYTE ? id : SHARED_BYTE) & 255U);
    fill_in_bits(&part, "{role_id}", id);
    fill_in(&part, "{role_byte}", byte);
    fill_in_bits(&part, "{role_bit}", bit_of(id));
    replace(out, buf_view(&part), "--{role}\n", span_of(role->sql));
    buf_release(&part);
}

static void put_parts(struct buf *out, const char *path,
                      const struct route_role *roles, const int *ids,
                      size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (i > 0) {
            buf_puts(out, "UNION ALL\n");
        }
        put_part(out, path, &roles[i], ids[i]);
    }
}

/* Appends a few roles with a group around them. */
static void put_group(struct buf *out, const struct route_role *roles,
                      const int *ids, size_t count)
{
    struct buf group;
    struct buf parts;
    int64_t bits = 0;

    for (size_t i = 0; i < count; i++) {
        bits |= bit_of(ids[i]);
    }
    buf_init(&group, 0);
    buf_init(&parts, 0);
    buf_span(&group, embedded("queries/group_part.sql"));
    fill_in_bits(&group, "{role_bits}", bits);
    put_parts(&parts, "queries/role_part.sql", roles, ids, count);
    replace(out, buf_view(&group), "--{roles}\n", buf_view(&parts));
    buf_release(&parts);
    buf_release(&group);
}

/* Appends many roles in groups. */
static void put_groups(struct buf *out, const struct route_role *roles,
                       const int *ids, size_t count)
{
    for (size_t i = 0; i < count; i += GROUP_ROLES) {
        size_t left = count - i;

        if (i > 0) {
            buf_puts(out, "UNION ALL\n");
        }
        put_group(out, roles + i, ids + i,
                  left < GROUP_ROLES ? left : GROUP_ROLES);
    }
}

/* Appends what takes the place of the line for roles. What the template has
 * for the case without any, it closes with a comment's end. */
static void put_branches(struct buf *out, bool is_fanout,
                         const struct route_role *roles, const int *ids,
                         size_t count)
{
    if (count == 0) {
        return;
    }
    if (is_fanout) { /* roles give their recipients in the order of the ids */
        put_parts(out, "queries/fanout_part.sql", roles, ids, count);
    } else if (count > UNGROUPED_ROLES) {
        put_groups(out, roles, ids, count);
    } else {
        put_parts(out, "queries/role_part.sql", roles, ids, count);
    }
    buf_puts(out, "/*\n");
}

char *route_compose(const char *template_name, const struct route_role *roles,
                    const int *ids, size_t count)
{
    struct buf branches;
    struct buf text;
    char path[64];

    buf_init(&branches, 0);
    buf_init(&text, 0);
    put_branches(&branches, strcmp(template_name, "fanout_step") == 0, roles,
                 ids, count);
    snprintf(path, sizeof(path), "queries/%s.sql", template_name);
    replace(&text, embedded(path), "--{roles}\n", buf_view(&branches));
    buf_release(&branches);
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
