/*
 * queue_drift - payload keys that no contract lists, counted and reported.
 *
 * They gather in memory and are written every few seconds, between two
 * transactions of settling; nothing waits for them.
 */
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "store/queue_inner.h"

/* How often an unknown key was seen since the last writing. */
struct drift {
    char *type;
    char *key;
    char *name; /* both, with a NUL in between: the key in the map */
    int64_t first_event_id;
    int64_t events;
};

enum { DRIFT_MAX = 1000, NAME_MAX = 200 }; /* as drift_add.sql keeps it */

/* So much of s as is kept, in whole characters. */
static struct span start_of(struct span s)
{
    size_t len = s.len < NAME_MAX ? s.len : NAME_MAX;

    while (len < s.len && len > 0 &&
           ((unsigned char)s.ptr[len] & 0xC0) == 0x80) {
        len--;
    }
    return span_make(s.ptr, len);
}

static struct drift *add_drift(struct queue *q, struct span type,
                               struct span key, struct span name,
                               int64_t event_id)
{
    struct drift *d = mem_calloc(1, sizeof(*d));

    d->type = mem_strndup(type.ptr, type.len);
    d->key = mem_strndup(key.ptr, key.len);
    d->name = mem_alloc(name.len);
    memcpy(d->name, name.ptr, name.len);
    d->first_event_id = event_id;
    map_put(&q->drift, span_make(d->name, name.len), d);
    return d;
}

void queue_note_drift(struct queue *q, struct span type, struct span key,
                      int64_t event_id)
{
    char memory[2 * NAME_MAX + 1];
    struct buf name;
    struct drift *d = NULL;

    type = start_of(type);
    key = start_of(key);
    buf_wrap(&name, memory, sizeof(memory));
    buf_span(&name, type);
    buf_putc(&name, '\0');
    buf_span(&name, key);
    d = map_get(&q->drift, buf_view(&name));
    if (d == NULL && q->drift.count < DRIFT_MAX) {
        d = add_drift(q, type, key, buf_view(&name), event_id);
    }
    if (d != NULL) {
        d->events++;
    }
}

static void on_drift(void *ctx, const PGresult *result, const char *error)
{
    struct queue *q = ctx;

    q->drift_is_written = false;
    for (int row = 0; error == NULL && row < PQntuples(result); row++) {
        struct span type = pg_get_text(result, row, 0);
        struct span key = pg_get_text(result, row, 1);

        if (pg_get_bool(result, row, 2)) {
            log_warn("a payload has a key that its contract does not list",
                     "type=%.*s key=%.*s mailed=yes", SPAN_ARG(type),
                     SPAN_ARG(key));
        }
    }
}

static void drift_clear(struct queue *q)
{
    for (struct map_entry *e = NULL; (e = map_next(&q->drift, e)) != NULL;) {
        struct drift *d = e->value;

        mem_free(d->type);
        mem_free(d->key);
        mem_free(d->name);
        mem_free(d);
    }
    map_clear(&q->drift);
}

void drift_release(struct queue *q)
{
    drift_clear(q);
    map_release(&q->drift);
}

void drift_write(struct queue *q)
{
    struct buf types;
    struct buf keys;
    struct buf ids;
    struct buf counts;
    struct pg_params p = {0};

    if (q->drift.count == 0 || q->drift_is_written || !queue_is_ready(q) ||
        q->settled_count > 0) {
        return;
    }
    buf_init(&types, 0);
    buf_init(&keys, 0);
    buf_init(&ids, 0);
    buf_init(&counts, 0);
    pg_array_begin(&types, PG_TYPE_TEXT, q->drift.count);
    pg_array_begin(&keys, PG_TYPE_TEXT, q->drift.count);
    pg_array_begin(&ids, PG_TYPE_INT8, q->drift.count);
    pg_array_begin(&counts, PG_TYPE_INT8, q->drift.count);
    for (struct map_entry *e = NULL; (e = map_next(&q->drift, e)) != NULL;) {
        const struct drift *d = e->value;

        pg_array_text(&types, span_of(d->type));
        pg_array_text(&keys, span_of(d->key));
        pg_array_int64(&ids, d->first_event_id);
        pg_array_int64(&counts, d->events);
    }
    pg_param_binary(&p, &types);
    pg_param_binary(&p, &keys);
    pg_param_binary(&p, &ids);
    pg_param_binary(&p, &counts);
    q->drift_is_written =
        pg_query(q->writing, queue_sql("drift_add"), &p, on_drift, q);
    if (q->drift_is_written) {
        drift_clear(q);
    }
    buf_release(&types);
    buf_release(&keys);
    buf_release(&ids);
    buf_release(&counts);
}
