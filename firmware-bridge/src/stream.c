/* SPDX-License-Identifier: MIT */

/*
 * stream: one TCP connection to a server, with TLS where its URL says so, on the loop.
 *
 * For MQTT: libwebsockets 4.1 starts TLS on a raw client connection before it is connected, and libmosquitto's own
 * connections take the first address of a host only and read packets of any size (mqtt.c).
 */

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "bridge_limits.h"
#include "lookup.h"
#include "stream.h"

/* One read; a message of usual size fits. */
#define BRIDGE__READ_BYTES 4096

enum bridge__stream_state { BRIDGE__LOOKING_UP, BRIDGE__CONNECTING, BRIDGE__GREETING, BRIDGE__OPEN, BRIDGE__ENDED };

struct bridge_stream {
    struct bridge *b;
    const struct bridge_stream_events *events;
    void *user;
    struct bridge_url url;
    const char *alpn;
    enum bridge__stream_state state;
    int fd;
    struct bridge_watch *watch;
    SSL *ssl;
    struct bridge_lookup *lookup;
    /* What it found, and which of it comes next. */
    struct addrinfo *addresses;
    const struct addrinfo *next_address;
    /* Bounds one address while there are others; once the stream ended, tells so from the loop. */
    struct bridge_delay delay;
    const char *cause;
    bool wants_write;
    /* Calls of ours that are on the stack and still use it. */
    int busy;
    bool is_closed;
};

static const char *bridge__cause_of(int error)
{
    switch (error) {
    case ECONNREFUSED:
        return "refused";
    case ECONNRESET:
    case EPIPE:
        return "reset";
    case ENOMEM:
    case ENOBUFS:
        return "local";
    default:
        return "unreachable";
    }
}

static void bridge__stream_free(struct bridge_stream *stream)
{
    SSL_free(stream->ssl);
    if (stream->addresses != NULL)
        freeaddrinfo(stream->addresses);
    bridge_free(stream);
}

static void bridge__stream_leave(struct bridge_stream *stream)
{
    if (--stream->busy == 0 && stream->is_closed)
        bridge__stream_free(stream);
}

/* Lets go of the socket, but not of the stream. */
static void bridge__stream_hang_up(struct bridge_stream *stream)
{
    bridge_delay_cancel(&stream->delay);
    bridge_lookup_cancel(stream->lookup);
    stream->lookup = NULL;
    bridge_watch_remove(stream->watch);
    stream->watch = NULL;
    if (stream->fd >= 0)
        (void) close(stream->fd);
    stream->fd = -1;
}

static void bridge__stream_tell_end(void *user)
{
    struct bridge_stream *stream = user;

    stream->busy++;
    stream->events->ended(stream->user, stream->cause);
    bridge__stream_leave(stream);
}

/* The first cause counts. Told by the loop's next turn, so that callers need not expect to be called back. */
static void bridge__stream_end(struct bridge_stream *stream, const char *cause)
{
    if (stream->state == BRIDGE__ENDED || stream->is_closed)
        return;
    stream->state = BRIDGE__ENDED;
    stream->cause = cause;
    bridge__stream_hang_up(stream);
    bridge_delay_start(stream->b, &stream->delay, 0, bridge__stream_tell_end, stream);
}

static void bridge__stream_want_write(struct bridge_stream *stream)
{
    stream->wants_write = true;
    bridge_watch_want_write(stream->watch);
}

/* ---- TLS ---- */

