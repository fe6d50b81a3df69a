/*
 * rehearsal - every sample of every type, composed as a real letter would be.
 *
 * A sample goes through the same door as an event from the database: as JSON
 * text in a letter of a batch. What renders here renders there.
 */
#include "mail/rehearsal.h"

#include "base/mem.h"
#include "mail/trial.h"

/* A byte that goes on with a UTF-8 character is none of its own. */
static size_t count_characters(struct span text)
{
    size_t count = 0;

    for (size_t i = 0; i < text.len; i++) {
        count += ((unsigned char)text.ptr[i] & 0xc0) != 0x80;
    }
    return count;
}

static void look_at(const struct event_type *type,
                    const struct contract_sample *sample, struct span subject,
                    struct problems *problems)
{
    if (subject.len == 0) {
        problems_add(problems, SEVERITY_ERROR, type->contract->file, 0,
                     "sample \"%.*s\" gives an empty subject",
                     SPAN_ARG(sample->name));
    } else if (count_characters(subject) > REHEARSAL_SUBJECT_MAX) {
        problems_add(problems, SEVERITY_WARNING, type->contract->file, 0,
                     "sample \"%.*s\" gives a subject of more than %d "
                     "characters",
                     SPAN_ARG(sample->name), REHEARSAL_SUBJECT_MAX);
    }
}

static bool compose_sample(struct composer *composer,
                           const struct event_type *type,
                           const struct contract_sample *sample,
                           struct problems *problems)
{
    char *payload = trial_payload(sample);
    const struct trial_event event = {.id = 1,
                                      .created_us = TRIAL_US,
                                      .type = type->name,
                                      .payload = span_of(payload)};
    const struct trial trial = {
        .to = trial_recipient(), .events = &event, .count = 1};
    struct buf message;
    struct buf why;
    bool is_done = false;

    buf_init(&message, TRIAL_MESSAGE_MAX);
    buf_init(&why, 0);
    is_done = trial_write(composer, &trial, &message, &why);
    if (is_done) {
        look_at(type, sample, composer_subject(composer), problems);
    } else {
        problems_add(problems, SEVERITY_ERROR, type->contract->file, 0,
                     "sample \"%.*s\" cannot be mailed: %.*s",
                     SPAN_ARG(sample->name), SPAN_ARG(buf_view(&why)));
    }
    buf_release(&why);
    buf_release(&message);
    mem_free(payload);
    return is_done;
}

struct rehearsal rehearse(struct composer *composer,
                          const struct catalog *catalog,
                          struct problems *problems)
{
    struct rehearsal seen = {0};

    for (size_t i = 0; i < catalog_count(catalog); i++) {
        const struct event_type *type = catalog_at(catalog, i);

        if (!event_type_is_mailable(type) || type->contract->is_abstract) {
            continue;
        }
        seen.types++;
        for (size_t k = 0; k < type->contract->sample_count; k++) {
            seen.letters += compose_sample(
                composer, type, &type->contract->samples[k], problems);
        }
    }
    return seen;
}
