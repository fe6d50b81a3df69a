/*
 * check - what can be seen in the files alone.
 */
#include "engine/check.h"

#include "base/mem.h"
#include "base/plural.h"
#include "mail/catalog_text.h"
#include "mail/key_check.h"
#include "mail/matrix.h"
#include "mail/rehearsal.h"

void check_init(struct check *c, const struct settings *settings,
                const char *folder)
{
    *c = (struct check){.settings = settings, .folder = folder};
    problems_init(&c->problems);
    buf_init(&c->facts, 0);
}

static void free_groups(struct check_group *group)
{
    while (group != NULL) {
        struct check_group *next = group->next;

        mem_free(group->type);
        mem_free(group->stage);
        mem_free(group->reason);
        mem_free(group);
        group = next;
    }
}

void check_release(struct check *c)
{
    free_groups(c->replay.groups);
    route_roles_free(c->roles);
    catalog_free(c->catalog);
    problems_release(&c->problems);
    buf_release(&c->facts);
}

void check_letters(struct check *c)
{
    const struct composer_settings settings = settings_composer(c->settings);
    struct audition *audition = audition_new(&settings, c->catalog);
    const struct rehearsal seen =
        rehearse(audition_composer(audition), c->catalog, &c->problems);
    const struct matrix matrix = matrix_run(audition, c->catalog, &c->problems);

    audition_free(audition);
    c->types = catalog_count(c->catalog);
    c->mailable = seen.types;
    c->letters = seen.letters;
    c->cases = matrix.cases;
    buf_printf(&c->facts,
               "templates  %zu event type%s in %s, %zu of them mailable, %zu "
               "sample%s composed\n",
               c->types, plural_s(c->types), c->folder, c->mailable, c->letters,
               plural_s(c->letters));
    buf_printf(&c->facts,
               "matrix     %zu cases of type, sample, key and state: %zu "
               "letters, %zu set aside as they should be\n",
               matrix.cases, matrix.letters, matrix.refused);
}

void check_contracts(struct check *c)
{
    struct problems *problems = &c->problems;

    catalog_check_text(c->folder, problems);
    c->catalog = catalog_load(c->folder, problems);
    c->roles = route_roles_load(c->settings->roles_path, problems);
    if (catalog_count(c->catalog) == 0) {
        problems_add(problems, SEVERITY_ERROR, c->folder, 0,
                     "no event type here; set templates.path");
    }
    key_check_unknown(c->catalog, problems);
    check_roles(c);
}

void check_files(struct check *c)
{
    check_contracts(c);
    check_letters(c);
    if (c->settings->from_email[0] == '\0') {
        problems_add(&c->problems, SEVERITY_WARNING, NULL, 0,
                     "mail.from_email is not set: nothing can be sent");
    }
}
