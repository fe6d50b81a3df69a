/*
 * quarantine_show - all about one event that was set aside, for people.
 */
#include "engine/quarantine_show.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "engine/diagnose.h"

/* The columns of queries/quarantine_show.sql. */
enum {
    SHOW_TYPE,
    SHOW_STAGE,
    SHOW_REASON,
    SHOW_CREATED,
    SHOW_SET_ASIDE,
    SHOW_FATE,
    SHOW_PAYLOAD,
    SHOW_PRETTY,
    SHOW_CREATED_US,
    SHOW_SKIPPED,
};

static void print_text(const char *label, const char *text)
{
    struct buf clean;

    buf_init(&clean, 0);
    diagnose_put(&clean, span_of(text), false);
    printf("%s%s\n", label, buf_cstr(&clean));
    buf_release(&clean);
}

static void print_facts(const struct admin *a, const char *id)
{
    static const struct {
        const char *label;
        int column;
    } facts[] = {
        {"type         ", SHOW_TYPE},      {"happened     ", SHOW_CREATED},
        {"set aside    ", SHOW_SET_ASIDE}, {"stage        ", SHOW_STAGE},
        {"reason       ", SHOW_REASON},
    };

    printf("event        %s\n", id);
    for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++) {
        print_text(facts[i].label, admin_text(a, 0, facts[i].column));
    }
    print_text("fate         ", admin_is_null(a, 0, SHOW_FATE)
                                    ? "waits"
                                    : admin_text(a, 0, SHOW_FATE));
    printf("letters      %s that left it out\n",
           admin_text(a, 0, SHOW_SKIPPED));
}

static void print_diagnosis(const struct admin *a, const char *id,
                            const struct settings *settings)
{
    struct problems problems; /* "postbatch check" tells of all */
    struct catalog *catalog = NULL;
    struct buf text;

    problems_init(&problems);
    buf_init(&text, 0);
    catalog = catalog_load(settings->templates_path, &problems);
    diagnose(settings, catalog, strtoll(id, NULL, 10),
             admin_span(a, 0, SHOW_TYPE), admin_span(a, 0, SHOW_REASON),
             admin_span(a, 0, SHOW_PAYLOAD),
             strtoll(admin_text(a, 0, SHOW_CREATED_US), NULL, 10), &text);
    fputs(buf_cstr(&text), stdout);
    catalog_free(catalog);
    buf_release(&text);
    problems_release(&problems);
}

static void print_payload(const struct admin *a)
{
    struct buf payload;

    buf_init(&payload, 0);
    diagnose_put(&payload, admin_span(a, 0, SHOW_PRETTY), true);
    printf("payload\n%s\n", buf_cstr(&payload));
    buf_release(&payload);
}

int quarantine_show(struct admin *admin, const struct settings *settings,
                    int64_t event_id)
{
    char id[24];
    const char *const params[] = {id};

    snprintf(id, sizeof(id), "%lld", (long long)event_id);
    if (!admin_query(admin, "quarantine_show", params, 1)) {
        return EX_UNAVAILABLE;
    }
    if (admin_rows(admin) == 0) {
        fprintf(stderr, "postbatch: event %s is not in quarantine\n", id);
        return EX_DATAERR;
    }
    print_facts(admin, id);
    if (admin_is_null(admin, 0, SHOW_PAYLOAD)) {
        puts("payload      is gone: it cannot be sent on");
        return EX_OK;
    }
    if (admin_is_null(admin, 0, SHOW_FATE)) {
        print_diagnosis(admin, id, settings);
    }
    print_payload(admin);
    return EX_OK;
}
