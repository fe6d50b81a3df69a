/*
 * server - a small HTTP server on the event loop: GET and HEAD, no threads.
 *
 * For pages that a person looks at and for figures that a program collects;
 * not for the open Internet. Everything is bounded: connections, memory of
 * each, time without a byte, requests that are held open. An address that is
 * not of this machine alone is refused unless the caller insists, and a
 * server on such a loopback address answers only requests that were meant for
 * it: a web site that lets its name point to 127.0.0.1 (DNS rebinding) gets
 * 421, so it cannot read the page through a visitor's browser.
 */
#ifndef WEB_SERVER_H
#define WEB_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ev.h>

#include "base/buf.h"
#include "base/span.h"

struct web_server;
struct web_exchange; /* a request that has no answer yet */

/*
 * Called from the loop for each request; must reply or hold before it
 * returns. An exchange that was held comes again.
 */
typedef void web_handler_fn(void *ctx, struct web_exchange *exchange);

struct web_server_options {
    const char *where;     /* "127.0.0.1:8025", "[::1]:8025", "localhost:8025";
                              port 0 takes any free one */
    bool is_exposed;       /* other machines may reach it */
    const char *to_expose; /* what a person has to say for that: "--expose" */
    web_handler_fn *handle;
    void *ctx;
};

struct web_reply {
    int status;         /* as 200 */
    const char *type;   /* Content-Type */
    const char *policy; /* Content-Security-Policy; NULL: nothing is loaded */
    struct span body;   /* copied */
};

/* Listens. NULL, with the reason in why, when it cannot; errno is EINVAL when
 * where is not such a place. */
struct web_server *web_server_new(struct ev_loop *loop,
                                  const struct web_server_options *options,
                                  struct buf *why);
/* Drops every connection. NULL is fine. */
void web_server_free(struct web_server *server);
/* Where it is, as "http://127.0.0.1:8025/". */
const char *web_server_url(const struct web_server *server);

/* The path, decoded: "/letter". Nothing is resolved in it: compare it whole. */
const char *web_exchange_path(const struct web_exchange *exchange);
/* A value of the query string, decoded; "" when it is not there. */
const char *web_exchange_param(const struct web_exchange *exchange,
                               const char *name);
/* Answers. status 200 to 599. */
void web_exchange_reply(struct web_exchange *exchange,
                        const struct web_reply *reply);

/* Leaves the exchange open until web_server_wake, or for most_ms: then the
 * handler is called again. When too many are held the oldest comes back. */
void web_exchange_hold(struct web_exchange *exchange, int64_t most_ms);
/* It was held before, so this is the time to reply. */
bool web_exchange_was_held(const struct web_exchange *exchange);
/* Calls the handler for all that are held, from the loop. */
void web_server_wake(struct web_server *server);

#endif
