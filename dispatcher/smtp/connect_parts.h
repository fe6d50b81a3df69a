/*
 * connect_parts - what the files of connect share. Not for others: they are
 * the only ones that know libcurl.
 */
#ifndef SMTP_CONNECT_PARTS_H
#define SMTP_CONNECT_PARTS_H

#include <curl/curl.h>

#include "net/multi.h"
#include "smtp/connect.h"
#include "smtp/reply.h"

struct link {
    struct transfer transfer;
    const struct relay_settings *settings;
    CURL *easy; /* the transfer's */
    link_done_fn *done;
    void *ctx;
    int64_t opened_ms;
    int fd;
    int greetings; /* replies with 220: the second is STARTTLS's */
    int replies;   /* whole ones */
    bool is_auth;
    struct reply reply; /* the last one */
    struct ehlo ehlo;
    char greeting[128];
    char error[CURL_ERROR_SIZE];
};

/* connect_options.c: all that is set before the connection begins. */
CURLcode link_set_options(struct link *l);

/* connect_words.c: what went wrong and what to do, into *result. */
void link_describe(const struct link *l, CURLcode rc,
                   struct link_result *result);
/* One line without control bytes, cut to size. */
void link_put_text(char *out, size_t size, const char *text);

#endif
