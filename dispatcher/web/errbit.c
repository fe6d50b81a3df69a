/*
 * errbit - reports as Airbrake v3 notices, as Errbit takes them.
 *
 * The fields are those that Errbit's API v3 reads (its notice parser) and
 * that airbrake-ruby sends. The key goes into the header X-Airbrake-Token,
 * because a URL ends up in logs.
 */
#include "web/errbit.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/mem.h"

#define NOTIFIER_URL "about:postbatch"

enum { NAME_MAX_BYTES = 255 };

/* ---- parts of a notice ------------------------------------------------- */

/* The most of text that fits into so many bytes and ends with a whole
 * character; what is no UTF-8 becomes "?". */
static json_t *text_json(const char *text, size_t most)
{
    size_t len = text ? strnlen(text, most + 1) : 0;
    json_t *value = NULL;
    char *copy = NULL;

    if (len > most) {
        len = most;
        while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80) {
            len--;
        }
    }
    value = json_stringn(text ? text : "", len);
    if (value != NULL) {
        return value;
    }
    copy = mem_strndup(text, len);
    for (char *p = copy; *p != '\0'; p++) {
        *p = (unsigned char)*p < 0x80 ? *p : '?';
    }
    value = json_stringn(copy, len);
    mem_free(copy);
    return value;
}

static json_t *time_json(int64_t us)
{
    time_t seconds = (time_t)(us / 1000000);
    struct tm tm;
    char text[40] = "";

    if (gmtime_r(&seconds, &tm) != NULL) {
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
    }
    return json_string(text);
}

/* "html.mustache:7" as the one frame there is; empty without a file. */
static json_t *backtrace_json(const struct report *r)
{
    json_t *frames = json_array();
    const char *colon = r->file ? strrchr(r->file, ':') : NULL;
    int line = colon ? atoi(colon + 1) : 0;
    size_t len = r->file ? strlen(r->file) : 0;

    if (r->file == NULL || r->file[0] == '\0') {
        return frames;
    }
    if (line > 0) {
        len = (size_t)(colon - r->file);
    }
    json_array_append_new(
        frames,
        json_pack(
            "{s:o, s:i, s:o}", "file",
            text_json(r->file, len < NAME_MAX_BYTES ? len : NAME_MAX_BYTES),
            "line", line > 0 ? line : 1, "function",
            text_json(r->action, NAME_MAX_BYTES)));
    return frames;
}

static json_t *context_json(const struct errbit_settings *s,
                            const struct report *r)
{
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:s}", "environment",
        text_json(s->environment, NAME_MAX_BYTES), "hostname",
        text_json(s->host, NAME_MAX_BYTES), "component",
        text_json(r->component, NAME_MAX_BYTES), "action",
        text_json(r->action, NAME_MAX_BYTES), "version",
        text_json(s->version, NAME_MAX_BYTES), "severity",
        text_json(r->is_over ? "info" : r->severity, NAME_MAX_BYTES),
        "language", "C", "os", "Linux");
}

static json_t *params_json(const struct report *r)
{
    json_t *params =
        json_loads(r->params ? r->params : "{}", JSON_REJECT_DUPLICATES, NULL);

    if (!json_is_object(params)) {
        json_decref(params);
        params = json_object();
    }
    json_object_set_new(params, "cause", text_json(r->cause, NAME_MAX_BYTES));
    json_object_set_new(params, "count", json_integer(r->count));
    json_object_set_new(params, "first_at", time_json(r->first_us));
    json_object_set_new(params, "last_at", time_json(r->last_us));
    json_object_set_new(params, "is_over", json_boolean(r->is_over));
    return params;
}

static json_t *notice_json(const struct errbit_settings *s,
                           const struct report *r)
{
    return json_pack(
        "{s:{s:s, s:o, s:s}, s:[{s:o, s:o, s:o}], s:o, s:o, s:{}, s:{}}",
        "notifier", "name", "postbatch", "version",
        text_json(s->version, NAME_MAX_BYTES), "url", NOTIFIER_URL, "errors",
        "type", text_json(r->kind, NAME_MAX_BYTES), "message",
        text_json(r->message, ERRBIT_MESSAGE_MAX), "backtrace",
        backtrace_json(r), "context", context_json(s, r), "params",
        params_json(r), "environment", "session");
}

/* ---- keeping to the limit ---------------------------------------------- */

/* Cuts all texts in value to so many bytes. Our own params are two levels
 * deep; what is nested deeper than the bound goes. */
