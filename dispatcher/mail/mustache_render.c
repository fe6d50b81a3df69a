/*
 * mustache_render - runs the operations of a template.
 *
 * The state lives on the C stack: the context (a value per open section), the
 * indentation, and the arguments of the parents that are being rendered.
 * Inverted sections and blocks with their default content simply go on with
 * the next operation; sections, calls and arguments recurse.
 *
 * A block takes the argument of the outermost parent that has one of its name
 * (a grandchild's word counts more than a child's). The argument's own blocks
 * see only the parents around the place where it was written; so no argument
 * can contain itself.
 *
 * Limits: calls and arguments may nest CALLS_MAX deep, sections FRAMES_MAX,
 * and a render may take STEPS_MAX operations. Each is far above any sane
 * letter and far below what hurts a process.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "mail/mustache_context.h"
#include "mail/mustache_link.h"

enum {
    CALLS_MAX = 64,
    STEPS_MAX = 2000000,
    INDENT_MAX = 256,
};

/* The arguments of one parent tag, and those of the parents around it. */
struct arguments {
    const struct arguments *outer;
    const struct template *owner; /* where they are written */
    const struct call *call;
};

struct render {
    struct buf *out;
    struct template_fault *why;
    unsigned calls;
    unsigned steps;
    size_t indent_from; /* indent[from..to) goes before each line */
    size_t indent_to;
    bool is_mid_line; /* the first line has its indentation already */
    struct context context;
    char indent[INDENT_MAX];
};

static bool run(struct render *r, const struct template *t, size_t from,
                size_t to, const struct arguments *args);

__attribute__((format(printf, 4, 5))) static bool fault(
    struct render *r, const struct template *t, int line, const char *format,
    ...)
{
    va_list args;

    r->why->file = t->file;
    r->why->line = line;
    va_start(args, format);
    vsnprintf(r->why->reason, sizeof(r->why->reason), format, args);
    va_end(args);
    return false;
}

/* --- indentation -------------------------------------------------------- */

static void begin_line(struct render *r)
{
    if (!r->is_mid_line) {
        buf_put(r->out, r->indent + r->indent_from,
                r->indent_to - r->indent_from);
    }
    r->is_mid_line = false;
}

static void put_lines(struct render *r, const char *text, size_t len,
                      bool starts_line)
{
    while (len > 0) {
        const char *end = memchr(text, '\n', len);
        size_t n = end ? (size_t)(end - text) + 1 : len;
        bool is_empty = text[0] == '\n' || (n == 2 && text[0] == '\r');

        if (starts_line && !is_empty) {
            begin_line(r);
        }
        r->is_mid_line = false;
        buf_put(r->out, text, n);
        text += n;
        len -= n;
        starts_line = true;
    }
}

static void put_text(struct render *r, const struct template *t,
                     const struct op *op)
{
    if (r->indent_from == r->indent_to) {
        buf_put(r->out, t->pool + op->at, op->to);
        r->is_mid_line = false;
        return;
    }
    put_lines(r, t->pool + op->at, op->to, op->starts_line);
}

static bool push_indent(struct render *r, struct span indent)
{
    if (indent.len > INDENT_MAX - r->indent_to) {
        return false;
    }
    if (indent.len > 0) {
        memcpy(r->indent + r->indent_to, indent.ptr, indent.len);
        r->indent_to += indent.len;
    }
    return true;
}

/* --- operations --------------------------------------------------------- */

static void put_named(struct render *r, const struct template *t,
                      const struct op *op)
{
    const struct frame *item = NULL;
    const json_t *value = NULL;

    if (op->pseudo == PSEUDO_INDEX) {
        item = context_item(&r->context);
        if (item != NULL) {
            buf_u64(r->out, item->index + 1);
        }
        return;
    }
    value = context_value(&r->context, t, op);
    if (op->is_escaped && link_begins(r->out) && !link_is_harmless(value)) {
        buf_puts(r->out, LINK_REFUSED);
        return;
    }
    template_put_value(r->out, value,
                       op->is_escaped ? TEMPLATE_ESCAPE_HTML
                                      : TEMPLATE_ESCAPE_NONE);
}

static bool run_section(struct render *r, const struct template *t, size_t at,
                        const struct arguments *args)
{
    const struct op *op = &t->ops[at];
    json_t *value = context_value(&r->context, t, op);
    const bool is_list = json_is_array(value);
    const size_t count = is_list ? json_array_size(value) : 1;
    struct frame *frame = &r->context.frames[r->context.used];
    bool ok = true;

    if (!value_is_true(value)) {
        return true;
    }
    if (r->context.used == FRAMES_MAX) {
        return fault(r, t, op->line, "sections nested more than %d deep",
                     FRAMES_MAX);
    }
    r->context.used++;
    for (size_t i = 0; i < count && ok; i++) {
        frame->value = is_list ? json_array_get(value, i) : value;
        frame->index = i;
        frame->count = is_list ? count : 0;
        ok = run(r, t, at + 1, op->to, args);
    }
    r->context.used--;
    return ok;
}

