/*
 * conf - settings as tables.
 *
 * Every source (preset, file, environment, command line) goes through
 * assign(), which finds the row and hands the text to the one parser of its
 * type. The origin of each value is kept beside it, so that an operator can be
 * told not only what is in force but why.
 *
 * The INI dialect is inih's. It reads lines of at most 198 bytes and does not
 * tell its handler the line number; the reader function below counts lines
 * and refuses longer ones, instead of cutting them in silence.
 */
#include "base/conf.h"

#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/conf_value.h"
#include "base/mem.h"

#define ENV_PREFIX "POSTBATCH_"

/* ---- values ------------------------------------------------------------ */

static void values_init(struct conf_values *v, const struct conf_item *items,
                        size_t count, void *target)
{
    *v = (struct conf_values){.items = items, .count = count, .target = target};
    v->origin = mem_calloc(count, sizeof(*v->origin));
    for (size_t i = 0; i < count; i++) {
        /* A preset that its own row refuses is a mistake in the program. */
        if (!conf_set(&items[i], target, items[i].preset)) {
            fprintf(stderr, "bad preset of setting %s.%s\n", items[i].section,
                    items[i].name);
            abort();
        }
        v->origin[i] = mem_strdup("preset");
    }
}

static void values_release(struct conf_values *v)
{
    for (size_t i = 0; i < v->count; i++) {
        char *text = NULL;

        if (v->items[i].type == CONF_TEXT || v->items[i].type == CONF_SECRET) {
            memcpy(&text, (char *)v->target + v->items[i].offset, sizeof(text));
            if (text != NULL && v->items[i].type == CONF_SECRET) {
                explicit_bzero(text, strlen(text));
            }
            mem_free(text);
            text = NULL;
            memcpy((char *)v->target + v->items[i].offset, &text, sizeof(text));
        }
        mem_free(v->origin[i]);
    }
    mem_free(v->origin);
    mem_free(v->title);
}

struct conf *conf_new(const struct conf_item *items, size_t item_count,
                      void *target, const struct conf_group *group)
{
    struct conf *c = mem_calloc(1, sizeof(*c));

    values_init(&c->plain, items, item_count, target);
    c->group = group;
    return c;
}

void conf_free(struct conf *c)
{
    if (c == NULL) {
        return;
    }
    values_release(&c->plain);
    for (size_t i = 0; i < c->instance_count; i++) {
        values_release(c->instances[i]);
        mem_free(c->instances[i]->target);
        mem_free(c->instances[i]);
    }
    mem_free(c->instances);
    mem_free(c);
}

size_t conf_group_count(const struct conf *c)
{
    return c->instance_count;
}

void *conf_group_at(const struct conf *c, size_t i)
{
    return c->instances[i]->target;
}

static struct conf_values *instance(struct conf *c, const char *title)
{
    struct conf_values *v = NULL;

    for (size_t i = 0; i < c->instance_count; i++) {
        if (strcasecmp(c->instances[i]->title, title) == 0) {
            return c->instances[i];
        }
    }
    v = mem_calloc(1, sizeof(*v));
    values_init(v, c->group->items, c->group->item_count,
                mem_calloc(1, c->group->size));
    v->title = mem_strdup(title);
    memcpy((char *)v->target + c->group->title_offset, &v->title,
           sizeof(v->title));
    c->instances = mem_realloc(c->instances,
                               (c->instance_count + 1) * sizeof(*c->instances));
    c->instances[c->instance_count++] = v;
    return v;
}

/* ---- assignment, the one way in ---------------------------------------- */

/* Where a text comes from, for messages and for the origin. */
struct source {
    const char *file; /* path, or "environment", or "command line" */
    int line;         /* 0 = none */
    struct problems *problems;
};

