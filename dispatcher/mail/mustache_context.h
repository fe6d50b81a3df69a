/*
 * mustache_context - the values that a template sees at a point. Private to
 * the mustache files.
 */
#ifndef MAIL_MUSTACHE_CONTEXT_H
#define MAIL_MUSTACHE_CONTEXT_H

#include "mail/mustache_ops.h"

enum { FRAMES_MAX = 200 }; /* most sections around a point */

struct frame {
    json_t *value;
    size_t index; /* of a list item, from 0 */
    size_t count; /* items of its list; 0 = not an item */
};

/* The base, then a frame for each section that is open. */
struct context {
    size_t used;
    struct frame frames[FRAMES_MAX];
};

/*
 * The value of the dotted name t->keys[first..first + count), or NULL: the
 * first key is looked for from the innermost frame outwards, the others in
 * what the one before gave. No keys mean the innermost value itself.
 */
json_t *context_find(const struct context *c, const struct template *t,
                     size_t first, size_t count);
/* What the operation's name stands for; -index gives true inside of lists. */
json_t *context_value(const struct context *c, const struct template *t,
                      const struct op *op);
/* The innermost list item, or NULL outside of lists. */
const struct frame *context_item(const struct context *c);

/* False are NULL, null, false, 0, "" and []. */
bool value_is_true(const json_t *value);

#endif