/* What `result` of an SSL function means: 0 to be tried again later, and arranged for; else the stream was ended. */
static int bridge__stream_tls_failed(struct bridge_stream *stream, int result)
{
    const int system_error = errno;
    const bool is_greeting = stream->state == BRIDGE__GREETING;

    switch (SSL_get_error(stream->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return 0;
    case SSL_ERROR_WANT_WRITE:
        bridge__stream_want_write(stream);
        return 0;
    case SSL_ERROR_ZERO_RETURN:
        bridge__stream_end(stream, is_greeting ? "reset" : "closed");
        break;
    case SSL_ERROR_SYSCALL:
        if (system_error != 0)
            bridge__stream_end(stream, bridge__cause_of(system_error));
        else
            bridge__stream_end(stream, is_greeting ? "reset" : "closed");
        break;
    default:
        bridge__stream_end(stream, "tls");
    }
    ERR_clear_error();
    return -1;
}

static void bridge__stream_opened(struct bridge_stream *stream)
{
    stream->state = BRIDGE__OPEN;
    stream->events->opened(stream->user);
}

static void bridge__stream_greet(struct bridge_stream *stream)
{
    int result;

    ERR_clear_error();
    errno = 0;
    result = SSL_do_handshake(stream->ssl);
    if (result == 1)
        bridge__stream_opened(stream);
    else
        (void) bridge__stream_tls_failed(stream, result);
}

/* ---- TCP ---- */

static void bridge__stream_readable(void *user);
static void bridge__stream_writable(void *user);
static void bridge__stream_give_up_address(void *user);

/* Waits for the socket to be connected. False without memory or a descriptor. */
static bool bridge__stream_watch(struct bridge_stream *stream)
{
    struct bridge *b = stream->b;
    const int bytes_max = BRIDGE_STREAM_UNSENT_BYTES_MAX;

    stream->watch = bridge_watch_add(b, stream->fd, bridge__stream_readable, bridge__stream_writable, stream);
    if (stream->watch == NULL)
        return false;
    /* Else the system would put megabytes between us and a server that does not read. */
    (void) setsockopt(stream->fd, SOL_SOCKET, SO_SNDBUF, &bytes_max, sizeof bytes_max);
    bridge__stream_want_write(stream);
    if (stream->next_address != NULL)
        bridge_delay_start(b, &stream->delay, BRIDGE_DIAL_ADDRESS_MS_MAX, bridge__stream_give_up_address, stream);
    return true;
}

/* Dials what comes next; false when nothing is left. */
static bool bridge__stream_dial(struct bridge_stream *stream)
{
    while (stream->next_address != NULL) {
        const struct addrinfo *at = stream->next_address;

        stream->next_address = at->ai_next;
        stream->fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (stream->fd >= 0 && (connect(stream->fd, at->ai_addr, at->ai_addrlen) == 0 || errno == EINPROGRESS)) {
            if (bridge__stream_watch(stream))
                return true;
            errno = ENOMEM;
        }
        stream->cause = bridge__cause_of(errno);
        bridge__stream_hang_up(stream);
    }
    return false;
}

static void bridge__stream_dial_next(struct bridge_stream *stream, const char *cause)
{
    bridge__stream_hang_up(stream);
    stream->cause = cause;
    if (!bridge__stream_dial(stream))
        bridge__stream_end(stream, stream->cause);
}

static void bridge__stream_found(void *user, struct addrinfo *addresses)
{
    struct bridge_stream *stream = user;

    stream->lookup = NULL;
    stream->state = BRIDGE__CONNECTING;
    stream->addresses = addresses;
    stream->next_address = addresses;
    bridge__stream_dial_next(stream, "unreachable");
}

static void bridge__stream_give_up_address(void *user)
{
    bridge__stream_dial_next(user, "unreachable");
}

/* Something happened to a socket that was being connected. */
static void bridge__stream_check_connected(struct bridge_stream *stream)
{
    const int on = 1;
    struct sockaddr_storage peer;
    socklen_t bytes = sizeof peer;
    int error = 0;
    socklen_t error_bytes = sizeof error;

    if (getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &error, &error_bytes) < 0)
        error = errno;
    if (error == 0 && getpeername(stream->fd, (struct sockaddr *) &peer, &bytes) < 0) {
        if (errno == ENOTCONN)
            return; /* Not yet. */
        error = errno;
    }
    if (error != 0) {
        bridge__stream_dial_next(stream, bridge__cause_of(error));
        return;
    }
    bridge_delay_cancel(&stream->delay);
    freeaddrinfo(stream->addresses);
    stream->addresses = NULL;
    stream->next_address = NULL;
    /* Frames are small and wanted at once. */
    (void) setsockopt(stream->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (!stream->url.is_tls) {
        bridge__stream_opened(stream);
        return;
    }
    stream->state = BRIDGE__GREETING;
    stream->ssl = bridge_stream_tls_new(stream->b, stream->url.host, stream->alpn, stream->fd);
    if (stream->ssl == NULL)
        bridge__stream_end(stream, "local");
    else
        bridge__stream_greet(stream);
}

/* Bytes read, or 0: nothing there now, or the stream was ended. */
static size_t bridge__stream_read(struct bridge_stream *stream, uint8_t *bytes, size_t room)
{
    errno = 0;
    if (stream->ssl != NULL) {
        size_t count = 0;

        ERR_clear_error();
        if (SSL_read_ex(stream->ssl, bytes, room, &count) == 1)
            return count;
        (void) bridge__stream_tls_failed(stream, 0);
        return 0;
    }
    for (;;) {
        ssize_t count = recv(stream->fd, bytes, room, 0);

        if (count > 0)
            return (size_t) count;
        if (count == 0)
            bridge__stream_end(stream, "closed");
        else if (errno == EINTR)
            continue;
        else if (errno != EAGAIN)
            bridge__stream_end(stream, bridge__cause_of(errno));
        return 0;
    }
}

static void bridge__stream_receive(struct bridge_stream *stream)
{
    uint8_t bytes[BRIDGE__READ_BYTES];
    int reads = 0;

    /* Others are served in between; what OpenSSL has taken from the socket already would not wake us again. */
    while (reads++ < BRIDGE_STREAM_READS_MAX || (stream->ssl != NULL && SSL_pending(stream->ssl) > 0)) {
        size_t count = bridge__stream_read(stream, bytes, sizeof bytes);

        if (count == 0)
            return;
        stream->events->received(stream->user, bytes, count);
        if (stream->is_closed || stream->state == BRIDGE__ENDED)
            return;
    }
}

static void bridge__stream_readable(void *user)
{
    struct bridge_stream *stream = user;

    stream->busy++;
    if (stream->state == BRIDGE__CONNECTING)
        bridge__stream_check_connected(stream);
    else if (stream->state == BRIDGE__GREETING)
        bridge__stream_greet(stream);
    else if (stream->state == BRIDGE__OPEN)
        bridge__stream_receive(stream);
    bridge__stream_leave(stream);
}

static void bridge__stream_writable(void *user)
{
    struct bridge_stream *stream = user;

    if (!stream->wants_write)
        return;
    stream->wants_write = false;
    stream->busy++;
    if (stream->state == BRIDGE__CONNECTING)
        bridge__stream_check_connected(stream);
    else if (stream->state == BRIDGE__GREETING)
        bridge__stream_greet(stream);
    else if (stream->state == BRIDGE__OPEN)
        stream->events->writable(stream->user);
    bridge__stream_leave(stream);
}

/* ---- stream.h ---- */

struct bridge_stream *bridge_stream_open(struct bridge *b, const struct bridge_url *url, const char *alpn,
                                         const struct bridge_stream_events *events, void *user)
{
    struct bridge_stream *stream = bridge_calloc(1, sizeof *stream);

    if (stream == NULL)
        return NULL;
    stream->b = b;
    stream->events = events;
    stream->user = user;
    stream->url = *url;
    stream->alpn = alpn;
    stream->fd = -1;
    stream->lookup = bridge_lookup_start(b, url->host, url->port, bridge__stream_found, stream);
    if (stream->lookup != NULL)
        return stream;
    bridge__stream_free(stream);
    return NULL;
}

size_t bridge_stream_write(struct bridge_stream *stream, const uint8_t *bytes, size_t count)
{
    size_t written = 0;

    while (stream->state == BRIDGE__OPEN && written < count) {
        size_t now = 0;

        errno = 0;
        if (stream->ssl != NULL) {
            ERR_clear_error();
            if (SSL_write_ex(stream->ssl, bytes + written, count - written, &now) != 1) {
                (void) bridge__stream_tls_failed(stream, 0);
                break;
            }
        } else {
            ssize_t sent = send(stream->fd, bytes + written, count - written, MSG_NOSIGNAL);

            if (sent < 0 && errno == EINTR)
                continue;
            if (sent < 0 && errno == EAGAIN)
                bridge__stream_want_write(stream);
            else if (sent < 0)
                bridge__stream_end(stream, bridge__cause_of(errno));
            if (sent < 0)
                break;
            now = (size_t) sent;
        }
        written += now;
    }
    return written;
}

void bridge_stream_close(struct bridge_stream *stream)
{
    if (stream == NULL)
        return;
    if (stream->ssl != NULL && stream->state == BRIDGE__OPEN) {
        (void) SSL_shutdown(stream->ssl);
        ERR_clear_error();
    }
    stream->is_closed = true;
    bridge__stream_hang_up(stream);
    stream->busy++;
    bridge__stream_leave(stream);
}
