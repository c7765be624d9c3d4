/* SPDX-License-Identifier: MIT */

/*
 * dial: one client connection of libwebsockets, at each address of its host in turn, and why it ended.
 *
 * lws gets addresses, not names (lookup.c): 4.1 waits for name servers, gives up where the first address refuses, and
 * tells a name nobody knows from a host nobody reaches by a log line. It tells failures as English text; what the
 * socket and OpenSSL know is asked of them instead.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "client.h"

/* States of TCP_INFO. <netinet/tcp.h>, which names them, has an older struct tcp_info. */
#define STATE_ESTABLISHED 1
#define STATE_CLOSE 7
#define STATE_CLOSE_WAIT 8

/* Without a policy lws pings every five minutes. The agent owns the heartbeat. */
static const lws_retry_bo_t NO_HEARTBEAT;

/* Appends the addresses of one family until there are `count_max`. */
static void dial__take(struct bridge_dial *dial, const struct addrinfo *found, int family, int count_max)
{
    for (; found && dial->address_count < count_max; found = found->ai_next) {
        if (found->ai_family == family &&
            !getnameinfo(found->ai_addr, found->ai_addrlen, dial->addresses[dial->address_count],
                         BRIDGE_ADDRESS_CHARS_MAX, NULL, 0, NI_NUMERICHOST))
            dial->address_count++;
    }
}

static void dial__next(void *user);

/* Both families get their half, the one the system puts first goes first: a broken one costs one attempt. */
static void dial__found(void *user, struct addrinfo *addresses)
{
    struct bridge_dial *dial = user;
    int family = addresses ? addresses->ai_family : AF_INET;

    dial->lookup = NULL;
    dial__take(dial, addresses, family, BRIDGE_DIAL_ADDRESSES_MAX / 2);
    dial__take(dial, addresses, family == AF_INET ? AF_INET6 : AF_INET, BRIDGE_DIAL_ADDRESSES_MAX);
    if (addresses)
        freeaddrinfo(addresses);
    dial__next(dial);
}

/* Nothing answered this address for a while; there is another. */
static void dial__give_up_address(void *user)
{
    struct bridge_dial *dial = user;

    if (!dial->cause)
        dial->cause = "unreachable";
    bridge_dial_end(dial);
    dial__next(dial);
}

/* Dials the next address; calls `failed` when there is none. */
static void dial__next(void *user)
{
    struct bridge_dial *dial = user;
    struct bridge *b = dial->b;
    struct lws_client_connect_info info;
    bool is_tunnel;

    memset(&info, 0, sizeof(info));
    info.context = b->lws;
    info.vhost = bridge_proxy_vhost(b, &dial->url, &is_tunnel);
    if (info.vhost && !dial->has_looked_up) {
        dial->has_looked_up = true;
        if (is_tunnel)
            /* The proxy does. */
            strcpy(dial->addresses[dial->address_count++], "");
        else
            dial->lookup = bridge_lookup_start(b, dial->url.host, dial->url.port, dial__found, dial);
        if (dial->lookup)
            return;
    }
    if (dial->url.is_tls && info.vhost && bridge_tls_attach(b, info.vhost))
        info.vhost = NULL;

    info.port = dial->url.port;
    info.path = dial->url.path;
    info.host = dial->url.authority;
    info.method = dial->method;
    info.protocol = dial->subprotocol;
    info.local_protocol_name = dial->method ? BRIDGE_PROTOCOL_HTTP : BRIDGE_PROTOCOL_WEBSOCKET;
    info.alpn = "http/1.1";
    info.userdata = dial;
    info.ssl_connection = LCCSCF_HTTP_NO_FOLLOW_REDIRECT | (dial->url.is_tls ? LCCSCF_USE_SSL : 0);
    info.retry_and_idle_policy = &NO_HEARTBEAT;
    dial->phase = BRIDGE_DIAL_CONNECTING;

    while (info.vhost && dial->next_address < dial->address_count) {
        info.address = dial->addresses[dial->next_address++];
        if (!*info.address)
            info.address = dial->url.host;
        dial->peer.has_failed = dial->peer.has_ended = false;
        dial->is_asking = true;
        dial->peer.wsi = lws_client_connect_via_info(&info);
        dial->is_asking = false;
        if (dial->peer.wsi && dial->phase != BRIDGE_DIAL_CONNECTING)
            return;
        if (dial->peer.wsi) {
            int twin_fd = fcntl(lws_get_socket_fd(dial->peer.wsi), F_DUPFD_CLOEXEC, 3);

            dial->twin_fd = twin_fd > 0 ? twin_fd : 0;
            if (dial->next_address < dial->address_count)
                bridge_delay_start(b, &dial->delay, BRIDGE_DIAL_ADDRESS_MS_MAX, dial__give_up_address, dial);
            return;
        }
        /* No route, no descriptors, no memory. It may have been connected for a moment. */
        bridge_dial_release(dial);
        dial->phase = BRIDGE_DIAL_CONNECTING;
        if (!dial->cause)
            dial->cause = "unreachable";
    }
    dial->failed(dial, dial->cause ? dial->cause : "unreachable");
}

void bridge_dial_start(struct bridge_dial *dial)
{
    /* From the loop, so that whoever starts it is not told of the end meanwhile. */
    bridge_delay_start(dial->b, &dial->delay, 0, dial__next, dial);
}

static void dial__close_twin(struct bridge_dial *dial)
{
    if (dial->twin_fd)
        (void) close(dial->twin_fd);
    dial->twin_fd = 0;
}

