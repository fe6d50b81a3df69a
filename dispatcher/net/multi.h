/*
 * multi - libcurl's multi interface on the event loop: its sockets and its
 * clock become libev's, and the end of a transfer comes to a callback.
 *
 * Who has a transfer embeds a struct transfer, makes and configures its easy
 * handle, and hands it over. Nothing here blocks. A struct transfer may be
 * used again after transfer_end.
 */
#ifndef NET_MULTI_H
#define NET_MULTI_H

#include <stdbool.h>

#include <curl/curl.h>
#include <ev.h>

struct multi;

/* The transfer ended so. It may be ended, begun anew, or its multi freed. */
typedef void transfer_done_fn(void *ctx, CURLcode rc);

struct transfer {
    struct multi *multi;
    CURL *easy;
    transfer_done_fn *done;
    void *ctx;
    ev_prepare failed_early; /* fed, never started: tells of a failed start */
    CURLcode early;
    bool is_added;
};

/*
 * Transfers of one multi share a name cache and may share connections. Sets
 * SIGPIPE to be ignored, because OpenSSL writes without MSG_NOSIGNAL.
 */
struct multi *multi_new(struct ev_loop *loop);
/* All transfers must be ended before. NULL is fine. Open connections are
 * closed; for protocols that say good-bye (SMTP without CONNECT_ONLY) that
 * would block. */
void multi_free(struct multi *m);

/*
 * Begins a transfer with an easy handle that is configured (its
 * CURLOPT_PRIVATE is taken) and now belongs to t. so_far is what configuring
 * it gave: when it is not CURLE_OK, or easy is NULL, or the handle cannot be
 * added, done hears of that. done comes exactly once, from the loop, never
 * from within this call and not after transfer_end.
 */
void transfer_begin(struct transfer *t, struct multi *m, CURL *easy,
                    CURLcode so_far, transfer_done_fn *done, void *ctx);
/* Drops the transfer and its handle; must be called once for each begin, also
 * after done. A connection that others may not use is closed with it. */
void transfer_end(struct transfer *t);

#endif
