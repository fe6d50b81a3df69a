/*
 * mail_corpus - writes messages to be read by another program.
 *
 *     mail_corpus FOLDER
 *
 * Makes FOLDER/0000.eml and so on, and FOLDER/corpus.json, a list with what
 * went into each: {"file": "0000.eml", "parts": {"subject": "48656c6c6f", ..},
 * "date_us": 1, "precedence_bulk": false, "extra": [["582d41", "61"], ..]}.
 * All texts are in hex, because not all of them are UTF-8. Each hostile text
 * is put into each field once, alone; then come messages of random mixtures,
 * the same in every run. tests/e2e/test_parse_mail.py reads it all.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mail/message.h"

#define TEXT(literal)                                                          \
    {                                                                          \
        literal, sizeof(literal) - 1                                           \
    }
#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define X100                                                                   \
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"   \
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X500 X100 X100 X100 X100 X100

enum { MIXTURES = 400, PIECES_MAX = 40 };

static const struct span texts[] = {
    TEXT(""),
    TEXT("Hello"),
    TEXT("Hello, world: (a) <b@c> [d] \"e\" f\\g; h."),
    TEXT(" "),
    TEXT("  two  spaces  "),
    TEXT("\ttab\ttab\t"),
    TEXT("\r\n"),
    TEXT("\n"),
    TEXT("\r"),
    TEXT("\0"),
    TEXT("a\r\nBcc: evil@example.net\r\n\r\nbody"),
    TEXT("a\nBcc: evil@example.net"),
    TEXT("a\rBcc: evil@example.net"),
    TEXT("a\0b"),
    TEXT("%0d%0aBcc: evil@example.net"),
    TEXT("a\xe2\x80\xa8"
         "Bcc: evil@example.net"),
    TEXT("a\xc2\x85"
         "Bcc: evil@example.net"),
    TEXT(">\r\nRCPT TO:<evil@example.net"),
    TEXT("\"quoted\r\nlocal\"@example.net"),
    TEXT("\r\n.\r\n"),
    TEXT("\n.\n"),
    TEXT("\r.\r"),
    TEXT("\n.\r\nMAIL FROM:<>\r\n"),
    TEXT("."),
    TEXT("..\n...\n.a"),
    TEXT("From here"),
    TEXT("\nFrom here\nFrom there\n"),
    TEXT("-- \nsignature \n"),
    TEXT("trailing \t \nblanks\t"),
    TEXT("a=b ==c =3D =\n=20"),
    TEXT("=?utf-8?Q?already=20encoded?="),
    TEXT("half =?utf-8?B?"),
    TEXT("caf\xc3\xa9"),
    TEXT("\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82, \xd0\xbc\xd0\xb8"
         "\xd1\x80! "),
    TEXT("\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d (shalom)"),
    TEXT("\xe4\xbd\xa0\xe5\xa5\xbd\xef\xbc\x8c\xe4\xb8\x96\xe7\x95\x8c"),
    TEXT("\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x92\xbb \"nick\", Esq."),
    TEXT("\xff\xfe ill \xe2\x82 formed \xc3"),
    TEXT("\x1b[31mred\x1b[0m \x7f\x08"),
    TEXT("--=_pb_0123456789abcdef--\n"),
    TEXT("<p>a &amp; b</p>\n<p class=\"x\">c</p>\n"),
    TEXT(X100),
    TEXT(X500 X100 X100 X100 X100 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"),
    TEXT(X500 X500),
    TEXT(X500 X500 X500 X500 X500 X500 X500 X500 X500 X500),
    TEXT(X100 " " X100 " " X100 " " X100 " " X100),
};

static const struct span addresses[] = {
    TEXT("jane@example.org"),
    TEXT("o'hara+tag=x@mail.example.org"),
    TEXT("jane@b\xc3\xbc"
         "cher.example"),
    TEXT("jane@\xe4\xbe\x8b\xe3\x81\x88.jp"),
    TEXT("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@"
         "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb."
         "ccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc."
         "ddddddddddddddddddddddddddddddddddddddddddddddddddddddddd.org"),
};

/* The spans of struct message_parts; the first ones take any text. */
#define FIELD(name)                                                            \
    {                                                                          \
#name, offsetof(struct message_parts, name)                            \
    }
static const struct {
    const char *name;
    size_t offset;
} fields[] = {
    FIELD(subject),  FIELD(from_name),  FIELD(to_name),    FIELD(list_name),
    FIELD(text),     FIELD(html),       FIELD(from_email), FIELD(to_email),
    FIELD(reply_to), FIELD(message_id), FIELD(thread_id),  FIELD(list_id),
};
enum { ANY_TEXT = 6 };

static struct span *field_of(struct message_parts *m, size_t i)
{
    return (struct span *)(void *)((char *)m + fields[i].offset);
}

/* --- writing ------------------------------------------------------------ */

struct corpus {
    const char *folder;
    FILE *json;
    int count;
};

static FILE *create(const char *folder, const char *name)
{
    char path[4096];
    FILE *file = NULL;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    file = fopen(path, "wb");
    if (file == NULL) {
        perror(path);
        exit(1);
    }
    return file;
}

static void put_hex(FILE *json, struct span s)
{
    putc('"', json);
    for (size_t i = 0; i < s.len; i++) {
        fprintf(json, "%02x", (unsigned char)s.ptr[i]);
    }
    putc('"', json);
}

