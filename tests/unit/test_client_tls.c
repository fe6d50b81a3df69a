/*
 * test_client_tls - https: who is not who the URL says gets no request.
 */
#include "test.h"

#include <arpa/inet.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "base/mem.h"
#include "certificate.h"
#include "web/client.h"

static struct certificate certificate;

/* ---- the server, in a child --------------------------------------------- */

struct server {
    pid_t pid;
    int port;
};

static void serve(int listening)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nConnection: close\r\n"
                                 "Content-Length: 5\r\n\r\nhello";
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    char request[4096];

    SSL_CTX_use_certificate(ctx, certificate.cert);
    SSL_CTX_use_PrivateKey(ctx, certificate.key);
    for (;;) {
        int fd = accept(listening, NULL, NULL);
        SSL *ssl = SSL_new(ctx);

        SSL_set_fd(ssl, fd);
        if (SSL_accept(ssl) == 1 &&
            SSL_read(ssl, request, sizeof(request)) > 0) {
            SSL_write(ssl, answer, sizeof(answer) - 1);
            SSL_shutdown(ssl);
        }
        SSL_free(ssl);
        close(fd);
    }
}

static void server_start(struct server *s)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&at, size), 0);
    assert_int_equal(listen(fd, 16), 0);
    getsockname(fd, (struct sockaddr *)&at, &size);
    s->port = ntohs(at.sin_port);
    s->pid = fork();
    if (s->pid == 0) {
        signal(SIGPIPE, SIG_IGN);
        alarm(60); /* never longer than the test */
        serve(fd);
    }
    close(fd);
}

static void server_stop(const struct server *s)
{
    kill(s->pid, SIGKILL);
    waitpid(s->pid, NULL, 0);
}

/* ---- the test ------------------------------------------------------------ */

struct heard {
    struct ev_loop *loop;
    int status;
    char error[512];
};

static void on_answer(void *ctx, const struct web_answer *answer)
{
    struct heard *h = ctx;

    h->status = answer->status;
    snprintf(h->error, sizeof(h->error), "%s",
             answer->error != NULL ? answer->error : "");
    ev_break(h->loop, EVBREAK_ALL);
}

static void ask(struct heard *h, struct web_client *client, const char *host,
                int port, const char *ca_file)
{
    char *url = mem_printf("https://%s:%d/", host, port);
    const struct web_request request = {
        .url = url, .ca_file = ca_file, .timeout_ms = 20000};

    web_client_send(client, &request, on_answer, h);
    mem_free(url);
    ev_run(h->loop, 0);
}

static void test_verified(void **state)
{
    struct heard h = {.loop = ev_loop_new(EVFLAG_AUTO)};
    struct web_client *client = web_client_new(h.loop);
    struct server server;

    (void)state;
    server_start(&server);
    ask(&h, client, "localhost", server.port, NULL);
    assert_int_equal(h.status, 0);
    assert_non_null(strstr(h.error, "certificate was not accepted"));
    ask(&h, client, "localhost", server.port, certificate.path);
    assert_string_equal(h.error, "");
    assert_int_equal(h.status, 200);
    ask(&h, client, "127.0.0.1", server.port, certificate.path);
    assert_int_equal(h.status, 0);
    assert_non_null(strstr(h.error, "certificate was not accepted"));
    ask(&h, client, "localhost", server.port, "/nowhere.pem");
    assert_int_equal(h.status, 0);
    assert_non_null(strstr(h.error, "authorities could not be read"));
    server_stop(&server);
    web_client_free(client);
    ev_loop_destroy(h.loop);
}

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

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_verified)};

    return cmocka_run_group_tests(tests, make_certificate, remove_certificate);
}
