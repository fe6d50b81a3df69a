/*
 * audition - what would become of one event.
 */
#include "mail/audition.h"

#include "base/mem.h"
#include "mail/payload.h"
#include "mail/trial.h"

struct audition {
    const struct catalog *catalog;
    struct composer *composer;
    bool is_own; /* composer */
    struct buf message;
    struct buf why;
    struct span stage;
};

struct audition *audition_over(struct composer *composer,
                               const struct catalog *catalog)
{
    struct audition *a = mem_calloc(1, sizeof(*a));

    a->catalog = catalog;
    a->composer = composer;
    buf_init(&a->message, TRIAL_MESSAGE_MAX);
    buf_init(&a->why, 0);
    return a;
}

struct audition *audition_new(const struct composer_settings *settings,
                              const struct catalog *catalog)
{
    struct composer_settings own = *settings;
    struct audition *a = NULL;

    if (own.from_email == NULL || own.from_email[0] == '\0') {
        own.from_email = "check@example.org"; /* that it is missing is told */
    }
    a = audition_over(composer_new(&own, catalog), catalog);
    a->is_own = true;
    return a;
}

struct composer *audition_composer(const struct audition *a)
{
    return a->composer;
}

void audition_free(struct audition *a)
{
    if (a == NULL) {
        return;
    }
    if (a->is_own) {
        composer_free(a->composer);
    }
    buf_release(&a->message);
    buf_release(&a->why);
    mem_free(a);
}

bool audition_run(struct audition *a, struct span type, struct span payload,
                  int64_t id, int64_t created_us)
{
    const struct trial_event event = {
        .id = id, .created_us = created_us, .type = type, .payload = payload};
    const struct trial trial = {
        .to = trial_recipient(), .events = &event, .count = 1};

    buf_clear(&a->message);
    buf_clear(&a->why);
    return trial_write(a->composer, &trial, &a->message, &a->why, &a->stage);
}

struct span audition_stage(const struct audition *a)
{
    return a->stage;
}

struct span audition_reason(const struct audition *a)
{
    return buf_view(&a->why);
}

struct span audition_subject(const struct audition *a)
{
    return composer_subject(a->composer);
}

struct span audition_message(const struct audition *a)
{
    return buf_view(&a->message);
}

void audition_unknown_keys(const struct audition *a, struct span type,
                           struct span payload,
                           void (*on_key)(void *ctx, struct span key),
                           void *ctx)
{
    const struct event_type *known = catalog_find(a->catalog, type);
    struct payload_fault why;
    json_t *parsed = known ? payload_parse(payload, NULL, &why) : NULL;

    if (parsed != NULL) {
        payload_unknown(known->contract, parsed, on_key, ctx);
    }
    json_decref(parsed);
}
