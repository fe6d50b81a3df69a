/*
 * message - the order of the fields, and the frame around the two bodies.
 *
 * The boundary between the alternatives holds "=_", which neither
 * quoted-printable nor base64 can yield (RFC 2045 §6.7), so it need not be
 * looked for in the bodies and can be a hash of the Message-ID.
 *
 * Every span that reaches a header goes through encode_field or the display
 * name of encode_mailbox, which clean it, or is checked here byte by byte.
 */
#include "mail/message.h"

#include "mail/address.h"
#include "mail/chars.h"
#include "mail/date.h"
#include "mail/encode.h"

enum {
    FIELD_NAME_MAX = 76,
    HEX_64 = 16, /* hex digits of a 64-bit hash */
    ID_PART_HEAD = MESSAGE_ID_PART_MAX - HEX_64 - 1,
};

/* FNV-1a: no secret, only the same again for the same text. */
static uint64_t hash_of(struct span text)
{
    uint64_t hash = 0xcbf29ce484222325ULL;

    for (size_t i = 0; i < text.len; i++) {
        hash = (hash ^ (unsigned char)text.ptr[i]) * 0x100000001b3ULL;
    }
    return hash;
}

static void put_hex(char *to, uint64_t number)
{
    for (size_t i = HEX_64; i > 0; i--, number >>= 4) {
        to[i - 1] = "0123456789abcdef"[number & 15];
    }
}

/* --- ids ---------------------------------------------------------------- */

/* Atoms with a dot or "@" between any two, and exactly that many "@". What
 * looks like an encoded word would be decoded by some readers. */
static bool is_plain_id(struct span id, size_t ats)
{
    bool has_atom = false; /* since the last separator */

    if (id.len > MESSAGE_ID_MAX || looks_encoded(id)) {
        return false;
    }
    for (size_t i = 0; i < id.len; i++) {
        if (char_classes(id.ptr[i]) & CHAR_ATEXT) {
            has_atom = true;
            continue;
        }
        if (!has_atom || (id.ptr[i] != '.' && (id.ptr[i] != '@' || ats == 0))) {
            return false;
        }
        ats -= id.ptr[i] == '@';
        has_atom = false;
    }
    return has_atom && ats == 0;
}

void message_id_part(struct buf *out, struct span text)
{
    static const char digits[] = "0123456789ABCDEF";
    const size_t begin = out->len;
    char hash[HEX_64 + 1] = ".";

    for (size_t i = 0; i < text.len && buf_ok(out); i++) {
        unsigned char byte = (unsigned char)text.ptr[i];
        bool is_inner = i > 0 && i + 1 < text.len && text.ptr[i - 1] != '.';

        if (chars[byte] & CHAR_LDH || (byte == '.' && is_inner)) {
            buf_putc(out, text.ptr[i]);
        } else {
            const char escape[] = {'_', digits[byte >> 4], digits[byte & 15]};

            buf_put(out, escape, sizeof(escape));
        }
        if (out->len - begin > MESSAGE_ID_PART_MAX) {
            put_hex(hash + 1, hash_of(text));
            buf_truncate(out, begin + ID_PART_HEAD);
            while (out->data[out->len - 1] == '.') {
                buf_truncate(out, out->len - 1);
            }
            buf_put(out, hash, sizeof(hash));
            return;
        }
    }
    if (text.len == 0) {
        buf_putc(out, '_');
    }
}

/* --- addresses ---------------------------------------------------------- */

static void put_address(struct buf *out, struct span name, struct span display,
                        struct span email)
{
    char memory[ADDRESS_MAX];
    struct buf ascii;

    if (email.len == 0) {
        return;
    }
    buf_wrap(&ascii, memory, sizeof(memory));
    if (address_to_ascii(email, &ascii)) {
        encode_mailbox(out, name, display, buf_view(&ascii));
    }
}

/* A local part outside ASCII stands as it is (RFC 6532 section 3.2): the relay
 * must be told of it, by SMTPUTF8, and the domain need not be converted. */
static void put_recipient(struct buf *out, struct span display,
                          struct span email)
{
    if (address_check(email, NULL) == ADDRESS_NEEDS_SMTPUTF8) {
        encode_mailbox(out, SPAN_LIT("To"), display, email);
    } else {
        put_address(out, SPAN_LIT("To"), display, email);
    }
}

/* --- extra fields ------------------------------------------------------- */

#define LITERAL(text)                                                          \
    {                                                                          \
        (text), sizeof(text) - 1                                               \
    }

/* Ours, the relays', and those of other kinds of mail; in lower case. */
static const struct span reserved[] = {
    LITERAL("auto-submitted"),
    LITERAL("bcc"),
    LITERAL("cc"),
    LITERAL("date"),
    LITERAL("delivered-to"),
    LITERAL("from"),
    LITERAL("in-reply-to"),
    LITERAL("list-id"),
    LITERAL("message-id"),
    LITERAL("mime-version"),
    LITERAL("precedence"),
    LITERAL("received"),
    LITERAL("references"),
    LITERAL("reply-to"),
    LITERAL("return-path"),
    LITERAL("sender"),
    LITERAL("subject"),
    LITERAL("to"),
    LITERAL("x-auto-response-suppress"),
};

