/*
 * Any template with any data: the input is a template, a NUL, a partial (as
 * which every partial name is found), a NUL, and JSON. Whatever they are, it
 * compiles or says why, renders or says why, and stays inside its limits.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

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

static void try_it(struct span source, struct span partial, json_t *json,
                   enum template_escape escape)
{
    struct template_loader loader = {find_partial, name_at, &partial, false};
    struct template_set *set = template_set_new(&loader);
    struct template_fault why = {0};
    struct problems problems;
    struct template *t = NULL;
    struct buf out;
    size_t bytes = 0;

    problems_init(&problems);
    buf_init(&out, 1 << 16);
    t = template_compile(set, "t", source, "t", escape, &problems);
    if ((t == NULL) != (problems.errors > 0)) {
        abort();
    }
    if (t != NULL) {
        template_names(t, ignore_name, &bytes);
        if (!template_render(t, &json, 1, &out, &why) &&
            (why.reason[0] == '\0' || why.file == NULL)) {
            abort();
        }
    }
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
