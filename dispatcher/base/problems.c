/*
 * problems - what is wrong with files that people wrote, all of it at once.
 */
#include "base/problems.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"

void problems_init(struct problems *p)
{
    *p = (struct problems){0};
}

void problems_release(struct problems *p)
{
    for (size_t i = 0; i < p->count; i++) {
        mem_free(p->items[i].file);
        mem_free(p->items[i].text);
    }
    mem_free(p->items);
    problems_init(p);
}

void problems_add(struct problems *p, enum severity severity, const char *file,
                  int line, const char *format, ...)
{
    char text[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    p->items = mem_realloc(p->items, (p->count + 1) * sizeof(*p->items));
    p->items[p->count++] = (struct problem){
        .severity = severity,
        .file = mem_strdup(file),
        .line = line,
        .text = mem_strdup(text),
    };
    p->errors += severity == SEVERITY_ERROR;
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
                it->severity == SEVERITY_ERROR ? "error" : "warning", it->text);
    }
}
