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

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define ENV_PREFIX "POSTBATCH_"

/* The values of one struct: the plain sections, or one group instance. */
struct values {
    const struct conf_item *items;
    size_t count;
    char *title;   /* NULL for the plain sections */
    void *target;
    char **origin; /* per item: "preset", "file:12", "environment" */
};

struct conf {
    struct values plain;
    const struct conf_group *group;
    struct values **instances;
    size_t instance_count;
};

/* ---- one parser per type ---------------------------------------------- */

struct unit {
    const char *name;
    long long factor;
};

static const struct unit time_units[] = {
    {"ms", 1},      {"s", 1000},      {"m", 60000},
    {"h", 3600000}, {"d", 86400000}, {NULL, 0},
};

static const struct unit byte_units[] = {
    {"", 1}, {"k", 1024}, {"m", 1048576}, {"g", 1073741824}, {NULL, 0},
};

static const struct unit no_units[] = {{"", 1}, {NULL, 0}};

/* "30s" by a unit table; false on leftovers, overflow or a missing unit. */
static bool parse_number(const char *text, const struct unit *units,
                         long long *out)
{
    char *end = NULL;
    long long number = 0;

    errno = 0;
    number = strtoll(text, &end, 10);
    if (end == text || errno != 0) {
        return false;
    }
    while (*end == ' ') {
        end++;
    }
    for (; units->name != NULL; units++) {
        if (strcasecmp(end, units->name) == 0) {
            return !__builtin_mul_overflow(number, units->factor, out);
        }
    }
    return number == 0 && *end == '\0' ? (*out = 0, true) : false;
}

static bool parse_bool(const char *text, bool *out)
{
    static const struct {
        const char *word;
        bool value;
    } words[] = {{"yes", true}, {"no", false},  {"true", true}, {"false", false},
                 {"on", true},  {"off", false}, {"1", true},    {"0", false}};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcasecmp(text, words[i].word) == 0) {
            *out = words[i].value;
            return true;
        }
    }
    return false;
}

static const struct unit *units_of(enum conf_type type)
{
    return type == CONF_MS ? time_units
                           : (type == CONF_BYTES ? byte_units : no_units);
}

static const char *kind_words(const struct conf_item *item)
{
    switch (item->type) {
    case CONF_TEXT:
    case CONF_SECRET: return "text";
    case CONF_INT: return "a whole number";
    case CONF_BOOL: return "yes or no";
    case CONF_MS: return "a time with its unit (ms, s, m, h, d)";
    case CONF_BYTES: return "a size in bytes (k, m, g allowed)";
    case CONF_CHOICE: return "one of its choices";
    }
    return "";
}

static bool set_number(const struct conf_item *item, void *place,
                       const char *text)
{
    long long number = 0;
    long long max = item->max ? item->max : INT_MAX;
    int value = 0;

    if (!parse_number(text, units_of(item->type), &number) ||
        number < item->min || number > max) {
        return false;
    }
    value = (int)number;
    memcpy(place, &value, sizeof(value));
    return true;
}

static bool set_choice(const struct conf_item *item, void *place,
                       const char *text)
{
    for (int i = 0; item->choices[i] != NULL; i++) {
        if (strcasecmp(text, item->choices[i]) == 0) {
            memcpy(place, &i, sizeof(i));
            return true;
        }
    }
    return false;
}

static bool set_value(const struct conf_item *item, void *target,
                      const char *text)
{
    void *place = (char *)target + item->offset;
    char *copy = NULL;
    bool truth = false;

    switch (item->type) {
    case CONF_TEXT:
    case CONF_SECRET:
        memcpy(&copy, place, sizeof(copy));
        mem_free(copy);
        copy = mem_strdup(text);
        memcpy(place, &copy, sizeof(copy));
        return true;
    case CONF_BOOL:
        if (!parse_bool(text, &truth)) {
            return false;
        }
        memcpy(place, &truth, sizeof(truth));
        return true;
    case CONF_CHOICE: return set_choice(item, place, text);
    case CONF_INT:
    case CONF_MS:
    case CONF_BYTES: return set_number(item, place, text);
    }
    return false;
}

/* ---- values ------------------------------------------------------------ */

static void values_init(struct values *v, const struct conf_item *items,
                        size_t count, void *target)
{
    *v = (struct values){.items = items, .count = count, .target = target};
    v->origin = mem_calloc(count, sizeof(*v->origin));
    for (size_t i = 0; i < count; i++) {
        /* A preset that its own row refuses is a mistake in the program. */
        if (!set_value(&items[i], target, items[i].preset)) {
            fprintf(stderr, "bad preset of setting %s.%s\n", items[i].section,
                    items[i].name);
            abort();
        }
        v->origin[i] = mem_strdup("preset");
    }
}

