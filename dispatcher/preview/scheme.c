/*
 * scheme - a letter's HTML as it looks to those who like it light or dark.
 *
 * The condition is found by its bytes: "(prefers-color-scheme", white space
 * and a colon around which there may be white space, a word, ")". The
 * property color-scheme, which paints the canvas and form fields, is answered
 * as well: "color-scheme: light dark" becomes the one scheme.
 */
#include "preview/scheme.h"

#include <string.h>

#define ALWAYS "(min-width: 0px)"
#define NEVER  "(max-width: 0px)"

enum scheme scheme_of(struct span name)
{
    if (span_is(name, "light")) {
        return SCHEME_LIGHT;
    }
    return span_is(name, "dark") ? SCHEME_DARK : SCHEME_AS_IS;
}

static struct span skip_space(struct span s)
{
    while (s.len > 0 && strchr(" \t\r\n", s.ptr[0]) != NULL && s.ptr[0]) {
        s.ptr++;
        s.len--;
    }
    return s;
}

/* Takes word from the front of *s; white space before it does not count. */
static bool take(struct span *s, const char *word)
{
    const struct span rest = skip_space(*s);
    const struct span w = span_of(word);

    if (!span_starts(rest, w)) {
        return false;
    }
    *s = span_make(rest.ptr + w.len, rest.len - w.len);
    return true;
}

/* Takes a whole condition; *is_dark says which one it is. */
static bool take_condition(struct span *s, bool *is_dark)
{
    struct span at = *s;

    if (!take(&at, "(") || !take(&at, "prefers-color-scheme") ||
        !take(&at, ":")) {
        return false;
    }
    *is_dark = take(&at, "dark");
    if ((!*is_dark && !take(&at, "light")) || !take(&at, ")")) {
        return false;
    }
    *s = at;
    return true;
}

/* Takes "color-scheme: light dark", in either order. */
static bool take_property(struct span *s)
{
    struct span at = *s;

    if (!take(&at, "color-scheme") || !take(&at, ":")) {
        return false;
    }
    if (!(take(&at, "light") && take(&at, "dark"))) {
        return false;
    }
    *s = at;
    return true;
}

void scheme_force(struct buf *out, struct span html, enum scheme scheme)
{
    const bool is_dark = scheme == SCHEME_DARK;
    bool asks_for_dark = false;

    while (html.len > 0 && scheme != SCHEME_AS_IS) {
        if (html.ptr[0] == '(' && take_condition(&html, &asks_for_dark)) {
            buf_puts(out, asks_for_dark == is_dark ? ALWAYS : NEVER);
        } else if (html.ptr[0] == 'c' && take_property(&html)) {
            buf_puts(out,
                     is_dark ? "color-scheme: dark" : "color-scheme: light");
        } else {
            buf_putc(out, html.ptr[0]);
            html = span_make(html.ptr + 1, html.len - 1);
        }
    }
    buf_span(out, html);
}