static const struct template *target_of(const struct render *r,
                                        const struct template *t,
                                        const struct call *call)
{
    const json_t *name = NULL;

    if (!call->is_dynamic) {
        return call->target;
    }
    name = context_find(&r->context, t, call->key, call->keys);
    if (!json_is_string(name)) {
        return NULL;
    }
    return map_get(
        &t->set->by_name[t->escape],
        span_make(json_string_value(name), json_string_length(name)));
}

static bool run_call(struct render *r, const struct template *t,
                     const struct op *op, const struct arguments *args)
{
    const struct call *call = &t->calls[op->at];
    const struct template *target = target_of(r, t, call);
    const struct arguments mine = {args, t, call};
    const size_t from = r->indent_from;
    const size_t to = r->indent_to;
    bool ok = true;

    if (target == NULL) {
        return true;
    }
    if (r->calls == CALLS_MAX) {
        return fault(r, t, op->line,
                     "partials nested more than %d deep: does '%.40s' "
                     "include itself?",
                     CALLS_MAX, target->name);
    }
    if (!call->is_standalone) {
        r->indent_from = r->indent_to;
    }
    if (!push_indent(r, call->indent)) {
        return fault(r, t, op->line, "indented by more than %d bytes",
                     INDENT_MAX);
    }
    r->calls++;
    ok = run(r, target, 0, target->op_count,
             call->block_count > 0 ? &mine : args);
    r->calls--;
    r->indent_from = from;
    r->indent_to = to;
    return ok;
}

static const struct block *argument_of(const struct arguments *args,
                                       struct span name)
{
    const struct block *block = args->owner->blocks + args->call->first_block;

    for (size_t i = 0; i < args->call->block_count; i++) {
        if (span_equal(block[i].name, name)) {
            return &block[i];
        }
    }
    return NULL;
}

/* What to put in place of a block: its argument, or NULL for its default. */
static const struct block *outermost(const struct arguments *args,
                                     struct span name,
                                     const struct arguments **found)
{
    const struct block *best = NULL;

    for (; args != NULL; args = args->outer) {
        const struct block *one = argument_of(args, name);

        if (one != NULL) {
            best = one;
            *found = args;
        }
    }
    return best;
}

static bool run_argument(struct render *r, const struct template *t,
                         const struct op *op, const struct block *argument,
                         const struct arguments *args)
{
    const struct block *place = &t->blocks[op->at];
    const size_t to = r->indent_to;
    bool ok = true;

    if (r->calls == CALLS_MAX) {
        return fault(r, t, op->line, "blocks nested more than %d deep",
                     CALLS_MAX);
    }
    if (!push_indent(r, place->indent)) {
        return fault(r, t, op->line, "indented by more than %d bytes",
                     INDENT_MAX);
    }
    r->is_mid_line |= !place->is_standalone;
    r->calls++;
    ok = run(r, args->owner, argument->from, argument->to, args->outer);
    r->calls--;
    r->is_mid_line &= place->is_standalone;
    r->indent_to = to;
    return ok;
}

static bool run(struct render *r, const struct template *t, size_t from,
                size_t to, const struct arguments *args)
{
    size_t i = from;

    if (!buf_ok(r->out)) {
        return fault(r, t, from < to ? t->ops[from].line : 0,
                     "output is larger than %zu bytes", r->out->cap);
    }
    while (i < to) {
        const struct op *op = &t->ops[i];
        const struct arguments *found = NULL;
        const struct block *argument = NULL;
        bool ok = true;

        if (r->steps-- == 0) {
            return fault(r, t, op->line, "more than %d operations", STEPS_MAX);
        }
        i++;
        switch ((enum op_kind)op->kind) {
        case OP_TEXT: put_text(r, t, op); break;
        case OP_INDENT: begin_line(r); break;
        case OP_VALUE: put_named(r, t, op); break;
        case OP_SECTION:
            ok = run_section(r, t, i - 1, args);
            i = op->to;
            break;
        case OP_INVERTED:
            i = value_is_true(context_value(&r->context, t, op)) ? op->to : i;
            break;
        case OP_CALL:
            ok = run_call(r, t, op, args);
            i = op->to;
            break;
        case OP_BLOCK:
            argument = outermost(args, t->blocks[op->at].name, &found);
            if (argument != NULL) {
                ok = run_argument(r, t, op, argument, found);
                i = op->to;
            }
            break;
        }
        if (!ok) {
            return false;
        }
    }
    return true;
}

bool template_render(const struct template *t, json_t *const *stack,
                     size_t depth, struct buf *out, struct template_fault *why)
{
    struct render r; /* not cleared: frames and indent are read when written */

    r.out = out;
    r.why = why;
    r.context.used = 0;
    r.calls = 0;
    r.steps = STEPS_MAX;
    r.indent_from = 0;
    r.indent_to = 0;
    r.is_mid_line = false;
    for (size_t i = 0; i < depth && i < TEMPLATE_STACK_MAX; i++) {
        r.context.frames[r.context.used++] = (struct frame){stack[i], 0, 0};
    }
    if (!run(&r, t, 0, t->op_count, NULL)) {
        return false;
    }
    return buf_ok(out) ||
           fault(&r, t, 0, "output is larger than %zu bytes", out->cap);
}