static void cut_texts(json_t *value, size_t most, int depth)
{
    const char *key = NULL;
    json_t *item = NULL;
    size_t i = 0;

    if (depth == 0 && json_is_object(value)) {
        json_object_clear(value);
    } else if (depth == 0 && json_is_array(value)) {
        json_array_clear(value);
    }
    json_object_foreach(value, key, item)
    {
        cut_texts(item, most, depth - 1);
    }
    json_array_foreach(value, i, item)
    {
        cut_texts(item, most, depth - 1);
    }
    if (json_is_string(value) && json_string_length(value) > most) {
        json_t *cut = text_json(json_string_value(value), most);

        json_string_setn(value, json_string_value(cut),
                         json_string_length(cut));
        json_decref(cut);
    }
}

char *errbit_notice(const struct errbit_settings *settings,
                    const struct report *report)
{
    static const size_t cuts[] = {10000, 1000, 100};
    json_t *notice = notice_json(settings, report);
    json_t *params = json_object_get(notice, "params");
    char *text = json_dumps(notice, JSON_COMPACT);

    for (size_t i = 0; i <= sizeof(cuts) / sizeof(cuts[0]) && text != NULL &&
                       strlen(text) > ERRBIT_NOTICE_MAX;
         i++) {
        free(text);
        if (i < sizeof(cuts) / sizeof(cuts[0])) {
            cut_texts(params, cuts[i], 4);
        } else {
            json_object_clear(params);
            json_object_set_new(params, "left_out", json_true());
        }
        text = json_dumps(notice, JSON_COMPACT);
    }
    json_decref(notice);
    return text;
}

/* ---- sending ----------------------------------------------------------- */

struct web_call *errbit_send(struct web_client *client,
                             const struct errbit_settings *settings,
                             const struct report *report, web_answer_fn *fn,
                             void *ctx)
{
    size_t len = strlen(settings->url);
    char *notice = errbit_notice(settings, report);
    char *url = NULL;
    char *token = mem_printf("X-Airbrake-Token: %s", settings->api_key);
    const char *const headers[] = {"Content-Type: application/json",
                                   "Accept: application/json", token, NULL};
    struct web_request request = {
        .post = notice,
        .headers = headers,
        .ca_file = settings->ca_file,
        .timeout_ms = settings->timeout_ms,
    };
    struct web_call *call = NULL;

    while (len > 0 && settings->url[len - 1] == '/') {
        len--;
    }
    url = mem_printf("%.*s/api/v3/projects/%s/notices", (int)len, settings->url,
                     settings->project_id);
    request.url = url;
    call = web_client_send(client, &request, fn, ctx);
    explicit_bzero(token, strlen(token));
    mem_free(token);
    mem_free(url);
    free(notice);
    return call;
}

/* ---- answers ----------------------------------------------------------- */

/* The first row that fits: from <= status <= to. */
static const struct {
    int from;
    int to;
    struct errbit_ruling ruling;
} rulings[] = {
    {0, 0, {ERRBIT_AGAIN, "check that it runs and can be reached"}},
    {200, 299, {ERRBIT_TOLD, ""}},
    {300,
     399,
     {ERRBIT_MEND, "report.errbit_url is answered with a redirection: set it "
                   "to where that leads"}},
    {400,
     400,
     {ERRBIT_REFUSED, "it calls the notice invalid: is it an Errbit that "
                      "speaks API v3?"}},
    {401, 403, {ERRBIT_MEND, "check report.errbit_api_key"}},
    {404,
     405,
     {ERRBIT_MEND, "check report.errbit_url and report.errbit_project_id"}},
    {408, 408, {ERRBIT_AGAIN, "it was slow; nothing to do unless it stays so"}},
    {413, 414, {ERRBIT_REFUSED, "it takes no notice of this size"}},
    {422,
     422,
     {ERRBIT_MEND, "it does not know the key: check report.errbit_api_key; or "
                   "it asks for a newer app version: change that there"}},
    {429, 429, {ERRBIT_AGAIN, "it wants fewer: lower report.per_minute"}},
    {400, 499, {ERRBIT_REFUSED, "look at its log"}},
    {0, 999, {ERRBIT_AGAIN, "look at its log"}},
};

struct errbit_ruling errbit_judge(const struct web_answer *answer)
{
    size_t i = 0;

    while (answer->status < rulings[i].from || answer->status > rulings[i].to) {
        i++;
        if (i + 1 == sizeof(rulings) / sizeof(rulings[0])) {
            break;
        }
    }
    return rulings[i].ruling;
}
