/*
 * role_keys - which payload keys the SQL of a role reads.
 *
 * The text is cut into tokens (names, strings, operators, single characters),
 * and behind each name "payload" the next two or three are looked at.
 */
#include "store/role_keys.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum token_kind { TOKEN_END, TOKEN_NAME, TOKEN_STRING, TOKEN_OTHER };

struct token {
    enum token_kind kind;
    struct span text; /* of a string: without its quotes */
    int line;
};

struct scan {
    const char *at;
    int line;
};

static char take(struct scan *s)
{
    s->line += *s->at == '\n';
    return *s->at++;
}

static bool is_at(const struct scan *s, const char *text)
{
    return strncmp(s->at, text, strlen(text)) == 0;
}

static void skip_past(struct scan *s, const char *text)
{
    while (*s->at != '\0' && !is_at(s, text)) {
        take(s);
    }
    for (size_t i = 0; *s->at != '\0' && i < strlen(text); i++) {
        take(s);
    }
}

static void skip_space(struct scan *s)
{
    for (;;) {
        if (is_at(s, "--")) {
            skip_past(s, "\n");
        } else if (is_at(s, "/*")) {
            skip_past(s, "*/");
        } else if (*s->at != '\0' && isspace((unsigned char)*s->at)) {
            take(s);
        } else {
            return;
        }
    }
}

static bool is_name_char(char c)
{
    return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

/* Up to the closing quote; a doubled one is part of the text. */
static struct token take_quoted(struct scan *s, char quote,
                                enum token_kind kind)
{
    struct token t = {.kind = kind, .line = s->line};
    const char *start = NULL;

    take(s);
    start = s->at;
    while (*s->at != '\0' && (*s->at != quote || s->at[1] == quote)) {
        if (*s->at == quote) {
            take(s);
        }
        take(s);
    }
    t.text = span_make(start, (size_t)(s->at - start));
    if (*s->at != '\0') {
        take(s);
    }
    return t;
}

static struct token next(struct scan *s)
{
    static const char operator_chars[] = "+-*/<>=~!@#%^&|`?";
    struct token t = {.kind = TOKEN_OTHER};
    const char *start = NULL;

    skip_space(s);
    t.line = s->line;
    start = s->at;
    if (*s->at == '\0') {
        t.kind = TOKEN_END;
    } else if (*s->at == '\'') {
        return take_quoted(s, '\'', TOKEN_STRING);
    } else if (*s->at == '"') {
        return take_quoted(s, '"', TOKEN_NAME);
    } else if ((*s->at == 'E' || *s->at == 'e') && s->at[1] == '\'') {
        take(s);
        return take_quoted(s, '\'', TOKEN_STRING);
    } else if (is_name_char(*s->at)) {
        t.kind = TOKEN_NAME;
        while (is_name_char(*s->at)) {
            take(s);
        }
    } else if (strchr(operator_chars, *s->at) != NULL) {
        while (*s->at != '\0' && strchr(operator_chars, *s->at) != NULL) {
            take(s);
        }
    } else {
        take(s);
    }
    if (t.kind != TOKEN_END) {
        t.text = span_make(start, (size_t)(s->at - start));
    }
    return t;
}

struct report {
    void (*on_key)(void *ctx, struct span key, int line);
    void *ctx;
};

static void tell(const struct report *r, struct span key, int line)
{
    if (key.len > 0) {
        r->on_key(r->ctx, key, line);
    }
}

/* '{x,y}' as the text of an array: x. */
static void tell_path(const struct report *r, const struct token *t)
{
    struct span text = span_trim(t->text);
    size_t len = 0;

    if (text.len < 2 || text.ptr[0] != '{') {
        return;
    }
    while (1 + len < text.len && text.ptr[1 + len] != ',' &&
           text.ptr[1 + len] != '}') {
        len++;
    }
    text = span_trim(span_make(text.ptr + 1, len));
    if (text.len >= 2 && text.ptr[0] == '"') {
        text = span_make(text.ptr + 1, text.len - 2);
    }
    tell(r, text, t->line);
}

/* '{"x": 1, "y": {"z": 2}}' as JSON: x and y. */
static void tell_members(const struct report *r, const struct token *t)
{
    const char *at = t->text.ptr;
    const char *const end = t->text.ptr + t->text.len;
    int depth = 0;

    while (at < end) {
        const char c = *at++;

        depth += (c == '{' || c == '[') - (c == '}' || c == ']');
        if (c == '"') {
            const char *start = at;
            struct span name = SPAN_NONE;

            while (at < end && *at != '"') {
                at += *at == '\\' && at + 1 < end ? 2 : 1;
            }
            name = span_make(start, (size_t)(at - start));
            at += at < end;
            while (at < end && isspace((unsigned char)*at)) {
                at++;
            }
            if (depth == 1 && at < end && *at == ':') {
                tell(r, name, t->line);
            }
        }
    }
}

/* array['x', 'y']: all of them. s stands behind the operator. */
static void tell_array(const struct report *r, struct scan *s)
{
    struct token t = next(s);

    while (t.kind == TOKEN_NAME || t.kind == TOKEN_STRING ||
           span_is(t.text, "[") || span_is(t.text, ",")) {
        if (t.kind == TOKEN_STRING) {
            tell(r, t.text, t.line);
        }
        t = next(s);
    }
}

/* What stands behind "payload" is looked at with a scan of its own: the outer
 * one must not miss what it passes over. */
static void look_behind(const struct report *r, struct scan s)
{
    struct token how = next(&s);
    struct scan behind = s;
    struct token operand;

    while (span_is(how.text, ")")) { /* (pass.payload) ->> 'x' */
        how = next(&s);
        behind = s;
    }
    operand = next(&s);
    if (span_is(how.text, "?|") || span_is(how.text, "?&")) {
        tell_array(r, &behind);
    } else if (operand.kind != TOKEN_STRING) {
        return;
    } else if (span_is(how.text, "#>") || span_is(how.text, "#>>")) {
        tell_path(r, &operand);
    } else if (span_is(how.text, "@>")) {
        tell_members(r, &operand);
    } else if (span_is(how.text, "->") || span_is(how.text, "->>") ||
               span_is(how.text, "?") || span_is(how.text, "[") ||
               span_is(how.text, ",")) {
        tell(r, operand.text, operand.line);
    }
}

static bool is_word(const struct token *t, const char *word)
{
    return t->kind == TOKEN_NAME && t->text.len == strlen(word) &&
           strncasecmp(t->text.ptr, word, t->text.len) == 0;
}

void role_keys(const char *sql,
               void (*on_key)(void *ctx, struct span key, int line), void *ctx)
{
    const struct report report = {on_key, ctx};
    struct scan s = {sql, 1};

    for (struct token t = next(&s); t.kind != TOKEN_END; t = next(&s)) {
        if (is_word(&t, "payload")) {
            look_behind(&report, s);
        }
    }
}
