/*
 * delay - the pause that a relay asks for in words.
 *
 * Reply text is prose and never decides anything. But a greylister that says
 * "try again in 300 seconds" knows better than our schedule when. Read are a
 * number with a unit of time, or hh:mm:ss, behind one of a few words.
 */
#include <stdint.h>
#include <strings.h>

#include "smtp/verdict.h"

enum { DELAY_MAX_S = 24 * 3600 };

static const struct {
    const char *name;
    int seconds;
} units[] = {
    {"s", 1},       {"sec", 1},      {"secs", 1},     {"second", 1},
    {"seconds", 1}, {"m", 60},       {"min", 60},     {"mins", 60},
    {"minute", 60}, {"minutes", 60}, {"h", 3600},     {"hr", 3600},
    {"hrs", 3600},  {"hour", 3600},  {"hours", 3600}, {"d", 86400},
    {"day", 86400}, {"days", 86400},
};

static const char *const leads[] = {"in",   "after",  "for",
                                    "wait", "within", "retry"};

static bool is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Takes a run of letters or of digits, skipping all else before it. */
static struct span take_token(struct span *text)
{
    struct span token = SPAN_NONE;
    bool (*same)(char) = NULL;

    while (text->len > 0 && !is_alpha(text->ptr[0]) &&
           !is_digit(text->ptr[0])) {
        text->ptr++;
        text->len--;
    }
    if (text->len == 0) {
        return token;
    }
    same = is_digit(text->ptr[0]) ? is_digit : is_alpha;
    token.ptr = text->ptr;
    while (text->len > 0 && same(text->ptr[0])) {
        token.len++;
        text->ptr++;
        text->len--;
    }
    return token;
}

static bool is_word(struct span token, const char *word)
{
    return token.len == strlen(word) &&
           strncasecmp(token.ptr, word, token.len) == 0;
}

static bool is_lead(struct span token)
{
    for (size_t i = 0; i < sizeof(leads) / sizeof(leads[0]); i++) {
        if (is_word(token, leads[i])) {
            return true;
        }
    }
    return false;
}

/* -1 when it is no number or too large to be meant. */
static int64_t number_of(struct span token)
{
    int64_t value = 0;

    if (token.len == 0 || token.len > 6 || !is_digit(token.ptr[0])) {
        return -1;
    }
    for (size_t i = 0; i < token.len; i++) {
        value = value * 10 + (token.ptr[i] - '0');
    }
    return value;
}

/* Seconds of "MM:SS" or "HH:MM:SS" whose first number was already taken. */
static int64_t read_clock(int64_t first, struct span rest)
{
    int64_t total = first;
    int parts = 1;

    while (parts < 3 && rest.len > 1 && rest.ptr[0] == ':') {
        int64_t next = number_of(take_token(&rest));

        if (next < 0 || next > 59) {
            return 0;
        }
        total = total * 60 + next;
        parts++;
    }
    return parts > 1 ? total : 0;
}

static int64_t read_delay(int64_t number, struct span rest)
{
    struct span unit = SPAN_NONE;

    if (rest.len > 0 && rest.ptr[0] == ':') {
        return read_clock(number, rest);
    }
    unit = take_token(&rest);
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (is_word(unit, units[i].name)) {
            return number * units[i].seconds;
        }
    }
    return 0;
}

int verdict_delay_s(struct span text)
{
    bool is_led = false;

    for (;;) {
        struct span token = take_token(&text);
        int64_t number = number_of(token);
        int64_t delay = is_led && number > 0 ? read_delay(number, text) : 0;

        if (is_led && number == 0) {
            delay = read_clock(0, text); /* 00:05:00 */
        }
        if (token.len == 0) {
            return 0;
        }
        if (delay > 0) {
            return (int)(delay < DELAY_MAX_S ? delay : DELAY_MAX_S);
        }
        /* "in about 300 seconds", "for at least 5 minutes": the word before
         * the number need not touch it. */
        is_led = is_led ? number < 0 : is_lead(token);
    }
}
