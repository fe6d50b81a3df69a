/*
 * reply - what a relay answers, read byte by byte.
 *
 * The first four bytes of a line are looked at one at a time, the rest goes
 * to the next LF in one step. Only the first REPLY_TEXT_MAX bytes of text are
 * kept; they are escaped when somebody asks for them, because most replies
 * are "250 Ok" and nobody does.
 *
 * Tolerated, because real servers do it: lines that end in a bare LF, text in
 * 8-bit, lines beyond the 512 octets of RFC 5321 section 4.5.3.1.5. Not
 * tolerated: anything that makes the number of replies doubtful, because
 * replies are matched to commands by counting alone (RFC 2920 section 3.1).
 */
#include "smtp/reply.h"

#include <stdint.h>

#include "base/buf.h"

void reply_clear(struct reply *r)
{
    r->is_broken = false;
    r->is_over = true;
}

static void begin_reply(struct reply *r)
{
    r->code = 0;
    r->enhanced[0] = 0;
    r->enhanced[1] = 0;
    r->enhanced[2] = 0;
    r->text_len = 0;
    r->line_len = 0;
    r->line_code = 0;
    r->seen = 0;
    r->is_first = true;
    r->is_last = false;
    r->is_over = false;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Up to three digits at *at; -1 when there is none, or more, or a leading
 * zero before others (RFC 2034 section 4). */
static int read_number(struct span text, size_t *at)
{
    int value = 0;
    size_t from = *at;

    while (*at < text.len && is_digit(text.ptr[*at]) && *at - from < 4) {
        value = value * 10 + (text.ptr[*at] - '0');
        (*at)++;
    }
    if (*at == from || *at - from > 3 ||
        (*at - from > 1 && text.ptr[from] == '0')) {
        return -1;
    }
    return value;
}

/* "class.subject.detail" at the head of the text; the class must agree with
 * the reply code, or the server speaks of something else. */
static void read_enhanced(struct reply *r)
{
    struct span text = span_make(r->raw, r->text_len);
    int part[3] = {0, 0, 0};
    size_t at = 0;

    for (int i = 0; i < 3; i++) {
        if (i > 0) {
            if (at >= text.len || text.ptr[at] != '.') {
                return;
            }
            at++;
        }
        part[i] = read_number(text, &at);
        if (part[i] < 0) {
            return;
        }
    }
    if (at < text.len && text.ptr[at] != ' ' && text.ptr[at] != '\t') {
        return;
    }
    if (part[0] == r->code / 100) {
        memcpy(r->enhanced, part, sizeof(part));
    }
}

static void keep_text(struct reply *r, const char *bytes, size_t len)
{
    size_t room = REPLY_TEXT_MAX - r->text_len;
    size_t take = len < room ? len : room;

    memcpy(r->raw + r->text_len, bytes, take);
    r->text_len += take;
}

/* One of the first four bytes of a line. False: not a reply. */
static bool feed_head(struct reply *r, char c)
{
    if (r->line_len < 3) {
        /* 2 to 5, then 0 to 9 twice: what lies outside is no SMTP. */
        if (!is_digit(c) || (r->line_len == 0 && (c < '2' || c > '5'))) {
            return false;
        }
        r->line_code = r->line_code * 10 + (c - '0');
        if (r->line_len < 2) {
            return true;
        }
        if (!r->is_first && r->line_code != r->code) {
            return false;
        }
        r->code = r->line_code;
        return true;
    }
    r->is_last = c != '-';
    if (c == ' ' || c == '-' || c == '\r' || c == '\n') {
        if (!r->is_first && c != '\r' && c != '\n') {
            keep_text(r, " ", 1);
        }
        return true;
    }
    return false;
}

static void end_line(struct reply *r)
{
    while (r->text_len > 0 && (r->raw[r->text_len - 1] == '\r' ||
                               r->raw[r->text_len - 1] == ' ')) {
        r->text_len--;
    }
    if (r->is_first) {
        read_enhanced(r);
    }
    r->is_first = false;
    r->is_over = r->is_last;
    r->line_len = 0;
    r->line_code = 0;
}

/* The bytes up to and with the next LF, or all of them. */
static size_t feed_text(struct reply *r, const char *bytes, size_t len)
{
    const char *lf = memchr(bytes, '\n', len);
    size_t take = lf != NULL ? (size_t)(lf - bytes) : len;

    keep_text(r, bytes, take);
    r->line_len += take;
    if (lf == NULL || r->line_len > REPLY_LINE_MAX) {
        return take;
    }
    end_line(r);
    return take + 1;
}

enum reply_state reply_feed(struct reply *r, const char *bytes, size_t len,
                            size_t *used)
{
    size_t at = 0;

    if (r->is_over && !r->is_broken) {
        begin_reply(r);
    }
    while (at < len && !r->is_over && !r->is_broken) {
        size_t took = 1;

        if (r->line_len >= 4) {
            took = feed_text(r, bytes + at, len - at);
        } else if (!feed_head(r, bytes[at])) {
            r->is_broken = true;
        } else if (r->line_len == 3 && bytes[at] == '\n') {
            end_line(r);
        } else {
            r->line_len++;
        }
        at += took;
        r->seen += took;
        if (r->line_len > REPLY_LINE_MAX || r->seen > REPLY_BYTES_MAX) {
            r->is_broken = true;
        }
    }
    *used = at;
    if (r->is_broken) {
        return REPLY_GARBAGE;
    }
    return r->is_over ? REPLY_DONE : REPLY_MORE;
}

/* Length of the UTF-8 character at the head of s, or 0 when it is none, is
 * a control character or is written longer than needed. */
static size_t character_len(struct span s)
{
    unsigned char c = (unsigned char)s.ptr[0];
    uint32_t value = 0;
    size_t len = 0;
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};

    if (c < 0x80) {
        return c >= 0x20 && c != 0x7f ? 1 : 0;
    }
    len = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
    if (c < 0xc2 || c > 0xf4 || s.len < len) {
        return 0;
    }
    value = c & (0xffu >> (len + 1));
    for (size_t i = 1; i < len; i++) {
        if (((unsigned char)s.ptr[i] & 0xc0) != 0x80) {
            return 0;
        }
        value = value << 6 | ((unsigned char)s.ptr[i] & 0x3f);
    }
    /* C1 controls, surrogates, beyond Unicode. */
    if (value < least[len] || value > 0x10ffff || value < 0xa0 ||
        (value >= 0xd800 && value < 0xe000)) {
        return 0;
    }
    return len;
}

