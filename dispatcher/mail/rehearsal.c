/*
 * rehearsal - every sample of every type, composed as a real letter would be.
 */
#include "mail/rehearsal.h"

#include <stdio.h>

#include "base/mem.h"
#include "mail/audition.h"
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

static int line_of(const struct contract *c,
                   const struct contract_sample *sample)
{
    char path[160];

    snprintf(path, sizeof(path), "samples.%.*s",
             (int)(sample->name.len < 100 ? sample->name.len : 100),
             sample->name.ptr);
    return contract_line(c, path);
}

static void look_at(const struct contract *c,
                    const struct contract_sample *sample, struct span subject,
                    struct problems *problems)
{
    const bool is_long = count_characters(subject) > REHEARSAL_SUBJECT_MAX;

    if (subject.len == 0) {
        problems_add(problems, SEVERITY_ERROR, c->file, line_of(c, sample),
                     "sample \"%.*s\" gives an empty subject",
                     SPAN_ARG(sample->name));
    } else if (is_long) {
        problems_add(problems, SEVERITY_WARNING, c->file, line_of(c, sample),
                     "sample \"%.*s\" gives a subject of more than %d "
                     "characters",
                     SPAN_ARG(sample->name), REHEARSAL_SUBJECT_MAX);
    } else {
        return;
    }
    problems_about(problems, c->name, SPAN_NONE, SPAN_NONE);
}

static bool compose_sample(struct audition *audition, const struct contract *c,
                           const struct contract_sample *sample,
                           struct problems *problems)
{
    char *payload = trial_payload(sample);
    const bool is_done =
        audition_run(audition, c->name, span_of(payload), 1, TRIAL_US);

    if (is_done) {
        look_at(c, sample, audition_subject(audition), problems);
    } else {
        problems_add(problems, SEVERITY_ERROR, c->file, line_of(c, sample),
                     "sample \"%.*s\" cannot be mailed: %.*s",
                     SPAN_ARG(sample->name),
                     SPAN_ARG(audition_reason(audition)));
        problems_about(problems, c->name, SPAN_NONE, SPAN_NONE);
    }
    mem_free(payload);
    return is_done;
}

struct rehearsal rehearse(struct composer *composer,
                          const struct catalog *catalog,
                          struct problems *problems)
{
    struct audition *audition = audition_over(composer, catalog);
    struct rehearsal seen = {0};

    for (size_t i = 0; i < catalog_count(catalog); i++) {
        const struct event_type *type = catalog_at(catalog, i);

        if (!event_type_is_mailable(type)) {
            continue;
        }
        seen.types++;
        for (size_t k = 0; k < type->contract->sample_count; k++) {
            seen.letters +=
                compose_sample(audition, type->contract,
                               &type->contract->samples[k], problems);
        }
    }
    audition_free(audition);
    return seen;
}
