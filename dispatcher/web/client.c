/*
 * client - HTTP requests on the event loop, made by libcurl.
 *
 * A call is an easy handle in the client's multi (net/multi.h), which keeps
 * the connections. When its end is told, the call is off the client's list
 * already, so that the callback may send, cancel others or free the client.
 *
 * What libcurl would do by itself and must not: follow another protocol than
 * HTTP, take a proxy from the environment, hold a large POST back for a "100
 * Continue", or take an answer of any size.
 */
#include "web/client.h"

#include "base/buf.h"
#include "base/list.h"
#include "base/mem.h"
#include "net/multi.h"

enum { ANSWER_MAX_DEFAULT = 64 * 1024 };

struct web_client {
    struct ev_loop *loop;
    struct multi *multi;
    struct list calls; /* struct web_call: under way */
};

struct web_call {
    struct list_node node; /* unlinked once its callback runs */
    struct web_client *client;
    struct transfer transfer;
    struct curl_slist *headers;
    struct buf body;
    web_answer_fn *fn;
    void *ctx;
    char *shown_url; /* what may be told of the URL */
    bool is_too_large;
    char error[CURL_ERROR_SIZE];
};

/* What libcurl's codes mean for an operator. */
static const struct trouble {
    CURLcode rc;
    const char *what;
    const char *advice;
} troubles[] = {
    {CURLE_URL_MALFORMAT, "this is not a URL",
     "expected http://host:port/path"},
    {CURLE_UNSUPPORTED_PROTOCOL, "this is not HTTP",
     "expected http:// or https://, and a server that speaks it: check the "
     "URL and its port"},
    {CURLE_BAD_FUNCTION_ARGUMENT, "a header holds a control byte",
     "check what it is made of"},
    {CURLE_COULDNT_RESOLVE_HOST, "the host name was not found",
     "check the host and the name service"},
    {CURLE_COULDNT_CONNECT, "no connection",
     "check that the server runs, host and port, and the firewall"},
    {CURLE_OPERATION_TIMEDOUT, "no answer in time",
     "check that the server works, or allow it more time"},
    {CURLE_GOT_NOTHING, "the server closed without an answer",
     "look at the server's log"},
    {CURLE_PARTIAL_FILE, "the answer broke off", "look at the server's log"},
    {CURLE_RECV_ERROR, "the connection broke", "look at the server's log"},
    {CURLE_SEND_ERROR, "the connection broke", "look at the server's log"},
    {CURLE_SSL_CONNECT_ERROR, "TLS failed",
     "check that the port speaks TLS, version 1.2 or newer"},
    {CURLE_PEER_FAILED_VERIFICATION, "the certificate was not accepted",
     "check that the host is the name in the certificate, or name the file of "
     "its authority"},
    {CURLE_SSL_CACERT_BADFILE, "the file of authorities could not be read",
     "check its path and rights"},
    {CURLE_WEIRD_SERVER_REPLY, "the answer is not HTTP", "check the port"},
    {CURLE_OK, "it failed", "look at the server's log"}, /* any other */
};

static const struct trouble *find_trouble(CURLcode rc)
{
    const struct trouble *t = troubles;

    while (t->rc != rc && t->rc != CURLE_OK) {
        t++;
    }
    return t;
}

struct web_client *web_client_new(struct ev_loop *loop)
{
    struct web_client *client = mem_calloc(1, sizeof(*client));

    client->loop = loop;
    client->multi = multi_new(loop);
    list_init(&client->calls);
    return client;
}

/* Its transfer is ended. */
static void call_free(struct web_call *call)
{
    curl_slist_free_all(call->headers);
    buf_release(&call->body);
    mem_free(call->shown_url);
    mem_free(call);
}

void web_client_free(struct web_client *client)
{
    struct list_node *node = NULL;

    if (client == NULL) {
        return;
    }
    for (node = list_take(&client->calls); node != NULL;
         node = list_take(&client->calls)) {
        struct web_call *call = LIST_OF(node, struct web_call, node);

        transfer_end(&call->transfer);
        call_free(call);
    }
    multi_free(client->multi);
    mem_free(client);
}

/* ---- the answer ---------------------------------------------------------- */

/* CURLOPT_WRITEFUNCTION: some of the body; less than all of it ends the
 * transfer. */
static size_t on_body(char *bytes, size_t size, size_t count, void *ctx)
{
    struct web_call *call = ctx;

    buf_put(&call->body, bytes, size * count);
    call->is_too_large = !buf_ok(&call->body);
    return call->is_too_large ? 0 : size * count;
}

/* Why there is no answer, for people. Caller frees. */
static char *describe(const struct web_call *call, CURLcode rc)
{
    const struct trouble *t = find_trouble(rc);

    if (call->is_too_large) {
        return mem_printf("%s: the answer is longer than the %zu bytes that "
                          "are allowed; check that the URL is the right one, "
                          "or allow more",
                          call->shown_url, call->body.cap);
    }
    return mem_printf("%s: %s (%s); %s", call->shown_url, t->what,
                      call->error[0] != '\0' ? call->error
                                             : curl_easy_strerror(rc),
                      t->advice);
}

