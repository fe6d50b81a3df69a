/*
 * curl_loop - libcurl's multi interface on libev, as its manual has it
 * (curl_multi_socket_action), for programs that measure libcurl itself. It is
 * not the dispatcher's net/multi: a yardstick keeps its easy handles, as the
 * manual recommends, and must not change when the dispatcher does.
 */
#ifndef BENCH_CURL_LOOP_H
#define BENCH_CURL_LOOP_H

#include <curl/curl.h>
#include <ev.h>

struct curl_loop {
    struct ev_loop *loop;
    CURLM *multi;
    ev_timer timer;
    /* A transfer ended; easy is out of the multi handle and may begin anew. */
    void (*ended)(void *ctx, CURL *easy, CURLcode code);
    void *ctx;
};

/* connections: how many are kept open. Call curl_global_init() before. */
void curl_loop_init(struct curl_loop *l, struct ev_loop *loop, long connections,
                    void (*ended)(void *ctx, CURL *easy, CURLcode code),
                    void *ctx);
void curl_loop_add(struct curl_loop *l, CURL *easy);
void curl_loop_release(struct curl_loop *l);

#endif
