/*
 * intake_fetch - the requests of the intake, and what comes back.
 *
 * A server of 2017 that holds the request (block=1) waits, too, when the
 * cursor is beyond its end, where it would answer at once otherwise; so a
 * request is only held right after one that was not and found all in order.
 */
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "engine/intake_inner.h"

enum { SHOWN_MAX = 80 }; /* bytes of an answer shown in an error */

static void refuse_status(struct intake *i, const struct web_answer *answer)
{
    struct span body = span_trim(answer->body);
    struct buf text;
    char *why = NULL;

    buf_init(&text, 0);
    body.len = body.len < SHOWN_MAX ? body.len : SHOWN_MAX;
    utf8_repair(&text, body);
    for (size_t k = 0; k < text.len; k++) {
        if (strchr("\t\r\n", text.data[k]) != NULL) {
            text.data[k] = ' '; /* an error is one line */
        }
    }
    why = mem_printf("the server answered with status %d, expected 200: %s",
                     answer->status, buf_cstr(&text));
    intake_fail(i, why);
    mem_free(why);
    buf_release(&text);
}

static void on_answer(void *ctx, const struct web_answer *answer)
{
    struct intake *i = ctx;

    i->call = NULL;
    if (answer->is_late && i->is_held) {
        i->may_hold = false; /* nothing new; or the server is gone: look */
        intake_fetch(i);
    } else if (answer->error != NULL) {
        intake_fail(i, answer->error);
    } else if (answer->status != 200) {
        refuse_status(i, answer);
    } else if (!obs_answer_read(&i->answer, i->settings.view, answer->body)) {
        char *why =
            mem_printf("the answer cannot be read: %s", i->answer.error);

        intake_fail(i, why);
        mem_free(why);
    } else if (i->next == 0) {
        intake_begin_at_end(i);
    } else {
        intake_keep(i);
    }
}

/* "start=0" asks where the end is. */
void intake_fetch(struct intake *i)
{
    const struct intake_settings *s = &i->settings;
    int len = (int)strlen(s->url);
    struct web_request request = {.ca_file = s->ca_file,
                                  .answer_max = s->answer_max};
    char *url = NULL;

    intake_enter(i, INTAKE_FETCHING);
    i->is_held = s->holds && !s->runs_once && i->may_hold && i->next > 0;
    len -= len > 0 && s->url[len - 1] == '/';
    url = mem_printf("%.*s/lastnotifications?start=%lld%s%s", len, s->url,
                     (long long)i->next,
                     s->view == OBS_VIEW_JSON ? "&view=json" : "",
                     i->is_held ? "&block=1" : "");
    request.url = url;
    request.connect_timeout_ms = s->timeout_ms;
    request.timeout_ms = i->is_held ? s->hold_timeout_ms : s->timeout_ms;
    i->began_ms = clock_monotonic_ms();
    i->call = web_client_send(i->client, &request, on_answer, i);
    mem_free(url);
}
