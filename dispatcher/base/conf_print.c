/*
 * conf_print - settings for people: the reference and the values in force.
 */
#include <string.h>

#include "base/conf_value.h"

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
        print_section_help(c->group->items, c->group->item_count, " NAME", out);
    }
}

static void print_number(const struct conf_item *item, int value, FILE *out)
{
    const struct conf_unit *units = conf_units(item->type);
    const struct conf_unit *best = &units[0];

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

static void print_values(const struct conf_values *v, FILE *out)
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
