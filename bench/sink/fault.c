/*
 * fault - rules that say when the sink misbehaves, and how.
 *
 * Most runs have no rules, so faults_find first asks a word of bits.
 */
#include "bench/sink/fault.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

static const char *const verb_names[FAULT_VERBS] = {
    [FAULT_CONNECT] = "connect",   [FAULT_EHLO] = "ehlo",
    [FAULT_STARTTLS] = "starttls", [FAULT_AUTH] = "auth",
    [FAULT_MAIL] = "mail",         [FAULT_RCPT] = "rcpt",
    [FAULT_DATA] = "data",         [FAULT_CONTENT] = "content",
    [FAULT_RSET] = "rset",         [FAULT_QUIT] = "quit",
    [FAULT_ANY] = "any",
};

static const struct {
    const char *name;
    enum fault_action action;
} actions[] = {
    {"drop", FAULT_DROP},       {"drop-after", FAULT_DROP_AFTER},
    {"stall", FAULT_STALL},     {"stall-after", FAULT_STALL_AFTER},
    {"garbage", FAULT_GARBAGE}, {"reset", FAULT_RESET},
    {"cut", FAULT_CUT},
};

void faults_init(struct faults *f, uint64_t seed)
{
    *f = (struct faults){.dice = seed};
}

void faults_release(struct faults *f)
{
    for (size_t i = 0; i < f->count; i++) {
        mem_free(f->rules[i].rule);
        mem_free(f->rules[i].match);
        mem_free(f->rules[i].text);
    }
    mem_free(f->rules);
    *f = (struct faults){0};
}

static bool parse_number(const char *text, const char **end, uint64_t *number)
{
    char *stop = NULL;

    if (!isdigit((unsigned char)*text)) {
        return false;
    }
    *number = strtoull(text, &stop, 10);
    *end = stop;
    return *number > 0;
}

/* "5", "5-9", "every:3", "rate:0.01"; the whole text. */
static bool parse_when(struct fault *f, const char *text)
{
    const char *end = text;

    if (strncmp(text, "every:", 6) == 0) {
        f->when = FAULT_EVERY;
        return parse_number(text + 6, &end, &f->first) && *end == '\0';
    }
    if (strncmp(text, "rate:", 5) == 0) {
        char *stop = NULL;

        f->when = FAULT_RATE;
        f->rate = strtod(text + 5, &stop);
        return stop != text + 5 && *stop == '\0' && f->rate >= 0 &&
               f->rate <= 1;
    }
    f->when = FAULT_RANGE;
    if (!parse_number(text, &end, &f->first)) {
        return false;
    }
    f->last = f->first;
    if (*end == '-') {
        return parse_number(end + 1, &end, &f->last) && *end == '\0' &&
               f->last >= f->first;
    }
    return *end == '\0';
}

/* "rcpt~smith@3-5" without the "=ACTION"; key is scratch. */
static bool parse_key(struct fault *f, char *key, const char **why)
{
    size_t len = strcspn(key, "~@ ");
    char *when = NULL;

    for (int i = 0; i < FAULT_VERBS; i++) {
        size_t n = strlen(verb_names[i]);

        /* "contentevery:3" is as clear as "content@every:3". */
        if (strncmp(key, verb_names[i], n) == 0 &&
            (n == len || strncmp(key + n, "every:", 6) == 0 ||
             strncmp(key + n, "rate:", 5) == 0)) {
            f->verb = (enum fault_verb)i;
            key += n;
            break;
        }
        f->verb = FAULT_VERBS;
    }
    *why = "unknown verb";
    if (f->verb == FAULT_VERBS) {
        return false;
    }
    if (*key == '~') {
        /* The substring may itself have an "@": the last one is ours when a
         * time follows it. */
        key++;
        when = strrchr(key, '@');
        if (when != NULL && !parse_when(f, when + 1)) {
            f->when = FAULT_ALWAYS;
            when = NULL;
        }
        f->match = mem_strndup(key, when ? (size_t)(when - key) : strlen(key));
        return true;
    }
    *why = "not a time: N, N-M, every:K or rate:P";
    key += *key == '@' || *key == ' ';
    return *key == '\0' || parse_when(f, key);
}

/* A reply as it goes over the wire; "\n" between lines was written as \ n. */
static char *wire_text(const char *text)
{
    struct buf b;

    buf_init(&b, 0);
    for (const char *p = text; *p != '\0'; p++) {
        if (p[0] == '\\' && p[1] == 'n') {
            buf_puts(&b, "\r\n");
            p++;
        } else {
            buf_putc(&b, *p);
        }
    }
    buf_puts(&b, "\r\n");
    return buf_take(&b);
}

