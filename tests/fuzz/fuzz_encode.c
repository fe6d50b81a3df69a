/*
 * fuzz_encode - any bytes through the encoders and the address check.
 *
 * The first byte chooses what the rest is taken for. What the headers of
 * address, encode and message promise is asserted of every result.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "mail/address.h"
#include "mail/chars.h"
#include "mail/encode.h"
#include "mail/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds, const char *promise)
{
    if (!holds) {
        fprintf(stderr, "broken promise: %s\n", promise);
        abort();
    }
}

/* 7-bit, CRLF only, no long line, no leading dot, no blank at a line's end. */
static void check_lines(struct span out, size_t line_max)
{
    size_t begin = 0;

    for (size_t i = 0; i < out.len; i++) {
        unsigned classes = char_classes(out.ptr[i]);

        must(!(classes & CHAR_HIGH), "7-bit");
        must(i != begin || out.ptr[i] != '.', "no leading dot");
        if (!(classes & CHAR_CONTROL) || out.ptr[i] == '\t') {
            continue;
        }
        must(out.ptr[i] == '\r', "no control byte but CR and LF");
        must(i + 1 < out.len && out.ptr[i + 1] == '\n', "CR before LF only");
        must(i - begin <= line_max, "no long line");
        must(i == begin || (out.ptr[i - 1] != ' ' && out.ptr[i - 1] != '\t'),
             "no blank at the end of a line");
        begin = ++i + 1;
    }
    must(begin == out.len, "an end to the last line");
}

static void check_address(struct span s)
{
    const char *why = NULL;
    enum address_kind kind = address_check(s, &why);
    struct buf ascii;
    bool has_ascii = false;

    buf_init(&ascii, 0);
    has_ascii = address_to_ascii(s, &ascii);
    must((why != NULL) == (kind >= ADDRESS_NEEDS_SMTPUTF8), "a reason");
    must(address_is_valid(s) == (kind == ADDRESS_OK), "one opinion");
    must(has_ascii == (kind <= ADDRESS_IDN_DOMAIN), "an ASCII form");
    must(kind != ADDRESS_OK || span_equal(buf_view(&ascii), s), "itself");
    if (has_ascii) {
        must(address_is_valid(buf_view(&ascii)), "a valid ASCII form");
    } else {
        must(ascii.len == 0, "nothing appended");
    }
    if (kind != ADDRESS_INVALID) {
        must(s.len <= ADDRESS_MAX, "a length");
        for (size_t i = 0; i < s.len; i++) {
            must(s.ptr[i] != '\0' && strchr("\r\n<> ", s.ptr[i]) == NULL,
                 "no byte that ends a command");
        }
    }
    buf_release(&ascii);
}

static void check_bodies(struct span s)
{
    struct encode_plan plan = encode_plan(s);
    struct buf out;

    buf_init(&out, 0);
    encode_qp(&out, s);
    check_lines(buf_view(&out), ENCODE_LINE);
    must(out.len + 16 <= plan.qp_room, "no more than was reserved");
    buf_clear(&out);
    encode_base64(&out, s);
    check_lines(buf_view(&out), ENCODE_LINE);
    must(memmem(out.data, out.len, "=_", 2) == NULL, "no boundary");
    buf_release(&out);
}

static void check_fields(struct span s)
{
    struct buf out;

    buf_init(&out, 0);
    encode_field(&out, SPAN_LIT("X-Fuzz"), s);
    check_lines(buf_view(&out), ENCODE_LINE_MAX);
    buf_clear(&out);
    encode_mailbox(&out, SPAN_LIT("To"), s, SPAN_LIT("a@example.org"));
    check_lines(buf_view(&out), 140);
    buf_clear(&out);
    message_id_part(&out, s);
    must(out.len > 0 && out.len <= MESSAGE_ID_PART_MAX, "a short id");
    must(out.data[0] != '.' && out.data[out.len - 1] != '.', "a dot-atom");
    buf_release(&out);
}

/* The bytes cut at each 0xfe become the spans of a message. */
static void check_message(struct span s)
{
    struct span cuts[12] = {SPAN_NONE};
    struct message_header extra[2];
    struct message_parts parts = {.extra = extra, .extra_count = 2};
    struct buf out;
    struct buf again;

    for (size_t i = 0; i < 12; i++) {
        const char *at = s.len > 0 ? memchr(s.ptr, '\xfe', s.len) : NULL;

        cuts[i] = span_make(s.ptr, at != NULL ? (size_t)(at - s.ptr) : s.len);
        s.ptr += cuts[i].len + (at != NULL);
        s.len -= cuts[i].len + (at != NULL);
    }
    parts.to_name = cuts[0];
    parts.to_email = cuts[1];
    parts.subject = cuts[2];
    parts.text = cuts[3];
    parts.html = cuts[4];
    parts.message_id = cuts[5];
    parts.thread_id = cuts[6];
    parts.list_id = cuts[7];
    parts.list_name = cuts[7];
    extra[0] = (struct message_header){cuts[8], cuts[9]};
    extra[1] = (struct message_header){cuts[10], cuts[11]};
    buf_init(&out, 0);
    buf_init(&again, 0);
    must(message_write(&out, &parts), "a message");
    check_lines(buf_view(&out), ENCODE_LINE_MAX);
    must(message_write(&again, &parts), "a message again");
    must(span_equal(buf_view(&out), buf_view(&again)), "the same message");
    buf_release(&out);
    buf_release(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const checks[])(struct span) = {check_address, check_bodies,
                                                  check_fields, check_message};
    struct span rest = SPAN_NONE;

    if (size > 0) {
        rest = span_make((const char *)data + 1, size - 1);
        checks[data[0] % 4](rest);
    }
    return 0;
}
