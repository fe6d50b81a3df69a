/*
 * doors - the addresses the sink listens on.
 */
#include "bench/sink/doors.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"

enum { BACKLOG = 4096, AT_A_TIME = 64 };

static void on_pause(struct ev_loop *loop, ev_timer *w, int events)
{
    struct door *d = w->data;

    (void)events;
    ev_io_start(loop, &d->watcher);
}

static void on_knock(struct ev_loop *loop, ev_io *w, int events)
{
    struct door *d = w->data;

    (void)events;
    for (int i = 0; i < AT_A_TIME; i++) {
        int fd = accept4(d->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0) {
            conns_add(d->conns, fd, d->tls);
        } else if (errno == EMFILE || errno == ENFILE) {
            ev_io_stop(loop, &d->watcher);
            ev_timer_set(&d->pause, 0.05, 0.);
            ev_timer_start(loop, &d->pause);
            return;
        } else {
            return;
        }
    }
}

static bool fail(const char *address, const char *why)
{
    fprintf(stderr, "postbatch-sink: %s: %s\n", address, why);
    return false;
}

static bool open_path(struct door *d, const char *path)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof(name.sun_path)) {
        return fail(path, "path too long");
    }
    strcpy(name.sun_path, path);
    d->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    unlink(path);
    if (d->fd < 0 || bind(d->fd, (struct sockaddr *)&name, sizeof(name)) != 0) {
        return fail(path, strerror(errno));
    }
    d->path = path;
    return true;
}

static bool bind_port(struct door *d, const struct addrinfo *info)
{
    const int yes = 1;

    d->fd =
        socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return d->fd >= 0 &&
           setsockopt(d->fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) ==
               0 &&
           bind(d->fd, info->ai_addr, info->ai_addrlen) == 0;
}

static bool open_port(struct door *d, const char *address)
{
    const struct addrinfo hints = {.ai_flags = AI_PASSIVE,
                                   .ai_socktype = SOCK_STREAM};
    struct addrinfo *info = NULL;
    struct sockaddr_storage bound;
    socklen_t size = sizeof(bound);
    char service[NI_MAXSERV] = "0";
    const char *colon = strrchr(address, ':');
    bool bracket = address[0] == '[' && colon > address && colon[-1] == ']';
    char *host =
        mem_strndup(address + bracket, (size_t)(colon - address) - 2 * bracket);
    int error = getaddrinfo(*host ? host : NULL, colon + 1, &hints, &info);
    bool good = false;

    mem_free(host);
    if (error != 0) {
        return fail(address, gai_strerror(error));
    }
    good = bind_port(d, info) &&
           getsockname(d->fd, (struct sockaddr *)&bound, &size) == 0;
    freeaddrinfo(info);
    if (!good) {
        return fail(address, strerror(errno));
    }
    getnameinfo((struct sockaddr *)&bound, size, NULL, 0, service,
                sizeof(service), NI_NUMERICSERV);
    d->port = atoi(service);
    return true;
}

static bool open_door(struct door *d, const struct listen_spec *spec)
{
    bool is_path = strchr(spec->address, '/') != NULL;

    if (!(is_path ? open_path(d, spec->address)
                  : open_port(d, spec->address))) {
        return false;
    }
    if (listen(d->fd, BACKLOG) != 0) {
        return fail(spec->address, strerror(errno));
    }
    d->tls = spec->tls;
    ev_io_init(&d->watcher, on_knock, d->fd, EV_READ);
    d->watcher.data = d;
    ev_io_start(d->conns->loop, &d->watcher);
    ev_init(&d->pause, on_pause);
    d->pause.data = d;
    return true;
}

static void print_door(const struct door *d, const char *address)
{
    const char *word = d->tls ? "listening-tls" : "listening";

    if (d->path != NULL) {
        printf("%s %s\n", word, address);
    } else {
        printf("%s %.*s:%d\n", word, (int)(strrchr(address, ':') - address),
               address, d->port);
    }
}

bool doors_open(struct doors *d, struct conns *conns)
{
    const struct options *o = &conns->sink->options;
    struct buf ports;
    bool good = true;

    *d = (struct doors){0};
    buf_init(&ports, 0);
    for (size_t i = 0; i < o->listen_count && good; i++) {
        struct door *door = &d->items[d->count];

        *door = (struct door){.conns = conns, .fd = -1};
        good = open_door(door, &o->listens[i]);
        if (good) {
            d->count++;
            buf_printf(&ports, "%d\n", door->port);
        } else if (door->fd >= 0) {
            close(door->fd);
        }
    }
    if (good && o->port_file != NULL &&
        !store_write_file(o->port_file, ports.data, ports.len)) {
        good = fail(o->port_file, strerror(errno));
    }
    buf_release(&ports);
    /* Last, so that whoever reads a line finds everything in place. */
    for (size_t i = 0; i < d->count && good; i++) {
        print_door(&d->items[i], o->listens[i].address);
    }
    fflush(stdout);
    return good;
}

void doors_close(struct doors *d)
{
    for (size_t i = 0; i < d->count; i++) {
        struct door *door = &d->items[i];

        ev_io_stop(door->conns->loop, &door->watcher);
        ev_timer_stop(door->conns->loop, &door->pause);
        close(door->fd);
        if (door->path != NULL) {
            unlink(door->path);
        }
    }
    d->count = 0;
}