static void on_done(void *ctx, CURLcode rc)
{
    struct web_call *call = ctx;
    struct web_answer answer = {.status = 0, .body = SPAN_NONE};
    char *error = NULL;
    long status = 0;

    list_remove(&call->client->calls, &call->node);
    if (rc == CURLE_OK) {
        curl_easy_getinfo(call->transfer.easy, CURLINFO_RESPONSE_CODE, &status);
        answer.status = (int)status;
        answer.body = buf_view(&call->body);
    } else {
        error = describe(call, rc);
        answer.error = error;
        answer.is_late = rc == CURLE_OPERATION_TIMEDOUT;
    }
    /* The handle goes first: its connection is free for what is sent now, and
     * the client may be freed. */
    transfer_end(&call->transfer);
    call->fn(call->ctx, &answer);
    mem_free(error);
    call_free(call);
}

/* ---- the request --------------------------------------------------------- */

/* The URL without what may be secret: credentials and the query. */
static char *show_url(const char *url)
{
    CURLU *parts = curl_url();
    char *text = NULL;
    char *shown = NULL;

    if (curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK) {
        curl_url_set(parts, CURLUPART_USER, NULL, 0);
        curl_url_set(parts, CURLUPART_PASSWORD, NULL, 0);
        curl_url_set(parts, CURLUPART_QUERY, NULL, 0);
        curl_url_set(parts, CURLUPART_FRAGMENT, NULL, 0);
        curl_url_get(parts, CURLUPART_URL, &text, 0);
    }
    shown = mem_strdup(text != NULL ? text : "the URL");
    curl_free(text);
    curl_url_cleanup(parts);
    return shown;
}

/* Sets one option unless an earlier one failed. */
#define SET(rc, easy, option, value)                                           \
    do {                                                                       \
        if ((rc) == CURLE_OK) {                                                \
            (rc) = curl_easy_setopt((easy), (option), (value));                \
        }                                                                      \
    } while (0)

static CURLcode set_way(CURL *easy, const struct web_request *request)
{
    CURLcode rc = CURLE_OK;

    SET(rc, easy, CURLOPT_PROTOCOLS_STR, "http,https");
    SET(rc, easy, CURLOPT_URL, request->url);
    SET(rc, easy, CURLOPT_PROXY, "");
    SET(rc, easy, CURLOPT_FOLLOWLOCATION, 0L);
    SET(rc, easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(rc, easy, CURLOPT_USERAGENT, "postbatch");
    SET(rc, easy, CURLOPT_TCP_KEEPALIVE, 1L);
    SET(rc, easy, CURLOPT_SSL_VERIFYPEER, 1L);
    SET(rc, easy, CURLOPT_SSL_VERIFYHOST, 2L);
    SET(rc, easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (request->ca_file != NULL) {
        SET(rc, easy, CURLOPT_CAINFO, request->ca_file);
        SET(rc, easy, CURLOPT_CAPATH, NULL);
    }
    SET(rc, easy, CURLOPT_CONNECTTIMEOUT_MS, (long)request->connect_timeout_ms);
    SET(rc, easy, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
    return rc;
}

static bool is_header_clean(const char *line)
{
    while (*line != '\0' && (unsigned char)*line >= 0x20 && *line != 0x7f) {
        line++;
    }
    return *line == '\0';
}

static CURLcode set_content(struct web_call *call, CURL *easy,
                            const struct web_request *request)
{
    CURLcode rc = CURLE_OK;
    const char *const *line = request->headers;

    call->headers = curl_slist_append(NULL, "Expect:");
    for (; line != NULL && *line != NULL; line++) {
        call->headers = curl_slist_append(call->headers, *line);
        if (!is_header_clean(*line)) {
            rc = CURLE_BAD_FUNCTION_ARGUMENT;
        }
    }
    SET(rc, easy, CURLOPT_HTTPHEADER, call->headers);
    if (request->post != NULL) {
        SET(rc, easy, CURLOPT_POST, 1L);
        SET(rc, easy, CURLOPT_COPYPOSTFIELDS, request->post);
    }
    SET(rc, easy, CURLOPT_ERRORBUFFER, call->error);
    SET(rc, easy, CURLOPT_WRITEFUNCTION, on_body);
    SET(rc, easy, CURLOPT_WRITEDATA, call);
    return rc;
}

struct web_call *web_client_send(struct web_client *client,
                                 const struct web_request *request,
                                 web_answer_fn *fn, void *ctx)
{
    struct web_call *call = mem_calloc(1, sizeof(*call));
    CURL *easy = curl_easy_init();
    CURLcode rc = CURLE_OUT_OF_MEMORY;

    call->client = client;
    call->fn = fn;
    call->ctx = ctx;
    call->shown_url = show_url(request->url);
    buf_init(&call->body, request->answer_max > 0 ? request->answer_max
                                                  : ANSWER_MAX_DEFAULT);
    if (easy != NULL) {
        rc = set_way(easy, request);
        rc = rc == CURLE_OK ? set_content(call, easy, request) : rc;
    }
    list_append(&client->calls, &call->node);
    transfer_begin(&call->transfer, client->multi, easy, rc, on_done, call);
    return call;
}

void web_call_cancel(struct web_call *call)
{
    list_remove(&call->client->calls, &call->node);
    transfer_end(&call->transfer);
    call_free(call);
}
