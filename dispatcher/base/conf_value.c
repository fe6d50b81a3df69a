/*
 * conf_value - one parser per type of setting.
 */
#include "base/conf_value.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static const struct conf_unit time_units[] = {
    {"ms", 1},      {"s", 1000},     {"m", 60000},
    {"h", 3600000}, {"d", 86400000}, {NULL, 0},
};

static const struct conf_unit byte_units[] = {
    {"", 1}, {"k", 1024}, {"m", 1048576}, {"g", 1073741824}, {NULL, 0},
};

static const struct conf_unit no_units[] = {{"", 1}, {NULL, 0}};

/* "30s" by a unit table; false on leftovers, overflow or a missing unit. */
static bool parse_number(const char *text, const struct conf_unit *units,
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
    } words[] = {{"yes", true},    {"no", false}, {"true", true},
                 {"false", false}, {"on", true},  {"off", false},
                 {"1", true},      {"0", false}};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcasecmp(text, words[i].word) == 0) {
            *out = words[i].value;
            return true;
        }
    }
    return false;
}

const struct conf_unit *conf_units(enum conf_type type)
{
    return type == CONF_MS ? time_units
                           : (type == CONF_BYTES ? byte_units : no_units);
}

const char *conf_kind(const struct conf_item *item)
{
    switch (item->type) {
    case CONF_TEXT:
    case CONF_SECRET: return "text";
    case CONF_INT: return "a whole number";
    case CONF_BOOL: return "yes or no";
    case CONF_MS: return "a time with its unit (ms, s, m, h, d)";
    case CONF_BYTES: return "a size in bytes (k, m, g allowed)";
    case CONF_CHOICE: return "one of";
    }
    return "";
}

static bool set_number(const struct conf_item *item, void *place,
                       const char *text)
{
    long long number = 0;
    long long max = item->max ? item->max : INT_MAX;
    int value = 0;

    if (!parse_number(text, conf_units(item->type), &number) ||
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

bool conf_set(const struct conf_item *item, void *target, const char *text)
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
