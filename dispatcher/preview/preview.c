/*
 * preview - a folder of templates, loaded, and letters composed from it.
 */
#include "preview/preview.h"

#include <string.h>

#include "base/mem.h"
#include "base/nearest.h"

enum {
    ROLE = 1, /* the only one that a preview's composer knows */
    TOGETHER_MAX = 50,
    DIGEST_EVENTS = 12,
    WHY_MAX = 8 * 1024,
};

#define TOGETHER_STEP_US 3600000000 /* an hour between events in one letter */

/* ---- loading ----------------------------------------------------------- */

/* A configuration that cannot send yet gets example.org for whatever is not
 * set, so that links and buttons can be seen. */
static struct composer_settings settings_for_preview(const struct settings *s,
                                                     bool stands_in)
{
    struct composer_settings c = settings_composer(s);
    const struct {
        const char **value;
        const char *stand_in;
    } table[] = {
        {&c.from_email, "notify@example.org"},
        {&c.from_name, "Example"},
        {&c.domain, "example.org"},
        {&c.site_name, "Example"},
        {&c.site_url, "https://example.org"},
        {&c.settings_url, "https://example.org/my/notifications"},
    };

    for (size_t i = 0; stands_in && i < sizeof(table) / sizeof(table[0]); i++) {
        if (*table[i].value == NULL || **table[i].value == '\0') {
            *table[i].value = table[i].stand_in;
        }
    }
    return c;
}

void preview_load(struct preview *p, const struct settings *settings,
                  const char *folder)
{
    struct composer_settings of_composer;

    *p = (struct preview){.settings = settings, .folder = folder};
    p->stands_in = settings->from_email[0] == '\0';
    problems_init(&p->problems);
    p->catalog = catalog_load(folder, &p->problems);
    of_composer = settings_for_preview(settings, p->stands_in);
    p->composer = composer_new(&of_composer, p->catalog);
}

void preview_release(struct preview *p)
{
    composer_free(p->composer);
    catalog_free(p->catalog);
    problems_release(&p->problems);
}

void preview_letter_init(struct preview_letter *letter)
{
    *letter = (struct preview_letter){0};
    buf_init(&letter->message, TRIAL_MESSAGE_MAX);
    buf_init(&letter->why, WHY_MAX);
}

void preview_letter_release(struct preview_letter *letter)
{
    buf_release(&letter->message);
    buf_release(&letter->why);
}

/* ---- types and samples ------------------------------------------------- */

static void tell_unknown(const struct preview *p, struct span name,
                         struct buf *why)
{
    struct nearest near = nearest_to(name);

    for (size_t i = 0; i < catalog_count(p->catalog); i++) {
        const struct event_type *type = catalog_at(p->catalog, i);

        if (preview_is_shown(type)) {
            nearest_offer(&near, type->name);
        }
    }
    buf_printf(why, "there is no event type \"%.*s\" in %s", SPAN_ARG(name),
               p->folder);
    if (near.best.ptr != NULL) {
        buf_printf(why, "; did you mean \"%.*s\"?", SPAN_ARG(near.best));
    }
}

const struct event_type *preview_type(const struct preview *p, struct span name,
                                      struct buf *why)
{
    const struct event_type *type = catalog_find(p->catalog, name);

    if (type == NULL) {
        tell_unknown(p, name, why);
    } else if (type->fault != NULL) {
        buf_puts(why, type->fault);
    } else if (!type->contract->is_mailable) {
        buf_printf(why, "%s: events of type \"%.*s\" are not mailed",
                   type->contract->file, SPAN_ARG(name));
    } else {
        return type;
    }
    return NULL;
}

bool preview_is_shown(const struct event_type *type)
{
    return type->fault != NULL ||
           (type->contract->is_mailable && !type->contract->is_abstract);
}

struct span preview_group(const struct preview *p,
                          const struct event_type *type)
{
    const size_t whole = strlen(type->folder) - type->name.len;
    size_t begin = strlen(p->folder);
    size_t end = whole;

    while (begin > 0 && p->folder[begin - 1] == '/') {
        begin--; /* the catalog leaves them out, too */
    }
    while (begin < end && type->folder[begin] == '/') {
        begin++;
    }
    while (end > begin && type->folder[end - 1] == '/') {
        end--;
    }
    return begin < end ? span_make(type->folder + begin, end - begin)
                       : SPAN_LIT(".");
}

static bool is_digest(const struct preview *p, const struct event_type *type)
{
    return type == catalog_digest(p->catalog);
}

/* NULL when the type has none. */
static const struct contract_sample *first_sample(const struct event_type *type)
{
    const struct contract *c = type->contract;

    for (size_t i = 0; i < c->sample_count; i++) {
        if (span_is(c->samples[i].name, "fullest")) {
            return &c->samples[i];
        }
    }
    return c->sample_count > 0 ? &c->samples[0] : NULL;
}

struct span preview_first_sample(const struct preview *p,
                                 const struct event_type *type)
{
    const struct contract_sample *sample = first_sample(type);

    if (is_digest(p, type) && preview_has_together(type)) {
        return SPAN_LIT(PREVIEW_TOGETHER);
    }
    return sample ? sample->name : SPAN_NONE;
}

bool preview_has_together(const struct event_type *type)
{
    return type->contract->batching == BATCHING_GATHER &&
           type->contract->sample_count > 1;
}

