/*
 * encode_header - header fields: cleaning, encoded words, folding.
 *
 * A value is first made clean: valid UTF-8, single spaces, no control
 * characters. Nearly all values are clean and short ASCII already; is_tidy
 * sees that in one pass, and they are copied. Of the rest, ASCII is folded at
 * its spaces, and all else is written whole as encoded words, which is the
 * only form in which no reader can disagree about the spaces between words.
 *
 * Writers take and return the column, which is the number of bytes that stand
 * on the line. Each word brings its own leading space, so that a fold is
 * nothing but CRLF before it.
 */
#include "mail/encode.h"

#include "mail/chars.h"

enum {
    WORD_LENGTH = 75,    /* bytes of an encoded word: RFC 2047 §2 */
    WORD_FRAME = 12,     /* "=?UTF-8?B?" and "?=" */
    TOKEN_MAX = 900,     /* a longer run without a space cannot be folded */
    PLAIN_NAME_MAX = 60, /* a longer display name goes in encoded words */
};

/* --- cleaning ----------------------------------------------------------- */

/* Bytes of the white space or control character at at, 0 for others. The
 * C1 controls and U+2028, U+2029 end lines in the eyes of some readers. */
static size_t blank_length(const char *at, const char *end)
{
    size_t left = (size_t)(end - at);

    if (*at == ' ' || char_classes(*at) & CHAR_CONTROL) {
        return 1;
    }
    if (left >= 2 && at[0] == '\xc2' && (at[1] & '\xe0') == '\x80') {
        return 2;
    }
    if (left >= 3 && (memcmp(at, "\xe2\x80\xa8", 3) == 0 ||
                      memcmp(at, "\xe2\x80\xa9", 3) == 0)) {
        return 3;
    }
    return 0;
}

/* Writes the clean form of value to to, which has room for three times its
 * length; returns its length. */
static size_t clean(char *to, struct span value)
{
    char *const begin = to;
    const char *at = value.ptr;
    const char *const end = at + value.len;
    bool has_blank = false;
    bool ok = true;
    size_t length = 0;

    for (; at < end; at += length) {
        length = blank_length(at, end);
        if (length > 0) {
            has_blank = true;
            continue;
        }
        if (has_blank && to > begin) {
            *to++ = ' ';
        }
        has_blank = false;
        length = utf8_length(at, end, &ok);
        memcpy(to, ok ? at : UTF8_REPLACEMENT, ok ? length : 3);
        to += ok ? length : 3;
    }
    return (size_t)(to - begin);
}

/* Not more than most bytes, cut between characters. */
static struct span cut(struct span value, size_t most)
{
    if (value.len > most) {
        value.len = most;
        for (size_t i = 1; i < UTF8_MAX; i++) {
            value.len -= (value.ptr[value.len] & '\xc0') == '\x80';
        }
    }
    return value;
}

struct shape {
    bool is_tidy;   /* clean ASCII as it stands */
    bool is_masked; /* has "=?": looks like an encoded word */
    bool is_atoms;  /* nothing but atoms and spaces */
};

static struct shape shape_of(struct span value)
{
    unsigned any = 0;
    bool is_single = true;
    bool is_masked = false;
    char before = ' ';

    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];
        unsigned classes = char_classes(c);

        any |= classes;
        if (classes & CHAR_PAIR) {
            is_single = is_single && (c != ' ' || before != ' ');
            is_masked = is_masked || (c == '?' && before == '=');
        }
        before = c;
    }
    return (struct shape){
        .is_tidy =
            is_single && before != ' ' && !(any & (CHAR_CONTROL | CHAR_HIGH)),
        .is_masked = is_masked,
        .is_atoms = !(any & (CHAR_CONTROL | CHAR_HIGH | CHAR_SPECIAL)),
    };
}

/* --- encoded words (RFC 2047) ------------------------------------------- */

