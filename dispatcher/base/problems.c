/*
 * problems - what is wrong with files that people wrote, all of it at once.
 */
#include "base/problems.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"

const char *severity_name(enum severity severity)
{
    switch (severity) {
    case SEVERITY_NOTE: return "note";
    case SEVERITY_WARNING: return "warning";
    case SEVERITY_ERROR: return "error";
    }
    return "error";
}

void problems_init(struct problems *p)
{
    *p = (struct problems){0};
}

void problems_release(struct problems *p)
{
    for (size_t i = 0; i < p->count; i++) {
        mem_free(p->items[i].file);
        mem_free(p->items[i].text);
        mem_free(p->items[i].type);
        mem_free(p->items[i].key);
        mem_free(p->items[i].nearest);
    }
    mem_free(p->items);
    problems_init(p);
}

/* Names in it may come from anywhere; a problem is one line all the same. */
static void clean(char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f) {
            *text = '?';
        }
    }
}

void problems_add(struct problems *p, enum severity severity, const char *file,
                  int line, const char *format, ...)
{
    char text[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    clean(text);
    p->items = mem_realloc(p->items, (p->count + 1) * sizeof(*p->items));
    p->items[p->count++] = (struct problem){
        .severity = severity,
        .file = mem_strdup(file),
        .line = line,
        .text = mem_strdup(text),
    };
    p->errors += severity == SEVERITY_ERROR;
    p->warnings += severity == SEVERITY_WARNING;
}

static char *kept(struct span text)
{
    char *copy = text.len > 0 ? mem_strndup(text.ptr, text.len) : NULL;

    if (copy != NULL) {
        clean(copy);
    }
    return copy;
}

void problems_about(struct problems *p, struct span type, struct span key,
                    struct span nearest)
{
    struct problem *last = &p->items[p->count - 1];
    char *text = last->text;

    mem_free(last->type);
    mem_free(last->key);
    mem_free(last->nearest);
    last->type = kept(type);
    last->key = kept(key);
    last->nearest = kept(nearest);
    if (last->nearest != NULL) {
        last->text = mem_printf("%s; did you mean '%s'?", text, last->nearest);
        mem_free(text);
    }
}

void problems_print(const struct problems *p)
{
    for (size_t i = 0; i < p->count; i++) {
        const struct problem *it = &p->items[i];

        if (it->file != NULL) {
            fprintf(stderr, "%s:", it->file);
        }
        if (it->line > 0) {
            fprintf(stderr, "%d:", it->line);
        }
        fprintf(stderr, "%s%s: %s\n", it->file ? " " : "",
                severity_name(it->severity), it->text);
    }
}
