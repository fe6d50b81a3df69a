/*
 * test_lane_tls - lanes over TLS, against a relay in a process of its own.
 *
 * The relay reads slowly into a small buffer, so that large letters meet
 * every kind of refused and partial write; it checks each letter's bytes.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "certificate.h"
#include "smtp_world.h"

static struct certificate certificate;

static int make_certificate(void **state)
{
    (void)state;
    return certificate_make(&certificate);
}

static int remove_certificate(void **state)
{
    (void)state;
    return certificate_remove(&certificate);
}

/* ---- the relay, in a child --------------------------------------------- */

struct slow {
    int fd;
    SSL *ssl; /* NULL = not yet */
    char in[1 << 20];
    size_t len;
    int good; /* letters whose bytes were right */
    int pause_us;
};

static bool slow_read(struct slow *s)
{
    int n = 0;

    usleep((useconds_t)s->pause_us);
    n = s->ssl ? SSL_read(s->ssl, s->in + s->len, 16384)
               : (int)read(s->fd, s->in + s->len, 16384);
    s->len += n > 0 ? (size_t)n : 0;
    return n > 0;
}

static void slow_say(struct slow *s, const char *text)
{
    if (s->ssl != NULL) {
        SSL_write(s->ssl, text, (int)strlen(text));
    } else if (write(s->fd, text, strlen(text)) < 0) {
        _exit(2);
    }
}

static void slow_use(struct slow *s, size_t n)
{
    memmove(s->in, s->in + n, s->len - n);
    s->len -= n;
}

/* The letter of len bytes at in: its lines must be whole and in order. */
static bool is_good(const char *in, size_t len)
{
    const char *body = memmem(in, len, "\r\n\r\n", 4);

    if (body == NULL || (size_t)(in + len - body - 4) % 66 != 0) {
        return false;
    }
    for (body += 4; body < in + len; body += 66) {
        if (memcmp(body, "0123456789", 10) != 0 || body[65] != '\n') {
            return false;
        }
    }
    return true;
}

static void slow_content(struct slow *s, size_t size)
{
    while (s->len < size && slow_read(s)) {
    }
    s->good += is_good(s->in, size);
    slow_use(s, size);
    slow_say(s, "250 2.0.0 Ok\r\n");
}

static void slow_data(struct slow *s)
{
    char *end = NULL;

    slow_say(s, "354 go\r\n");
    while ((end = memmem(s->in, s->len, "\r\n.\r\n", 5)) == NULL) {
        if (!slow_read(s)) {
            return;
        }
    }
    s->good += is_good(s->in, (size_t)(end - s->in) + 2);
    slow_use(s, (size_t)(end - s->in) + 5);
    slow_say(s, "250 2.0.0 Ok\r\n");
}

static void slow_tls(struct slow *s)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    SSL_CTX_use_certificate(ctx, certificate.cert);
    SSL_CTX_use_PrivateKey(ctx, certificate.key);
    s->ssl = SSL_new(ctx);
    SSL_set_fd(s->ssl, s->fd);
    if (SSL_accept(s->ssl) != 1) {
        _exit(3);
    }
}

/* One command; false at the end. */
static bool slow_command(struct slow *s, const char *offers)
{
    char *end = NULL;
    size_t size = 0;
    char verb = 0;

    while ((end = memchr(s->in, '\n', s->len)) == NULL) {
        if (!slow_read(s)) {
            return false;
        }
    }
    verb = s->in[0];
    size = verb == 'B' ? (size_t)atol(s->in + 5) : 0;
    end = s->in[0] == 'S' ? s->in + s->len - 1 : end;
    slow_use(s, (size_t)(end - s->in) + 1);
    switch (verb) {
    case 'E':
        slow_say(s, "250-slow\r\n");
        slow_say(s, s->ssl ? offers : "250-STARTTLS\r\n");
        slow_say(s, "250 SIZE\r\n");
        break;
    case 'S':
        slow_say(s, "220 go\r\n");
        slow_tls(s);
        break;
    case 'B': slow_content(s, size); break;
    case 'D': slow_data(s); break;
    case 'Q': return false;
    default: slow_say(s, "250 Ok\r\n"); break;
    }
    return true;
}

