/*
 * doors - the addresses the sink listens on.
 */
#ifndef SINK_DOORS_H
#define SINK_DOORS_H

#include <stddef.h>

#include "bench/sink/conn.h"

struct door {
    struct conns *conns;
    ev_io watcher;
    ev_timer pause; /* out of descriptors: try again a little later */
    int fd;
    bool tls;
    const char *path; /* of a Unix socket, or NULL */
    int port;
};

struct doors {
    struct door items[OPTIONS_LISTENS];
    size_t count;
};

/* Opens all addresses of the options, prints a line for each and writes the
 * port file. False with the reason on standard error. */
bool doors_open(struct doors *d, struct conns *conns);
void doors_close(struct doors *d);

#endif
