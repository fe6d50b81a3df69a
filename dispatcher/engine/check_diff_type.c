/*
 * check_diff_type - what has changed in one type of events.
 */
#include <stdarg.h>
#include <stdio.h>

#include "base/nearest.h"
#include "engine/check_diff.h"

void diff_tell(const struct diff_pair *pair, enum severity severity,
               const char *path, const char *format, ...)
{
    const struct contract *c = pair->new ? pair->new : pair->old;
    char text[600];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    problems_add(&pair->check->problems, severity, c->file,
                 contract_line(c, path), "%s", text);
    problems_about(&pair->check->problems, c->name, SPAN_NONE, SPAN_NONE);
}

__attribute__((format(printf, 4, 5))) static void tell_key(
    const struct diff_pair *pair, enum severity severity,
    const struct contract_key *key, const char *format, ...)
{
    char path[128];
    char text[600];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    snprintf(path, sizeof(path), "keys.%.*s",
             (int)(key->name.len < 100 ? key->name.len : 100), key->name.ptr);
    problems_add(&pair->check->problems, severity, key->owner->file,
                 contract_line(key->owner, path), "%s: %s", path, text);
    problems_about(&pair->check->problems, pair->old->name, key->name,
                   SPAN_NONE);
}

/* ---- keys -------------------------------------------------------------- */

/* What a key that is gone may be called now: a new one that is like it, or
 * longer or shorter by a word. */
static struct span new_name(const struct diff_pair *pair, struct span name)
{
    struct nearest near = nearest_to(name);
    struct span longer = SPAN_NONE;

    for (size_t i = 0; i < pair->new->key_count; i++) {
        const struct span now = pair->new->keys[i].name;

        if (contract_key(pair->old, now) == NULL) {
            nearest_offer(&near, now);
            longer =
                span_starts(now, name) || span_starts(name, now) ? now : longer;
        }
    }
    return near.best.ptr != NULL ? near.best : longer;
}

static bool is_wider(enum key_type old, enum key_type new)
{
    return new == KEY_ANY || (old == KEY_INTEGER && new == KEY_NUMBER) ||
           (old == KEY_URL && new == KEY_STRING);
}

static void compare_key(const struct diff_pair *pair,
                        const struct contract_key *old,
                        const struct contract_key *new)
{
    if (new->is_required && !old->is_required) {
        tell_key(pair, SEVERITY_ERROR, new,
                 "is required now: events without it would be set aside");
    } else if (old->is_required && !new->is_required) {
        tell_key(pair, SEVERITY_NOTE, new, "is not required any more");
    }
    if (new->type != old->type) {
        tell_key(pair,
                 is_wider(old->type, new->type) ? SEVERITY_NOTE
                                                : SEVERITY_ERROR,
                 new, "was of type %s and is of type %s",
                 key_type_name(old->type), key_type_name(new->type));
    }
    if (new->cut > 0 && (old->cut == 0 || new->cut < old->cut)) {
        char was[32] = "was not cut";

        if (old->cut > 0) {
            snprintf(was, sizeof(was), "was cut at %zu", old->cut);
        }
        tell_key(pair, SEVERITY_NOTE, new, "%s and is cut at %zu", was,
                 new->cut);
    }
}

static bool descends_from(const struct contract *c, struct span name)
{
    for (; c != NULL; c = c->parent) {
        if (span_equal(c->name, name)) {
            return true;
        }
    }
    return false;
}

/* Has it changed at the parent, where it is told? */
static bool is_of_parent(const struct diff_pair *pair,
                         const struct contract_key *key)
{
    const struct contract_key *new = contract_key(pair->new, key->name);

    return key->owner != pair->old &&
           descends_from(pair->new, key->owner->name) &&
           (new == NULL || new->owner != pair->new);
}

static void compare_keys(const struct diff_pair *pair)
{
    for (size_t i = 0; i < pair->old->key_count; i++) {
        const struct contract_key *old = &pair->old->keys[i];
        const struct contract_key *new = contract_key(pair->new, old->name);

        if (is_of_parent(pair, old)) {
            continue;
        }
        if (new != NULL) {
            compare_key(pair, old, new);
            continue;
        }
        diff_tell(
            pair, SEVERITY_ERROR, "keys",
            "the key '%.*s' is gone: templates may not read it any more, and "
            "it counts as unknown",
            SPAN_ARG(old->name));
        problems_about(&pair->check->problems, pair->new->name, old->name,
                       new_name(pair, old->name));
    }
    for (size_t i = 0; i < pair->new->key_count; i++) {
        const struct contract_key *new = &pair->new->keys[i];

        if (new->owner != pair->new ||
            contract_key(pair->old, new->name) != NULL) {
            continue;
        }
        tell_key(pair, new->is_required ? SEVERITY_ERROR : SEVERITY_NOTE, new,
                 new->is_required ? "is new and required: events of today do "
                                    "not have it and would be set aside"
                                  : "is new");
    }
}

