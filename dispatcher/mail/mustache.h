/*
 * mustache - templates: compiled once at load, rendered many times.
 *
 * The language is Mustache (github.com/mustache/spec 1.4, all modules except
 * lambdas, which would let data carry code): values, sections, inverted
 * sections, comments, delimiters, partials, dynamic names, inheritance. Three
 * keys are ours: -first, -last (booleans) and -index (from 1) speak of the
 * innermost list item.
 *
 * A template never holds code and data is never read as a template, so a
 * payload with "{{" in it is printed as it is.
 *
 * False are: a missing key, null, false, 0, "" and []. A value that is an
 * array or an object is printed as compact JSON. NUL is printed as U+FFFD.
 * Lines of an indented partial are indented unless they are empty. In HTML, a
 * value that begins an href="...", src="..." or action="..." must begin with
 * http://, https:// or mailto:, or "#" is printed in its place ({{{raw}}}
 * values are printed as they are).
 *
 *     struct template_set *set = template_set_new(&loader);
 *     struct template *t = template_compile(set, "text", source, path,
 *                                           TEMPLATE_ESCAPE_NONE, &problems);
 *     if (!template_render(t, stack, 2, &out, &fault)) ...
 *     template_set_free(set);
 *
 * Rendering allocates nothing but what the output buf needs.
 */
#ifndef MAIL_MUSTACHE_H
#define MAIL_MUSTACHE_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/problems.h"
#include "base/span.h"

struct template;
struct template_set;

/* What {{name}} does to a value; {{{name}}} and {{&name}} never escape. */
enum template_escape {
    TEMPLATE_ESCAPE_NONE, /* plain text, headers */
    TEMPLATE_ESCAPE_HTML, /* & < > " ' become character references */
};

/* Where partials and parents come from. */
struct template_loader {
    /*
     * The source of the partial called name: text and file (both must live
     * until the compile call returns; file is copied). False: no such partial.
     */
    bool (*find)(void *ctx, struct span name, struct span *text,
                 const char **file);
    /*
     * The name of the i-th partial there is, or SPAN_NONE at the end: for
     * "did you mean" and for dynamic names. May be NULL.
     */
    struct span (*name_at)(void *ctx, size_t i);
    void *ctx;
    bool missing_is_empty; /* a partial that is not there renders nothing */
};

/* Why a render failed. file lives as long as the template. */
struct template_fault {
    const char *file;
    int line;
    char reason[160];
};

/* The set owns its templates; loader is copied. */
struct template_set *template_set_new(const struct template_loader *loader);
/* Frees all templates of the set. NULL is fine. */
void template_set_free(struct template_set *set);

/*
 * Compiles source and every partial it can reach. Partials escape as the
 * template that asks for them. file is named in problems. Returns NULL after
 * adding at least one error: unclosed or mismatched section, unknown partial,
 * bad delimiters, too large. source may be freed afterwards; the template
 * belongs to the set.
 */
struct template *template_compile(struct template_set *set, const char *name,
                                  struct span source, const char *file,
                                  enum template_escape escape,
                                  struct problems *problems);

/*
 * Appends the rendered template to out. stack[0..depth) is the context,
 * outermost first, at most TEMPLATE_STACK_MAX values; a name is looked for
 * from the last to the first. False: *why says file, line and reason (nested
 * too deep, too much work, out is full); out then holds a part.
 */
enum { TEMPLATE_STACK_MAX = 8 };
bool template_render(const struct template *t, json_t *const *stack,
                     size_t depth, struct buf *out, struct template_fault *why)
    __attribute__((warn_unused_result));

/* A name that a template reads. */
struct template_name {
    struct span name; /* as written, with its dots; "." is the item itself */
    const char *file;
    int line;
    bool is_section;  /* {{#name}} or {{^name}}; else its value is printed */
    bool is_inverted; /* {{^name}} */
    unsigned depth;   /* {{#sections}} around it: 0 = read from the base */
    const struct template_name *around; /* the innermost of them, or NULL */
};
/* Calls on_name for every name that t and its partials read, except the three
 * keys of our own; n lives for the call only. A partial that is used in several
 * places is looked at for each section that it stands in. Dynamic partials are
 * not followed. */
void template_names(const struct template *t,
                    void (*on_name)(void *ctx, const struct template_name *n),
                    void *ctx);

/*
 * Might t look at what the outermost values have under key? Errs on the side of
 * true: with dynamic partials it may look at anything, and {{.}} outside of all
 * sections prints a whole value.
 */
bool template_reads(const struct template *t, struct span key);

/* Appends value as {{value}} would print it. */
void template_put_value(struct buf *out, const json_t *value,
                        enum template_escape escape);

#endif
