/*
 * tls - the server's side of TLS between two buffers.
 *
 * No socket: the connection moves the bytes, so that they can be delayed like
 * any others.
 */
#ifndef SINK_TLS_H
#define SINK_TLS_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/ssl.h>

#include "base/buf.h"

struct tls {
    SSL *ssl;
    BIO *in;      /* from the client */
    BIO *out;     /* to the client */
    bool is_open; /* the handshake is done */
};

/* A context with this certificate and key (PEM files), or NULL with the reason
 * on standard error. */
SSL_CTX *tls_context(const char *cert, const char *key);

/* False when OpenSSL has no memory. */
bool tls_init(struct tls *t, SSL_CTX *context);
void tls_release(struct tls *t);
/* Takes bytes from the client; appends what they say to plain and what must go
 * to the client to wire. False when the session is over or broken. */
bool tls_take(struct tls *t, const char *bytes, size_t n, struct buf *plain,
              struct buf *wire);
/* Encrypts bytes and appends the result to wire. */
bool tls_give(struct tls *t, const char *bytes, size_t n, struct buf *wire);
/* Appends the alert that says the session ends. */
void tls_bye(struct tls *t, struct buf *wire);

#endif
