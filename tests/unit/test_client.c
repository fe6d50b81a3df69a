/*
 * test_client - HTTP requests over the loop, against a server on the same
 * loop whose paths name how it behaves.
 */
#include "test.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "web/client.h"

/* ---- the server ---------------------------------------------------------- */

struct server {
    struct ev_loop *loop;
    ev_io accept;
    int port;
    int connections;
    int open;
    int requests;
    struct peer *peers[16];
};

struct peer {
    ev_io io;
    struct server *server;
    char in[8192];
    size_t len;
};

static const struct page {
    const char *path;
    const char *answer; /* NULL: none at all */
    bool closes;
} pages[] = {
    {"/ok", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", false},
    {"/500", "HTTP/1.1 500 No\r\nContent-Length: 4\r\n\r\noops", false},
    {"/moved",
     "HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n"
     "Content-Length: 0\r\n\r\n",
     false},
    {"/hang", NULL, false},
    {"/drop", "", true},
    {"/half", "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhello", true},
    {"/garbage", "220 mail.example ESMTP\r\n", true},
    {"/large",
     "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
     "0123456789012345678901234567890123456789",
     true},
};

static void peer_close(struct peer *p)
{
    ev_io_stop(p->server->loop, &p->io);
    close(p->io.fd);
    p->server->open--;
    for (size_t i = 0; i < COUNT_OF(p->server->peers); i++) {
        if (p->server->peers[i] == p) {
            p->server->peers[i] = NULL;
        }
    }
    free(p);
}

static void peer_say(struct peer *p, const char *text)
{
    assert_int_equal(write(p->io.fd, text, strlen(text)), strlen(text));
}

/* Gives back all that was asked, head and body. */
static void peer_echo(struct peer *p)
{
    char head[128];

    snprintf(head, sizeof(head),
             "HTTP/1.1 201 Made\r\nContent-Length: %zu"
             "\r\n\r\n",
             p->len);
    peer_say(p, head);
    p->in[p->len] = '\0';
    peer_say(p, p->in);
}

static bool is_whole(const struct peer *p)
{
    const char *end = memmem(p->in, p->len, "\r\n\r\n", 4);
    const char *length = strstr(p->in, "Content-Length: ");

    return end != NULL &&
           p->in + p->len - (end + 4) >= (length ? atoi(length + 16) : 0);
}

static void on_asked(struct ev_loop *loop, ev_io *io, int events)
{
    struct peer *p = io->data;
    ssize_t n = read(io->fd, p->in + p->len, sizeof(p->in) - p->len - 1);

    (void)loop;
    (void)events;
    if (n <= 0) {
        peer_close(p);
        return;
    }
    p->len += (size_t)n;
    p->in[p->len] = '\0';
    if (!is_whole(p)) {
        return;
    }
    p->server->requests++;
    if (strncmp(p->in, "POST /echo?", 11) == 0) {
        peer_echo(p);
    }
    for (size_t i = 0; i < COUNT_OF(pages); i++) {
        size_t len = strlen(pages[i].path);

        if (strncmp(p->in, "GET ", 4) == 0 &&
            strncmp(p->in + 4, pages[i].path, len) == 0) {
            if (pages[i].answer != NULL) {
                peer_say(p, pages[i].answer);
            }
            if (pages[i].closes) {
                peer_close(p);
                return;
            }
        }
    }
    p->len = 0;
}

static void on_accept(struct ev_loop *loop, ev_io *io, int events)
{
    struct server *s = io->data;
    struct peer *p = calloc(1, sizeof(*p));

    (void)events;
    p->server = s;
    s->connections++;
    s->open++;
    for (size_t i = 0; i < COUNT_OF(s->peers); i++) {
        if (s->peers[i] == NULL) {
            s->peers[i] = p;
            break;
        }
    }
    ev_io_init(&p->io, on_asked, accept(io->fd, NULL, NULL), EV_READ);
    p->io.data = p;
    ev_io_start(loop, &p->io);
}

static void server_start(struct server *s, struct ev_loop *loop)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&at, size), 0);
    assert_int_equal(listen(fd, 16), 0);
    getsockname(fd, (struct sockaddr *)&at, &size);
    s->loop = loop;
    s->port = ntohs(at.sin_port);
    ev_io_init(&s->accept, on_accept, fd, EV_READ);
    s->accept.data = s;
    ev_io_start(loop, &s->accept);
}

