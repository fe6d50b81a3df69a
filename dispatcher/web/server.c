/*
 * server - a small HTTP server on the event loop, by libmicrohttpd.
 *
 * The daemon runs in epoll mode without threads: its one epoll descriptor is
 * watched, MHD_run does what there is to do, and the timer is set anew to
 * what the daemon asks for. Holding a request open is MHD's suspending; a
 * suspended connection is not watched at all, so each has a deadline here.
 */
#include "web/server.h"

#include <microhttpd.h>
#include <string.h>
#include <unistd.h>

#include "base/list.h"
#include "base/mem.h"
#include "web/listen.h"

enum {
    CONNECTIONS_MAX = 64,
    CONNECTION_MEMORY = 32 * 1024, /* a request line and headers: 431, 414 */
    CONNECTION_IDLE_S = 30,
    HELD_MAX = 32,
};

struct web_server {
    struct ev_loop *loop;
    struct MHD_Daemon *daemon;
    ev_io readable;
    ev_timer due;
    struct listening at;
    web_handler_fn *handle;
    void *ctx;
    struct list held; /* of web_exchange.node, oldest first */
    bool has_resumed; /* since the daemon began to run */
};

struct web_exchange {
    struct list_node node;
    struct web_server *server;
    struct MHD_Connection *connection;
    const char *path; /* valid while the handler runs */
    ev_timer deadline;
    bool was_held;
    bool is_answered; /* the handler replied, or held it */
    enum MHD_Result result;
};

/* ---- the loop ---------------------------------------------------------- */

static void run_daemon(struct web_server *s)
{
    MHD_UNSIGNED_LONG_LONG ms = 0;

    s->has_resumed = false;
    MHD_run(s->daemon);
    ev_timer_stop(s->loop, &s->due);
    /* It does not always ask to be run for what a handler has resumed. */
    if (s->has_resumed || MHD_get_timeout(s->daemon, &ms) == MHD_YES) {
        ev_timer_set(&s->due, (double)ms / 1000.0, 0.0);
        ev_timer_start(s->loop, &s->due);
    }
}

static void on_readable(struct ev_loop *loop, ev_io *w, int events)
{
    (void)loop;
    (void)events;
    run_daemon(w->data);
}

static void on_due(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)loop;
    (void)events;
    run_daemon(w->data);
}

/* ---- holding ----------------------------------------------------------- */

static void resume(struct web_exchange *x)
{
    struct web_server *s = x->server;

    list_remove(&s->held, &x->node);
    ev_timer_stop(s->loop, &x->deadline);
    MHD_resume_connection(x->connection);
    s->has_resumed = true;
    /* The daemon must run for it, though not from within a handler. */
    ev_timer_stop(s->loop, &s->due);
    ev_timer_set(&s->due, 0.0, 0.0);
    ev_timer_start(s->loop, &s->due);
}

static void on_deadline(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)loop;
    (void)events;
    resume(w->data);
}

void web_exchange_hold(struct web_exchange *x, int64_t most_ms)
{
    struct web_server *s = x->server;

    if (s->held.count == HELD_MAX) {
        resume(LIST_OF(list_first(&s->held), struct web_exchange, node));
    }
    list_append(&s->held, &x->node);
    x->was_held = true;
    x->is_answered = true;
    x->result = MHD_YES;
    ev_timer_init(&x->deadline, on_deadline, (double)most_ms / 1000.0, 0.0);
    x->deadline.data = x;
    ev_timer_start(s->loop, &x->deadline);
    MHD_suspend_connection(x->connection);
}

bool web_exchange_was_held(const struct web_exchange *x)
{
    return x->was_held;
}

void web_server_wake(struct web_server *s)
{
    while (!list_is_empty(&s->held)) {
        resume(LIST_OF(list_first(&s->held), struct web_exchange, node));
    }
}

/* ---- answers ----------------------------------------------------------- */

static const char nothing[] =
    "default-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'";

void web_exchange_reply(struct web_exchange *x, const struct web_reply *reply)
{
    const struct {
        const char *name;
        const char *value;
    } headers[] = {
        {MHD_HTTP_HEADER_CONTENT_TYPE, reply->type},
        {"Content-Security-Policy", reply->policy ? reply->policy : nothing},
        {"X-Content-Type-Options", "nosniff"},
        {"Referrer-Policy", "no-referrer"},
        {"Cross-Origin-Resource-Policy", "same-origin"},
        {"Cross-Origin-Opener-Policy", "same-origin"},
        {MHD_HTTP_HEADER_CACHE_CONTROL, "no-store"},
    };
    /* MHD copies the body; its parameter is not const for want of care. */
    struct MHD_Response *response = MHD_create_response_from_buffer(
        reply->body.len, (void *)(uintptr_t)reply->body.ptr,
        MHD_RESPMEM_MUST_COPY);

    x->is_answered = true;
    x->result = MHD_NO;
    if (response == NULL) {
        return;
    }
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        MHD_add_response_header(response, headers[i].name, headers[i].value);
    }
    if (reply->status == MHD_HTTP_METHOD_NOT_ALLOWED) {
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    }
    x->result =
        MHD_queue_response(x->connection, (unsigned)reply->status, response);
    MHD_destroy_response(response);
}

