/*
 * mustache_value - prints JSON values as text, escaped for where they go.
 *
 * Strings are copied in clean runs: a table tells which bytes end one. NUL
 * ends one too, because no reader of mail is prepared for it.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mail/mustache.h"
#include "mail/steps.h"

static const struct span references[] = {
    [1] = {"&amp;", 5},  [2] = {"&lt;", 4},  [3] = {"&gt;", 4},
    [4] = {"&quot;", 6}, [5] = {"&#39;", 5}, [6] = {"\xEF\xBF\xBD", 3},
};

static const unsigned char html_class[256] = {
    ['&'] = 1, ['<'] = 2, ['>'] = 3, ['"'] = 4, ['\''] = 5, ['\0'] = 6,
};

/* Marks the bytes that have a class. */
static inline step_bytes has_class(step_bytes bytes)
{
    return (step_bytes)((bytes == '&') | (bytes == '<') | (bytes == '>') |
                        (bytes == '"') | (bytes == '\'') | (bytes == '\0'));
}

static void put_html(struct buf *out, const char *text, size_t len)
{
    const char *const end = text + len;
    const char *clean = text;

    while (text < end) {
        unsigned char class = 0;

        if (end - text >= STEP) {
            size_t n = step_before(has_class(step_load(text)));

            text += n;
            if (n == STEP) {
                continue;
            }
        }
        class = html_class[(unsigned char)*text];
        if (class != 0) {
            buf_put(out, clean, (size_t)(text - clean));
            buf_span(out, references[class]);
            clean = text + 1;
        }
        text++;
    }
    buf_put(out, clean, (size_t)(end - clean));
}

static void put_plain(struct buf *out, const char *text, size_t len)
{
    while (len > 0) {
        const char *nul = memchr(text, '\0', len);
        size_t n = nul ? (size_t)(nul - text) : len;

        buf_put(out, text, n);
        if (nul == NULL) {
            return;
        }
        buf_span(out, references[6]);
        text += n + 1;
        len -= n + 1;
    }
}

/* The shortest decimal that reads back as the same number, and always with a
 * mark that it is not an integer, as jansson prints it. */
static void put_real(struct buf *out, double value)
{
    char text[40] = "";
    char *comma = NULL;

    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, value);
        if (fabs(strtod(text, NULL) - value) <= 0.0) {
            break;
        }
    }
    comma = strchr(text, ','); /* a locale with a decimal comma */
    if (comma != NULL) {
        *comma = '.';
    }
    buf_puts(out, text);
    if (strpbrk(text, ".eEn") == NULL) {
        buf_puts(out, ".0");
    }
}

struct dump {
    struct buf *out;
    enum template_escape escape;
};

static void put_string(struct buf *out, const char *text, size_t len,
                       enum template_escape escape)
{
    switch (escape) {
    case TEMPLATE_ESCAPE_HTML: put_html(out, text, len); break;
    case TEMPLATE_ESCAPE_NONE: put_plain(out, text, len); break;
    }
}

static int on_dump(const char *text, size_t len, void *ctx)
{
    const struct dump *d = ctx;

    put_string(d->out, text, len, d->escape);
    return buf_ok(d->out) ? 0 : -1;
}

void template_put_value(struct buf *out, const json_t *value,
                        enum template_escape escape)
{
    struct dump dump = {out, escape};

    if (value == NULL) {
        return;
    }
    switch (json_typeof(value)) {
    case JSON_NULL: break;
    case JSON_TRUE: buf_puts(out, "true"); break;
    case JSON_FALSE: buf_puts(out, "false"); break;
    case JSON_INTEGER: buf_i64(out, json_integer_value(value)); break;
    case JSON_REAL: put_real(out, json_real_value(value)); break;
    case JSON_STRING:
        put_string(out, json_string_value(value), json_string_length(value),
                   escape);
        break;
    case JSON_ARRAY:
    case JSON_OBJECT:
        (void)json_dump_callback(value, on_dump, &dump, JSON_COMPACT);
        break;
    }
}
