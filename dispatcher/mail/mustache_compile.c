/*
 * mustache_compile - from the tags of a source to operations.
 *
 * One walk over the tags, a range at a time: the range of a section's body
 * becomes the operations behind the section's own. Text goes into one pool;
 * two texts with nothing between them (a comment stood there) become one.
 *
 * A template is as large as its source and its number of tags, and both are
 * limited by the scan.
 */
#include <string.h>

#include "base/mem.h"
#include "mail/mustache_compile.h"

static void emit_range(struct compile *c, size_t first, size_t last,
                       size_t from, size_t to);

/* Splits a dotted name; returns the number of keys, 0 for ".". */
static uint16_t add_keys(struct compile *c, const struct tag *tag,
                         uint32_t *first)
{
    struct span rest = compile_keep(c, tag->name);
    uint16_t count = 0;

    *first = (uint32_t)c->key_count;
    if (span_is(rest, ".")) {
        return 0;
    }
    for (;;) {
        const char *dot = memchr(rest.ptr, '.', rest.len);
        size_t len = dot ? (size_t)(dot - rest.ptr) : rest.len;

        if (len == 0 || count == 64) {
            problems_add(c->problems, SEVERITY_ERROR, c->t->file, tag->line,
                         "empty or too many parts in the name '%.*s'",
                         (int)(tag->name.len < 60 ? tag->name.len : 60),
                         tag->name.ptr);
            c->is_broken = true;
            return count;
        }
        c->t->keys = compile_grow(c->t->keys, c->key_count, &c->key_room,
                                  sizeof(*c->t->keys));
        c->t->keys[c->key_count++] = span_make(rest.ptr, len);
        count++;
        if (dot == NULL) {
            return count;
        }
        rest = span_make(dot + 1, rest.len - len - 1);
    }
}

static enum pseudo pseudo_of(struct span name)
{
    return span_is(name, "-first")   ? PSEUDO_FIRST
           : span_is(name, "-last")  ? PSEUDO_LAST
           : span_is(name, "-index") ? PSEUDO_INDEX
                                     : PSEUDO_NONE;
}

/* An operation that begins with looking up a name; gives its index. */
static size_t add_named(struct compile *c, enum op_kind kind,
                        const struct tag *tag)
{
    uint32_t first = 0;
    uint16_t count = add_keys(c, tag, &first);
    struct op *op = compile_op(c, kind, tag->line);

    op->at = first;
    op->keys = count;
    op->pseudo = (uint8_t)pseudo_of(tag->name);
    op->is_escaped =
        tag->kind == TAG_VALUE && c->t->escape == TEMPLATE_ESCAPE_HTML;
    return c->t->op_count - 1;
}

/* A tag that shares its line and is the first there begins the line. */
static void begin_line(struct compile *c, const struct tag *tag)
{
    if (!tag->is_standalone && compile_begins_line(c, tag->start)) {
        compile_op(c, OP_INDENT, tag->line);
        c->fresh = false;
    }
}

#define NO_OP SIZE_MAX

/* What lies between tags[open] and its pair becomes the body of ops[op]. */
static void emit_body(struct compile *c, size_t op, size_t open)
{
    const struct tag *tag = &c->scan.tags[open];
    const struct tag *close = &c->scan.tags[tag->pair];

    c->floor = c->t->op_count;
    emit_range(c, open + 1, tag->pair, tag->to, close->from);
    if (close->kind == TAG_CLOSE && tag->kind != TAG_ARGUMENT) {
        begin_line(c, close);
    }
    if (op != NO_OP) {
        c->t->ops[op].to = (uint32_t)c->t->op_count;
    }
    c->floor = c->t->op_count;
}

static size_t add_block(struct compile *c, struct span name)
{
    struct template *t = c->t;

    t->blocks = compile_grow(t->blocks, t->block_count, &c->block_room,
                             sizeof(*t->blocks));
    t->blocks[t->block_count] = (struct block){.name = compile_keep(c, name)};
    return t->block_count++;
}

static void emit_block(struct compile *c, size_t open)
{
    const struct tag *tag = &c->scan.tags[open];
    const struct tag *close = &c->scan.tags[tag->pair];
    struct op *op = compile_op(c, OP_BLOCK, tag->line);
    size_t at = c->t->op_count - 1;
    size_t block = add_block(c, tag->name);
    struct span indent = compile_space_before(c, tag);

    op->at = (uint32_t)block;
    if (tag->is_standalone) {
        compile_shared_indent(c, tag->to, close->from, &indent);
    }
    c->t->blocks[block].indent = compile_dedented(c, indent);
    c->t->blocks[block].is_standalone = tag->is_standalone;
    emit_body(c, at, open);
    c->t->blocks[block].from = (uint32_t)at + 1;
    c->t->blocks[block].to = (uint32_t)c->t->op_count;
}