static void server_stop(struct server *s)
{
    for (size_t i = 0; i < COUNT_OF(s->peers); i++) {
        if (s->peers[i] != NULL) {
            peer_close(s->peers[i]);
        }
    }
    ev_io_stop(s->loop, &s->accept);
    close(s->accept.fd);
}

/* ---- a client and what it heard ------------------------------------------ */

struct world {
    struct ev_loop *loop;
    struct server server;
    struct web_client *client;
    bool is_sending;
    int answers;
    int status;
    bool is_late;
    char body[8192];
    char error[512];
    int64_t took_ms;
};

static int world_start(void **state)
{
    struct world *w = calloc(1, sizeof(*w));

    w->loop = ev_loop_new(EVFLAG_AUTO);
    server_start(&w->server, w->loop);
    w->client = web_client_new(w->loop);
    *state = w;
    return 0;
}

static int world_stop(void **state)
{
    struct world *w = *state;

    web_client_free(w->client);
    server_stop(&w->server);
    ev_loop_destroy(w->loop);
    free(w);
    return 0;
}

static void on_answer(void *ctx, const struct web_answer *answer)
{
    struct world *w = ctx;

    assert_false(w->is_sending);
    w->answers++;
    w->status = answer->status;
    w->is_late = answer->is_late;
    snprintf(w->body, sizeof(w->body), "%.*s", SPAN_ARG(answer->body));
    snprintf(w->error, sizeof(w->error), "%s",
             answer->error ? answer->error : "");
    ev_break(w->loop, EVBREAK_ONE);
}

static void on_late(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)events;
    *(bool *)timer->data = true;
    ev_break(loop, EVBREAK_ONE);
}

/* Runs the loop until so many answers came; fails after 5 s. */
static void wait_for(struct world *w, int answers)
{
    bool is_late = false;
    ev_timer late;

    ev_timer_init(&late, on_late, 5.0, 0.0);
    late.data = &is_late;
    ev_timer_start(w->loop, &late);
    while (w->answers < answers && !is_late) {
        ev_run(w->loop, 0);
    }
    ev_timer_stop(w->loop, &late);
    assert_int_equal(w->answers, answers);
}

static struct web_call *send_to(struct world *w, const char *url,
                                struct web_request request)
{
    char *whole = strchr(url, ':') != NULL
                      ? mem_strdup(url)
                      : mem_printf("http://u:secret@127.0.0.1:%d%s?key=secret",
                                   w->server.port, url);
    struct web_call *call = NULL;

    request.url = whole;
    w->is_sending = true;
    call = web_client_send(w->client, &request, on_answer, w);
    w->is_sending = false;
    mem_free(whole); /* all of the request is copied */
    return call;
}

static void ask(struct world *w, const char *url, struct web_request request)
{
    int64_t began_ms = clock_monotonic_ms();

    send_to(w, url, request);
    wait_for(w, w->answers + 1);
    w->took_ms = clock_monotonic_ms() - began_ms;
}

static void assert_error(struct world *w, const char *part)
{
    assert_int_equal(w->status, 0);
    if (strstr(w->error, part) == NULL) {
        fail_msg("got \"%s\", want \"%s\" in it", w->error, part);
    }
    assert_null(strstr(w->error, "secret"));
}

/* ---- cases --------------------------------------------------------------- */

static void test_answers(void **state)
{
    struct world *w = *state;

    ask(w, "/ok", (struct web_request){.timeout_ms = 4000});
    assert_int_equal(w->status, 200);
    assert_string_equal(w->body, "hello");
    assert_string_equal(w->error, "");
    ask(w, "/500", (struct web_request){.timeout_ms = 4000});
    assert_int_equal(w->status, 500);
    assert_string_equal(w->body, "oops");
    ask(w, "/moved", (struct web_request){.timeout_ms = 4000});
    assert_int_equal(w->status, 302);
    assert_int_equal(w->server.requests, 3);
    assert_int_equal(w->server.connections, 1); /* used again */
}

static void test_post(void **state)
{
    struct world *w = *state;
    const char *headers[] = {"Content-Type: application/json", "X-Key: 1",
                             NULL};
    char big[4000];

    memset(big, 'x', sizeof(big));
    big[sizeof(big) - 1] = '\0';
    ask(w, "/echo", (struct web_request){.post = big, .headers = headers});
    assert_int_equal(w->status, 201);
    assert_non_null(strstr(w->body, "\r\nContent-Type: application/json\r\n"));
    assert_non_null(strstr(w->body, "\r\nX-Key: 1\r\n"));
    assert_null(strstr(w->body, "Expect:"));
    assert_non_null(strstr(w->body, big));
}

