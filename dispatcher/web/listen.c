/*
 * listen - the address a server listens at, and who is meant by a Host field.
 */
#include "web/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HOST_MAX = 64, BACKLOG = 64, PORT_MAX = 65535 };

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* Splits "host:port" and "[host]:port"; port may be NULL when the text has
 * none. Brackets do not come along. */
static bool split(const char *text, char host[HOST_MAX], const char **port)
{
    const bool has_brackets = text[0] == '[';
    const char *begin = text + has_brackets;
    const char *end =
        has_brackets ? strchr(begin, ']') : begin + strcspn(begin, ":");
    size_t len = 0;

    if (end == NULL) {
        return false;
    }
    len = (size_t)(end - begin);
    end += has_brackets;
    if (len == 0 || len >= HOST_MAX || (*end != '\0' && *end != ':')) {
        return false;
    }
    memcpy(host, begin, len);
    host[len] = '\0';
    *port = *end == ':' ? end + 1 : NULL;
    return true;
}

static bool parse_address(const char *host, union address *a)
{
    *a = (union address){0};
    if (strcasecmp(host, "localhost") == 0) {
        host = "127.0.0.1";
    }
    if (inet_pton(AF_INET, host, &a->v4.sin_addr) == 1) {
        a->v4.sin_family = AF_INET;
        return true;
    }
    if (inet_pton(AF_INET6, host, &a->v6.sin6_addr) == 1) {
        a->v6.sin6_family = AF_INET6;
        return true;
    }
    return false;
}

/* Only digits, so that "+80" and " 80" are none. */
static bool parse_port(const char *text, in_port_t *port)
{
    unsigned long value = 0;
    const size_t len = text ? strlen(text) : 0;

    if (len == 0 || len > 5 || strspn(text, "0123456789") != len) {
        return false;
    }
    value = strtoul(text, NULL, 10);
    *port = htons((in_port_t)value);
    return value <= PORT_MAX;
}

static bool is_loopback(const union address *a)
{
    if (a->any.sa_family == AF_INET) {
        return ntohl(a->v4.sin_addr.s_addr) >> 24 == 127;
    }
    return IN6_IS_ADDR_LOOPBACK(&a->v6.sin6_addr);
}

static void write_url(struct listening *l)
{
    union address a = {0};
    socklen_t size = sizeof(a);
    char host[INET6_ADDRSTRLEN] = "";

    getsockname(l->fd, &a.any, &size);
    if (a.any.sa_family == AF_INET) {
        inet_ntop(AF_INET, &a.v4.sin_addr, host, sizeof(host));
        snprintf(l->url, sizeof(l->url), "http://%s:%d/", host,
                 ntohs(a.v4.sin_port));
    } else {
        inet_ntop(AF_INET6, &a.v6.sin6_addr, host, sizeof(host));
        snprintf(l->url, sizeof(l->url), "http://[%s]:%d/", host,
                 ntohs(a.v6.sin6_port));
    }
}

static bool bind_and_listen(struct listening *l, const union address *a)
{
    const int on = 1;
    const socklen_t size =
        a->any.sa_family == AF_INET ? sizeof(a->v4) : sizeof(a->v6);

    l->fd =
        socket(a->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (l->fd < 0) {
        return false;
    }
    setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(l->fd, &a->any, size) != 0 || listen(l->fd, BACKLOG) != 0) {
        const int error = errno;

        close(l->fd);
        errno = error;
        return false;
    }
    return true;
}

bool listening_open(struct listening *l, const char *where, bool is_exposed,
                    struct buf *why)
{
    char host[HOST_MAX];
    const char *port = NULL;
    union address a;

    *l = (struct listening){.fd = -1, .is_exposed = is_exposed};
    /* The port has the same place in both kinds of address. */
    if (!split(where, host, &port) || !parse_address(host, &a) ||
        !parse_port(port, &a.v4.sin_port)) {
        buf_printf(why,
                   "\"%s\" is no place to listen at; it should look like "
                   "127.0.0.1:8025 or [::1]:8025",
                   where);
        errno = EINVAL;
        return false;
    }
    if (!is_exposed && !is_loopback(&a)) {
        buf_printf(why, "others can reach %s, and there is no password", host);
        l->is_refused = true;
        errno = EINVAL;
        return false;
    }
    if (!bind_and_listen(l, &a)) {
        buf_printf(why, "cannot listen at %s: %s", where, strerror(errno));
        return false;
    }
    write_url(l);
    return true;
}

bool listening_is_meant(const struct listening *l, const char *host)
{
    char name[HOST_MAX];
    const char *port = NULL;
    union address a;

    return l->is_exposed || (host != NULL && split(host, name, &port) &&
                             parse_address(name, &a) && is_loopback(&a));
}
