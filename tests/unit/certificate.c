/*
 * certificate - a certificate for "localhost", for servers inside tests.
 */
#include "certificate.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

int certificate_make(struct certificate *c)
{
    X509_EXTENSION *san = NULL;
    X509_NAME *name = NULL;
    FILE *f = NULL;

    c->key = EVP_EC_gen("P-256");
    c->cert = X509_new();
    name = X509_get_subject_name(c->cert);
    X509_set_version(c->cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(c->cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(c->cert), -60);
    X509_gmtime_adj(X509_getm_notAfter(c->cert), 3600);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                               (const unsigned char *)"localhost", -1, -1, 0);
    X509_set_issuer_name(c->cert, name);
    X509_set_pubkey(c->cert, c->key);
    san =
        X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:localhost");
    X509_add_ext(c->cert, san, -1);
    X509_EXTENSION_free(san);
    X509_sign(c->cert, c->key, EVP_sha256());
    snprintf(c->path, sizeof(c->path), "%s", "/tmp/test_certificate_XXXXXX");
    f = fdopen(mkstemp(c->path), "w");
    PEM_write_X509(f, c->cert);
    return fclose(f);
}

int certificate_remove(struct certificate *c)
{
    EVP_PKEY_free(c->key);
    X509_free(c->cert);
    return unlink(c->path);
}