struct words {
    struct buf *out;
    size_t column;
    bool is_q;
    unsigned q_class; /* CHAR_Q_NAME or CHAR_Q_TEXT */
    /* The word that is being filled, before it is encoded. */
    char bytes[WORD_LENGTH];
    size_t count;
    size_t digits; /* bytes it has when encoded, without the frame */
};

static size_t q_digits(const char *bytes, size_t n, unsigned q_class)
{
    size_t digits = 0;

    for (size_t i = 0; i < n; i++) {
        bool is_short = bytes[i] == ' ' || char_classes(bytes[i]) & q_class;

        digits += is_short ? 1 : 3;
    }
    return digits;
}

static size_t b_digits(size_t n)
{
    return (n + 2) / 3 * 4;
}

static size_t q_encode(char *to, const struct words *w)
{
    static const char digits[] = "0123456789ABCDEF";
    char *const begin = to;

    for (size_t i = 0; i < w->count; i++) {
        unsigned char byte = (unsigned char)w->bytes[i];

        if (byte == ' ') {
            *to++ = '_';
        } else if (chars[byte] & w->q_class) {
            *to++ = (char)byte;
        } else {
            *to++ = '=';
            *to++ = digits[byte >> 4];
            *to++ = digits[byte & 15];
        }
    }
    return (size_t)(to - begin);
}

/* The word as it stands; does nothing while it is empty. */
static void put_word(struct words *w)
{
    char digits[WORD_LENGTH];
    size_t n = 0;

    if (w->count == 0) {
        return;
    }
    n = w->is_q ? q_encode(digits, w)
                : encode_base64_digits(digits, w->bytes, w->count);
    buf_puts(w->out, w->is_q ? " =?UTF-8?Q?" : " =?UTF-8?B?");
    buf_put(w->out, digits, n);
    buf_puts(w->out, "?=");
    w->column += 1 + WORD_FRAME + n;
    w->count = 0;
    w->digits = 0;
}

/* Digits of the word if these bytes were in it too. */
static size_t digits_with(const struct words *w, const char *bytes, size_t n)
{
    return w->is_q ? w->digits + q_digits(bytes, n, w->q_class)
                   : b_digits(w->count + n);
}

/* One whole character. It opens a new line when it does not fit the word. */
static void add_character(struct words *w, const char *bytes, size_t n)
{
    size_t digits = digits_with(w, bytes, n);

    if (w->column + 1 + WORD_FRAME + digits > ENCODE_LINE) {
        put_word(w);
        buf_puts(w->out, "\r\n");
        w->column = 0;
        digits = digits_with(w, bytes, n);
    }
    memcpy(w->bytes + w->count, bytes, n);
    w->count += n;
    w->digits = digits;
}

/* text is clean. */
static size_t put_words(struct buf *out, struct span text, size_t column,
                        unsigned q_class)
{
    const char *at = text.ptr;
    const char *const end = at + text.len;
    bool ok = true;
    size_t length = 0;
    struct words w = {.out = out, .column = column, .q_class = q_class};

    w.is_q = q_digits(text.ptr, text.len, q_class) <= b_digits(text.len);
    for (; at < end; at += length) {
        length = utf8_length(at, end, &ok);
        add_character(&w, at, length);
    }
    put_word(&w);
    return w.column;
}

/* --- folding ------------------------------------------------------------ */

/* A token of printable ASCII with its space, on a new line unless it fits
 * this one. */
static size_t put_token(struct buf *out, struct span token, size_t column)
{
    if (column + 1 + token.len > ENCODE_FOLD) {
        buf_puts(out, "\r\n");
        column = 0;
    }
    buf_putc(out, ' ');
    buf_span(out, token);
    return column + 1 + token.len;
}

/* The next token of rest, which becomes what is behind it. */
static struct span take_token(struct span *rest)
{
    const char *space = memchr(rest->ptr, ' ', rest->len);
    struct span token = *rest;

    if (space != NULL) {
        token.len = (size_t)(space - token.ptr);
    }
    rest->ptr += token.len + (space != NULL);
    rest->len -= token.len + (space != NULL);
    return token;
}

