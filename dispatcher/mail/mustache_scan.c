/*
 * mustache_scan - the tags of a template source, in order.
 *
 * Three walks. The first finds the tags (the only one that knows delimiters).
 * The second pairs what opens with what closes, on a small stack, and knows a
 * block inside a parent for the argument that it is. The third, in
 * mustache_trim.c, decides for each tag whether it stands alone, because for
 * parents and arguments that depends on both ends.
 */
#include "mail/mustache_scan.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

/* The arguments of "%.*s" for a name in a message. */
#define CLIP(s) (int)((s).len < 60 ? (s).len : 60), ((s).ptr ? (s).ptr : "")

__attribute__((format(printf, 3, 4))) static bool fail(struct scan *s, int line,
                                                       const char *format, ...)
{
    char text[256];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    problems_add(s->problems, SEVERITY_ERROR, s->file, line, "%s", text);
    return false;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static int line_of(struct scan *s, size_t at)
{
    for (; s->line_at < at; s->line_at++) {
        s->line += s->source.ptr[s->line_at] == '\n';
    }
    return s->line;
}

/* Where needle is found at or behind `from`, or SIZE_MAX. */
static size_t find(const struct scan *s, size_t from, struct span needle)
{
    const char *hit = memmem(s->source.ptr + from, s->source.len - from,
                             needle.ptr, needle.len);

    return hit ? (size_t)(hit - s->source.ptr) : SIZE_MAX;
}

static enum tag_kind kind_of(char sigil)
{
    switch (sigil) {
    case '#': return TAG_SECTION;
    case '^': return TAG_INVERTED;
    case '/': return TAG_CLOSE;
    case '!': return TAG_COMMENT;
    case '=': return TAG_DELIMITERS;
    case '>': return TAG_PARTIAL;
    case '<': return TAG_PARENT;
    case '$': return TAG_BLOCK;
    case '&':
    case '{': return TAG_RAW;
    default: return TAG_VALUE;
    }
}

enum { DELIMITER_MAX = 64 };

/* The bytes that must come right before the closing delimiter. */
static const char *tail_of(char sigil)
{
    return sigil == '{' ? "}" : sigil == '=' ? "=" : "";
}

static bool set_delimiters(struct scan *s, const struct tag *tag)
{
    const char *end = tag->name.ptr + tag->name.len;
    const char *gap = tag->name.ptr;
    const char *close = end;

    while (gap < end && !is_space(*gap)) {
        gap++;
    }
    while (close > gap && !is_space(close[-1])) {
        close--;
    }
    s->open = span_make(tag->name.ptr, (size_t)(gap - tag->name.ptr));
    s->close = span_make(close, (size_t)(end - close));
    if (s->open.len == 0 || s->close.len == 0 || s->open.len > DELIMITER_MAX ||
        s->close.len > DELIMITER_MAX ||
        span_trim(span_make(gap, (size_t)(close - gap))).len > 0 ||
        memchr(tag->name.ptr, '=', tag->name.len) != NULL) {
        return fail(s, tag->line,
                    "bad delimiters '%.*s': write {{=OPEN CLOSE=}}, without "
                    "'=' in either",
                    CLIP(tag->name));
    }
    return true;
}

static bool check_name(struct scan *s, struct tag *tag)
{
    const struct span name = tag->name;

    if (name.len == 0) {
        return fail(s, tag->line, "tag without a name");
    }
    for (size_t i = 0; i < name.len; i++) {
        if (is_space(name.ptr[i]) || name.ptr[i] == '\0') {
            return fail(s, tag->line, "white space in the name '%.*s'",
                        CLIP(name));
        }
    }
    return true;
}

/* A star before the name: dynamic partials and parents, and what closes
 * the latter. */
static void take_star(struct tag *tag)
{
    if ((tag->kind == TAG_PARTIAL || tag->kind == TAG_PARENT ||
         tag->kind == TAG_CLOSE) &&
        tag->name.len > 1 && tag->name.ptr[0] == '*') {
        tag->is_dynamic = true;
        tag->name = span_trim(span_make(tag->name.ptr + 1, tag->name.len - 1));
    }
}

static bool check_tag(struct scan *s, struct tag *tag)
{
    switch (tag->kind) {
    case TAG_COMMENT: return true;
    case TAG_DELIMITERS: return set_delimiters(s, tag);
    case TAG_VALUE:
    case TAG_RAW:
    case TAG_SECTION:
    case TAG_INVERTED:
    case TAG_CLOSE:
    case TAG_PARTIAL:
    case TAG_PARENT:
    case TAG_BLOCK:
    case TAG_ARGUMENT: break;
    }
    take_star(tag);
    return check_name(s, tag);
}

/* One tag, whose opening delimiter begins at start. */
static bool scan_tag(struct scan *s, size_t start, struct tag *tag)
{
    size_t at = start + s->open.len;
    char needle[80];
    int needle_len = 0;
    size_t stop = 0;

    tag->line = line_of(s, start);
    while (at < s->source.len && is_space(s->source.ptr[at])) {
        at++;
    }
    if (at < s->source.len) {
        const char sigil = s->source.ptr[at];

        tag->kind = kind_of(sigil);
        at += tag->kind != TAG_VALUE;
        needle_len = snprintf(needle, sizeof(needle), "%s%.*s", tail_of(sigil),
                              SPAN_ARG(s->close));
        stop = find(s, at, span_make(needle, (size_t)needle_len));
    }
    if (needle_len == 0 || stop == SIZE_MAX) {
        return fail(s, tag->line, "tag is never closed: '%.*s' is missing",
                    CLIP(s->close));
    }
    tag->start = start;
    tag->end = stop + (size_t)needle_len;
    tag->name = span_trim(span_make(s->source.ptr + at, stop - at));
    return check_tag(s, tag);
}

static bool find_tags(struct scan *s)
{
    size_t room = 0;

    for (;;) {
        size_t start = find(s, s->at, s->open);
        struct tag tag = {.pair = SIZE_MAX};

        if (start == SIZE_MAX) {
            return true;
        }
        if (!scan_tag(s, start, &tag)) {
            return false;
        }
        if (s->count == SCAN_TAGS_MAX) {
            return fail(s, tag.line, "too many tags: at most %d",
                        SCAN_TAGS_MAX);
        }
        if (s->count == room) {
            room = room ? room * 2 : 32;
            s->tags = mem_realloc(s->tags, room * sizeof(*s->tags));
        }
        tag.from = tag.start;
        tag.to = tag.end;
        s->tags[s->count++] = tag;
        s->at = tag.end;
    }
}

static bool opens(enum tag_kind kind)
{
    return kind == TAG_SECTION || kind == TAG_INVERTED || kind == TAG_PARENT ||
           kind == TAG_BLOCK;
}

static bool mismatch(struct scan *s, const struct tag *close,
                     const struct tag *open)
{
    if (open == NULL) {
        return fail(s, close->line, "'%.*s' is closed but was never opened",
                    CLIP(close->name));
    }
    return fail(s, close->line,
                "'%.*s' is closed here, but '%.*s' of line %d is still open",
                CLIP(close->name), CLIP(open->name), open->line);
}

static void note_ignored(struct scan *s, const struct tag *parent,
                         const struct tag *tag)
{
    if (parent->kind == TAG_PARENT && tag->kind != TAG_COMMENT &&
        tag->kind != TAG_DELIMITERS && tag->kind != TAG_ARGUMENT) {
        problems_add(s->problems, SEVERITY_WARNING, s->file, tag->line,
                     "directly inside of {{<%.*s}} only {{$blocks}} count; "
                     "this tag is ignored",
                     CLIP(parent->name));
    }
}

static bool pair_tags(struct scan *s)
{
    size_t stack[SCAN_DEPTH_MAX];
    size_t depth = 0;

    for (size_t i = 0; i < s->count; i++) {
        struct tag *tag = &s->tags[i];
        struct tag *top = depth ? &s->tags[stack[depth - 1]] : NULL;

        if (tag->kind == TAG_CLOSE) {
            if (top == NULL || !span_equal(top->name, tag->name) ||
                top->is_dynamic != tag->is_dynamic) {
                return mismatch(s, tag, top);
            }
            tag->pair = stack[--depth];
            top->pair = i;
            continue;
        }
        if (opens(tag->kind)) {
            if (depth == SCAN_DEPTH_MAX) {
                return fail(s, tag->line, "'%.*s' is nested too deep",
                            CLIP(tag->name));
            }
            stack[depth++] = i;
        }
        if (top != NULL && top->kind == TAG_PARENT && tag->kind == TAG_BLOCK) {
            tag->kind = TAG_ARGUMENT;
        }
        if (top != NULL) {
            note_ignored(s, top, tag);
        }
    }
    if (depth > 0) {
        const struct tag *open = &s->tags[stack[depth - 1]];

        return fail(s, open->line, "'%.*s' is opened here and never closed",
                    CLIP(open->name));
    }
    return true;
}

bool scan_run(struct scan *s, struct span source, const char *file,
              struct problems *problems)
{
    *s = (struct scan){
        .source = source,
        .file = file,
        .problems = problems,
        .open = SPAN_LIT("{{"),
        .close = SPAN_LIT("}}"),
        .line = 1,
    };
    if (source.len > SCAN_BYTES_MAX) {
        return fail(s, 0, "template is too large: at most %d bytes",
                    SCAN_BYTES_MAX);
    }
    if (source.len == 0) {
        return true;
    }
    if (!find_tags(s) || !pair_tags(s)) {
        return false;
    }
    scan_trim(s);
    return true;
}

void scan_release(struct scan *s)
{
    mem_free(s->tags);
    s->tags = NULL;
    s->count = 0;
}
