/* SPDX-License-Identifier: MIT */

/*
 * app_socket: the connections of the app socket over libwebsockets, one vhost that listens nowhere: listener.c hands it
 * what it took. Who may come, and how long one may take to prove who it is, is the script's to say; bounds on bytes and on the time
 * a close takes are kept here. Nothing repeats.
 */

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "app_socket.h"
#include "daemon_limits.h"
#include "script_limits.h"

#define DAEMON__SUBPROTOCOL "godwit.app.v1"
#define DAEMON__CLOSE_TOO_LARGE 1009
#define DAEMON__METHODS (LWSHUMETH_HEAD + 1)

static int daemon__handle(struct lws *wsi, enum lws_callback_reasons reason, void *session, void *in, size_t bytes);

static const struct lws_protocols daemon__protocols[] = {
    {DAEMON__SUBPROTOCOL, daemon__handle, 0, DAEMON_READ_BYTES, 0, NULL, 0},
    {NULL, NULL, 0, 0, 0, NULL, 0},
};

/* libwebsockets sends no pings of its own: an idle app costs no wake-up. */
static const lws_retry_bo_t daemon__no_pings = {.secs_since_valid_ping = 0, .secs_since_valid_hangup = 0};

struct daemon_frame *daemon_frame_new(size_t bytes)
{
    struct daemon_frame *frame = bridge_malloc(sizeof *frame + bytes);

    if (frame == NULL)
        return NULL;
    frame->next = NULL;
    frame->bytes = bytes;
    return frame;
}

struct daemon_peer *daemon_peer_find(struct daemon_socket *s, int64_t id)
{
    lws_start_foreach_dll(struct lws_dll2 *, at, s->peers.head)
    {
        struct daemon_peer *peer = lws_container_of(at, struct daemon_peer, all);

        if (peer->id == id)
            return peer;
    }
    lws_end_foreach_dll(at);
    return NULL;
}

static void daemon__drop_queue(struct daemon_peer *peer)
{
    while (peer->first != NULL) {
        struct daemon_frame *frame = peer->first;

        peer->first = frame->next;
        bridge_free(frame);
    }
    peer->last = NULL;
    peer->queued_bytes = 0;
}

static void daemon__free_peer(struct daemon_peer *peer)
{
    bridge_delay_cancel(&peer->patience);
    lws_dll2_remove(&peer->all);
    daemon__drop_queue(peer);
    bridge_free(peer->response);
    bridge_free(peer->message);
    bridge_free(peer);
}

/* ---- from the script ---- */

void daemon_peer_send(struct daemon_peer *peer, struct daemon_frame *frame)
{
    if (peer->is_closing || !peer->is_open) {
        bridge_free(frame);
        return;
    }
    if (peer->last == NULL)
        peer->first = frame;
    else
        peer->last->next = frame;
    peer->last = frame;
    peer->queued_bytes += frame->bytes;
    lws_callback_on_writable(peer->wsi);
}