struct span reply_escape(struct span raw, char memory[REPLY_TEXT_MAX])
{
    struct buf out;
    bool is_clean = raw.len <= REPLY_TEXT_MAX;

    for (size_t i = 0; i < raw.len && is_clean; i++) {
        is_clean = raw.ptr[i] >= 0x20 && raw.ptr[i] < 0x7f;
    }
    if (is_clean) {
        return raw;
    }
    buf_wrap(&out, memory, REPLY_TEXT_MAX);
    while (raw.len > 0) {
        size_t len = character_len(raw);
        unsigned char c = (unsigned char)raw.ptr[0];
        char hex[4] = {'\\', 'x', "0123456789abcdef"[c >> 4],
                       "0123456789abcdef"[c & 15]};

        if (REPLY_TEXT_MAX - out.len < (len > 0 ? len : sizeof(hex))) {
            break;
        }
        buf_put(&out, len > 0 ? raw.ptr : hex, len > 0 ? len : sizeof(hex));
        raw.ptr += len > 0 ? len : 1;
        raw.len -= len > 0 ? len : 1;
    }
    return buf_view(&out);
}

struct span reply_text(const struct reply *r, char memory[REPLY_TEXT_MAX])
{
    return reply_escape(span_make(r->raw, r->text_len), memory);
}
