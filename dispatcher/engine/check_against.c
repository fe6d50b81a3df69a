/*
 * check_against - what these templates would make of real events.
 *
 * The log is read a page at a time, by id, each page in a statement of its own
 * that may not write: nothing is held open, and no more than one payload is in
 * memory. What would become of an event is asked of an audition, which composes
 * its letter and throws it away. Answers are kept in groups, so a hundred
 * thousand events of one mistake take one line.
 */
#include "engine/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/plural.h"
#include "mail/audition.h"
#include "store/admin.h"

enum {
    PAGE_ROWS = 1000,
    GROUPS_MAX = 500,
    STAGES_MAX = 10, /* groups of others, one for each stage */
};

#define PAGE   "1000"
#define OTHERS "(others)" /* in place of a type, a key or a reason */

struct replay {
    struct check *check;
    struct audition *audition;
    struct map by_name; /* "stage\ntype\nreason" -> struct check_group */
    struct check_group **last;
    char **names; /* of by_name */
    /* Of the page that is being read. */
    int64_t last_id;
    int rows;
    /* Of the event that is being looked at. */
    int64_t id;
    struct span type;
};

/* ---- groups ------------------------------------------------------------ */

static struct check_group *add_group(struct replay *r, char *name,
                                     struct span type, const char *stage,
                                     struct span reason)
{
    struct check_replay *found = &r->check->replay;
    struct check_group *group = mem_calloc(1, sizeof(*group));

    group->type = mem_strndup(type.ptr ? type.ptr : "", type.len);
    group->stage = mem_strdup(stage);
    group->reason = mem_strndup(reason.ptr ? reason.ptr : "", reason.len);
    *r->last = group;
    r->last = &group->next;
    r->names[found->group_count++] = name;
    map_put(&r->by_name, span_of(name), group);
    return group;
}

/* Counts the event in its group. Beyond GROUPS_MAX groups only the stages still
 * count apart: somebody makes types, keys or reasons up. */
static void count_event(struct replay *r, const char *stage, struct span reason)
{
    const bool is_full = r->check->replay.group_count >= GROUPS_MAX;
    const struct span type =
        r->type.len <= 200 ? r->type : span_make(r->type.ptr, 200);
    struct check_group *group = NULL;
    char *name = NULL;

    reason = is_full ? SPAN_LIT(OTHERS) : reason;
    name = mem_printf("%s\n%.*s\n%.*s", stage, is_full ? 0 : (int)type.len,
                      type.ptr ? type.ptr : "",
                      (int)(reason.len < 500 ? reason.len : 500), reason.ptr);
    group = map_get(&r->by_name, span_of(name));
    if (group == NULL &&
        r->check->replay.group_count < GROUPS_MAX + STAGES_MAX) {
        group = add_group(r, name, is_full ? SPAN_LIT(OTHERS) : type, stage,
                          reason);
    } else {
        mem_free(name);
    }
    if (group != NULL) {
        group->count++;
        if (group->event_count < CHECK_EVENTS_SHOWN) {
            group->events[group->event_count++] = r->id;
        }
    }
}

static void on_unknown_key(void *ctx, struct span key)
{
    count_event(ctx, "drift", key);
}

/* ---- events ------------------------------------------------------------ */

static bool is_unmailed(const struct check *c, struct span type)
{
    const struct event_type *known = catalog_find(c->catalog, type);

    return known != NULL && known->fault == NULL &&
           !known->contract->is_mailable;
}

static void try_event(struct replay *r, struct span payload, int64_t created_us,
                      bool waits)
{
    struct check_replay *found = &r->check->replay;

    if (is_unmailed(r->check, r->type)) {
        found->unmailed++;
        audition_unknown_keys(r->audition, r->type, payload, on_unknown_key, r);
        return;
    }
    if (payload.len > (size_t)r->check->settings->payload_max) {
        count_event(r, "fetch",
                    SPAN_LIT("the payload is larger than worker.payload_max"));
    } else if (!audition_run(r->audition, r->type, payload, r->id,
                             created_us)) {
        const struct span stage = audition_stage(r->audition);
        char text[32];

        snprintf(text, sizeof(text), "%.*s", SPAN_ARG(stage));
        count_event(r, text, audition_reason(r->audition));
    } else {
        found->letters++;
        audition_unknown_keys(r->audition, r->type, payload, on_unknown_key, r);
        if (waits) {
            count_event(r, "mended", SPAN_NONE);
        }
    }
}

static bool is_true(const struct admin *a, int column)
{
    return strcmp(admin_text(a, 0, column), "t") == 0;
}

/* Events that a person has released or dropped are settled, one way or the
 * other. */
