/*
 * mustache_link - where a value becomes a link, and what may.
 *
 * What stands before a value is looked for in the output, not in the
 * template: so it does not matter which section, partial or block it came
 * from. A payload cannot pretend to be an attribute, its quotes are escaped.
 */
#include "mail/mustache_link.h"

#include <string.h>
#include <strings.h>

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

/* The length of text[0..len) without white space at its end. */
static size_t trimmed(const char *text, size_t len)
{
    while (len > 0 && is_space(text[len - 1])) {
        len--;
    }
    return len;
}

static bool ends_with(const char *text, size_t len, const char *word)
{
    const size_t n = strlen(word);

    return len >= n && strncasecmp(text + len - n, word, n) == 0;
}

bool link_begins(const struct buf *out)
{
    const char *text = out->data;
    /* Who follows a link leaves out white space before it. */
    size_t len = trimmed(text, out->len);

    if (len < 2 || (text[len - 1] != '"' && text[len - 1] != '\'')) {
        return false;
    }
    len = trimmed(text, len - 1);
    if (len == 0 || text[len - 1] != '=') {
        return false;
    }
    len = trimmed(text, len - 1);
    return ends_with(text, len, "href") || ends_with(text, len, "src") ||
           ends_with(text, len, "action");
}

bool link_is_harmless(const json_t *value)
{
    static const char *const schemes[] = {"https://", "http://", "mailto:"};
    const char *text = json_string_value(value);

    if (value == NULL || json_is_null(value)) {
        return true;
    }
    if (text == NULL) {
        return false;
    }
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        if (strncasecmp(text, schemes[i], strlen(schemes[i])) == 0) {
            return true;
        }
    }
    return json_string_length(value) == 0;
}
