/*
 * mustache_trim - which tags stand alone on their lines.
 *
 * A section, comment, partial or such that has a line for itself leaves no
 * trace of it. A parent stands alone when nothing is before its opening tag
 * and nothing behind its closing tag: what lies between is not printed.
 */
#include "mail/mustache_scan.h"

size_t scan_head(const struct scan *s, size_t at)
{
    while (at > 0 &&
           (s->source.ptr[at - 1] == ' ' || s->source.ptr[at - 1] == '\t')) {
        at--;
    }
    return at == 0 || s->source.ptr[at - 1] == '\n' ? at : SIZE_MAX;
}

/* The start of the next line when nothing but space lies between at and it
 * (or the end of the source); else SIZE_MAX. */
static size_t line_rest(const struct scan *s, size_t at)
{
    while (at < s->source.len &&
           (s->source.ptr[at] == ' ' || s->source.ptr[at] == '\t')) {
        at++;
    }
    if (at == s->source.len) {
        return at;
    }
    if (s->source.ptr[at] == '\r' && at + 1 < s->source.len) {
        at++;
    }
    return s->source.ptr[at] == '\n' ? at + 1 : SIZE_MAX;
}

/* Takes the whole line of what stands from first->start to last->end, when
 * nothing else is on it. */
static void take_line(struct scan *s, struct tag *first, struct tag *last)
{
    size_t head = scan_head(s, first->start);
    size_t next = line_rest(s, last->end);

    if (next != SIZE_MAX && head != SIZE_MAX) {
        first->from = head;
        last->to = next;
        first->is_standalone = true;
        last->is_standalone = true;
    }
}

/* An argument's content begins on the line behind its tag, if the tag ends
 * its line, and ends before the space that indents its closing tag. */
static void take_argument(struct scan *s, struct tag *open, struct tag *close)
{
    size_t head = scan_head(s, close->start);
    size_t next = line_rest(s, open->end);

    open->is_standalone = true;
    close->is_standalone = true;
    if (next != SIZE_MAX && next <= close->start) {
        open->to = next;
    }
    if (head != SIZE_MAX && head >= open->to) {
        close->from = head;
    }
}

static void trim_tag(struct scan *s, struct tag *tag)
{
    switch (tag->kind) {
    case TAG_VALUE:
    case TAG_RAW: break;
    case TAG_SECTION:
    case TAG_INVERTED:
    case TAG_COMMENT:
    case TAG_DELIMITERS:
    case TAG_PARTIAL:
    case TAG_BLOCK: take_line(s, tag, tag); break;
    case TAG_PARENT: take_line(s, tag, &s->tags[tag->pair]); break;
    case TAG_ARGUMENT: take_argument(s, tag, &s->tags[tag->pair]); break;
    case TAG_CLOSE:
        if (s->tags[tag->pair].kind != TAG_PARENT &&
            s->tags[tag->pair].kind != TAG_ARGUMENT) {
            take_line(s, tag, tag);
        }
        break;
    }
}

void scan_trim(struct scan *s)
{
    for (size_t i = 0; i < s->count; i++) {
        trim_tag(s, &s->tags[i]);
    }
}
