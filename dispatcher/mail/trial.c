/*
 * trial - one letter, composed outside of the service to be looked at.
 *
 * The letter stands in a batch of its own, which lives as long as the call.
 */
#include "mail/trial.h"

#include <jansson.h>

#include "base/mem.h"

struct recipient trial_recipient(void)
{
    return (struct recipient){.id = 1,
                              .email = SPAN_LIT("jane@example.org"),
                              .name = SPAN_LIT("Jane Doe"),
                              .is_active = true,
                              .is_found = true};
}

char *trial_payload(const struct contract_sample *sample)
{
    char *text = json_dumps(sample->payload, JSON_COMPACT);

    return text ? text : mem_strdup("null");
}

/* Events and letter of the batch, from its arena; NULL without memory. */
static struct letter *make_letter(struct batch *batch,
                                  const struct trial *trial,
                                  struct recipient *to)
{
    struct letter *letter = arena_calloc(&batch->arena, 1, sizeof(*letter));
    struct event **list =
        arena_calloc(&batch->arena, trial->count, sizeof(struct event *));
    struct event *events =
        arena_calloc(&batch->arena, trial->count, sizeof(*events));

    if (letter == NULL || list == NULL || events == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < trial->count; i++) {
        const struct trial_event *from = &trial->events[i];

        events[i] = (struct event){.id = from->id,
                                   .created_us = from->created_us,
                                   .type = from->type,
                                   .payload = from->payload};
        list[i] = &events[i];
    }
    *letter = (struct letter){.batch = batch,
                              .recipient = to,
                              .recipient_id = to->id,
                              .events = list,
                              .event_count = (uint32_t)trial->count,
                              .role = trial->role};
    return letter;
}

/* Gives the stage. */
static struct span tell(enum compose_result result, const struct letter *letter,
                        struct buf *why)
{
    switch (result) {
    case COMPOSE_DONE: return SPAN_NONE;
    case COMPOSE_ADDRESS:
        buf_span(why, letter->outcome.text);
        return SPAN_LIT("address");
    case COMPOSE_NO_ROOM:
        buf_puts(why, "the letter is too large");
        return SPAN_LIT("size");
    case COMPOSE_NO_EVENTS:
    case COMPOSE_POISON: break;
    }
    for (uint32_t i = 0; i < letter->event_count; i++) {
        if (letter->events[i]->is_poison) {
            buf_span(why, letter->events[i]->poison_reason);
            return letter->events[i]->poison_stage;
        }
    }
    return SPAN_NONE;
}

bool trial_write(struct composer *composer, const struct trial *trial,
                 struct buf *message, struct buf *why, struct span *stage)
{
    struct recipient to = trial->to;
    struct batch batch = {.id = 1, .origin = 1};
    struct letter *letter = NULL;
    enum compose_result result = COMPOSE_NO_ROOM;
    struct span where = SPAN_LIT("size");

    arena_init(&batch.arena, 4096, 0);
    letter = make_letter(&batch, trial, &to);
    if (letter != NULL) {
        result = composer_write(composer, letter, message);
        where = tell(result, letter, why);
        for (uint32_t i = 0; i < letter->event_count; i++) {
            event_release(letter->events[i]);
        }
    } else {
        buf_puts(why, "out of memory");
    }
    arena_release(&batch.arena);
    if (stage != NULL) {
        *stage = where;
    }
    return result == COMPOSE_DONE;
}
