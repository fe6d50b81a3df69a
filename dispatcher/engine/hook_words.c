/*
 * hook_words - a command line split into words, without a shell: what a
 * report holds must never be looked at by one.
 */
#include <string.h>

#include "base/mem.h"
#include "engine/hook.h"

/* A walk over the command line. */
struct words {
    const char *at;
    struct buf word;
    char **list;
    size_t count;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n';
}

/* What stands between quotes; at is behind the first of them. False: the
 * second is missing. */
static bool read_quoted(struct words *w, char quote)
{
    for (; *w->at != '\0'; w->at++) {
        if (*w->at == quote) {
            w->at++;
            return true;
        }
        if (quote == '"' && *w->at == '\\' &&
            (w->at[1] == '"' || w->at[1] == '\\')) {
            w->at++;
        }
        buf_putc(&w->word, *w->at);
    }
    return false;
}

static bool read_word(struct words *w)
{
    while (*w->at != '\0' && !is_blank(*w->at)) {
        char c = *w->at++;

        if (c == '\'' || c == '"') {
            if (!read_quoted(w, c)) {
                return false;
            }
        } else if (c == '\\' && *w->at != '\0') {
            buf_putc(&w->word, *w->at++);
        } else {
            buf_putc(&w->word, c);
        }
    }
    return true;
}

static void keep_word(struct words *w)
{
    w->list = mem_realloc(w->list, (w->count + 2) * sizeof(*w->list));
    w->list[w->count++] = mem_strdup(buf_cstr(&w->word));
    w->list[w->count] = NULL;
    buf_clear(&w->word);
}

void hook_words_free(char **words)
{
    for (size_t i = 0; words != NULL && words[i] != NULL; i++) {
        mem_free(words[i]);
    }
    mem_free(words);
}

char **hook_words(const char *command, const char **why)
{
    struct words w = {.at = command};
    bool is_sound = true;

    buf_init(&w.word, 0);
    while (is_sound) {
        while (is_blank(*w.at)) {
            w.at++;
        }
        if (*w.at == '\0') {
            break;
        }
        is_sound = read_word(&w);
        if (is_sound) {
            keep_word(&w);
        }
    }
    buf_release(&w.word);
    if (is_sound && w.count > 0) {
        return w.list;
    }
    *why = is_sound ? "it is empty" : "a quote has no end";
    hook_words_free(w.list);
    return NULL;
}