static bool take_word(const char **text, const char *word)
{
    size_t n = strlen(word);

    if (strncmp(*text, word, n) != 0 ||
        ((*text)[n] != '\0' && (*text)[n] != ' ')) {
        return false;
    }
    *text += n;
    *text += strspn(*text, " ");
    return true;
}

static bool parse_action(struct fault *f, const char *text, const char **why)
{
    struct {
        const char *word;
        bool *flag;
    } flags[] = {{"split", &f->split},
                 {"fin", &f->fin},
                 {"extra", &f->extra},
                 {"noswallow", &f->noswallow}};
    bool again = true;

    while (again) {
        again = false;
        for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
            if (take_word(&text, flags[i].word)) {
                *flags[i].flag = true;
                again = true;
            }
        }
    }
    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
        if (strcmp(text, actions[i].name) == 0) {
            f->action = actions[i].action;
            return true;
        }
    }
    if (*text == '\0') {
        *why = "no action";
        return f->split || f->fin || f->extra || f->noswallow;
    }
    *why = "neither an action nor a reply that begins with three digits";
    if (strspn(text, "0123456789") != 3) {
        return false;
    }
    f->action = f->extra ? FAULT_NONE : FAULT_REPLY;
    f->text = wire_text(
        strcmp(text, "421") == 0 ? "421 4.3.2 Service shutting down" : text);
    return true;
}

bool faults_add(struct faults *f, const char *rule, const char **why)
{
    struct fault fresh = {.rule = mem_strdup(rule)};
    const char *equals = strchr(rule, '=');
    bool good = false;

    *why = "no \"=\"";
    if (equals != NULL) {
        char *key = mem_strndup(rule, (size_t)(equals - rule));

        good = parse_key(&fresh, key, why) &&
               parse_action(&fresh, equals + 1, why);
        mem_free(key);
    }
    if (!good) {
        mem_free(fresh.rule);
        mem_free(fresh.match);
        mem_free(fresh.text);
        return false;
    }
    f->rules = mem_realloc(f->rules, (f->count + 1) * sizeof(*f->rules));
    f->rules[f->count++] = fresh;
    f->verbs |= fresh.verb == FAULT_ANY ? ~0u : 1u << fresh.verb;
    return true;
}

/* A number from 0 to below 1 (an additive walk, mixed by multiplication). */
static double roll(struct faults *f)
{
    uint64_t x = f->dice += 0x9e3779b97f4a7c15u;

    x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93u;
    x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93u;
    return (double)((x ^ (x >> 32)) >> 11) / 9007199254740992.0;
}

static bool is_time(struct faults *f, const struct fault *rule, uint64_t number)
{
    switch (rule->when) {
    case FAULT_ALWAYS: return true;
    case FAULT_RANGE: return number >= rule->first && number <= rule->last;
    case FAULT_EVERY: return number % rule->first == 0;
    case FAULT_RATE: return roll(f) < rule->rate;
    }
    return false;
}

struct fault *faults_find(struct faults *f, enum fault_verb verb,
                          uint64_t number, uint64_t command, struct span about)
{
    if ((f->verbs & (1u << verb)) == 0) {
        return NULL;
    }
    for (size_t i = 0; i < f->count; i++) {
        struct fault *rule = &f->rules[i];
        bool any = rule->verb == FAULT_ANY;

        if ((!any && rule->verb != verb) ||
            (rule->match != NULL && memmem(about.ptr, about.len, rule->match,
                                           strlen(rule->match)) == NULL)) {
            continue;
        }
        if (is_time(f, rule, any ? command : number)) {
            rule->hits++;
            return rule;
        }
    }
    return NULL;
}

bool fault_refuses(const struct fault *f)
{
    if (f == NULL) {
        return false;
    }
    switch (f->action) {
    case FAULT_NONE: return f->noswallow;
    case FAULT_REPLY: return f->text[0] == '4' || f->text[0] == '5';
    case FAULT_DROP_AFTER:
    case FAULT_STALL_AFTER: return false;
    case FAULT_DROP:
    case FAULT_STALL:
    case FAULT_GARBAGE:
    case FAULT_RESET:
    case FAULT_CUT: return true;
    }
    return false;
}
