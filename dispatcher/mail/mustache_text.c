/*
 * mustache_text - text between tags, and its indentation.
 *
 * Indentation. What goes in at a block is indented as the block is, so two
 * things are settled here. An argument's body loses the indentation that all
 * its lines share (`dedent`, counted from the left edge of the file). A block
 * keeps the indentation that an argument in its place has to get: that of its
 * default content, or of the tag where there is none.
 *
 * `fresh` says that the next operation begins a line although the source does
 * not show it: at the start of an argument, and after a dedent has swallowed
 * all the space before a tag.
 */
#include <string.h>

#include "base/mem.h"
#include "mail/mustache_compile.h"

void *compile_grow(void *items, size_t count, size_t *room, size_t size)
{
    if (count < *room) {
        return items;
    }
    *room = *room ? *room * 2 : 16;
    return mem_realloc(items, *room * size);
}

struct op *compile_op(struct compile *c, enum op_kind kind, int line)
{
    struct template *t = c->t;

    t->ops = compile_grow(t->ops, t->op_count, &c->op_room, sizeof(*t->ops));
    t->ops[t->op_count] = (struct op){.kind = (uint8_t)kind, .line = line};
    return &t->ops[t->op_count++];
}

struct span compile_keep(struct compile *c, struct span s)
{
    struct span kept = arena_span(&c->t->set->arena, s);

    if (kept.ptr == NULL) {
        c->is_broken = true;
        return SPAN_LIT("");
    }
    return kept;
}

bool compile_begins_line(const struct compile *c, size_t at)
{
    return c->fresh || at == 0 || c->scan.source.ptr[at - 1] == '\n';
}

static void add_text(struct compile *c, struct span text, bool starts_line,
                     int line)
{
    struct template *t = c->t;
    struct op *op = t->op_count > c->floor ? &t->ops[t->op_count - 1] : NULL;

    if (text.len == 0) {
        return;
    }
    if (op == NULL || op->kind != OP_TEXT ||
        (size_t)op->at + op->to != c->pool.len) {
        op = compile_op(c, OP_TEXT, line);
        op->at = (uint32_t)c->pool.len;
        op->starts_line = starts_line;
    }
    op->to += (uint32_t)text.len;
    buf_span(&c->pool, text);
    c->fresh = false;
}

/* The spaces at the start of a line, up to `most` of them. */
static size_t leading_space(struct span line, size_t most)
{
    size_t n = 0;

    while (n < line.len && n < most &&
           (line.ptr[n] == ' ' || line.ptr[n] == '\t')) {
        n++;
    }
    return n;
}

/* The first line of s with its newline, taken off s. */
static struct span take_line(struct span *s)
{
    const char *end = memchr(s->ptr, '\n', s->len);
    size_t len = end ? (size_t)(end - s->ptr) + 1 : s->len;
    struct span line = span_make(s->ptr, len);

    s->ptr += len;
    s->len -= len;
    return line;
}

void compile_text(struct compile *c, size_t from, size_t to, int line)
{
    struct span text = SPAN_NONE;
    bool starts_line = compile_begins_line(c, from);

    if (from >= to) {
        return;
    }
    text = span_make(c->scan.source.ptr + from, to - from);
    if (c->dedent == 0) {
        add_text(c, text, starts_line, line);
        return;
    }
    while (text.len > 0) {
        struct span one = take_line(&text);

        if (starts_line) {
            size_t cut = leading_space(one, c->dedent);

            c->fresh = cut == one.len;
            one = span_make(one.ptr + cut, one.len - cut);
        }
        add_text(c, one, starts_line, line);
        starts_line = true;
    }
}

bool compile_shared_indent(const struct compile *c, size_t from, size_t to,
                           struct span *out)
{
    struct span rest = SPAN_NONE;
    bool is_found = false;

    if (from >= to) {
        return false;
    }
    rest = span_make(c->scan.source.ptr + from, to - from);
    while (rest.len > 0) {
        struct span line = take_line(&rest);
        size_t n = leading_space(line, line.len);

        if (span_trim(line).len > 0 && (!is_found || n < out->len)) {
            *out = span_make(line.ptr, n);
            is_found = true;
        }
    }
    return is_found;
}

struct span compile_space_before(const struct compile *c, const struct tag *tag)
{
    size_t head = scan_head(&c->scan, tag->start);

    return head == SIZE_MAX
               ? SPAN_NONE
               : span_make(c->scan.source.ptr + head, tag->start - head);
}

struct span compile_dedented(struct compile *c, struct span space)
{
    size_t cut = space.len < c->dedent ? space.len : c->dedent;

    return space.len > cut
               ? compile_keep(c, span_make(space.ptr + cut, space.len - cut))
               : SPAN_NONE;
}