void bridge_dial_connected(struct bridge_dial *dial, struct lws *wsi)
{
    bridge_delay_cancel(&dial->delay);
    dial__close_twin(dial);
    dial->peer.wsi = wsi;
    dial->peer.host = dial->url.host;
    dial->peer.port = dial->url.port;
    bridge_tls_expect(dial->b, &dial->peer);
    dial->phase = BRIDGE_DIAL_OPENING;
}

/* errno of the connection's end, or 0: lws may have taken it already. */
static int dial__socket_error(int fd)
{
    int error = 0;
    socklen_t bytes = sizeof(error);

    return fd >= 0 && !getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &bytes) ? error : 0;
}

/* Closed after a reset, close-wait when the other side has ended, established when it has not. */
static struct tcp_info dial__tcp(int fd)
{
    struct tcp_info tcp;
    socklen_t bytes = sizeof(tcp);

    memset(&tcp, 0, sizeof(tcp));
    tcp.tcpi_state = STATE_CLOSE_WAIT;
    if (fd >= 0)
        (void) getsockopt(fd, IPPROTO_TCP, TCP_INFO, &tcp, &bytes);
    return tcp;
}

/* The other side answered the first packet, and there is no connection: it was a reset. */
static bool dial__is_refused(const struct bridge_dial *dial, const char *text, size_t bytes)
{
    struct tcp_info tcp = dial__tcp(dial->twin_fd ? dial->twin_fd : -1);

    if (tcp.tcpi_state == STATE_CLOSE && tcp.tcpi_segs_in > 0)
        return true;
    /* A proxy's address, of which lws tries several by itself; from 4.2 on it names the error. */
    return text && bytes && memmem(text, bytes, "ECONNREFUSED", strlen("ECONNREFUSED"));
}

/* OpenSSL gave the handshake up: for the certificate, or for what it read, but not for an end it read. */
static bool dial__is_tls_failure(const struct bridge_dial *dial)
{
    SSL *ssl = lws_get_ssl(dial->peer.wsi);

    if (!ssl || dial->peer.has_ended)
        return dial->peer.has_failed;
    /* lws has emptied OpenSSL's queue of errors by now; the connection's state tells too. */
    return dial->peer.has_failed || SSL_get_verify_result(ssl) != X509_V_OK || !strcmp(SSL_state_string(ssl), "SSLERR");
}

/* What lws says of an answer it did not like, or did not get; then it does not matter how the connection ended. */
static bool dial__is_bad_answer(const char *text, size_t bytes)
{
    static const char *const STARTS[] = {"HS: ", "problems parsing", "proxy ", "Timed out"};
    size_t i;

    for (i = 0; i < sizeof(STARTS) / sizeof(STARTS[0]); i++)
        if (text && bytes >= strlen(STARTS[i]) && !strncmp(text, STARTS[i], strlen(STARTS[i])))
            return true;
    return false;
}

/* Why, in the words of LinkCause. */
static const char *dial__cause(const struct bridge_dial *dial, const char *text, size_t bytes)
{
    struct lws *wsi = dial->peer.wsi;
    SSL *ssl = lws_get_ssl(wsi);
    int fd = lws_get_socket_fd(wsi);
    int error = dial__socket_error(fd);
    int state = dial__tcp(fd).tcpi_state;

    if (dial->phase == BRIDGE_DIAL_CONNECTING)
        return error == ECONNREFUSED || dial__is_refused(dial, text, bytes) ? "refused" : "unreachable";
    if (dial__is_tls_failure(dial))
        return "tls";
    if (dial__is_bad_answer(text, bytes))
        return "unreachable";
    if (error == ETIMEDOUT || error == EHOSTUNREACH || error == ENETUNREACH)
        return "unreachable";
    if (dial->phase == BRIDGE_DIAL_OPEN) {
        if (state == STATE_CLOSE)
            return "reset";
        if (state == STATE_ESTABLISHED && !(ssl && SSL_get_shutdown(ssl) & SSL_RECEIVED_SHUTDOWN))
            /* Nobody but lws can have ended it: for a frame that RFC 6455 forbids. */
            return "protocol";
        return "closed";
    }
    return state == STATE_ESTABLISHED ? "unreachable" : "reset";
}

const char *bridge_dial_ended(struct bridge_dial *dial, const char *text, size_t bytes)
{
    const char *cause;

    if (dial->is_asking)
        return NULL;
    cause = dial__cause(dial, text, bytes);
    bridge_dial_release(dial);
    if (!dial->cause)
        dial->cause = cause;
    if (dial->phase != BRIDGE_DIAL_CONNECTING)
        return cause;
    if (dial->next_address == dial->address_count)
        return dial->cause;
    bridge_delay_start(dial->b, &dial->delay, 0, dial__next, dial);
    return NULL;
}

void bridge_dial_lost(struct bridge_dial *dial)
{
    if (dial->is_asking)
        return;
    dial->peer.wsi = NULL;
    bridge_dial_release(dial);
    dial->failed(dial, "unreachable");
}

void bridge_dial_release(struct bridge_dial *dial)
{
    bridge_delay_cancel(&dial->delay);
    bridge_lookup_cancel(dial->lookup);
    dial->lookup = NULL;
    dial__close_twin(dial);
    bridge_tls_forget(dial->b, &dial->peer);
    if (dial->peer.wsi)
        lws_set_wsi_user(dial->peer.wsi, NULL);
    dial->peer.wsi = NULL;
}

void bridge_dial_end(struct bridge_dial *dial)
{
    struct lws *wsi = dial->peer.wsi;

    bridge_dial_release(dial);
    if (wsi)
        lws_set_timeout(wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
}
