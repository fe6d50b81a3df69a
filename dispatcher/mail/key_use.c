/*
 * key_use - which payload keys the templates of a type read, and where.
 *
 * A name is looked for as the renderer would, from the innermost section to
 * the payload, in all samples at once: a section stands for all values that it
 * has in any of them. A scalar has no keys, so sections over strings and
 * booleans are passed through; so is {{#events}}, whose items are payloads of
 * this very type.
 */
#include "mail/key_use.h"

#include "base/nearest.h"

enum {
    VALUES_MAX = 256,
    DEPTH_MAX = 10, /* sections around a name; deeper ones are not judged */
};

/* What a name may stand for, in some sample or other. */
struct values {
    json_t *items[VALUES_MAX];
    size_t count;
};

static const struct {
    const char *name;
    const char *fields[6];
} ours[] = {
    {"recipient", {"name", "email", "greeting"}},
    {"site", {"name", "url", "settings_url"}},
    {"event", {"id", "type", "created_at", "headline"}},
};

enum { OURS = sizeof(ours) / sizeof(ours[0]) };

struct walk {
    const struct event_type *type;
    void (*on_use)(void *ctx, const struct key_use *use);
    void *ctx;
};

static void add_value(struct values *v, json_t *value)
{
    if (value != NULL && v->count < VALUES_MAX) {
        v->items[v->count++] = value;
    }
}

/* Takes the first part off a dotted name. */
static struct span take_part(struct span *name)
{
    const char *dot = memchr(name->ptr, '.', name->len);
    const size_t len = dot ? (size_t)(dot - name->ptr) : name->len;
    const struct span part = span_make(name->ptr, len);

    *name = dot ? span_make(dot + 1, name->len - len - 1) : SPAN_NONE;
    return part;
}

/* --- looking up --------------------------------------------------------- */

static void look_up(const struct walk *w, const struct template_name *around,
                    struct span name, struct values *out);

/* What {{#name}} goes over. */
static void items_of(const struct walk *w, const struct template_name *section,
                     struct values *out)
{
    struct values found = {.count = 0};

    look_up(w, section->around, section->name, &found);
    out->count = 0;
    for (size_t i = 0; i < found.count; i++) {
        json_t *item = NULL;
        size_t at = 0;

        if (!json_is_array(found.items[i])) {
            add_value(out, found.items[i]);
        }
        json_array_foreach(found.items[i], at, item)
        {
            add_value(out, item);
        }
    }
}

/* Those of in that have the key, by what they have under it. */
static void select_key(const struct values *in, struct span key,
                       struct values *out)
{
    out->count = 0;
    for (size_t i = 0; i < in->count; i++) {
        add_value(out, json_object_getn(in->items[i], key.ptr, key.len));
    }
}

static void look_in_samples(const struct walk *w, struct span key,
                            struct values *out)
{
    const struct contract *c = w->type->contract;

    for (size_t i = 0; i < c->sample_count; i++) {
        add_value(out,
                  json_object_getn(c->samples[i].payload, key.ptr, key.len));
    }
}

/* Finds the innermost section whose items have the key: true, and what they
 * have under it; else false. */
static bool look_in_items(const struct walk *w,
                          const struct template_name *around, struct span key,
                          struct values *out)
{
    for (; around != NULL; around = around->around) {
        struct values items;

        items_of(w, around, &items);
        select_key(&items, key, out);
        if (out->count > 0) {
            return true;
        }
    }
    return false;
}

/* All values of a dotted name. Names of ours have none: no section over them
 * gives keys to what stands inside. */
static void look_up(const struct walk *w, const struct template_name *around,
                    struct span name, struct values *out)
{
    struct span part = take_part(&name);

    out->count = 0;
    if (!look_in_items(w, around, part, out) && !contract_is_reserved(part)) {
        look_in_samples(w, part, out);
    }
    while (name.len > 0) {
        const struct values before = *out;

        part = take_part(&name);
        select_key(&before, part, out);
    }
}

/* --- judging a name ----------------------------------------------------- */

static bool has_object(const struct values *v)
{
    for (size_t i = 0; i < v->count; i++) {
        if (json_is_object(v->items[i])) {
            return true;
        }
    }
    return false;
}

static bool may_have_items(const struct contract *c, struct span name)
{
    const struct contract_key *key = contract_key(c, take_part(&name));

    return key == NULL || key->type == KEY_ARRAY || key->type == KEY_OBJECT ||
           key->type == KEY_ANY;
}