static void on_row(void *ctx, const struct admin *a)
{
    struct replay *r = ctx;

    r->rows++;
    r->id = strtoll(admin_text(a, 0, 0), NULL, 10);
    r->last_id = r->id;
    r->type = admin_span(a, 0, 1);
    if (!is_true(a, 5)) {
        try_event(r, admin_span(a, 0, 2),
                  strtoll(admin_text(a, 0, 3), NULL, 10), is_true(a, 4));
    }
}

/* All pages of one query; gives the number of rows, -1 when it failed. */
static int64_t read_pages(struct replay *r, struct admin *admin,
                          const char *query, int days)
{
    int64_t rows = 0;

    r->last_id = 0;
    do {
        char after[24];
        char most_days[16];
        const char *const params[] = {after, most_days, PAGE};

        snprintf(after, sizeof(after), "%lld", (long long)r->last_id);
        snprintf(most_days, sizeof(most_days), "%d", days);
        r->rows = 0;
        if (!admin_stream(admin, query, params, 3, on_row, r)) {
            return -1;
        }
        rows += r->rows;
    } while (r->rows == PAGE_ROWS);
    return rows;
}

/* ---- telling ----------------------------------------------------------- */

static void put_events(struct buf *out, const struct check_group *g)
{
    buf_printf(out, "%lld event%s: ", (long long)g->count,
               plural_s((uint64_t)g->count));
    for (size_t i = 0; i < g->event_count; i++) {
        buf_printf(out, "%s%lld", i > 0 ? ", " : "", (long long)g->events[i]);
    }
    buf_puts(out, g->count > (int64_t)g->event_count ? ", ..." : "");
}

static void tell_group(struct check *c, const struct check_group *g)
{
    const struct event_type *type = catalog_find(c->catalog, span_of(g->type));
    const char *file = type ? type->contract->file : NULL;
    const bool is_drift = strcmp(g->stage, "drift") == 0;
    struct buf events;

    buf_init(&events, 0);
    put_events(&events, g);
    if (strcmp(g->stage, "mended") == 0) {
        problems_add(&c->problems, SEVERITY_NOTE, file, 0,
                     "%s: set aside now, and would be mailed (%s)", g->type,
                     buf_cstr(&events));
    } else if (is_drift) {
        problems_add(&c->problems, SEVERITY_ERROR, file, 0,
                     "%s: events have the key '%s', which the contract does "
                     "not list (%s)",
                     g->type, g->reason, buf_cstr(&events));
    } else {
        problems_add(&c->problems, SEVERITY_ERROR, file, 0,
                     "%s: would be set aside at stage \"%s\": %s (%s)", g->type,
                     g->stage, g->reason, buf_cstr(&events));
    }
    problems_about(&c->problems, span_of(g->type),
                   is_drift ? span_of(g->reason) : SPAN_NONE, SPAN_NONE);
    buf_release(&events);
}

static void tell_all(struct check *c)
{
    const struct check_replay *r = &c->replay;

    buf_printf(&c->facts,
               "against    %lld event%s of %d day%s, %lld from the "
               "quarantine: %lld letter%s, %lld not mailed by their type, %zu "
               "group%s that something is to be said of\n",
               (long long)r->events, plural_s((uint64_t)r->events), r->days,
               plural_s((uint64_t)r->days), (long long)r->set_aside,
               (long long)r->letters, plural_s((uint64_t)r->letters),
               (long long)r->unmailed, r->group_count,
               plural_s(r->group_count));
    for (const struct check_group *g = r->groups; g != NULL; g = g->next) {
        tell_group(c, g);
    }
}

/* ---- the whole --------------------------------------------------------- */

static bool read_all(struct replay *r, struct admin *admin, int days)
{
    struct check_replay *found = &r->check->replay;

    found->days = days;
    found->events = read_pages(r, admin, "replay_events", days);
    found->set_aside = found->events < 0
                           ? -1
                           : read_pages(r, admin, "replay_quarantine", days);
    found->is_done = found->set_aside >= 0;
    return found->is_done;
}

void check_against(struct check *c, const char *dsn, int days)
{
    const struct composer_settings settings = settings_composer(c->settings);
    struct admin *admin = admin_open_read_only(dsn);
    struct replay r = {.check = c, .last = &c->replay.groups};

    if (admin == NULL) {
        problems_add(&c->problems, SEVERITY_ERROR, NULL, 0,
                     "the database of --against cannot be reached");
        return;
    }
    map_init(&r.by_name);
    r.names = mem_calloc(GROUPS_MAX + STAGES_MAX, sizeof(*r.names));
    r.audition = audition_new(&settings, c->catalog);
    if (read_all(&r, admin, days)) {
        tell_all(c);
    } else {
        problems_add(&c->problems, SEVERITY_ERROR, NULL, 0,
                     "the events of the database of --against cannot be read");
    }
    audition_free(r.audition);
    for (size_t i = 0; i < c->replay.group_count; i++) {
        mem_free(r.names[i]);
    }
    mem_free(r.names);
    map_release(&r.by_name);
    admin_close(admin);
}