static void complain(const struct source *from, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void complain(const struct source *from, const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    problems_add(from->problems, SEVERITY_ERROR, from->file, from->line, "%s",
                 text);
}

static void complain_value(const struct source *from,
                           const struct conf_item *item, const char *text)
{
    char expected[256] = "";

    if (item->type == CONF_CHOICE) {
        for (int i = 0; item->choices[i] != NULL; i++) {
            size_t used = strlen(expected);

            snprintf(expected + used, sizeof(expected) - used, "%s%s",
                     i ? ", " : " ", item->choices[i]);
        }
    } else if (item->min != 0 || item->max != 0) {
        snprintf(expected, sizeof(expected), " from %d%s%.0d", item->min,
                 item->max ? " to " : " up", item->max);
    }
    complain(from, "%s.%s = \"%s\": expected %s%s", item->section, item->name,
             item->type == CONF_SECRET ? "***" : text, conf_kind(item),
             expected);
}

static bool assign_in(struct conf_values *v, const char *section,
                      const char *name, const char *text,
                      const struct source *from)
{
    for (size_t i = 0; i < v->count; i++) {
        const struct conf_item *item = &v->items[i];

        if (strcasecmp(item->section, section) != 0 ||
            strcasecmp(item->name, name) != 0) {
            continue;
        }
        if (!conf_set(item, v->target, text)) {
            complain_value(from, item, text);
            return true;
        }
        mem_free(v->origin[i]);
        v->origin[i] = from->line > 0
                           ? mem_printf("%s:%d", from->file, from->line)
                           : mem_strdup(from->file);
        return true;
    }
    return false;
}

/* The title of "relay backup" when section is the group's; NULL otherwise. */
static const char *group_title(const struct conf *c, const char *section)
{
    size_t len = c->group ? strlen(c->group->section) : 0;

    if (len == 0 || strncasecmp(section, c->group->section, len) != 0) {
        return NULL;
    }
    if (section[len] == '\0') {
        return "default";
    }
    return section[len] == ' ' ? section + len + 1 : NULL;
}

static void assign(struct conf *c, const char *section, const char *name,
                   const char *text, const struct source *from)
{
    const char *title = group_title(c, section);
    bool known = title ? assign_in(instance(c, title), c->group->section, name,
                                   text, from)
                       : assign_in(&c->plain, section, name, text, from);

    if (!known) {
        complain(from,
                 "unknown setting %s.%s; \"postbatch help settings\" lists "
                 "them all",
                 section, name);
    }
}

/* ---- the file ---------------------------------------------------------- */

struct reader {
    FILE *stream;
    struct conf *conf;
    struct source from;
};

static char *read_line(char *line, int size, void *stream)
{
    struct reader *r = stream;
    char *got = fgets(line, size, r->stream);

    if (got == NULL) {
        return NULL;
    }
    r->from.line++;
    if (strchr(line, '\n') == NULL && !feof(r->stream)) {
        complain(&r->from,
                 "line longer than %d bytes: shorten it (long "
                 "secrets go into a file)",
                 size - 2);
        for (int c = 0; c != '\n' && c != EOF;) {
            c = fgetc(r->stream);
        }
        line[0] = '\0';
    }
    return line;
}

static int on_setting(void *user, const char *section, const char *name,
                      const char *value)
{
    struct reader *r = user;

    assign(r->conf, section, name, value, &r->from);
    return 1;
}

void conf_read_file(struct conf *c, const char *path, struct problems *p)
{
    struct reader r = {.conf = c, .from = {path, 0, p}};
    int bad_line = 0;

    r.stream = fopen(path, "re");
    if (r.stream == NULL) {
        problems_add(p, SEVERITY_ERROR, path, 0, "cannot be read: %s",
                     strerror(errno));
        return;
    }
    bad_line = ini_parse_stream(read_line, &r, on_setting, &r);
    if (bad_line > 0) {
        problems_add(p, SEVERITY_ERROR, path, bad_line,
                     "neither [section] nor name = value");
    }
    fclose(r.stream);
}

/* ---- environment and command line -------------------------------------- */

/* "DATABASE" or "RELAY_BACKUP" of the name equals section or group title? */
static const char *after_word(const char *name, const char *word)
{
    size_t len = strlen(word);

    return strncasecmp(name, word, len) == 0 && name[len] == '_'
               ? name + len + 1
               : NULL;
}

static bool assign_variable(struct conf_values *v, const char *rest,
                            const char *text, const struct source *from)
{
    for (size_t i = 0; i < v->count; i++) {
        if (strcasecmp(v->items[i].name, rest) == 0) {
            return assign_in(v, v->items[i].section, rest, text, from);
        }
    }
    return false;
}

static bool read_variable(struct conf *c, const char *name, const char *text,
                          const struct source *from)
{
    const char *rest = c->group ? after_word(name, c->group->section) : NULL;

    for (size_t i = 0; rest != NULL && i < c->instance_count; i++) {
        const char *item = after_word(rest, c->instances[i]->title);

        if (item != NULL &&
            assign_variable(c->instances[i], item, text, from)) {
            return true;
        }
    }
    if (rest != NULL) { /* POSTBATCH_RELAY_HOST: the relay "default" */
        return assign_variable(instance(c, "default"), rest, text, from);
    }
    for (size_t i = 0; i < c->plain.count; i++) {
        const struct conf_item *item = &c->plain.items[i];

        rest = after_word(name, item->section);
        if (rest != NULL && strcasecmp(rest, item->name) == 0) {
            return assign_in(&c->plain, item->section, rest, text, from);
        }
    }
    return false;
}

void conf_read_environment(struct conf *c, const char *const *environment,
                           struct problems *p)
{
    for (; *environment != NULL; environment++) {
        const char *equals = strchr(*environment, '=');
        char *name = NULL;
        struct source from = {NULL, 0, p};

        if (equals == NULL ||
            strncmp(*environment, ENV_PREFIX, strlen(ENV_PREFIX)) != 0) {
            continue;
        }
        name = mem_strndup(*environment, (size_t)(equals - *environment));
        from.file = name;
        if (!read_variable(c, name + strlen(ENV_PREFIX), equals + 1, &from)) {
            problems_add(p, SEVERITY_ERROR, name, 0,
                         "no setting of this name; variables are "
                         "POSTBATCH_SECTION_NAME");
        }
        mem_free(name);
    }
}

void conf_read_assignment(struct conf *c, const char *assignment,
                          struct problems *p)
{
    struct source from = {"command line", 0, p};
    const char *equals = strchr(assignment, '=');
    char *left = NULL;
    char *dot = NULL;

    if (equals == NULL) {
        complain(&from, "\"%s\": expected section.name=value", assignment);
        return;
    }
    left = mem_strndup(assignment, (size_t)(equals - assignment));
    dot = strrchr(left, '.');
    if (dot == NULL) {
        complain(&from, "\"%s\": expected section.name=value", assignment);
    } else {
        char *space = strchr(left, '.');

        *dot = '\0';
        if (space != dot) { /* relay.backup.host = [relay backup] host */
            *space = ' ';
        }
        assign(c, left, dot + 1, equals + 1, &from);
    }
    mem_free(left);
}
