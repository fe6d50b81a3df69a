/*
 * certificate - a certificate for "localhost", for servers inside tests.
 */
#ifndef TESTS_UNIT_CERTIFICATE_H
#define TESTS_UNIT_CERTIFICATE_H

#include <openssl/evp.h>
#include <openssl/x509.h>

struct certificate {
    EVP_PKEY *key;
    X509 *cert;
    char path[64]; /* it is its own authority: the file to trust */
};

/* These give 0 when all went well, as cmocka wants it. */
int certificate_make(struct certificate *c);
int certificate_remove(struct certificate *c);

#endif