static const struct span reserved_beginnings[] = {
    LITERAL("content-"),
    LITERAL("resent-"),
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/* The first n bytes of both, without regard to case (ASCII only). */
static bool is_alike(const char *a, const char *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (lower(a[i]) != lower(b[i])) {
            return false;
        }
    }
    return true;
}

static bool is_reserved(struct span name)
{
    for (size_t i = 0; i < COUNT(reserved); i++) {
        if (reserved[i].len == name.len &&
            is_alike(reserved[i].ptr, name.ptr, name.len)) {
            return true;
        }
    }
    for (size_t i = 0; i < COUNT(reserved_beginnings); i++) {
        if (reserved_beginnings[i].len <= name.len &&
            is_alike(reserved_beginnings[i].ptr, name.ptr,
                     reserved_beginnings[i].len)) {
            return true;
        }
    }
    return false;
}

bool message_takes_header(struct span name)
{
    if (name.len == 0 || name.len > FIELD_NAME_MAX || name.ptr[0] == '.') {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] <= ' ' || name.ptr[i] > '~' || name.ptr[i] == ':') {
            return false;
        }
    }
    return !is_reserved(name);
}

static bool is_earlier(const struct message_header *extra, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (extra[i].name.len == extra[n].name.len &&
            is_alike(extra[i].name.ptr, extra[n].name.ptr, extra[n].name.len)) {
            return true;
        }
    }
    return false;
}

static void put_extra(struct buf *out, const struct message_parts *m)
{
    for (size_t i = 0; i < m->extra_count; i++) {
        if ((m->extra_is_taken || message_takes_header(m->extra[i].name)) &&
            !is_earlier(m->extra, i)) {
            encode_field(out, m->extra[i].name, m->extra[i].value);
        }
    }
}

/* --- the message -------------------------------------------------------- */

void message_put_from(struct buf *out, struct span name, struct span email)
{
    put_address(out, SPAN_LIT("From"), name, email);
}

void message_put_list(struct buf *out, struct span name, struct span id)
{
    if (is_plain_id(id, 0)) {
        encode_mailbox(out, SPAN_LIT("List-Id"), name, id);
    }
}

static void put_headers(struct buf *out, const struct message_parts *m)
{
    buf_puts(out, "Date: ");
    date_write(out, m->date_us);
    buf_puts(out, "\r\n");
    if (m->from_field.len > 0) {
        buf_span(out, m->from_field);
    } else {
        message_put_from(out, m->from_name, m->from_email);
    }
    put_recipient(out, m->to_name, m->to_email);
    put_address(out, SPAN_LIT("Reply-To"), SPAN_NONE, m->reply_to);
    encode_field(out, SPAN_LIT("Subject"), m->subject);
    if (is_plain_id(m->message_id, 1)) {
        encode_id_field(out, SPAN_LIT("Message-ID"), m->message_id);
    }
    if (is_plain_id(m->thread_id, 1) &&
        !span_equal(m->thread_id, m->message_id)) {
        encode_id_field(out, SPAN_LIT("In-Reply-To"), m->thread_id);
        encode_id_field(out, SPAN_LIT("References"), m->thread_id);
    }
    buf_puts(out, "Auto-Submitted: auto-generated\r\n"
                  "X-Auto-Response-Suppress: OOF, DR, RN, NRN, AutoReply\r\n");
    if (m->precedence_bulk) {
        buf_puts(out, "Precedence: bulk\r\n");
    }
    if (m->list_field.len > 0) {
        buf_span(out, m->list_field);
    } else {
        message_put_list(out, m->list_name, m->list_id);
    }
    put_extra(out, m);
    buf_puts(out, "MIME-Version: 1.0\r\n");
}

/* The fields of one body, the empty line and the body. */
static void put_body(struct buf *out, const char *type, struct span text)
{
    const struct encode_plan plan = encode_plan(text);

    buf_puts(out, "Content-Type: ");
    buf_puts(out, type);
    buf_puts(out, "; charset=utf-8\r\nContent-Transfer-Encoding: ");
    buf_puts(out, encode_transfer_name(plan.transfer));
    buf_puts(out, "\r\n\r\n");
    encode_body(out, text, &plan);
}

/* The line end before a delimiter belongs to it (RFC 2046 §5.1.1), so each
 * body keeps its own last one. */
static void put_alternatives(struct buf *out, const struct message_parts *m)
{
    char delimiter[] = "\r\n--=_pb_0123456789abcdef";
    char *const boundary = delimiter + 4;
    const size_t length = sizeof(delimiter) - 1;

    put_hex(delimiter + length - HEX_64, hash_of(m->message_id));
    buf_puts(out, "Content-Type: multipart/alternative; boundary=\"");
    buf_put(out, boundary, length - 4);
    buf_puts(out, "\"\r\n");
    buf_put(out, delimiter, length);
    buf_puts(out, "\r\n");
    put_body(out, "text/plain", m->text);
    buf_put(out, delimiter, length);
    buf_puts(out, "\r\n");
    put_body(out, "text/html", m->html);
    buf_put(out, delimiter, length);
    buf_puts(out, "--\r\n");
}

bool message_write(struct buf *out, const struct message_parts *m)
{
    put_headers(out, m);
    if (m->html.len == 0) {
        put_body(out, "text/plain", m->text);
    } else if (m->text.len == 0) {
        put_body(out, "text/html", m->html);
    } else {
        put_alternatives(out, m);
    }
    return buf_ok(out);
}
