/* SPDX-License-Identifier: MIT */

/*
 * tls: what WebSocket, HTTP and MQTT share of TLS: who is trusted, at what time, for which name, and sessions to
 * resume.
 *
 * All of it happens in OpenSSL's info callback where a handshake starts, on the SSL at hand: libwebsockets 4.1 neither
 * resumes sessions, nor reads certificates anew, nor checks a name that is longer than 127 characters or an IPv6
 * address rightly. Sessions stay in memory; they would be secrets on flash.
 */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "client.h"

/* Host, port. */
#define KEY_BYTES_MAX (256 + 8)

struct session {
    char key[KEY_BYTES_MAX];
    SSL_SESSION *session;
};

struct bridge_tls {
    struct bridge_trust *trust;
    /* Of all client vhosts; made for the first connection that needs one. */
    SSL_CTX *ctx;
    struct bridge_tls_peer *peers;
    /* Last used first. */
    struct session sessions[BRIDGE_TLS_SESSIONS_MAX];
};

static void tls__forget_sessions(struct bridge_tls *tls)
{
    size_t i;

    for (i = 0; i < BRIDGE_TLS_SESSIONS_MAX; i++)
        SSL_SESSION_free(tls->sessions[i].session);
    memset(tls->sessions, 0, sizeof(tls->sessions));
}

/*
 * The place of `key`, moved to the front. Without one NULL, or with `make` that of the session longest not used,
 * emptied.
 */
static struct session *tls__place(struct bridge_tls *tls, const char *key, bool make)
{
    struct session found;
    size_t i = 0;

    while (i < BRIDGE_TLS_SESSIONS_MAX && strcmp(tls->sessions[i].key, key))
        i++;
    if (i == BRIDGE_TLS_SESSIONS_MAX) {
        if (!make)
            return NULL;
        i--;
        SSL_SESSION_free(tls->sessions[i].session);
        memset(&tls->sessions[i], 0, sizeof(found));
        strcpy(tls->sessions[i].key, key);
    }
    found = tls->sessions[i];
    memmove(tls->sessions + 1, tls->sessions, i * sizeof(found));
    tls->sessions[0] = found;
    return &tls->sessions[0];
}

static struct bridge_tls_peer *tls__peer(struct bridge_tls *tls, const SSL *ssl)
{
    int fd = SSL_get_fd(ssl);
    struct bridge_tls_peer *peer;

    for (peer = tls->peers; peer; peer = peer->next)
        if (fd >= 0 && peer->wsi && lws_get_socket_fd(peer->wsi) == fd)
            return peer;
    return NULL;
}

/*
 * Whom a session is with: the name that was asked for, or else the address, and the port. False when nobody can tell.
 */
static bool tls__key(const struct bridge_tls_peer *peer, const SSL *ssl, char key[KEY_BYTES_MAX])
{
    const char *host = peer ? peer->host : SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    char address[INET6_ADDRSTRLEN] = "";
    struct sockaddr_storage remote;
    socklen_t bytes = sizeof(remote);
    int port = 0;

    if (peer)
        return snprintf(key, KEY_BYTES_MAX, "%s %d", host, peer->port) < KEY_BYTES_MAX;
    if (getpeername(SSL_get_fd(ssl), (struct sockaddr *) &remote, &bytes))
        return false;
    if (remote.ss_family == AF_INET) {
        const struct sockaddr_in *ipv4 = (const struct sockaddr_in *) &remote;

        port = ntohs(ipv4->sin_port);
        inet_ntop(AF_INET, &ipv4->sin_addr, address, sizeof(address));
    } else if (remote.ss_family == AF_INET6) {
        const struct sockaddr_in6 *ipv6 = (const struct sockaddr_in6 *) &remote;

        port = ntohs(ipv6->sin6_port);
        inet_ntop(AF_INET6, &ipv6->sin6_addr, address, sizeof(address));
    }
    return port != 0 && snprintf(key, KEY_BYTES_MAX, "%s %d", host ? host : address, port) < KEY_BYTES_MAX;
}

/*
 * Name or address the certificate has to be for, and SNI for a name (RFC 6066 section 3). False when memory is short.
 */
static bool tls__check_name(SSL *ssl, const char *host)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    unsigned char address[sizeof(struct in6_addr)];
    bool is_address = inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;

    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (is_address)
        return X509_VERIFY_PARAM_set1_host(param, NULL, 0) && X509_VERIFY_PARAM_set1_ip_asc(param, host) &&
               SSL_set_tlsext_host_name(ssl, NULL);
    return X509_VERIFY_PARAM_set1_ip(param, NULL, 0) && X509_VERIFY_PARAM_set1_host(param, host, strlen(host)) &&
           SSL_set_tlsext_host_name(ssl, host);
}