static void values_release(struct values *v)
{
    for (size_t i = 0; i < v->count; i++) {
        char *text = NULL;

        if (v->items[i].type == CONF_TEXT || v->items[i].type == CONF_SECRET) {
            memcpy(&text, (char *)v->target + v->items[i].offset,
                   sizeof(text));
            if (text != NULL && v->items[i].type == CONF_SECRET) {
                explicit_bzero(text, strlen(text));
            }
            mem_free(text);
            text = NULL;
            memcpy((char *)v->target + v->items[i].offset, &text,
                   sizeof(text));
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

static struct values *instance(struct conf *c, const char *title)
{
    struct values *v = NULL;

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
    c->instances = mem_realloc(c->instances, (c->instance_count + 1) *
                                                 sizeof(*c->instances));
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
                     i ? ", " : " of ", item->choices[i]);
        }
    } else if (item->min != 0 || item->max != 0) {
        snprintf(expected, sizeof(expected), " from %d%s%.0d", item->min,
                 item->max ? " to " : " up", item->max);
    }
    complain(from, "%s.%s = \"%s\": expected %s%s", item->section, item->name,
             item->type == CONF_SECRET ? "***" : text, kind_words(item),
             expected);
}

static bool assign_in(struct values *v, const char *section, const char *name,
                      const char *text, const struct source *from)
{
    for (size_t i = 0; i < v->count; i++) {
        const struct conf_item *item = &v->items[i];

        if (strcasecmp(item->section, section) != 0 ||
            strcasecmp(item->name, name) != 0) {
            continue;
        }
        if (!set_value(item, v->target, text)) {
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
    bool known = title
                     ? assign_in(instance(c, title), c->group->section, name,
                                 text, from)
                     : assign_in(&c->plain, section, name, text, from);

    if (!known) {
        complain(from,
                 "unknown setting %s.%s; \"postbatch help settings\" lists "
                 "them all",
                 section, name);
    }
}

/* ---- the file ----------------------------------------------------------- */

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
        complain(&r->from, "line longer than %d bytes: shorten it (long "
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

/* ---- environment and command line --------------------------------------- */

/* "DATABASE" or "RELAY_BACKUP" of the name equals section or group title? */
static const char *after_word(const char *name, const char *word)
{
    size_t len = strlen(word);

    return strncasecmp(name, word, len) == 0 && name[len] == '_'
               ? name + len + 1
               : NULL;
}

static bool assign_variable(struct values *v, const char *rest,
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

void conf_read_environment(struct conf *c, char **environment,
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

/* ---- for people --------------------------------------------------------- */

static void print_item_help(const struct conf_item *item, FILE *out)
{
    fprintf(out, "  %s = %s\n      %s", item->name,
            *item->preset ? item->preset : "(empty)", item->help);
    if (item->type == CONF_CHOICE) {
        fputs(" One of:", out);
        for (int i = 0; item->choices[i] != NULL; i++) {
            fprintf(out, "%s %s", i ? "," : "", item->choices[i]);
        }
        fputc('.', out);
    }
    fputc('\n', out);
}

static void print_section_help(const struct conf_item *items, size_t count,
                               const char *title, FILE *out)
{
    const char *section = "";

    for (size_t i = 0; i < count; i++) {
        if (strcmp(items[i].section, section) != 0) {
            section = items[i].section;
            fprintf(out, "%s[%s%s]\n", i ? "\n" : "", section, title);
        }
        print_item_help(&items[i], out);
    }
}

void conf_print_reference(const struct conf *c, FILE *out)
{
    print_section_help(c->plain.items, c->plain.count, "", out);
    if (c->group != NULL) {
        fputc('\n', out);
        print_section_help(c->group->items, c->group->item_count, " NAME",
                           out);
    }
}

static void print_number(const struct conf_item *item, int value, FILE *out)
{
    const struct unit *units = units_of(item->type);
    const struct unit *best = &units[0];

    for (; units->name != NULL; units++) {
        if (value != 0 && value % units->factor == 0) {
            best = units;
        }
    }
    fprintf(out, "%lld%s", value / best->factor, best->name);
}

static void print_value(const struct conf_item *item, const void *target,
                        FILE *out)
{
    const void *place = (const char *)target + item->offset;
    const char *text = NULL;
    bool truth = false;
    int number = 0;

    switch (item->type) {
    case CONF_TEXT:
        memcpy(&text, place, sizeof(text));
        fputs(text, out);
        return;
    case CONF_SECRET:
        memcpy(&text, place, sizeof(text));
        fputs(*text ? "***" : "", out);
        return;
    case CONF_BOOL:
        memcpy(&truth, place, sizeof(truth));
        fputs(truth ? "yes" : "no", out);
        return;
    case CONF_CHOICE:
        memcpy(&number, place, sizeof(number));
        fputs(item->choices[number], out);
        return;
    case CONF_INT:
    case CONF_MS:
    case CONF_BYTES:
        memcpy(&number, place, sizeof(number));
        print_number(item, number, out);
        return;
    }
}

static void print_values(const struct values *v, FILE *out)
{
    const char *section = "";

    for (size_t i = 0; i < v->count; i++) {
        if (strcmp(v->items[i].section, section) != 0) {
            section = v->items[i].section;
            fprintf(out, "[%s%s%s]\n", section, v->title ? " " : "",
                    v->title ? v->title : "");
        }
        fprintf(out, "%s = ", v->items[i].name);
        print_value(&v->items[i], v->target, out);
        fprintf(out, "    ; %s\n", v->origin[i]);
    }
}

void conf_print_values(const struct conf *c, FILE *out)
{
    print_values(&c->plain, out);
    for (size_t i = 0; i < c->instance_count; i++) {
        print_values(c->instances[i], out);
    }
}
