/*
 * intake_event - a notification of the source server as an event.
 *
 * On the way everything is text. A contract that says "integer" would set an
 * event aside for the text "12", so texts become what their contract says,
 * here, where it is known that texts are all that can come. What does not fit
 * stays as it came: then the contract tells what is wrong with it.
 */
#include "engine/intake_event.h"

enum {
    INTEGER_DIGITS = 18, /* fit into 64 bits, whatever they are */
    NUMBER_LENGTH = 64,
    TYPE_LENGTH = 200, /* no type's name is longer */
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static char upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

void intake_type_name(struct span wire_type, struct buf *out)
{
    const struct span prefix = SPAN_LIT("SRCSRV_");
    bool begins_word = true;

    if (span_starts(wire_type, prefix)) {
        wire_type =
            span_make(wire_type.ptr + prefix.len, wire_type.len - prefix.len);
    }
    for (size_t i = 0; i < wire_type.len; i++) {
        char c = wire_type.ptr[i];

        if (c == '_') {
            begins_word = true;
        } else {
            buf_putc(out, begins_word ? upper(c) : lower(c));
            begins_word = false;
        }
    }
}

/* ---- values -------------------------------------------------------------- */

/* Bytes of the digits at the start of s. */
static size_t digits(struct span s)
{
    size_t n = 0;

    while (n < s.len && is_digit(s.ptr[n])) {
        n++;
    }
    return n;
}

static struct span after(struct span s, size_t n)
{
    return span_make(s.ptr + n, s.len - n);
}

/* Whole part of a JSON number (RFC 8259 §6): no leading zero. Gives its bytes,
 * 0 when there is none. */
static size_t whole_part(struct span s)
{
    size_t sign = s.len > 0 && s.ptr[0] == '-';
    size_t n = digits(after(s, sign));

    return n == 0 || (n > 1 && s.ptr[sign] == '0') ? 0 : sign + n;
}

static bool is_integer(struct span s)
{
    return s.len > 0 && s.len <= INTEGER_DIGITS && whole_part(s) == s.len;
}

static bool is_number(struct span s)
{
    size_t n = whole_part(s);

    if (n == 0 || s.len > NUMBER_LENGTH) {
        return false;
    }
    s = after(s, n);
    if (s.len > 0 && s.ptr[0] == '.') {
        n = digits(after(s, 1));
        if (n == 0) {
            return false;
        }
        s = after(s, 1 + n);
    }
    return s.len == 0; /* an exponent could be of any size: it stays text */
}

/* The value as its contract wants it; false leaves it a text. The empty text is
 * what a key without a value comes as. */
static bool put_typed(const struct contract_key *key, struct span value,
                      struct buf *out)
{
    if (value.len == 0 && key->type != KEY_STRING && key->type != KEY_URL &&
        key->type != KEY_ANY) {
        buf_puts(out, key->type == KEY_BOOLEAN ? "false" : "null");
        return true;
    }
    switch (key->type) {
    case KEY_INTEGER:
        if (is_integer(value)) {
            buf_span(out, value);
            return true;
        }
        return false;
    case KEY_NUMBER:
        if (is_number(value)) {
            buf_span(out, value);
            return true;
        }
        return false;
    case KEY_BOOLEAN:
        if (span_is(value, "true") || span_is(value, "1")) {
            buf_puts(out, "true");
            return true;
        }
        if (span_is(value, "false") || span_is(value, "0")) {
            buf_puts(out, "false");
            return true;
        }
        return false;
    case KEY_STRING:
    case KEY_URL:
    case KEY_ARRAY:
    case KEY_OBJECT:
    case KEY_ANY: return false;
    }
    return false;
}

static void put_pairs(const struct contract *contract,
                      const struct obs_notification *n, struct buf *out)
{
    buf_putc(out, '{');
    for (const struct obs_pair *pair = n->pairs; pair != NULL;
         pair = pair->next) {
        const struct contract_key *key =
            contract ? contract_key(contract, pair->key) : NULL;

        buf_json(out, pair->key);
        buf_putc(out, ':');
        if (pair->is_json) {
            buf_span(out, pair->value);
        } else if (key == NULL || !put_typed(key, pair->value, out)) {
            buf_json(out, pair->value);
        }
        if (pair->next != NULL) {
            buf_putc(out, ',');
        }
    }
    buf_putc(out, '}');
}

/* ---- events -------------------------------------------------------------- */

/* The type of that name that events can be of, or NULL. */
static const struct event_type *find_type(const struct catalog *catalog,
                                          struct span wire_type)
{
    char memory[TYPE_LENGTH + 1];
    const struct event_type *type = NULL;
    struct buf name;

    buf_wrap(&name, memory, sizeof(memory));
    intake_type_name(wire_type, &name);
    if (buf_ok(&name)) {
        type = catalog_find(catalog, buf_view(&name));
    }
    return type != NULL && !type->contract->is_abstract ? type : NULL;
}

struct span intake_event(const struct catalog *catalog,
                         const struct obs_notification *n, struct buf *payload)
{
    const struct event_type *type = find_type(catalog, n->type);

    if (type != NULL) {
        put_pairs(type->contract, n, payload);
        return type->name;
    }
    buf_puts(payload, "{\"type\":");
    buf_json(payload, n->type);
    buf_puts(payload, ",\"data\":");
    put_pairs(NULL, n, payload);
    buf_putc(payload, '}');
    return SPAN_LIT(INTAKE_UNKNOWN);
}