static bool has_long_token(struct span rest)
{
    while (rest.len > TOKEN_MAX) {
        if (take_token(&rest).len > TOKEN_MAX) {
            return true;
        }
    }
    return false;
}

/* text is tidy and has no long token. */
static void put_folded(struct buf *out, struct span text, size_t column)
{
    struct span token = text;

    if (column + 1 + text.len <= ENCODE_FOLD) {
        put_token(out, text, column);
        return;
    }
    token = take_token(&text);
    if (1 + token.len > ENCODE_FOLD) {
        /* Too long for any line: it may as well stand behind the name. */
        buf_putc(out, ' ');
        buf_span(out, token);
        column += 1 + token.len;
    } else {
        column = put_token(out, token, column);
    }
    while (text.len > 0) {
        column = put_token(out, take_token(&text), column);
    }
}

/* --- fields ------------------------------------------------------------- */

static size_t put_field_name(struct buf *out, struct span name)
{
    buf_span(out, name);
    buf_putc(out, ':');
    return name.len + 1;
}

void encode_field(struct buf *out, struct span name, struct span value)
{
    char memory[3 * ENCODE_VALUE_MAX];
    struct span text = cut(value, ENCODE_VALUE_MAX);
    struct shape shape = shape_of(text);
    size_t column = 0;

    if (!shape.is_tidy && text.len > 0) {
        text = span_make(memory, clean(memory, text));
        shape = shape_of(text);
    }
    if (text.len == 0) {
        return;
    }
    column = put_field_name(out, name);
    if (shape.is_tidy && !shape.is_masked && !has_long_token(text)) {
        put_folded(out, text, column);
    } else {
        put_words(out, text, column, CHAR_Q_TEXT);
    }
    buf_puts(out, "\r\n");
}

/* A quoted string, or encoded words where it would not fit a line. */
static size_t put_quoted(struct buf *out, struct span text, size_t column)
{
    char quoted[2 * PLAIN_NAME_MAX + 2];
    size_t n = 0;

    quoted[n++] = '"';
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '"' || text.ptr[i] == '\\') {
            quoted[n++] = '\\';
        }
        quoted[n++] = text.ptr[i];
    }
    quoted[n++] = '"';
    if (1 + n > ENCODE_FOLD) {
        return put_words(out, text, column, CHAR_Q_NAME);
    }
    return put_token(out, span_make(quoted, n), column);
}

/* A phrase of RFC 5322 §3.2.5; nothing for an empty name. */
static size_t put_phrase(struct buf *out, struct span display, size_t column)
{
    char memory[3 * ENCODE_NAME_MAX];
    struct span text = cut(display, ENCODE_NAME_MAX);
    struct shape shape = shape_of(text);

    if (!shape.is_tidy && text.len > 0) {
        text = span_make(memory, clean(memory, text));
        shape = shape_of(text);
    }
    if (text.len == 0) {
        return column;
    }
    if (!shape.is_tidy || shape.is_masked || text.len > PLAIN_NAME_MAX) {
        return put_words(out, text, column, CHAR_Q_NAME);
    }
    if (shape.is_atoms) {
        return put_token(out, text, column);
    }
    return put_quoted(out, text, column);
}

/* " <inside>" and the end of the field. */
static void put_angle(struct buf *out, struct span inside, size_t column)
{
    if (column + 3 + inside.len > ENCODE_FOLD && column > 0) {
        buf_puts(out, "\r\n");
    }
    buf_puts(out, " <");
    buf_span(out, inside);
    buf_puts(out, ">\r\n");
}

void encode_mailbox(struct buf *out, struct span name, struct span display,
                    struct span inside)
{
    put_angle(out, inside, put_phrase(out, display, put_field_name(out, name)));
}

void encode_id_field(struct buf *out, struct span name, struct span id)
{
    put_angle(out, id, put_field_name(out, name));
}
