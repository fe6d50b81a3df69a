/*
 * model - the names of the nouns' states, as tables.
 */
#include "model.h"

static const char *const verdicts[] = {
    [VERDICT_NONE] = "none",         [VERDICT_SENT] = "sent",
    [VERDICT_DEFERRED] = "deferred", [VERDICT_FAILED] = "failed",
    [VERDICT_UNSURE] = "unsure",     [VERDICT_SKIPPED] = "skipped",
    [VERDICT_RESENT] = "resent",
};

static const char *const urgencies[] = {
    [URGENCY_URGENT] = "urgent",
    [URGENCY_NORMAL] = "normal",
    [URGENCY_BULK] = "bulk",
};

static const char *const frequencies[] = {
    [FREQUENCY_OFF] = "off",       [FREQUENCY_INSTANT] = "instant",
    [FREQUENCY_HOURLY] = "hourly", [FREQUENCY_DAILY] = "daily",
    [FREQUENCY_WEEKLY] = "weekly",
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* The index of name in table, or -1. */
static int find(const char *const *table, size_t count, struct span name)
{
    for (size_t i = 0; i < count; i++) {
        if (table[i] != NULL && span_is(name, table[i])) {
            return (int)i;
        }
    }
    return -1;
}

const char *verdict_name(enum verdict verdict)
{
    return (size_t)verdict < COUNT(verdicts) ? verdicts[verdict] : "none";
}

const char *urgency_name(enum urgency urgency)
{
    return (size_t)urgency < COUNT(urgencies) && urgencies[urgency]
               ? urgencies[urgency]
               : "normal";
}

bool urgency_parse(struct span name, enum urgency *out)
{
    int at = find(urgencies, COUNT(urgencies), name);

    if (at >= 0) {
        *out = (enum urgency)at;
    }
    return at >= 0;
}

const char *frequency_name(enum frequency frequency)
{
    return (size_t)frequency < COUNT(frequencies) ? frequencies[frequency]
                                                  : "instant";
}

bool frequency_parse(struct span name, enum frequency *out)
{
    int at = find(frequencies, COUNT(frequencies), name);

    if (at >= 0) {
        *out = (enum frequency)at;
    }
    return at >= 0;
}