static void refuse(struct web_exchange *x, int status, const char *words)
{
    web_exchange_reply(x,
                       &(struct web_reply){.status = status,
                                           .type = "text/plain; charset=utf-8",
                                           .body = span_of(words)});
}

/* ---- requests ---------------------------------------------------------- */

const char *web_exchange_path(const struct web_exchange *x)
{
    return x->path;
}

const char *web_exchange_param(const struct web_exchange *x, const char *name)
{
    const char *value =
        MHD_lookup_connection_value(x->connection, MHD_GET_ARGUMENT_KIND, name);

    return value ? value : "";
}

static void answer(struct web_exchange *x, const char *method)
{
    struct web_server *s = x->server;
    const char *host = MHD_lookup_connection_value(
        x->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST);

    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 &&
        strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        refuse(x, MHD_HTTP_METHOD_NOT_ALLOWED, "GET and HEAD only\n");
    } else if (!listening_is_meant(&s->at, host)) {
        refuse(x, MHD_HTTP_MISDIRECTED_REQUEST,
               "this server does not go by that name\n");
    } else {
        x->is_answered = false;
        s->handle(s->ctx, x);
    }
    if (!x->is_answered) {
        refuse(x, MHD_HTTP_INTERNAL_SERVER_ERROR, "no answer\n");
    }
}

/* MHD calls once when the headers are there, then again for each part of a
 * body, which nobody asked for, then once for the answer. */
static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection,
                                  const char *url, const char *method,
                                  const char *version, const char *upload,
                                  size_t *upload_size, void **state)
{
    struct web_exchange *x = *state;

    (void)version;
    (void)upload;
    if (x == NULL) {
        x = mem_calloc(1, sizeof(*x));
        x->server = cls;
        x->connection = connection;
        *state = x;
        return MHD_YES;
    }
    if (*upload_size > 0) {
        *upload_size = 0;
        return MHD_YES;
    }
    x->path = url;
    answer(x, method);
    return x->result;
}

static void on_completed(void *cls, struct MHD_Connection *connection,
                         void **state, enum MHD_RequestTerminationCode why)
{
    struct web_exchange *x = *state;
    struct web_server *s = cls;

    (void)connection;
    (void)why;
    if (x == NULL) {
        return;
    }
    if (x->node.next != NULL) {
        list_remove(&s->held, &x->node);
    }
    ev_timer_stop(s->loop, &x->deadline);
    mem_free(x);
    *state = NULL;
}

/* ---- life -------------------------------------------------------------- */

static void watch(struct web_server *s)
{
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD);

    ev_io_init(&s->readable, on_readable, info->epoll_fd, EV_READ);
    s->readable.data = s;
    ev_io_start(s->loop, &s->readable);
}

struct web_server *web_server_new(struct ev_loop *loop,
                                  const struct web_server_options *options,
                                  struct buf *why)
{
    struct web_server *s = mem_calloc(1, sizeof(*s));

    s->loop = loop;
    s->handle = options->handle;
    s->ctx = options->ctx;
    list_init(&s->held);
    ev_init(&s->due, on_due);
    s->due.data = s;
    if (!listening_open(&s->at, options->where, options->is_exposed, why)) {
        if (s->at.is_refused) {
            buf_printf(why, "; %s allows it", options->to_expose);
        }
        mem_free(s);
        return NULL;
    }
    s->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request, s,
        MHD_OPTION_LISTEN_SOCKET, s->at.fd, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)CONNECTION_MEMORY, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)CONNECTION_IDLE_S, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, s, MHD_OPTION_END);
    if (s->daemon == NULL) {
        buf_puts(why, "the HTTP server does not start");
        close(s->at.fd);
        mem_free(s);
        return NULL;
    }
    watch(s);
    return s;
}

void web_server_free(struct web_server *s)
{
    if (s == NULL) {
        return;
    }
    web_server_wake(s); /* MHD wants none suspended */
    ev_io_stop(s->loop, &s->readable);
    ev_timer_stop(s->loop, &s->due);
    MHD_stop_daemon(s->daemon); /* closes the socket */
    mem_free(s);
}

const char *web_server_url(const struct web_server *s)
{
    return s->at.url;
}
