/*
 * client - HTTP requests on the event loop, made by libcurl; nothing blocks.
 *
 * What waits for an answer (a long poll) and what must never hold anything up
 * (a report to an exception tracker) go through the same door: a request is
 * sent, and its answer comes to a callback, exactly once, from the loop.
 * Only HTTP is spoken, over TLS 1.2 or newer with the certificate verified
 * when the URL says https; a proxy is not taken from the environment, and
 * redirects are not followed.
 */
#ifndef WEB_CLIENT_H
#define WEB_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ev.h>

#include "base/span.h"

struct web_client;
struct web_call;

struct web_request {
    const char *url;            /* http:// or https:// */
    const char *post;           /* body of a POST; NULL makes it a GET */
    const char *const *headers; /* "Name: value", NULL at the end, or NULL;
                                   a POST should name its Content-Type */
    const char *ca_file;        /* NULL: the system's certificates */
    int64_t connect_timeout_ms; /* 0: libcurl's own */
    int64_t timeout_ms;         /* for all of it; 0: no end */
    size_t answer_max;          /* a longer body is an error; 0: 64 KiB */
};

struct web_answer {
    bool is_late;      /* no answer within timeout_ms; error says so, too */
    int status;        /* HTTP status code; 0: there was no answer */
    struct span body;  /* lives until the callback returns */
    const char *error; /* why there was no answer, for people: without the
                          URL's credentials and query; NULL: there is one */
};

typedef void web_answer_fn(void *ctx, const struct web_answer *answer);

/* One per loop; keeps connections open between calls. */
struct web_client *web_client_new(struct ev_loop *loop);
/* Calls under way are dropped without their callback. NULL is fine, and so is
 * a client whose callback is running. */
void web_client_free(struct web_client *client);

/*
 * Begins a request; everything in it is copied. The callback comes from the
 * loop, never from within this call, also when the request cannot even be
 * begun. Never NULL; valid until the callback is called.
 */
struct web_call *web_client_send(struct web_client *client,
                                 const struct web_request *request,
                                 web_answer_fn *fn, void *ctx);
/* Drops a call whose callback has not come yet; it will not come. */
void web_call_cancel(struct web_call *call);

#endif