static void run_slow(int listener, const char *offers, bool is_implicit,
                     int pause_us)
{
    struct slow *s = calloc(1, sizeof(*s));

    alarm(20);
    signal(SIGPIPE, SIG_IGN);
    s->pause_us = pause_us;
    s->fd = accept(listener, NULL, NULL);
    if (is_implicit) {
        slow_tls(s);
    }
    slow_say(s, "220 slow ESMTP\r\n");
    while (slow_command(s, offers)) {
    }
    _exit(s->good);
}

static int listen_small(int *port)
{
    struct sockaddr_in sin = {.sin_family = AF_INET};
    socklen_t len = sizeof(sin);
    int small = 8192;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
    assert_int_equal(listen(fd, 5), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
    *port = ntohs(sin.sin_port);
    return fd;
}

/* ---- the tests --------------------------------------------------------- */

struct tls_case {
    const char *offers;
    enum relay_tls tls;
    size_t size;
    int letters;
    int pause_us;
};

static void send_slowly(const struct tls_case *c)
{
    struct world *w = world_new("");
    struct relay_settings r = world_settings(&w->script, "slow");
    int port = 0;
    int listener = listen_small(&port);
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        run_slow(listener, c->offers, c->tls == RELAY_TLS_IMPLICIT,
                 c->pause_us);
    }
    close(listener);
    r.host = "localhost";
    r.port = port;
    r.tls = c->tls;
    r.ca_file = certificate.path;
    r.gear = strstr(c->offers, "CHUNKING") ? GEAR_STREAMED : GEAR_AUTO;
    assert_true(world_add(w, &r));
    w->content_size = c->size;
    world_letters(w, c->letters);
    world_send(w, 15.0);
    for (int k = 0; k < w->count; k++) {
        assert_int_equal(w->letters[k].done, 1);
        assert_int_equal(w->letters[k].verdict, VERDICT_SENT);
    }
    world_drain(w, 2.0);
    world_free(w);
    waitpid(pid, &status, 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), c->letters);
}

static void test_slow_relay(void **state)
{
    static const struct tls_case cases[] = {
        {"250-PIPELINING\r\n250-CHUNKING\r\n", RELAY_TLS_IMPLICIT, 90000, 30,
         300},
        {"250-PIPELINING\r\n250-CHUNKING\r\n", RELAY_TLS_STARTTLS, 2000, 200,
         20},
        {"250-PIPELINING\r\n250-CHUNKING\r\n", RELAY_TLS_OPPORTUNISTIC, 700000,
         4, 300},
        {"250-PIPELINING\r\n", RELAY_TLS_IMPLICIT, 300000, 10, 300},
        {"250-X\r\n", RELAY_TLS_STARTTLS, 300000, 5, 300},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        send_slowly(&cases[i]);
    }
}

/* A certificate that is not to be trusted: no letter, no retry, an alarm. */
static void refuse_certificate(const char *host, const char *ca_file,
                               const char *why)
{
    struct world *w = world_new("");
    struct relay_settings r = world_settings(&w->script, "slow");
    int port = 0;
    int listener = listen_small(&port);
    pid_t pid = fork();

    if (pid == 0) {
        run_slow(listener, "250-PIPELINING\r\n", true, 0);
    }
    close(listener);
    r.host = host;
    r.port = port;
    r.tls = RELAY_TLS_IMPLICIT;
    r.ca_file = ca_file;
    assert_true(world_add(w, &r));
    world_letters(w, 1);
    world_send(w, 0.5);
    assert_int_equal(w->given, 0);
    assert_int_equal(w->alarms, 1);
    assert_int_equal(w->alarm_kind, POOL_ALARM_ACCESS);
    assert_non_null(strstr(w->alarm, why));
    world_free(w);
    waitpid(pid, NULL, 0);
}

static void test_certificate(void **state)
{
    (void)state;
    refuse_certificate("127.0.0.1", certificate.path,
                       "certificate was not accepted");
    refuse_certificate("localhost", NULL, "certificate was not accepted");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slow_relay),
        cmocka_unit_test(test_certificate),
    };

    return cmocka_run_group_tests(tests, make_certificate, remove_certificate);
}
