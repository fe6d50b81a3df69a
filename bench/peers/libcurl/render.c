/*
 * render - a walk over the text; a section that is not shown is walked over,
 * too, with its depth counted.
 */
#include "bench/peers/libcurl/render.h"

#include <string.h>

enum { NAME_BYTES = 64 };

static const json_t *find(const json_t *view, char *name)
{
    char *dot = strchr(name, '.');

    if (dot != NULL) {
        *dot = '\0';
        view = json_object_get(view, name);
        name = dot + 1;
    }
    return json_object_get(view, name);
}

static void put_char(struct buf *out, char c, bool is_html)
{
    static const char *const escapes[] = {
        ['&'] = "&amp;", ['<'] = "&lt;", ['>'] = "&gt;", ['"'] = "&quot;"};

    if (is_html && (unsigned char)c <= '>' && escapes[(unsigned char)c]) {
        buf_puts(out, escapes[(unsigned char)c]);
    } else if (c == '\n') {
        buf_puts(out, "\r\n");
    } else {
        buf_putc(out, c);
    }
}

static void put_value(struct buf *out, const json_t *value, bool is_html)
{
    if (json_is_integer(value)) {
        buf_printf(out, "%lld", (long long)json_integer_value(value));
    } else if (json_is_string(value)) {
        for (const char *p = json_string_value(value); *p != '\0'; p++) {
            put_char(out, *p, is_html);
        }
    }
}

/* The tag that begins at text ("{{"): its name, and where it ends. */
static const char *read_tag(const char *text, char name[NAME_BYTES])
{
    const char *end = strstr(text, "}}");
    size_t length = end ? (size_t)(end - text) - 2 : 0;

    if (end == NULL || length >= NAME_BYTES) {
        return NULL;
    }
    memcpy(name, text + 2, length);
    name[length] = '\0';
    return end + 2;
}

void render(struct buf *out, const char *text, const json_t *view, bool is_html)
{
    char name[NAME_BYTES];
    int hidden = 0; /* sections around us that are not shown */

    while (*text != '\0') {
        const char *behind =
            strncmp(text, "{{", 2) == 0 ? read_tag(text, name) : NULL;

        if (behind == NULL) {
            if (hidden == 0) {
                put_char(out, *text, false);
            }
            text++;
            continue;
        }
        if (name[0] == '#') {
            hidden += hidden > 0 || find(view, name + 1) == NULL;
        } else if (name[0] == '/') {
            hidden -= hidden > 0;
        } else if (hidden == 0) {
            put_value(out, find(view, name), is_html);
        }
        text = behind;
    }
}
