/*
 * mustache_context - the values that a template sees at a point.
 */
#include "mail/mustache_context.h"

#include <math.h>

json_t *context_find(const struct context *c, const struct template *t,
                     size_t first, size_t count)
{
    const struct span *keys = NULL;
    json_t *value = NULL;

    if (count == 0) {
        return c->used ? c->frames[c->used - 1].value : NULL;
    }
    keys = &t->keys[first];
    for (size_t i = c->used; i-- > 0 && value == NULL;) {
        value = json_object_getn(c->frames[i].value, keys->ptr, keys->len);
    }
    for (size_t i = 1; i < count && value != NULL; i++) {
        value = json_object_getn(value, keys[i].ptr, keys[i].len);
    }
    return value;
}

const struct frame *context_item(const struct context *c)
{
    for (size_t i = c->used; i-- > 0;) {
        if (c->frames[i].count > 0) {
            return &c->frames[i];
        }
    }
    return NULL;
}

static json_t *pseudo_value(const struct context *c, enum pseudo pseudo)
{
    const struct frame *item = context_item(c);

    if (item == NULL) {
        return NULL;
    }
    switch (pseudo) {
    case PSEUDO_FIRST: return item->index == 0 ? json_true() : json_false();
    case PSEUDO_LAST:
        return item->index + 1 == item->count ? json_true() : json_false();
    case PSEUDO_INDEX:
    case PSEUDO_NONE: return json_true();
    }
    return NULL;
}

json_t *context_value(const struct context *c, const struct template *t,
                      const struct op *op)
{
    if (op->pseudo != PSEUDO_NONE) {
        return pseudo_value(c, (enum pseudo)op->pseudo);
    }
    return context_find(c, t, op->at, op->keys);
}

bool value_is_true(const json_t *value)
{
    if (value == NULL) {
        return false;
    }
    switch (json_typeof(value)) {
    case JSON_NULL:
    case JSON_FALSE: return false;
    case JSON_STRING: return json_string_length(value) > 0;
    case JSON_ARRAY: return json_array_size(value) > 0;
    case JSON_INTEGER: return json_integer_value(value) != 0;
    case JSON_REAL: return fpclassify(json_real_value(value)) != FP_ZERO;
    case JSON_TRUE:
    case JSON_OBJECT: return true;
    }
    return false;
}