static void tell_no_sample(const struct contract *c, struct span name,
                           struct buf *why)
{
    struct nearest near = nearest_to(name);

    buf_printf(why, "%s: there is no sample \"%.*s\"", c->file, SPAN_ARG(name));
    for (size_t i = 0; i < c->sample_count; i++) {
        nearest_offer(&near, c->samples[i].name);
    }
    if (near.best.ptr != NULL) {
        buf_printf(why, "; did you mean \"%.*s\"?", SPAN_ARG(near.best));
        return;
    }
    for (size_t i = 0; i < c->sample_count; i++) {
        buf_printf(why, "%s \"%.*s\"", i == 0 ? "; there are" : ",",
                   SPAN_ARG(c->samples[i].name));
    }
}

/* ---- composing --------------------------------------------------------- */

static bool compose(struct preview *p, const struct event_type *type,
                    const struct trial *trial, struct span role,
                    struct preview_letter *letter)
{
    struct trial with_role = *trial;
    char *name = NULL;

    if (role.len == 0 && type->contract->role_count > 0) {
        role = type->contract->roles[0];
    }
    name = mem_strndup(role.ptr ? role.ptr : "", role.len);
    composer_set_role(p->composer, ROLE, name);
    mem_free(name);
    with_role.role = ROLE;
    letter->to = trial->to;
    letter->role = role;
    if (!trial_write(p->composer, &with_role, &letter->message, &letter->why,
                     NULL)) {
        if (letter->why.len == 0) {
            buf_puts(&letter->why, "the letter cannot be composed");
        }
        return false;
    }
    letter->subject = composer_subject(p->composer);
    letter->text = composer_text(p->composer);
    letter->html = composer_html(p->composer);
    return true;
}

struct chosen {
    const struct event_type *type;
    const struct contract_sample *sample;
};

/* What a digest might be about: an event each of other types. */
static size_t choose_digest(const struct preview *p,
                            struct chosen chosen[TOGETHER_MAX])
{
    size_t count = 0;

    for (size_t i = 0; i < catalog_count(p->catalog) && count < DIGEST_EVENTS;
         i++) {
        const struct event_type *type = catalog_at(p->catalog, i);

        if (event_type_is_mailable(type) && preview_is_shown(type) &&
            type->contract->batching == BATCHING_EACH && !is_digest(p, type) &&
            first_sample(type) != NULL) {
            chosen[count++] = (struct chosen){type, first_sample(type)};
        }
    }
    return count;
}

/* The events that a letter is about, by the name of its sample. */
static size_t choose(const struct preview *p, const struct event_type *type,
                     struct span name, struct chosen chosen[TOGETHER_MAX])
{
    const struct contract *c = type->contract;
    bool is_together = false;
    size_t count = 0;

    if (name.len == 0) {
        name = preview_first_sample(p, type);
    }
    is_together = span_is(name, PREVIEW_TOGETHER) && preview_has_together(type);
    if (is_together && is_digest(p, type)) {
        count = choose_digest(p, chosen);
    }
    if (count > 1) {
        return count;
    }
    count = 0; /* of one event there is no digest */
    for (size_t i = 0; i < c->sample_count && count < TOGETHER_MAX; i++) {
        if (is_together || span_equal(c->samples[i].name, name)) {
            chosen[count++] = (struct chosen){type, &c->samples[i]};
        }
    }
    return count;
}

bool preview_sample(struct preview *p, const struct event_type *type,
                    struct span sample, struct recipient to,
                    struct preview_letter *letter)
{
    struct chosen chosen[TOGETHER_MAX];
    struct trial_event events[TOGETHER_MAX];
    struct trial trial = {.to = to, .events = events};
    bool is_done = false;

    trial.count = choose(p, type, sample, chosen);
    if (trial.count == 0) {
        tell_no_sample(type->contract, sample, &letter->why);
        return false;
    }
    for (size_t i = 0; i < trial.count; i++) {
        events[i] = (struct trial_event){
            .id = (int64_t)i + 1,
            .created_us = TRIAL_US + (int64_t)i * TOGETHER_STEP_US,
            .type = chosen[i].type->name,
            .payload = span_of(trial_payload(chosen[i].sample))};
    }
    is_done = compose(p, type, &trial, SPAN_NONE, letter);
    for (size_t i = 0; i < trial.count; i++) {
        mem_free((char *)(uintptr_t)events[i].payload.ptr);
    }
    return is_done;
}

void preview_payloads(const struct preview *p, const struct event_type *type,
                      struct span sample, struct buf *out)
{
    struct chosen chosen[TOGETHER_MAX];
    const size_t count = choose(p, type, sample, chosen);

    buf_putc(out, '[');
    for (size_t i = 0; i < count; i++) {
        char *payload = trial_payload(chosen[i].sample);

        buf_puts(out, i > 0 ? "," : "");
        buf_puts(out, payload);
        mem_free(payload);
    }
    buf_putc(out, ']');
}

bool preview_event(struct preview *p, const struct event_type *type,
                   const struct preview_event *event, struct recipient to,
                   struct preview_letter *letter)
{
    const struct trial trial = {.to = to, .events = &event->event, .count = 1};

    return compose(p, type, &trial, event->role, letter);
}
