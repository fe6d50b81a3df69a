/*
 * rehearsal - every sample of every type, composed as a real letter would be.
 *
 * A sample goes through the same door as an event from the database: as JSON
 * text in a letter of a batch. What renders here renders there.
 */
#include "mail/rehearsal.h"

#include <jansson.h>
#include <stdlib.h>

enum { LETTER_MAX = 4 * 1024 * 1024 };

#define SAMPLE_US 1513244000000000 /* 2017-12-14 09:33:20 UTC */

/* A byte that goes on with a UTF-8 character is none of its own. */
static size_t count_characters(struct span text)
{
    size_t count = 0;

    for (size_t i = 0; i < text.len; i++) {
        count += ((unsigned char)text.ptr[i] & 0xc0) != 0x80;
    }
    return count;
}

/* The recipient and the settings are good, so it is the event or its size. */
static void tell_failure(const struct event_type *type,
                         const struct contract_sample *sample,
                         const struct event *event, struct problems *problems)
{
    const struct span reason = event->is_poison
                                   ? event->poison_reason
                                   : SPAN_LIT("the letter is too large");

    problems_add(problems, SEVERITY_ERROR, type->contract->file, 0,
                 "sample \"%.*s\" cannot be mailed: %.*s",
                 SPAN_ARG(sample->name), SPAN_ARG(reason));
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
    char *payload = json_dumps(sample->payload, JSON_COMPACT);
    struct recipient recipient = {.id = 1,
                                  .email = SPAN_LIT("jane@example.org"),
                                  .name = SPAN_LIT("Jane Doe"),
                                  .is_active = true};
    struct event event = {.id = 1,
                          .created_us = SAMPLE_US,
                          .type = type->name,
                          .payload = span_of(payload)};
    struct event *events[] = {&event};
    struct batch batch = {.id = 1, .origin = 1};
    struct letter letter = {.batch = &batch,
                            .recipient = &recipient,
                            .recipient_id = 1,
                            .events = events,
                            .event_count = 1};
    struct buf message;
    bool is_done = false;

    arena_init(&batch.arena, 4096, 0);
    buf_init(&message, LETTER_MAX);
    is_done = composer_write(composer, &letter, &message) == COMPOSE_DONE;
    if (is_done) {
        look_at(type, sample, composer_subject(composer), problems);
    } else {
        tell_failure(type, sample, &event, problems);
    }
    event_release(&event);
    buf_release(&message);
    arena_release(&batch.arena);
    free(payload);
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