/* Before the ClientHello is made. */
static void tls__begin(struct bridge *b, SSL *ssl)
{
    struct bridge_tls *tls = b->tls;
    struct bridge_tls_peer *peer = tls__peer(tls, ssl);
    X509_STORE *store;
    struct session *place;
    SSL_SESSION *session;
    char key[KEY_BYTES_MAX];
    bool has_changed;

    store = bridge_trust_store(tls->trust, &has_changed);
    if (has_changed)
        /* A resumed session brings no certificate that could be checked. */
        tls__forget_sessions(tls);
    if (peer && !tls__check_name(ssl, peer->host))
        store = bridge_trust_nobody(tls->trust);
    SSL_set1_verify_cert_store(ssl, store);

    /*
     * A clock that was reset to 1970 would find no certificate valid yet; one that is too early accepts expired ones.
     */
    if ((int64_t) time(NULL) < b->epoch_floor_ms / 1000)
        X509_VERIFY_PARAM_set_time(SSL_get0_param(ssl), (time_t) (b->epoch_floor_ms / 1000));

    place = tls__key(peer, ssl, key) ? tls__place(tls, key, false) : NULL;
    if (!place)
        return;
    session = SSL_SESSION_dup(place->session);
    if (session)
        SSL_set_session(ssl, session);
    SSL_SESSION_free(session);
}

static void tls__info(const SSL *ssl, int where, int value)
{
    struct bridge *b = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    struct bridge_tls_peer *peer;

    if (!b || !b->tls)
        return;
    /* OpenSSL hands the SSL out as const here; it is documented as the place to set a connection up. */
    if (where & SSL_CB_HANDSHAKE_START && !SSL_is_init_finished(ssl) && !SSL_get_session(ssl))
        tls__begin(b, (SSL *) (uintptr_t) ssl);
    if (where & SSL_CB_ALERT && value >> 8 == SSL3_AL_FATAL) {
        peer = tls__peer(b->tls, ssl);
        /* An end is answered by an alert too, which nobody reads any more. */
        if (peer && ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
            peer->has_ended = true;
        else if (peer)
            peer->has_failed = true;
    }
}

/*
 * TLS 1.3 gives tickets behind the handshake, at any time; the newest is kept. As a copy, and resumed as one: OpenSSL
 * marks the session of a connection that ends without a farewell as not to be resumed, and so most of ours end. 0: not
 * taken.
 */
static int tls__new_session(SSL *ssl, SSL_SESSION *session)
{
    struct bridge *b = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    struct session *place;
    SSL_SESSION *copy;
    char key[KEY_BYTES_MAX];

    if (!b || !b->tls || !SSL_SESSION_is_resumable(session) || !tls__key(tls__peer(b->tls, ssl), ssl, key))
        return 0;
    copy = SSL_SESSION_dup(session);
    if (!copy)
        return 0;
    place = tls__place(b->tls, key, true);
    SSL_SESSION_free(place->session);
    place->session = copy;
    return 0;
}

int bridge_tls_prepare(struct bridge *b, void *ssl_ctx)
{
    SSL_CTX *ctx = ssl_ctx;

    if (!SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION))
        return BRIDGE_E_SYSTEM;
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    /* The buffers of a link that waits for a message go: 34 KB. */
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, tls__new_session);
    SSL_CTX_set_info_callback(ctx, tls__info);
    return SSL_CTX_set_app_data(ctx, b) ? 0 : BRIDGE_E_NOMEM;
}

int bridge_tls_attach(struct bridge *b, struct lws_vhost *vhost)
{
    struct lws_context_creation_info info;

    if (!b->tls->ctx) {
        b->tls->ctx = SSL_CTX_new(TLS_client_method());
        if (!b->tls->ctx)
            return BRIDGE_E_NOMEM;
        if (bridge_tls_prepare(b, b->tls->ctx)) {
            SSL_CTX_free(b->tls->ctx);
            b->tls->ctx = NULL;
            return BRIDGE_E_NOMEM;
        }
        /* As lws does with one of its own. */
        SSL_CTX_set_mode(b->tls->ctx, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    }
    memset(&info, 0, sizeof(info));
    info.options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
    info.provided_client_ssl_ctx = b->tls->ctx;
    /* Does nothing where the vhost has it. */
    return lws_init_vhost_client_ssl(&info, vhost) ? BRIDGE_E_NOMEM : 0;
}

int bridge_tls_open(struct bridge *b)
{
    b->tls = bridge_calloc(1, sizeof(*b->tls));
    if (!b->tls)
        return BRIDGE_E_NOMEM;
    b->tls->trust = bridge_trust_new(b->ca_file, b->ca_pem);
    return b->tls->trust ? 0 : BRIDGE_E_NOMEM;
}

void bridge_tls_close(struct bridge *b)
{
    if (!b->tls)
        return;
    tls__forget_sessions(b->tls);
    SSL_CTX_free(b->tls->ctx);
    bridge_trust_free(b->tls->trust);
    bridge_free(b->tls);
    b->tls = NULL;
}

void bridge_tls_expect(struct bridge *b, struct bridge_tls_peer *peer)
{
    bridge_tls_forget(b, peer);
    peer->next = b->tls->peers;
    b->tls->peers = peer;
}

void bridge_tls_forget(struct bridge *b, struct bridge_tls_peer *peer)
{
    struct bridge_tls_peer **at;

    if (!b->tls)
        return;
    for (at = &b->tls->peers; *at; at = &(*at)->next) {
        if (*at == peer) {
            *at = peer->next;
            return;
        }
    }
}
