/* SPDX-License-Identifier: MIT */

/* stream_tls: TLS of one stream: whom the certificate has to be for, and what is said in the greeting. */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "stream.h"

#define BRIDGE__ALPN_CHARS_MAX 31

/* What the certificate has to be for, and what the server is told. 0, or -1 without memory. */
static int bridge__tls_name_host(SSL *ssl, const char *host)
{
    unsigned char address[sizeof(struct in6_addr)];

    if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1 ? 0 : -1;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1 ? 0 : -1;
}

/* 0, or -1 without memory. */
static int bridge__tls_set_alpn(SSL *ssl, const char *alpn)
{
    unsigned char list[1 + BRIDGE__ALPN_CHARS_MAX];
    const size_t length = strlen(alpn);

    if (length > BRIDGE__ALPN_CHARS_MAX)
        return -1;
    list[0] = (unsigned char) length;
    memcpy(list + 1, alpn, length);
    return SSL_set_alpn_protos(ssl, list, (unsigned int) length + 1) == 0 ? 0 : -1;
}

void *bridge_stream_tls_new(struct bridge *b, const char *host, const char *alpn, int fd)
{
    SSL_CTX *settings = SSL_CTX_new(TLS_client_method());
    SSL *ssl = NULL;

    if (settings == NULL || bridge_tls_prepare(b, settings))
        goto out;
    /* Many servers end without a goodbye; MQTT has its own. */
    (void) SSL_CTX_set_options(settings, SSL_OP_IGNORE_UNEXPECTED_EOF);
    (void) SSL_CTX_set_mode(settings, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    ssl = SSL_new(settings);
    if (ssl == NULL)
        goto out;
    SSL_set_connect_state(ssl);
    if (bridge__tls_name_host(ssl, host) || (alpn != NULL && bridge__tls_set_alpn(ssl, alpn)) ||
        SSL_set_fd(ssl, fd) != 1) {
        SSL_free(ssl);
        ssl = NULL;
    }
out:
    SSL_CTX_free(settings);
    ERR_clear_error();
    return ssl;
}