/* Is it inside of a section of whose items the samples show nothing? */
static bool is_beyond_samples(const struct walk *w,
                              const struct template_name *around)
{
    for (; around != NULL; around = around->around) {
        struct span name = around->name;
        struct values items;

        if (contract_is_reserved(take_part(&name))) {
            continue;
        }
        items_of(w, around, &items);
        if (items.count == 0 &&
            may_have_items(w->type->contract, around->name)) {
            return true;
        }
    }
    return false;
}

static bool has_field(size_t which, struct span field, struct nearest *near)
{
    bool is_found = false;

    for (size_t k = 0; ours[which].fields[k] != NULL; k++) {
        is_found |= span_is(field, ours[which].fields[k]);
        nearest_offer(near, span_of(ours[which].fields[k]));
    }
    return is_found;
}

/* {{#recipient}}{{name}}{{/recipient}} */
static bool is_field_around(const struct template_name *around, struct span key)
{
    struct nearest near = nearest_to(key);

    for (; around != NULL; around = around->around) {
        for (size_t i = 0; i < OURS; i++) {
            if (span_is(around->name, ours[i].name) &&
                has_field(i, key, &near)) {
                return true;
            }
        }
    }
    return false;
}

static bool is_guarded(const struct template_name *n, struct span key)
{
    bool is_found = n->is_section;

    for (n = n->around; n != NULL; n = n->around) {
        struct span name = n->name;

        is_found = is_found || span_equal(take_part(&name), key);
    }
    return is_found;
}

/* recipient.name and the like: is there such a field? */
static void judge_ours(const struct walk *w, struct key_use *use,
                       struct span rest)
{
    const struct span field = rest.len > 0 ? take_part(&rest) : SPAN_NONE;
    struct nearest near = nearest_to(field);

    use->is_known = true;
    for (size_t i = 0; field.len > 0 && i < OURS; i++) {
        if (span_is(use->key, ours[i].name)) {
            use->is_known = has_field(i, field, &near) ||
                            (contract_is_reserved(field) &&
                             contract_key(w->type->contract, field) != NULL);
        }
    }
    use->nearest = use->is_known ? SPAN_NONE : near.best;
}

/* A key of the payload; what stands behind its dots is held against what the
 * samples have there, when one of them has anything. */
static void judge_payload(const struct walk *w, struct key_use *use,
                          struct span rest)
{
    const struct contract *c = w->type->contract;
    struct nearest near = nearest_to(use->key);
    struct values found = {.count = 0};

    use->is_payload = true;
    use->is_known = contract_key(c, use->key) != NULL;
    for (size_t i = 0; !use->is_known && i < c->key_count; i++) {
        nearest_offer(&near, c->keys[i].name);
    }
    use->nearest = near.best;
    look_in_samples(w, use->key, &found);
    if (use->is_known && rest.len > 0 && has_object(&found)) {
        look_up(w, NULL, use->name, &found);
        use->is_known = found.count > 0;
    }
}

static void on_name(void *ctx, const struct template_name *n)
{
    const struct walk *w = ctx;
    struct span rest = n->name;
    struct key_use use = {.name = n->name, .file = n->file, .line = n->line};
    struct values found;

    if (span_is(n->name, ".") || n->depth > DEPTH_MAX) {
        return;
    }
    use.key = take_part(&rest);
    use.is_guarded = is_guarded(n, use.key);
    use.is_inside = n->around != NULL;
    if (is_field_around(n->around, use.key) ||
        look_in_items(w, n->around, use.key, &found)) {
        use.is_known = true;
    } else if (contract_is_reserved(use.key)) {
        judge_ours(w, &use, rest);
    } else {
        judge_payload(w, &use, rest);
        if (!use.is_known && is_beyond_samples(w, n->around)) {
            use.is_known = true;
            use.is_payload = false;
        }
    }
    w->on_use(w->ctx, &use);
}

void key_uses(const struct event_type *type,
              void (*on_use)(void *ctx, const struct key_use *use), void *ctx)
{
    struct walk w = {type, on_use, ctx};
    const struct template *const parts[] = {
        type->subject, type->text, type->html, type->thread, type->headline,
    };

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (parts[i] != NULL) {
            template_names(parts[i], on_name, &w);
        }
    }
    for (size_t i = 0; type->headers && i < type->contract->header_count; i++) {
        if (type->headers[i] != NULL) {
            template_names(type->headers[i], on_name, &w);
        }
    }
}
