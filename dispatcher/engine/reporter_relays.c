/*
 * reporter_relays - what is wrong with relays, and that it is over.
 *
 * The pool tells of trouble; that a relay works again shows in the letters it
 * takes. Workers of a host share what they know of a relay, so the one that
 * looks sees a pause that another met.
 */
#include <string.h>

#include "base/mem.h"
#include "engine/reporter_inner.h"

/* A row for each enum pool_alarm. */
static const struct {
    const char *name; /* in the cause */
    const char *kind;
    const char *words; /* behind "relay NAME: " */
    const char *see;
} alarms[] = {
    [POOL_ALARM_DOWN] = {"down", "RelayDown", "it cannot be reached",
                         "check host and port, the relay's service and the "
                         "network"},
    [POOL_ALARM_PAUSED] = {"paused", "RelayPaused",
                           "it refuses us and is paused",
                           "ask its operator why; letters wait meanwhile"},
    [POOL_ALARM_SENDER] = {"sender", "SenderRefused",
                           "it refuses our sender address",
                           "check mail.envelope_from, and what the relay "
                           "lets us send as"},
    [POOL_ALARM_ACCESS] = {"access", "RelayAccess",
                           "credentials, certificate or settings need a "
                           "person",
                           "check user, password, tls and ca_file; postbatch "
                           "check tries them"},
};

enum { ALARMS = sizeof(alarms) / sizeof(alarms[0]) };

/* The words of a relay may be bytes of any kind: no UTF-8 is promised. */
static void put_words(struct buf *out, const char *text)
{
    char *copy = mem_strdup(text);

    for (char *p = copy; *p != '\0'; p++) {
        *p = (unsigned char)*p < 0x80 ? *p : '?';
    }
    buf_json(out, span_of(copy));
    mem_free(copy);
}

static char *cause_of(const struct relay *relay, size_t alarm)
{
    return mem_printf("relay/%s/%s", relay->settings.name, alarms[alarm].name);
}

static char *make_params(const struct reporter *r, const struct relay *relay,
                         enum pool_alarm alarm, const char *what)
{
    char memory[300];
    struct buf out;

    buf_init(&out, 0);
    buf_puts(&out, "{\"relay\":");
    put_words(&out, relay->settings.name);
    buf_puts(&out, ",\"where\":");
    put_words(&out, relay_where(relay, memory, sizeof(memory)));
    buf_puts(&out, ",\"host\":");
    put_words(&out, r->host);
    buf_puts(&out, ",\"why\":");
    put_words(&out, what);
    buf_puts(&out, ",\"see\":");
    put_words(&out, alarms[alarm].see);
    buf_putc(&out, '}');
    return buf_take(&out);
}

void reporter_relay_alarm(struct reporter *r, const struct relay *relay,
                          enum pool_alarm alarm, const char *what)
{
    const char *name = relay->settings.name;
    char *cause = cause_of(relay, alarm);
    char *message = mem_printf("relay %s: %s", name, alarms[alarm].words);
    char *over = mem_printf("relay %s: it takes letters again", name);
    char *params = make_params(r, relay, alarm, what);
    const struct report report = {
        .cause = cause,
        .kind = alarms[alarm].kind,
        .severity = "error",
        .component = "relay",
        .action = name,
        .message = message,
        .over_message = over,
        .params = params,
        .lasts = true,
        .count = 1,
    };

    for (size_t i = 0; i < pool_relay_count(r->pool); i++) {
        if (pool_relay(r->pool, i) == relay) {
            r->relays[i] = (struct relay_watch){true, relay->counts.sent};
        }
    }
    reporter_raise(r, &report);
    mem_free(cause);
    mem_free(message);
    mem_free(over);
    mem_free(params);
}

void reporter_look_at_relays(struct reporter *r)
{
    for (size_t i = 0; i < pool_relay_count(r->pool); i++) {
        struct relay_watch *watch = &r->relays[i];
        struct pool_stats stats;

        pool_relay_counts(r->pool, i, &stats);
        if (stats.health != RELAY_UP) {
            *watch = (struct relay_watch){true, stats.counts.sent};
        } else if (watch->is_suspect && stats.counts.sent > watch->sent_then) {
            watch->is_suspect = false;
            for (size_t k = 0; k < ALARMS; k++) {
                char *cause = cause_of(pool_relay(r->pool, i), k);

                reporter_resolve(r, cause);
                mem_free(cause);
            }
        }
    }
}
