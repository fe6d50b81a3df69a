/*
 * composer - its life, its roles, and its ear for drift.
 *
 * How a letter is composed is in composer_write.c.
 */
#include "mail/composer.h"

#include <stdint.h>

#include "base/mem.h"
#include "mail/composer_state.h"

enum {
    LETTER_MAX = 1024 * 1024, /* bytes of a text or html, if not set */
    HEADER_ROOM = 64 * 1024,  /* bytes of a subject, at least */
    WHY_MAX = 8 * 1024,       /* bytes of a reason */
    NOTE_MAX = 400,           /* bytes of a note about an event */
};

/* --- making ------------------------------------------------------------- */

/* A string in object that is changed in place later on. */
static json_t *add_string(json_t *object, const char *name, const char *text)
{
    json_t *value = json_string_nocheck(text ? text : "");

    json_object_set_new(object, name, value);
    return value;
}

static void make_base(struct composer *c)
{
    json_t *recipient = json_object();
    json_t *site = json_object();

    c->base = json_object();
    c->events = json_array();
    c->event_count = json_integer(0);
    c->recipient_name = add_string(recipient, "name", "");
    c->recipient_email = add_string(recipient, "email", "");
    c->greeting = add_string(recipient, "greeting", "");
    add_string(site, "name", c->settings.site_name);
    add_string(site, "url", c->settings.site_url);
    add_string(site, "settings_url", c->settings.settings_url);
    c->role = add_string(c->base, "role", "");
    json_object_set_new(c->base, "recipient", recipient);
    json_object_set_new(c->base, "site", site);
    json_object_set_new(c->base, "events", c->events);
    json_object_set_new(c->base, "event_count", c->event_count);
    json_object_set_new(c->base, "several", json_false());
}

static void copy_settings(struct composer_settings *to)
{
    const char **const texts[] = {
        &to->from_name, &to->from_email, &to->reply_to, &to->domain,
        &to->list_id,   &to->site_name,  &to->site_url, &to->settings_url,
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        *texts[i] = mem_strdup(*texts[i] ? *texts[i] : "");
    }
}

struct composer *composer_new(const struct composer_settings *settings,
                              const struct catalog *catalog)
{
    struct composer *c = mem_calloc(1, sizeof(*c));
    size_t header_max = 0;

    c->settings = *settings;
    c->catalog = catalog;
    if (c->settings.letter_max == 0) {
        c->settings.letter_max = LETTER_MAX;
    }
    header_max = c->settings.letter_max > HEADER_ROOM ? c->settings.letter_max
                                                      : (size_t)HEADER_ROOM;
    copy_settings(&c->settings);
    make_base(c);
    buf_init(&c->from, 0);
    buf_init(&c->list, 0);
    message_put_from(&c->from, span_of(c->settings.from_name),
                     span_of(c->settings.from_email));
    /* A header value is cut when it is written, not lost with its letter. */
    buf_init(&c->subject, header_max);
    buf_init(&c->thread, header_max);
    buf_init(&c->text, c->settings.letter_max);
    buf_init(&c->html, c->settings.letter_max);
    buf_init(&c->ids, 8 * MESSAGE_ID_MAX);
    buf_init(&c->values, header_max);
    buf_init(&c->why, WHY_MAX);
    buf_init(&c->note, NOTE_MAX);
    return c;
}

static void free_settings(struct composer_settings *s)
{
    const char *const texts[] = {
        s->from_name, s->from_email, s->reply_to, s->domain,
        s->list_id,   s->site_name,  s->site_url, s->settings_url,
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        mem_free((char *)(uintptr_t)texts[i]);
    }
}

void composer_free(struct composer *c)
{
    if (c == NULL) {
        return;
    }
    for (int i = 0; i < c->role_count; i++) {
        mem_free(c->roles[i]);
    }
    mem_free(c->roles);
    mem_free(c->headers);
    json_decref(c->base);
    buf_release(&c->from);
    buf_release(&c->list);
    buf_release(&c->subject);
    buf_release(&c->thread);
    buf_release(&c->text);
    buf_release(&c->html);
    buf_release(&c->ids);
    buf_release(&c->values);
    buf_release(&c->why);
    buf_release(&c->note);
    free_settings(&c->settings);
    mem_free(c);
}

struct span composer_subject(const struct composer *c)
{
    return span_trim(buf_view(&c->subject));
}

struct span composer_text(const struct composer *c)
{
    return buf_view(&c->text);
}

struct span composer_html(const struct composer *c)
{
    return buf_view(&c->html);
}

void composer_set_role(struct composer *c, int id, const char *name)
{
    if (id <= 0) {
        return;
    }
    if (id >= c->role_count) {
        c->roles = mem_realloc(c->roles, ((size_t)id + 1) * sizeof(*c->roles));
        while (c->role_count <= id) {
            c->roles[c->role_count++] = NULL;
        }
    }
    mem_free(c->roles[id]);
    c->roles[id] = mem_strdup(name);
}

/* --- drift -------------------------------------------------------------- */

void composer_on_drift(struct composer *c, composer_drift_fn *fn, void *ctx)
{
    c->on_drift = fn;
    c->drift_ctx = ctx;
}

void composer_drift(void *ctx, struct span key)
{
    const struct drift *drift = ctx;
    const struct composer *c = drift->c;

    if (c->on_drift != NULL) {
        c->on_drift(c->drift_ctx, drift->event, key);
    }
}