void daemon_peer_terminate(struct daemon_peer *peer)
{
    peer->is_closing = true;
    bridge_delay_cancel(&peer->patience);
    daemon__drop_queue(peer);
    /* Or libwebsockets would wait for the peer to hang up, too. */
    shutdown(lws_get_socket_fd(peer->wsi), SHUT_RDWR);
    lws_set_timeout(peer->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
}

static void daemon__handle_impatience(void *user)
{
    daemon_peer_terminate(user);
}

/* From now on it has LIMIT_APP_CLOSE_TIMEOUT_MS. */
static void daemon__await_end(struct daemon_peer *peer)
{
    bridge_delay_start(peer->socket->d->b, &peer->patience, LIMIT_APP_CLOSE_TIMEOUT_MS, daemon__handle_impatience, peer);
}

void daemon_peer_close(struct daemon_peer *peer, int code)
{
    if (peer->is_closing)
        return;
    peer->is_closing = true;
    peer->close_code = code;
    daemon__await_end(peer);
    /* Its answer has to be read. */
    lws_rx_flow_control(peer->wsi, 1);
    lws_callback_on_writable(peer->wsi);
}

/* ---- from listener.c ---- */

/* Emits an event about a connection, with its number and `more`, which it takes. */
static void daemon__tell(struct bridge *b, const char *event, int64_t id, JSValue more)
{
    JSValue values[] = {JS_NewInt64(b->ctx, id), more};

    bridge_emit(b, event, 2, values);
}

void daemon_socket_take(struct daemon *d, int fd, bool is_loopback)
{
    struct daemon_socket *s = d->socket;
    struct daemon_peer *peer = s->is_stopping ? NULL : bridge_calloc(1, sizeof *peer);
    lws_adopt_desc_t adopted = {.vh = s->vhost, .type = LWS_ADOPT_SOCKET | LWS_ADOPT_HTTP, .fd.sockfd = fd, .opaque = peer};

    if (peer == NULL) {
        close(fd);
        return;
    }
    peer->socket = s;
    peer->id = ++s->last_id;
    lws_dll2_add_tail(&peer->all, &s->peers);
    peer->wsi = lws_adopt_descriptor_vhost_via_info(&adopted);
    if (peer->wsi == NULL)
        /* It closed the descriptor. */
        daemon__free_peer(peer);
    else
        daemon__tell(d->b, "peerCame", peer->id, JS_NewBool(d->b->ctx, is_loopback));
}

/* ---- from libwebsockets ---- */

/* The field as a text, null where there is none, or JS_EXCEPTION. */
static JSValue daemon__header(struct daemon_peer *peer, enum lws_token_indexes token)
{
    JSContext *ctx = peer->socket->d->b->ctx;
    char text[DAEMON_HEADER_BYTES_MAX];
    int bytes = lws_hdr_total_length(peer->wsi, token);

    if (bytes <= 0)
        return JS_NULL;
    if ((size_t) bytes >= sizeof text)
        return JS_ThrowRangeError(ctx, "a header field is too long");
    bytes = lws_hdr_copy(peer->wsi, text, sizeof text, token);
    return bytes < 0 ? JS_ThrowRangeError(ctx, "a header field is too long") : JS_NewStringLen(ctx, text, (size_t) bytes);
}

/* Path and query as one text, or JS_EXCEPTION. */
static JSValue daemon__path(struct daemon_peer *peer, const char *path, size_t bytes)
{
    JSContext *ctx = peer->socket->d->b->ctx;
    char text[DAEMON_HEADER_BYTES_MAX];
    int more = lws_hdr_total_length(peer->wsi, WSI_TOKEN_HTTP_URI_ARGS);

    if (bytes + 2 + (size_t) more >= sizeof text)
        return JS_ThrowRangeError(ctx, "the path is too long");
    memcpy(text, path, bytes);
    if (more > 0) {
        text[bytes++] = '?';
        more = lws_hdr_copy(peer->wsi, text + bytes, (int) (sizeof text - bytes), WSI_TOKEN_HTTP_URI_ARGS);
        if (more < 0)
            return JS_ThrowRangeError(ctx, "the path is too long");
        bytes += (size_t) more;
    }
    return JS_NewStringLen(ctx, text, bytes);
}

/* True when none is JS_EXCEPTION; else all are freed. */
static bool daemon__are_values(JSContext *ctx, JSValue *values, int count)
{
    bool are = true;

    for (int i = 0; i < count; i++)
        are = are && !JS_IsException(values[i]);
    if (are)
        return true;
    JS_FreeValue(ctx, JS_GetException(ctx));
    for (int i = 0; i < count; i++)
        JS_FreeValue(ctx, values[i]);
    return false;
}

/* Asks the script about a request, and writes what it answers. True when the connection may become a WebSocket. */
static bool daemon__ask(struct daemon_peer *peer, const char *event, JSValue *values, int count)
{
    struct bridge *b = peer->socket->d->b;

    if (!daemon__are_values(b->ctx, values, count))
        return false;
    peer->is_asking = true;
    bridge_emit(b, event, count, values);
    peer->is_asking = false;
    if (peer->response != NULL)
        lws_write(peer->wsi, peer->response->text, peer->response->bytes, LWS_WRITE_HTTP_HEADERS);
    bridge_free(peer->response);
    peer->response = NULL;
    return peer->is_accepted && b->failed == 0;
}

static bool daemon__ask_upgrade(struct daemon_peer *peer)
{
    JSContext *ctx = peer->socket->d->b->ctx;
    char *path;
    int bytes;

    if (lws_http_get_uri_and_method(peer->wsi, &path, &bytes) < 0)
        return false;
    JSValue values[] = {
        JS_NewInt64(ctx, peer->id),
        daemon__path(peer, path, (size_t) bytes),
        daemon__header(peer, WSI_TOKEN_HOST),
        daemon__header(peer, WSI_TOKEN_ORIGIN),
        daemon__header(peer, WSI_TOKEN_PROTOCOL),
    };
    return daemon__ask(peer, "upgradeAsked", values, 5);
}

static void daemon__ask_file(struct daemon_peer *peer)
{
    static const char *const methods[DAEMON__METHODS] = {
        [LWSHUMETH_GET] = "GET",       [LWSHUMETH_POST] = "POST",   [LWSHUMETH_OPTIONS] = "OPTIONS",
        [LWSHUMETH_PUT] = "PUT",       [LWSHUMETH_PATCH] = "PATCH", [LWSHUMETH_DELETE] = "DELETE",
        [LWSHUMETH_CONNECT] = "CONNECT", [LWSHUMETH_HEAD] = "HEAD",
    };
    JSContext *ctx = peer->socket->d->b->ctx;
    char *path;
    int bytes;
    int method = lws_http_get_uri_and_method(peer->wsi, &path, &bytes);

    if (method < 0 || method >= DAEMON__METHODS || methods[method] == NULL)
        return;
    JSValue values[] = {
        JS_NewInt64(ctx, peer->id),
        JS_NewString(ctx, methods[method]),
        daemon__path(peer, path, (size_t) bytes),
        daemon__header(peer, WSI_TOKEN_HOST),
    };
    daemon__ask(peer, "fileAsked", values, 4);
}

/* A whole message; takes `text`, null for a binary one. */
static void daemon__tell_message(struct daemon_peer *peer, JSValue text)
{
    if (daemon__are_values(peer->socket->d->b->ctx, &text, 1))
        daemon__tell(peer->socket->d->b, "peerMessage", peer->id, text);
    else
        daemon_peer_terminate(peer);
}

/* 0, or -1 to close. */
static int daemon__handle_bytes(struct daemon_peer *peer, const uint8_t *in, size_t bytes)
{
    JSContext *ctx = peer->socket->d->b->ctx;
    size_t left = lws_remaining_packet_payload(peer->wsi);
    bool is_last = lws_is_final_fragment(peer->wsi) && left == 0;

    if (peer->is_closing)
        return 0;
    if (lws_frame_is_binary(peer->wsi)) {
        daemon__tell_message(peer, JS_NULL);
        return 0;
    }
    if (left > LIMIT_APP_REQUEST_BYTES_MAX || peer->message_bytes + bytes + left > LIMIT_APP_REQUEST_BYTES_MAX) {
        peer->is_closing = true;
        peer->is_close_sent = true;
        daemon__await_end(peer);
        lws_close_reason(peer->wsi, (enum lws_close_status) DAEMON__CLOSE_TOO_LARGE, NULL, 0);
        return -1;
    }
    if (peer->message == NULL && is_last) {
        daemon__tell_message(peer, JS_NewStringLen(ctx, bytes == 0 ? "" : (const char *) in, bytes));
        return 0;
    }
    if (peer->message == NULL)
        peer->message = bridge_malloc(LIMIT_APP_REQUEST_BYTES_MAX);
    if (peer->message == NULL) {
        daemon_peer_terminate(peer);
        return 0;
    }
    memcpy(peer->message + peer->message_bytes, in, bytes);
    peer->message_bytes += bytes;
    if (is_last) {
        JSValue text = JS_NewStringLen(ctx, (const char *) peer->message, peer->message_bytes);

        bridge_free(peer->message);
        peer->message = NULL;
        peer->message_bytes = 0;
        daemon__tell_message(peer, text);
    }
    return 0;
}

/* 0, or -1 to close. */
static int daemon__handle_writable(struct daemon_peer *peer)
{
    peer->in_flight_bytes = 0;
    while (peer->first != NULL && peer->in_flight_bytes == 0) {
        struct daemon_frame *frame = peer->first;
        int written = lws_write(peer->wsi, frame->text, frame->bytes, LWS_WRITE_TEXT);

        peer->first = frame->next;
        if (peer->first == NULL)
            peer->last = NULL;
        peer->queued_bytes -= frame->bytes;
        /* What it could not write it keeps a copy of, and says nothing before that is gone. */
        if (lws_partial_buffered(peer->wsi))
            peer->in_flight_bytes = frame->bytes;
        bridge_free(frame);
        if (written < 0)
            return -1;
        if (lws_send_pipe_choked(peer->wsi))
            break;
    }
    if (peer->first != NULL || peer->in_flight_bytes > 0) {
        lws_callback_on_writable(peer->wsi);
        return 0;
    }
    if (!peer->is_closing || peer->is_close_sent || peer->close_code == 0)
        return 0;
    peer->is_close_sent = true;
    lws_close_reason(peer->wsi, (enum lws_close_status) peer->close_code, NULL, 0);
    return -1;
}

/* libwebsockets lets go of it. */
static void daemon__handle_gone(struct daemon_peer *peer)
{
    struct daemon_socket *s = peer->socket;
    struct bridge *b = s->d->b;
    int64_t id = peer->id;

    daemon__free_peer(peer);
    if (s->is_closing)
        return;
    daemon__tell(b, "peerClosed", id, JS_UNDEFINED);
    if (s->is_stopping && s->peers.count == 0)
        bridge_emit(b, "allPeersGone", 0, NULL);
}

static int daemon__handle(struct lws *wsi, enum lws_callback_reasons reason, void *session, void *in, size_t bytes)
{
    struct daemon_peer *peer = lws_get_opaque_user_data(wsi);

    (void) session;
    switch (reason) {
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
        /* HTTP/2 without TLS is nobody's here. */
        if (peer == NULL || strcasecmp(in, "websocket") != 0 || !daemon__ask_upgrade(peer))
            return -1;
        return 0;
    case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION:
        return peer != NULL && peer->is_accepted ? 0 : -1;
    case LWS_CALLBACK_HTTP:
        if (peer != NULL)
            daemon__ask_file(peer);
        return -1;
    case LWS_CALLBACK_ESTABLISHED:
        if (peer == NULL)
            return -1;
        peer->is_open = true;
        daemon__tell(peer->socket->d->b, "peerOpened", peer->id, JS_UNDEFINED);
        return 0;
    case LWS_CALLBACK_RECEIVE:
        return peer == NULL ? -1 : daemon__handle_bytes(peer, in, bytes);
    case LWS_CALLBACK_SERVER_WRITEABLE:
        return peer == NULL ? -1 : daemon__handle_writable(peer);
    case LWS_CALLBACK_WSI_DESTROY:
        /* While it is being taken there is an owner to free it. */
        if (peer != NULL && peer->wsi == wsi)
            daemon__handle_gone(peer);
        return 0;
    default:
        return 0;
    }
}

/* ---- opening and closing ---- */

int daemon_socket_open(struct daemon *d)
{
    struct daemon_socket *s = bridge_calloc(1, sizeof *s);
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN_SERVER,
        .vhost_name = "app socket",
        .protocols = daemon__protocols,
        .retry_and_idle_policy = &daemon__no_pings,
    };

    if (s == NULL)
        return BRIDGE_E_NOMEM;
    s->d = d;
    d->socket = s;
    s->vhost = lws_create_vhost(d->b->lws, &info);
    return s->vhost == NULL ? BRIDGE_E_NOMEM : daemon_socket_add_natives(d);
}

void daemon_socket_stop(struct daemon_socket *s)
{
    daemon_listeners_stop(s->d);
    s->is_stopping = true;
    if (s->peers.count == 0)
        bridge_emit(s->d->b, "allPeersGone", 0, NULL);
}

void daemon_socket_close(struct daemon *d)
{
    struct daemon_socket *s = d->socket;

    if (s == NULL)
        return;
    s->is_closing = true;
    while (s->peers.head != NULL) {
        struct daemon_peer *peer = lws_container_of(s->peers.head, struct daemon_peer, all);

        /* The context, which ends after us, closes the connection. */
        lws_set_opaque_user_data(peer->wsi, NULL);
        daemon__free_peer(peer);
    }
    bridge_free(s);
    d->socket = NULL;
}
