/*
 * listen - the address a server listens at, and who is meant by a Host field.
 */
#ifndef WEB_LISTEN_H
#define WEB_LISTEN_H

#include <stdbool.h>

#include "base/buf.h"

enum { LISTEN_URL_MAX = 80 };

struct listening {
    int fd;
    bool is_exposed;
    bool is_refused;          /* not opened because others could reach it */
    char url[LISTEN_URL_MAX]; /* "http://127.0.0.1:8025/" */
};

/*
 * Opens a listening socket at where: an IP address or "localhost", ":" and a
 * port; an IPv6 address stands in brackets. No name is looked up. An address
 * other than loopback needs is_exposed. False: why says why, and errno is
 * EINVAL when the place is to blame.
 */
bool listening_open(struct listening *l, const char *where, bool is_exposed,
                    struct buf *why) __attribute__((warn_unused_result));

/*
 * Is a request with this Host field (NULL: it has none) for us? On a loopback
 * address only "localhost" and loopback addresses are; names that others may
 * give to 127.0.0.1 are not. What is exposed takes any.
 */
bool listening_is_meant(const struct listening *l, const char *host);

#endif
