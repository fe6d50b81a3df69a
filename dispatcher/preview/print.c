/*
 * print - previews on a terminal.
 */
#include "preview/print.h"

#include <unistd.h>

#include "mail/chars.h"

/* ---- bytes ------------------------------------------------------------- */

/* C0 without tab and line feed, DEL, and C1 (U+0080 to U+009F) as UTF-8. */
static bool is_control(const char *at, size_t length)
{
    const unsigned char first = (unsigned char)at[0];

    if (length == 2) {
        return first == 0xc2 && (unsigned char)at[1] < 0xa0;
    }
    return first != '\t' && first != '\n' && (first < 0x20 || first == 0x7f);
}

static void put_shown(struct span text, FILE *out)
{
    const char *end = text.ptr + text.len;

    for (const char *at = text.ptr; at < end;) {
        bool ok = false;
        const size_t length = utf8_length(at, end, &ok);

        if (ok && !is_control(at, length)) {
            fwrite(at, 1, length, out);
        } else {
            for (size_t i = 0; i < length; i++) {
                fprintf(out, "\\x%02x", (unsigned)(unsigned char)at[i]);
            }
        }
        at += length;
    }
}

static void put_bytes(struct span text, FILE *out)
{
    if (text.len == 0) {
        return;
    }
    if (isatty(fileno(out))) {
        put_shown(text, out);
    } else {
        fwrite(text.ptr, 1, text.len, out);
    }
}

/* ---- letters ----------------------------------------------------------- */

/* The header section without its CRs, up to the empty line. The message is
 * ours: 7-bit, each line ends with CRLF. */
static void put_headers(struct span message, FILE *out)
{
    const char *at = message.ptr;
    const char *const end = at + message.len;

    while (at < end && *at != '\r') {
        const char *eol = memchr(at, '\r', (size_t)(end - at));

        eol = eol ? eol : end;
        fprintf(out, "%.*s\n", (int)(eol - at), at);
        at = eol + 2;
    }
}

static void print_summary(const struct preview_letter *letter, FILE *out)
{
    fputs("Subject, decoded: ", out);
    put_shown(letter->subject, out);
    fprintf(out, "\nMessage: %zu bytes; text %zu, HTML %zu\n\n",
            letter->message.len, letter->text.len, letter->html.len);
    put_headers(buf_view(&letter->message), out);
    fputc('\n', out);
    put_shown(letter->text, out);
}

void print_letter(const struct preview_letter *letter, enum print_part part,
                  FILE *out)
{
    switch (part) {
    case PRINT_SUMMARY: print_summary(letter, out); break;
    case PRINT_TEXT: put_bytes(letter->text, out); break;
    case PRINT_HTML: put_bytes(letter->html, out); break;
    case PRINT_MESSAGE: put_bytes(buf_view(&letter->message), out); break;
    }
}

/* ---- types ------------------------------------------------------------- */

static void print_samples(const struct event_type *type, FILE *out)
{
    const struct contract *c = type->contract;

    fputs("      ", out);
    for (size_t i = 0; i < c->sample_count; i++) {
        const struct span name = c->samples[i].name;
        const bool is_word = memchr(name.ptr, ' ', name.len) == NULL;

        fputs(i > 0 ? ", " : "", out);
        fputs(is_word ? "" : "\"", out);
        put_shown(name, out);
        fputs(is_word ? "" : "\"", out);
    }
    fputs(preview_has_together(type) ? ", " PREVIEW_TOGETHER "\n" : "\n", out);
}

void print_types(const struct preview *p, FILE *out)
{
    struct span group = SPAN_NONE;
    size_t broken = 0;

    for (size_t i = 0; i < catalog_count(p->catalog); i++) {
        const struct event_type *type = catalog_at(p->catalog, i);

        broken += type->fault != NULL;
        if (!preview_is_shown(type) || type->fault != NULL) {
            continue;
        }
        if (!span_equal(group, preview_group(p, type))) {
            group = preview_group(p, type);
            fprintf(out, "%.*s\n", SPAN_ARG(group));
        }
        fprintf(out, "  %.*s - ", SPAN_ARG(type->name));
        put_shown(type->contract->description, out);
        fputc('\n', out);
        print_samples(type, out);
    }
    for (size_t i = 0; broken > 0 && i < catalog_count(p->catalog); i++) {
        const struct event_type *type = catalog_at(p->catalog, i);

        if (type->fault != NULL) {
            fprintf(out, "broken: %.*s - %s\n", SPAN_ARG(type->name),
                    type->fault);
        }
    }
}
