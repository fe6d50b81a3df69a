/*
 * tls - the server's side of TLS between two buffers.
 */
#include "bench/sink/tls.h"

#include <stdio.h>

#include <openssl/err.h>

enum { RECORD = 16 * 1024 };

SSL_CTX *tls_context(const char *cert, const char *key)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());

    if (context != NULL &&
        SSL_CTX_use_certificate_chain_file(context, cert) == 1 &&
        SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) == 1 &&
        SSL_CTX_check_private_key(context) == 1) {
        SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
        return context;
    }
    fprintf(stderr, "postbatch-sink: %s, %s: cannot be used\n", cert, key);
    ERR_print_errors_fp(stderr);
    SSL_CTX_free(context);
    return NULL;
}

bool tls_init(struct tls *t, SSL_CTX *context)
{
    *t = (struct tls){.ssl = SSL_new(context),
                      .in = BIO_new(BIO_s_mem()),
                      .out = BIO_new(BIO_s_mem())};
    if (t->ssl == NULL || t->in == NULL || t->out == NULL) {
        SSL_free(t->ssl);
        BIO_free(t->in);
        BIO_free(t->out);
        *t = (struct tls){0};
        return false;
    }
    SSL_set_bio(t->ssl, t->in, t->out);
    SSL_set_accept_state(t->ssl);
    return true;
}

void tls_release(struct tls *t)
{
    SSL_free(t->ssl);
    *t = (struct tls){0};
}

/* Moves what OpenSSL has written to wire. */
static void drain(struct tls *t, struct buf *wire)
{
    size_t n = BIO_ctrl_pending(t->out);

    if (n > 0 && buf_room(wire, n)) {
        int got = BIO_read(t->out, wire->data + wire->len, (int)n);

        wire->len += got > 0 ? (size_t)got : 0;
    }
}

/* True when OpenSSL only waits for more bytes. */
static bool waits(const struct tls *t, int result)
{
    int error = SSL_get_error(t->ssl, result);

    ERR_clear_error();
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

bool tls_take(struct tls *t, const char *bytes, size_t n, struct buf *plain,
              struct buf *wire)
{
    int result = 1;

    if (BIO_write(t->in, bytes, (int)n) != (int)n) {
        return false;
    }
    if (!t->is_open) {
        result = SSL_do_handshake(t->ssl);
        drain(t, wire);
        if (result != 1) {
            return waits(t, result);
        }
        t->is_open = true;
    }
    while (result > 0) {
        if (!buf_room(plain, RECORD)) {
            return false;
        }
        result = SSL_read(t->ssl, plain->data + plain->len, RECORD);
        plain->len += result > 0 ? (size_t)result : 0;
    }
    drain(t, wire);
    return waits(t, result);
}

bool tls_give(struct tls *t, const char *bytes, size_t n, struct buf *wire)
{
    bool good = n == 0 || SSL_write(t->ssl, bytes, (int)n) == (int)n;

    drain(t, wire);
    return good;
}

void tls_bye(struct tls *t, struct buf *wire)
{
    if (t->is_open) {
        SSL_shutdown(t->ssl);
        ERR_clear_error();
        drain(t, wire);
    }
}
