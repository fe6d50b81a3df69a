/*
 * site - what the preview's page asks for: a table of paths.
 */
#include "preview/site.h"

#include <string.h>

#include "base/embed.h"
#include "mail/rehearsal.h"
#include "preview/scheme.h"
#include "preview/site_json.h"

enum {
    NEWS_HELD_MS = 25000,
    ANSWER_MAX = 64 * 1024 * 1024, /* a letter of 4 MiB, written as JSON */
};

/* The page loads its own two files, talks to its own server and frames its
 * own letters; nothing else. */
static const char page_policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; frame-src 'self'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'";

/* A letter is what strangers wrote: its styles count, and nothing else. Same
 * origin, so that the page can measure its height; without scripts that
 * gives the letter nothing. */
static const char letter_policy[] =
    "sandbox allow-same-origin; default-src 'none'; "
    "style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'";

/* ---- loading ----------------------------------------------------------- */

static void load(struct site *site, const struct settings *settings,
                 const char *folder)
{
    preview_load(&site->preview, settings, folder);
    rehearse(site->preview.composer, site->preview.catalog,
             &site->preview.problems);
    site->loaded++;
}

void site_init(struct site *site, const struct settings *settings,
               const char *folder)
{
    *site = (struct site){0};
    load(site, settings, folder);
}

void site_release(struct site *site)
{
    preview_release(&site->preview);
}

void site_reload(struct site *site)
{
    const struct settings *settings = site->preview.settings;
    const char *folder = site->preview.folder;

    preview_release(&site->preview);
    load(site, settings, folder);
}

/* ---- answers ----------------------------------------------------------- */

static void reply(struct web_exchange *x, int status, const char *type,
                  const char *policy, struct buf *body)
{
    const bool is_whole = buf_ok(body);

    web_exchange_reply(
        x, &(struct web_reply){
               .status = is_whole ? status : 500,
               .type = is_whole ? type : "text/plain; charset=utf-8",
               .policy = policy,
               .body = is_whole ? buf_view(body) : SPAN_LIT("too large\n")});
}

static void reply_missing(struct web_exchange *x)
{
    web_exchange_reply(x, &(struct web_reply){.status = 404,
                                              .type = "text/plain",
                                              .body = SPAN_LIT("not here\n")});
}

/* Composes the letter that is asked for; gives its type, or NULL. */
static const struct event_type *compose(struct site *site,
                                        struct web_exchange *x,
                                        struct preview_letter *letter)
{
    const struct event_type *type = preview_type(
        &site->preview, span_of(web_exchange_param(x, "type")), &letter->why);
    const struct span sample = span_of(web_exchange_param(x, "sample"));

    if (type == NULL || !preview_sample(&site->preview, type, sample,
                                        trial_recipient(), letter)) {
        return NULL;
    }
    return type;
}

static void on_file(struct site *site, struct web_exchange *x)
{
    static const struct {
        const char *path;
        const char *file;
        const char *type;
    } files[] = {
        {"/", "page/index.html", "text/html; charset=utf-8"},
        {"/page.css", "page/page.css", "text/css; charset=utf-8"},
        {"/page.js", "page/page.js", "text/javascript; charset=utf-8"},
    };

    (void)site;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        if (strcmp(web_exchange_path(x), files[i].path) == 0) {
            const struct embed_file *f = embed_require(files[i].file);

            web_exchange_reply(
                x, &(struct web_reply){.status = 200,
                                       .type = files[i].type,
                                       .policy = page_policy,
                                       .body = span_make(f->data, f->size)});
            return;
        }
    }
    reply_missing(x);
}

static void on_types(struct site *site, struct web_exchange *x)
{
    struct buf body;

    buf_init(&body, ANSWER_MAX);
    site_json_types(&body, site);
    reply(x, 200, "application/json", NULL, &body);
    buf_release(&body);
}

static void on_letter(struct site *site, struct web_exchange *x)
{
    struct preview_letter letter;
    struct buf body;
    const struct event_type *type = NULL;

    preview_letter_init(&letter);
    buf_init(&body, ANSWER_MAX);
    type = compose(site, x, &letter);
    if (type != NULL) {
        site_json_letter(&body, site, &letter, type,
                         span_of(web_exchange_param(x, "sample")));
    } else {
        site_json_fault(&body, site, &letter);
    }
    reply(x, type ? 200 : 422, "application/json", NULL, &body);
    buf_release(&body);
    preview_letter_release(&letter);
}

static void on_html(struct site *site, struct web_exchange *x)
{
    struct preview_letter letter;
    struct buf body;
    const char *type = "text/html; charset=utf-8";
    int status = 200;

    preview_letter_init(&letter);
    buf_init(&body, ANSWER_MAX);
    if (compose(site, x, &letter) != NULL) {
        scheme_force(&body, letter.html,
                     scheme_of(span_of(web_exchange_param(x, "scheme"))));
    } else {
        buf_span(&body, buf_view(&letter.why));
        type = "text/plain; charset=utf-8";
        status = 422;
    }
    reply(x, status, type, letter_policy, &body);
    buf_release(&body);
    preview_letter_release(&letter);
}

static void on_eml(struct site *site, struct web_exchange *x)
{
    struct preview_letter letter;
    const char *type = "message/rfc822";
    int status = 200;

    preview_letter_init(&letter);
    if (compose(site, x, &letter) == NULL) {
        buf_clear(&letter.message);
        buf_span(&letter.message, buf_view(&letter.why));
        type = "text/plain; charset=utf-8";
        status = 422;
    }
    reply(x, status, type, NULL, &letter.message);
    preview_letter_release(&letter);
}

static void on_news(struct site *site, struct web_exchange *x)
{
    char seen[24];
    struct buf body;

    buf_wrap(&body, seen, sizeof(seen));
    buf_i64(&body, site->loaded);
    if (!web_exchange_was_held(x) &&
        span_is(buf_view(&body), web_exchange_param(x, "seen"))) {
        web_exchange_hold(x, NEWS_HELD_MS);
        return;
    }
    reply(x, 200, "application/json", NULL, &body);
}

void site_handle(void *ctx, struct web_exchange *x)
{
    static const struct {
        const char *path;
        void (*answer)(struct site *site, struct web_exchange *x);
    } routes[] = {
        {"/types", on_types},      {"/letter", on_letter},
        {"/letter.html", on_html}, {"/letter.eml", on_eml},
        {"/news", on_news},
    };

    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        if (strcmp(web_exchange_path(x), routes[i].path) == 0) {
            routes[i].answer(ctx, x);
            return;
        }
    }
    on_file(ctx, x);
}