static void put_entry(struct corpus *c, struct message_parts *m,
                      const char *name)
{
    FILE *json = c->json;

    fprintf(json, "%s{\"file\": \"%s\", \"parts\": {", c->count ? ",\n" : "[\n",
            name);
    for (size_t i = 0; i < COUNT(fields); i++) {
        fprintf(json, "%s\"%s\": ", i > 0 ? ", " : "", fields[i].name);
        put_hex(json, *field_of(m, i));
    }
    fprintf(json, "}, \"date_us\": %lld, \"precedence_bulk\": %s, \"extra\": [",
            (long long)m->date_us, m->precedence_bulk ? "true" : "false");
    for (size_t i = 0; i < m->extra_count; i++) {
        fputs(i > 0 ? ", [" : "[", json);
        put_hex(json, m->extra[i].name);
        fputs(", ", json);
        put_hex(json, m->extra[i].value);
        putc(']', json);
    }
    fputs("]}", json);
}

static void put_message(struct corpus *c, struct message_parts *m)
{
    char name[32];
    FILE *file = NULL;
    struct buf out;

    snprintf(name, sizeof(name), "%04d.eml", c->count);
    put_entry(c, m, name);
    buf_init(&out, 0);
    if (!message_write(&out, m)) {
        fprintf(stderr, "%s: no room\n", name);
        exit(1);
    }
    file = create(c->folder, name);
    if (fwrite(out.data, 1, out.len, file) != out.len || fclose(file) != 0) {
        perror(name);
        exit(1);
    }
    buf_release(&out);
    c->count++;
}

/* --- what goes in ------------------------------------------------------- */

static const struct message_parts usual = {
    .from_name = TEXT("Build Service"),
    .from_email = TEXT("builds@example.org"),
    .to_name = TEXT("Jane Q. Doe"),
    .to_email = TEXT("jane@example.com"),
    .reply_to = TEXT("help@example.org"),
    .subject = TEXT("Build of kernel failed"),
    .text = TEXT("It failed.\n"),
    .html = TEXT("<p>It failed.</p>\n"),
    .message_id = TEXT("7.42@notify.example.org"),
    .thread_id = TEXT("thread.kernel@notify.example.org"),
    .list_id = TEXT("builds.notify.example.org"),
    .list_name = TEXT("Builds"),
    .date_us = 1795356309500000LL,
};

static void put_each_text_in_each_field(struct corpus *c)
{
    for (size_t t = 0; t < COUNT(texts); t++) {
        const struct message_header extra = {SPAN_LIT("X-Extra"), texts[t]};
        struct message_parts parts = usual;

        for (size_t f = 0; f < COUNT(fields); f++) {
            parts = usual;
            *field_of(&parts, f) = texts[t];
            put_message(c, &parts);
        }
        parts = usual;
        parts.extra = &extra;
        parts.extra_count = 1;
        put_message(c, &parts);
    }
    for (size_t a = 0; a < COUNT(addresses); a++) {
        struct message_parts parts = usual;

        parts.from_email = addresses[a];
        parts.to_email = addresses[a];
        parts.reply_to = addresses[a];
        put_message(c, &parts);
    }
}

/* xorshift64: the same numbers in every run. */
static unsigned number_below(unsigned limit)
{
    static uint64_t state = 88172645463325252ULL;

    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (unsigned)(state >> 33) % limit;
}

static struct span mixture(struct buf *memory)
{
    size_t begin = memory->len;

    for (unsigned n = number_below(PIECES_MAX); n > 0; n--) {
        struct span text = texts[number_below(COUNT(texts))];

        buf_put(memory, text.ptr, text.len > 80 ? text.len % 80 : text.len);
    }
    return span_make(memory->data + begin, memory->len - begin);
}

static void put_mixtures(struct corpus *c)
{
    struct buf memory;

    buf_init(&memory, 0);
    /* Room for all at once, because the spans point into it. */
    for (int i = 0; i < MIXTURES && buf_room(&memory, 1024 * 1024); i++) {
        struct message_parts parts = usual;
        struct message_header extra[2] = {{SPAN_LIT("X-One"), SPAN_NONE},
                                          {SPAN_LIT("X-Two"), SPAN_NONE}};

        buf_clear(&memory);
        for (size_t f = 0; f < ANY_TEXT; f++) {
            *field_of(&parts, f) = mixture(&memory);
        }
        parts.to_email = addresses[number_below(COUNT(addresses))];
        parts.date_us = (int64_t)number_below(1u << 30) * 2000000 + 1;
        parts.precedence_bulk = number_below(2) == 1;
        extra[0].value = mixture(&memory);
        extra[1].value = mixture(&memory);
        parts.extra = extra;
        parts.extra_count = number_below(3);
        put_message(c, &parts);
    }
    buf_release(&memory);
}

int main(int argc, char **argv)
{
    struct corpus c = {.folder = argc == 2 ? argv[1] : NULL};

    if (c.folder == NULL) {
        fputs("usage: mail_corpus FOLDER\n", stderr);
        return 2;
    }
    c.json = create(c.folder, "corpus.json");
    put_each_text_in_each_field(&c);
    put_mixtures(&c);
    fputs("\n]\n", c.json);
    if (fclose(c.json) != 0) {
        perror("corpus.json");
        return 1;
    }
    printf("%d messages\n", c.count);
    return 0;
}
