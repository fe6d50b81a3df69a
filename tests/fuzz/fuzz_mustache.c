/*
 * Any template with any data: the input is a template, a NUL, a partial (as
 * which every partial name is found), a NUL, and JSON. Whatever they are, it
 * compiles or says why, renders or says why, and stays inside its limits; what
 * it renders twice is the same; and where the templates print nothing raw, no
 * quote and no ampersand of the data gets into HTML, and no script into a link.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "mail/mustache.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool find_partial(void *ctx, struct span name, struct span *text,
                         const char **file)
{
    (void)name;
    *text = *(const struct span *)ctx;
    *file = "partial";
    return true;
}

static struct span name_at(void *ctx, size_t i)
{
    (void)ctx;
    return i == 0 ? SPAN_LIT("p") : SPAN_NONE;
}

/* What lies before the next NUL, taken off rest. */
static struct span take(struct span *rest)
{
    const char *end = rest->len ? memchr(rest->ptr, '\0', rest->len) : NULL;
    size_t len = end ? (size_t)(end - rest->ptr) : rest->len;
    struct span part = span_make(rest->ptr, len);

    rest->ptr += len + (end != NULL);
    rest->len -= len + (end != NULL);
    return part;
}

static void ignore_name(void *ctx, const struct template_name *n)
{
    *(size_t *)ctx += n->name.len;
}

static bool has(struct span text, const char *word)
{
    return text.len > 0 &&
           memmem(text.ptr, text.len, word, strlen(word)) != NULL;
}

/* Does a tag begin a raw value: "{{{" or "{{ {"? */
static bool has_raw(struct span source)
{
    size_t braces = 0;

    for (size_t i = 0; i < source.len; i++) {
        const char c = source.ptr[i];

        if (c == '{' && ++braces > 2) {
            return true;
        }
        if (c != '{' && (braces < 2 || strchr(" \t\r\n\v\f", c) == NULL)) {
            braces = 0;
        }
    }
    return false;
}

/* No raw value, no other delimiters. */
static bool is_careful(struct span source)
{
    return !has_raw(source) && !has(source, "=") && !has(source, "&");
}

/* All that may come behind an ampersand. */
static bool is_reference(struct span text)
{
    return span_starts(text, SPAN_LIT("&amp;")) ||
           span_starts(text, SPAN_LIT("&lt;")) ||
           span_starts(text, SPAN_LIT("&gt;")) ||
           span_starts(text, SPAN_LIT("&quot;")) ||
           span_starts(text, SPAN_LIT("&#39;"));
}

static void check_escaped(struct span source, struct span partial,
                          struct span out)
{
    const bool has_quotes = has(source, "\"") || has(source, "'") ||
                            has(partial, "\"") || has(partial, "'");

    if (!is_careful(source) || !is_careful(partial)) {
        return;
    }
    for (size_t i = 0; i < out.len; i++) {
        const struct span rest = span_make(out.ptr + i, out.len - i);

        if (out.ptr[i] == '&'
                ? !is_reference(rest)
                : !has_quotes && (out.ptr[i] == '"' || out.ptr[i] == '\'')) {
            abort();
        }
    }
}

/* In an attribute, and twice: the same bytes, and no script at its start. */
static void check_rendered(const struct template *t, json_t *json,
                           struct span first, struct buf *again)
{
    struct template_fault why = {0};
    struct span link = SPAN_NONE;

    buf_puts(again, "href=\"");
    if (!template_render(t, &json, 1, again, &why)) {
        return;
    }
    link = span_make(again->data + 6, again->len - 6);
    if (span_starts(link, SPAN_LIT("javascript:")) &&
        !span_starts(first, SPAN_LIT("javascript:"))) {
        abort();
    }
    buf_clear(again);
    if (!template_render(t, &json, 1, again, &why) ||
        !span_equal(buf_view(again), first)) {
        abort();
    }
}

static void try_it(struct span source, struct span partial, json_t *json,
                   enum template_escape escape)
{
    struct template_loader loader = {find_partial, name_at, &partial, false};
    struct template_set *set = template_set_new(&loader);
    struct template_fault why = {0};
    struct problems problems;
    struct template *t = NULL;
    struct buf out;
    struct buf again;
    size_t bytes = 0;

    problems_init(&problems);
    buf_init(&out, 1 << 14);
    buf_init(&again, 1 << 15);
    t = template_compile(set, "t", source, "t", escape, &problems);
    if ((t == NULL) != (problems.errors > 0)) {
        abort();
    }
    if (t != NULL) {
        template_names(t, ignore_name, &bytes);
        if (template_render(t, &json, 1, &out, &why)) {
            check_escaped(source, partial, buf_view(&out));
            check_rendered(t, json, buf_view(&out), &again);
        } else if (why.reason[0] == '\0' || why.file == NULL) {
            abort();
        }
    }
    buf_release(&again);
    buf_release(&out);
    problems_release(&problems);
    template_set_free(set);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span rest = span_make((const char *)data, size);
    struct span source = take(&rest);
    struct span partial = take(&rest);
    json_t *json = rest.len ? json_loadb(rest.ptr, rest.len,
                                         JSON_ALLOW_NUL | JSON_DECODE_ANY, NULL)
                            : NULL;

    if (json == NULL) {
        json = json_loads("{\"a\":[1,{\"b\":\"<\"},[2,3]],\"c\":{\"d\":1.5},"
                          "\"p\":\"p\"}",
                          0, NULL);
    }
    try_it(source, partial, json, TEMPLATE_ESCAPE_HTML);
    json_decref(json);
    return 0;
}