static void test_forged_header(void **state)
{
    struct world *w = *state;
    const char *headers[] = {"X-Key: 1\r\nX-Other: 2", NULL};

    ask(w, "/ok", (struct web_request){.headers = headers});
    assert_error(w, "control byte");
    assert_int_equal(w->server.requests, 0);
}

static void test_failures(void **state)
{
    struct world *w = *state;
    struct web_request request = {.timeout_ms = 4000};

    ask(w, "/drop", request);
    assert_error(w, "without an answer");
    ask(w, "/half", request);
    assert_error(w, "broke off");
    ask(w, "/garbage", request);
    assert_error(w, "not HTTP");
    ask(w, "file:///etc/passwd", request);
    assert_error(w, "not HTTP");
    ask(w, "http://127.0.0.1:1/", request);
    assert_error(w, "no connection");
    assert_false(w->is_late);
    /* A label of 64 octets can be no name, so no server is asked. */
    ask(w,
        "http://aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbb"
        "ccccccccccccccccdddddddddddddddd.test/",
        request);
    assert_error(w, "was not found");
    ask(w, "http://:", request);
    assert_error(w, "not a URL");
}

static void test_timeout(void **state)
{
    struct world *w = *state;

    ask(w, "/hang", (struct web_request){.timeout_ms = 80});
    assert_error(w, "no answer in time");
    assert_true(w->is_late);
    assert_in_range(w->took_ms, 70, 2000);
}

static void test_too_large(void **state)
{
    struct world *w = *state;

    ask(w, "/large", (struct web_request){.answer_max = 39});
    assert_error(w, "longer than the 39 bytes");
    ask(w, "/large", (struct web_request){.answer_max = 40});
    assert_int_equal(w->status, 200);
    assert_int_equal(strlen(w->body), 40);
}

static void test_cancel(void **state)
{
    struct world *w = *state;
    struct web_call *hanging = send_to(w, "/hang", (struct web_request){0});
    struct web_call *early = send_to(w, "http://:", (struct web_request){0});

    web_call_cancel(early);
    ask(w, "/ok", (struct web_request){0});
    web_call_cancel(hanging);
    ask(w, "/ok", (struct web_request){0});
    assert_int_equal(w->answers, 2);
    assert_int_equal(w->status, 200);
}

static void test_many_at_once(void **state)
{
    struct world *w = *state;

    send_to(w, "/hang", (struct web_request){.timeout_ms = 4000});
    for (int i = 0; i < 12; i++) {
        send_to(w, "/ok", (struct web_request){.timeout_ms = 4000});
    }
    wait_for(w, 12); /* the one that hangs holds nobody up */
    assert_int_equal(w->status, 200);
    web_client_free(w->client); /* with it under way */
    w->client = NULL;
    assert_int_equal(w->answers, 12);
}

static void free_client(void *ctx, const struct web_answer *answer)
{
    struct world *w = ctx;

    on_answer(w, answer);
    web_client_free(w->client);
    w->client = NULL;
}

/* The callback frees the client while other answers wait to be told. */
static void test_free_in_callback(void **state)
{
    struct world *w = *state;
    struct web_request request = {.url = "http://:"};
    char *url = mem_printf("http://127.0.0.1:%d/ok", w->server.port);

    for (int i = 0; i < 4; i++) {
        web_client_send(w->client, &request, free_client, w);
    }
    wait_for(w, 1);
    assert_null(w->client);
    w->client = web_client_new(w->loop);
    request.url = url;
    for (int i = 0; i < 4; i++) {
        web_client_send(w->client, &request, free_client, w);
    }
    wait_for(w, 2);
    assert_null(w->client);
    mem_free(url);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_answers, world_start, world_stop),
        cmocka_unit_test_setup_teardown(test_post, world_start, world_stop),
        cmocka_unit_test_setup_teardown(test_forged_header, world_start,
                                        world_stop),
        cmocka_unit_test_setup_teardown(test_failures, world_start, world_stop),
        cmocka_unit_test_setup_teardown(test_timeout, world_start, world_stop),
        cmocka_unit_test_setup_teardown(test_too_large, world_start,
                                        world_stop),
        cmocka_unit_test_setup_teardown(test_cancel, world_start, world_stop),
        cmocka_unit_test_setup_teardown(test_many_at_once, world_start,
                                        world_stop),
        cmocka_unit_test_setup_teardown(test_free_in_callback, world_start,
                                        world_stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