static void emit_argument(struct compile *c, size_t open, size_t block)
{
    const struct tag *tag = &c->scan.tags[open];
    const size_t dedent = c->dedent;
    struct span indent = SPAN_NONE;

    if (tag->to > tag->end &&
        compile_shared_indent(c, tag->to, c->scan.tags[tag->pair].from,
                              &indent)) {
        c->dedent = indent.len;
    }
    c->fresh = true;
    c->t->blocks[block].from = (uint32_t)c->t->op_count;
    emit_body(c, NO_OP, open);
    c->t->blocks[block].to = (uint32_t)c->t->op_count;
    c->fresh = false;
    c->dedent = dedent;
}

/* The next argument of the parent tags[open], at or behind i; or its pair. */
static size_t next_argument(const struct compile *c, size_t open, size_t i)
{
    const struct tag *tags = c->scan.tags;

    while (i < tags[open].pair && tags[i].kind != TAG_ARGUMENT) {
        i = tags[i].pair != SIZE_MAX ? tags[i].pair + 1 : i + 1;
    }
    return i;
}

static void emit_arguments(struct compile *c, size_t call, size_t open)
{
    const struct tag *tags = c->scan.tags;
    const size_t end = tags[open].pair;
    size_t block = c->t->block_count;

    c->t->calls[call].first_block = (uint32_t)block;
    for (size_t i = next_argument(c, open, open + 1); i < end;
         i = next_argument(c, open, tags[i].pair + 1)) {
        add_block(c, tags[i].name);
        c->t->calls[call].block_count++;
    }
    for (size_t i = next_argument(c, open, open + 1); i < end;
         i = next_argument(c, open, tags[i].pair + 1)) {
        emit_argument(c, i, block++);
    }
}

static void emit_call(struct compile *c, size_t open)
{
    struct template *t = c->t;
    const struct tag *tag = &c->scan.tags[open];
    struct call call = {.is_dynamic = tag->is_dynamic,
                        .is_standalone = tag->is_standalone};
    struct op *op = compile_op(c, OP_CALL, tag->line);
    size_t at = t->op_count - 1;

    op->at = (uint32_t)t->call_count;
    call.name = compile_keep(c, tag->name);
    if (tag->is_standalone) {
        call.indent = compile_dedented(c, compile_space_before(c, tag));
    }
    if (tag->is_dynamic) {
        call.keys = add_keys(c, tag, &call.key);
        t->set->has_dynamic = true;
    } else {
        call.target = mustache_ask(t, call.name, tag->line, c->problems);
        c->is_broken |= call.target == NULL && !t->set->loader.missing_is_empty;
    }
    t->calls =
        compile_grow(t->calls, t->call_count, &c->call_room, sizeof(call));
    t->calls[t->call_count++] = call;
    if (tag->kind == TAG_PARENT) {
        emit_arguments(c, t->call_count - 1, open);
    }
    t->ops[at].to = (uint32_t)t->op_count;
    c->floor = t->op_count;
}

static void emit_tag(struct compile *c, size_t i)
{
    const struct tag *tag = &c->scan.tags[i];

    begin_line(c, tag);
    switch (tag->kind) {
    case TAG_VALUE:
    case TAG_RAW: add_named(c, OP_VALUE, tag); break;
    case TAG_SECTION: emit_body(c, add_named(c, OP_SECTION, tag), i); break;
    case TAG_INVERTED: emit_body(c, add_named(c, OP_INVERTED, tag), i); break;
    case TAG_BLOCK: emit_block(c, i); break;
    case TAG_PARTIAL:
    case TAG_PARENT: emit_call(c, i); break;
    case TAG_ARGUMENT:
    case TAG_CLOSE:
    case TAG_COMMENT:
    case TAG_DELIMITERS: break;
    }
}

/* tags[first..last) and the text around them, source[from..to). */
static void emit_range(struct compile *c, size_t first, size_t last,
                       size_t from, size_t to)
{
    const struct tag *tags = c->scan.tags;
    size_t i = first;
    int line = first > 0 ? tags[first - 1].line : 1;

    while (i < last) {
        const struct tag *end =
            tags[i].pair != SIZE_MAX ? &tags[tags[i].pair] : &tags[i];

        compile_text(c, from, tags[i].from, line);
        emit_tag(c, i);
        from = end->to;
        line = end->line;
        i = (size_t)(end - tags) + 1;
    }
    compile_text(c, from, to, line);
}

bool mustache_compile(struct template *t, struct span source,
                      struct problems *problems)
{
    struct compile c = {.t = t, .problems = problems};

    if (!scan_run(&c.scan, source, t->file, problems)) {
        scan_release(&c.scan);
        return false;
    }
    buf_init(&c.pool, 0);
    emit_range(&c, 0, c.scan.count, 0, source.len);
    c.is_broken |= !buf_ok(&c.pool);
    t->pool = buf_take(&c.pool);
    buf_release(&c.pool);
    scan_release(&c.scan);
    return !c.is_broken;
}