/* ---- roles ------------------------------------------------------------- */

static size_t place_of(const struct contract *c, struct span role)
{
    size_t i = 0;

    while (i < c->role_count && !span_equal(c->roles[i], role)) {
        i++;
    }
    return i;
}

static void compare_roles(const struct diff_pair *pair)
{
    const struct contract *old = pair->old;
    const struct contract *new = pair->new;
    size_t last = 0;
    bool is_reordered = false;

    for (size_t i = 0; i < old->role_count; i++) {
        const size_t place = place_of(new, old->roles[i]);

        if (place == new->role_count) {
            diff_tell(pair, SEVERITY_ERROR, "roles",
                      "the role \"%.*s\" is gone: who has no other role hears "
                      "nothing any more",
                      SPAN_ARG(old->roles[i]));
        } else {
            is_reordered |= place < last;
            last = place;
        }
    }
    for (size_t i = 0; i < new->role_count; i++) {
        if (place_of(old, new->roles[i]) == old->role_count) {
            diff_tell(pair, SEVERITY_NOTE, "roles", "the role \"%.*s\" is new",
                      SPAN_ARG(new->roles[i]));
        }
    }
    if (is_reordered) {
        diff_tell(
            pair, SEVERITY_NOTE, "roles",
            "the roles have another order: mails may give another reason");
    }
}

/* ---- the rest of a contract -------------------------------------------- */

static void compare_batching(const struct diff_pair *pair)
{
    const struct contract *old = pair->old;
    const struct contract *new = pair->new;
    static const char *const rules[] = {
        [BATCHING_EACH] = "each",
        [BATCHING_GATHER] = "gather",
    };

    if (new->batching != old->batching || new->window_ms != old->window_ms ||
        new->batching_max != old->batching_max) {
        diff_tell(
            pair, SEVERITY_NOTE, "batching",
            "batching was %s of at most %u within %lld ms and is %s of at "
            "most %u within %lld ms",
            rules[old->batching], (unsigned)old->batching_max,
            (long long)old->window_ms, rules[new->batching],
            (unsigned)new->batching_max, (long long)new->window_ms);
    }
}

static void compare_delivery(const struct diff_pair *pair)
{
    const struct contract *old = pair->old;
    const struct contract *new = pair->new;

    if (new->frequency != old->frequency) {
        diff_tell(
            pair,
            new->frequency == FREQUENCY_OFF ? SEVERITY_ERROR : SEVERITY_NOTE,
            "frequency", "the default frequency was %s and is %s",
            frequency_name(old->frequency), frequency_name(new->frequency));
    }
    if (new->urgency != old->urgency) {
        diff_tell(pair, SEVERITY_NOTE, "urgency",
                  "the urgency was %s and is %s", urgency_name(old->urgency),
                  urgency_name(new->urgency));
    }
    compare_batching(pair);
    if (!span_equal(new->originator, old->originator)) {
        diff_tell(pair, SEVERITY_NOTE, "originator",
                  "the originator was '%.*s' and is '%.*s'",
                  SPAN_ARG(old->originator), SPAN_ARG(new->originator));
    }
    if (!span_equal(new->thread, old->thread)) {
        diff_tell(pair, SEVERITY_NOTE, "thread",
                  "the thread is another: mails do not join the old ones");
    }
}

void diff_type(const struct diff_pair *pair, const struct event_type *old,
               const struct event_type *new)
{
    const bool was_mailable = pair->old->is_mailable;

    compare_keys(pair);
    if (was_mailable && !pair->new->is_mailable) {
        diff_tell(pair, SEVERITY_ERROR, "mailable",
                  "%.*s is not mailed any more: its events are passed over",
                  SPAN_ARG(pair->new->name));
    } else if (!was_mailable && pair->new->is_mailable) {
        diff_tell(pair, SEVERITY_NOTE, "mailable", "%.*s is mailed now",
                  SPAN_ARG(pair->new->name));
    }
    if (!was_mailable || !pair->new->is_mailable) {
        return;
    }
    compare_roles(pair);
    compare_delivery(pair);
    if (old->html != NULL && new->html == NULL &&new->fault == NULL) {
        diff_tell(pair, SEVERITY_ERROR, "",
                  "html.mustache is gone: mails have a text only");
    }
}
