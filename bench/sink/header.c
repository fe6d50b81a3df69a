/*
 * header - the header section of a mail that arrived.
 *
 * Line by line; only names are looked at, by length and first letter, and the
 * value of Message-ID.
 */
#include "bench/sink/header.h"

#include <stdint.h>
#include <strings.h>

static const struct {
    const char *name;
    size_t len;
} fields[] = {
#define FIELD(text)                                                            \
    {                                                                          \
        text, sizeof(text) - 1                                                 \
    }
    [HEADER_DATE] = FIELD("Date"),
    [HEADER_FROM] = FIELD("From"),
    [HEADER_MESSAGE_ID] = FIELD("Message-ID"),
    [HEADER_SENDER] = FIELD("Sender"),
    [HEADER_REPLY_TO] = FIELD("Reply-To"),
    [HEADER_TO] = FIELD("To"),
    [HEADER_CC] = FIELD("Cc"),
    [HEADER_BCC] = FIELD("Bcc"),
    [HEADER_IN_REPLY_TO] = FIELD("In-Reply-To"),
    [HEADER_REFERENCES] = FIELD("References"),
    [HEADER_SUBJECT] = FIELD("Subject"),
    [HEADER_MIME_VERSION] = FIELD("MIME-Version"),
    [HEADER_CONTENT_TYPE] = FIELD("Content-Type"),
    [HEADER_ENCODING] = FIELD("Content-Transfer-Encoding"),
#undef FIELD
};

const char *header_name(enum header_field field)
{
    return fields[field].name;
}

/* The field called name, or HEADER_FIELDS. */
static enum header_field field_of(struct span name)
{
    for (int i = 0; i < HEADER_FIELDS; i++) {
        if (name.len == fields[i].len &&
            (name.ptr[0] | 0x20) == (fields[i].name[0] | 0x20) &&
            strncasecmp(name.ptr, fields[i].name, name.len) == 0) {
            return (enum header_field)i;
        }
    }
    return HEADER_FIELDS;
}

static bool has_high(struct span line)
{
    uint64_t all = 0;
    size_t i = 0;

    for (; i + 8 <= line.len; i += 8) {
        uint64_t word = 0;

        memcpy(&word, line.ptr + i, 8);
        all |= word;
    }
    for (; i < line.len; i++) {
        all |= (unsigned char)line.ptr[i];
    }
    return (all & 0x8080808080808080u) != 0;
}

/* One line without its line end; *field is the field it belongs to. */
static void read_line(struct header *h, struct span line,
                      enum header_field *field)
{
    const char *colon = NULL;

    if (h->eight_bit.ptr == NULL && has_high(line)) {
        h->eight_bit = line;
    }
    if (line.ptr[0] == ' ' || line.ptr[0] == '\t') {
        if (*field == HEADER_MESSAGE_ID && h->message_id.len == 0) {
            h->message_id = span_trim(line);
        }
        return;
    }
    colon = memchr(line.ptr, ':', line.len);
    if (colon == NULL || colon == line.ptr) {
        if (h->malformed.ptr == NULL) {
            h->malformed = line;
        }
        return;
    }
    *field = field_of(span_make(line.ptr, (size_t)(colon - line.ptr)));
    if (*field == HEADER_FIELDS) {
        return;
    }
    if (h->seen & (1u << *field)) {
        h->twice |= 1u << *field;
        return;
    }
    h->seen |= 1u << *field;
    if (*field == HEADER_MESSAGE_ID) {
        colon++;
        h->message_id =
            span_trim(span_make(colon, (size_t)(line.ptr + line.len - colon)));
    }
}

bool header_read(struct header *h, const char *bytes, size_t n)
{
    const char *end = bytes + n;
    enum header_field field = HEADER_FIELDS;

    *h = (struct header){0};
    for (const char *p = bytes; p < end;) {
        const char *lf = memchr(p, '\n', (size_t)(end - p));
        struct span line = span_make(p, (size_t)((lf ? lf : end) - p));

        if (lf != NULL && line.len > 0 && p[line.len - 1] == '\r') {
            line.len--;
        }
        if (lf != NULL && line.len == 0) {
            return true;
        }
        if (line.len > 0) {
            read_line(h, line, &field);
        }
        p = lf ? lf + 1 : end;
    }
    return false;
}
