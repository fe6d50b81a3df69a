/*
 * ehlo - what a relay offers: one table of keywords.
 */
#include "smtp/ehlo.h"

#include <strings.h>

static const struct {
    const char *keyword;
    unsigned offer;
} keywords[] = {
    {"PIPELINING", EHLO_PIPELINING},
    {"CHUNKING", EHLO_CHUNKING},
    {"SIZE", EHLO_SIZE},
    {"8BITMIME", EHLO_8BITMIME},
    {"SMTPUTF8", EHLO_SMTPUTF8},
    {"ENHANCEDSTATUSCODES", EHLO_ENHANCEDSTATUSCODES},
    {"STARTTLS", EHLO_STARTTLS},
    {"AUTH", EHLO_AUTH},
    {"LIMITS", EHLO_LIMITS},
    {"DSN", EHLO_DSN},
};

enum { KEYWORD_COUNT = sizeof(keywords) / sizeof(keywords[0]) };

void ehlo_clear(struct ehlo *e)
{
    *e = (struct ehlo){.offers = 0};
}

/* The next run of bytes that are neither blank nor stop. */
static struct span take_word(struct span *line, char stop)
{
    struct span word = SPAN_NONE;

    *line = span_trim(*line);
    word.ptr = line->ptr;
    while (word.len < line->len && line->ptr[word.len] != ' ' &&
           line->ptr[word.len] != '\t' && line->ptr[word.len] != stop) {
        word.len++;
    }
    line->ptr += word.len;
    line->len -= word.len;
    return word;
}

static bool is_word(struct span word, const char *name)
{
    return word.len == strlen(name) &&
           strncasecmp(word.ptr, name, word.len) == 0;
}

/* Decimal digits only; 0 when it is not, most when it is more. */
static uint64_t read_number(struct span word, uint64_t most)
{
    uint64_t value = 0;

    for (size_t i = 0; i < word.len; i++) {
        if (word.ptr[i] < '0' || word.ptr[i] > '9') {
            return 0;
        }
        if (value > most / 10) {
            return most;
        }
        value = value * 10 + (uint64_t)(word.ptr[i] - '0');
    }
    return value < most ? value : most;
}

static void read_limits(struct ehlo *e, struct span rest)
{
    for (;;) {
        struct span name = take_word(&rest, '=');
        struct span value = SPAN_NONE;

        if (name.len == 0 && rest.len == 0) {
            return;
        }
        if (rest.len > 0 && rest.ptr[0] == '=') {
            rest.ptr++;
            rest.len--;
            if (rest.len > 0 && rest.ptr[0] != ' ') {
                value = take_word(&rest, ' ');
            }
        }
        if (is_word(name, "MAILMAX")) {
            e->mail_max = (uint32_t)read_number(value, UINT32_MAX);
        } else if (is_word(name, "RCPTMAX")) {
            e->rcpt_max = (uint32_t)read_number(value, UINT32_MAX);
        }
    }
}

/* Adds mechanisms to those there are; a second AUTH line may repeat some. */
static void read_auth(struct ehlo *e, struct span rest)
{
    size_t len = strlen(e->auth);

    for (;;) {
        struct span word = take_word(&rest, ' ');

        if (word.len == 0 || len + word.len + 2 > sizeof(e->auth)) {
            break;
        }
        if (len > 0) {
            e->auth[len++] = ' ';
        }
        for (size_t i = 0; i < word.len; i++) {
            char c = word.ptr[i];

            c = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
            e->auth[len++] = c > ' ' && c < 0x7f ? c : '?';
        }
    }
    e->auth[len] = '\0';
}

void ehlo_line(struct ehlo *e, struct span line)
{
    /* "AUTH=LOGIN" is how some old servers spell it. */
    struct span word = take_word(&line, '=');
    unsigned offer = 0;

    for (size_t i = 0; i < KEYWORD_COUNT && offer == 0; i++) {
        offer = is_word(word, keywords[i].keyword) ? keywords[i].offer : 0;
    }
    e->offers |= offer;
    if (line.len > 0 && line.ptr[0] == '=') {
        line.ptr++;
        line.len--;
    }
    if (offer == EHLO_SIZE) {
        e->size_max = read_number(take_word(&line, ' '), UINT64_MAX);
    } else if (offer == EHLO_LIMITS) {
        read_limits(e, line);
    } else if (offer == EHLO_AUTH) {
        read_auth(e, line);
    }
}

void ehlo_describe(const struct ehlo *e, struct buf *out)
{
    for (size_t i = 0; i < KEYWORD_COUNT; i++) {
        if ((e->offers & keywords[i].offer) == 0) {
            continue;
        }
        buf_puts(out, out->len > 0 ? " " : "");
        buf_puts(out, keywords[i].keyword);
        if (keywords[i].offer == EHLO_SIZE && e->size_max > 0) {
            buf_putc(out, '=');
            buf_u64(out, e->size_max);
        } else if (keywords[i].offer == EHLO_AUTH) {
            buf_printf(out, "(%s)", e->auth);
        } else if (keywords[i].offer == EHLO_LIMITS && e->mail_max > 0) {
            buf_printf(out, "(MAILMAX=%u)", e->mail_max);
        }
    }
}
