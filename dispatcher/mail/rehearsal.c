/*
 * rehearsal - every sample of every type, composed as a real letter would be.
 *
 * A sample goes through the same door as an event from the database: as JSON
 * text in a letter of a batch. What renders here renders there.
 */
#include "mail/rehearsal.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { LETTER_MAX = 4 * 1024 * 1024, SAMPLE_US = 1513244000 };

/* The value of a header field, unfolded; empty when it is not there. */
static struct span find_field(struct span message, const char *name)
{
    const char *at = memmem(message.ptr, message.len, name, strlen(name));
    const char *end = NULL;

    if (at == NULL) {
        return SPAN_NONE;
    }
    at += strlen(name);
    end = memmem(at, (size_t)(message.ptr + message.len - at), "\r\n", 2);
    return span_make(at, end ? (size_t)(end - at) : 0);
}

static void tell_poison(const struct event_type *type,
                        const struct contract_sample *sample,
                        const struct event *event, struct problems *problems)
{
    problems_add(problems, SEVERITY_ERROR, type->contract->file, 0,
                 "sample \"%.*s\" cannot be mailed: %.*s",
                 SPAN_ARG(sample->name), SPAN_ARG(event->poison_reason));
}

static void look_at(const struct event_type *type,
                    const struct contract_sample *sample, struct span message,
                    struct problems *problems)
{
    struct span subject = find_field(message, "\r\nSubject: ");

    if (subject.len == 0) {
        problems_add(problems, SEVERITY_ERROR, type->contract->file, 0,
                     "sample \"%.*s\" gives an empty subject",
                     SPAN_ARG(sample->name));
    } else if (subject.len > REHEARSAL_SUBJECT_MAX) {
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
                          .created_us = (int64_t)SAMPLE_US * 1000000,
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
        look_at(type, sample, buf_view(&message), problems);
    } else {
        tell_poison(type, sample, &event, problems);
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
