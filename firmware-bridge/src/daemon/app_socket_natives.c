/* SPDX-License-Identifier: MIT */

/* app_socket_natives: what the script does with connections of the app socket. One that is gone is as if it heard it. */

#include <stdio.h>
#include <string.h>

#include "app_socket.h"
#include "daemon_limits.h"
#include "script_limits.h"

/* The connection in `*peer`, NULL when it is gone. 0, or -1 with an exception pending. */
static int daemon__peer_from(JSContext *ctx, JSValueConst value, struct daemon_peer **peer)
{
    int64_t id;

    if (bridge_arg_int64(ctx, value, 0, INT64_C(9007199254740991), &id))
        return -1;
    *peer = daemon_peer_find(daemon_of(ctx)->socket, id);
    return 0;
}

/* acceptUpgrade(peerId) -> undefined */
static JSValue daemon__js_accept_upgrade(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct daemon_peer *peer;

    (void) this_val;
    (void) argc;
    if (daemon__peer_from(ctx, argv[0], &peer))
        return JS_EXCEPTION;
    if (peer == NULL || !peer->is_asking)
        return JS_ThrowRangeError(ctx, "this connection asks nothing");
    peer->is_accepted = true;
    return JS_UNDEFINED;
}

/* Adds to `text`, which is `max` long with its end; false when it does not fit. */
static bool daemon__append(char *text, size_t max, size_t *bytes, const char *name, const char *between, const char *value)
{
    int added = snprintf(text + *bytes, max - *bytes, "%s%s%s\r\n", name, between, value);

    if (added < 0 || (size_t) added >= max - *bytes)
        return false;
    *bytes += (size_t) added;
    return true;
}

/* Status line and fields, up to the empty line. 0, or -1 when they do not fit. */
static int daemon__write_head(char *text, size_t max, size_t *bytes, int status, char *const *headers, size_t body_bytes)
{
    char line[64];
    char length[24];
    bool fits;

    snprintf(line, sizeof line, "HTTP/1.1 %d %s", status, status < 400 ? "OK" : "Refused");
    snprintf(length, sizeof length, "%zu", body_bytes);
    fits = daemon__append(text, max, bytes, line, "", "");
    for (; fits && headers[0] != NULL && headers[1] != NULL; headers += 2)
        fits = daemon__append(text, max, bytes, headers[0], ": ", headers[1]);
    fits = fits && daemon__append(text, max, bytes, "Connection", ": ", "close") &&
           daemon__append(text, max, bytes, "Content-Length", ": ", length) && daemon__append(text, max, bytes, "", "", "");
    return fits ? 0 : -1;
}

/* respond(peerId, status, headers, body, isHead) -> undefined */
static JSValue daemon__js_respond(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    char head[DAEMON_HEADER_BYTES_MAX];
    size_t head_bytes = 0;
    const uint8_t *body = NULL;
    size_t body_bytes = 0;
    size_t sent_bytes;
    struct daemon_peer *peer;
    struct daemon_frame *response;
    char **headers;
    int64_t status;
    int failed;

    (void) this_val;
    (void) argc;
    if (daemon__peer_from(ctx, argv[0], &peer) || bridge_arg_int64(ctx, argv[1], 200, 599, &status) ||
        (!JS_IsNull(argv[3]) && bridge_arg_bytes(ctx, argv[3], &body, &body_bytes)))
        return JS_EXCEPTION;
    if (peer == NULL || !peer->is_asking)
        return JS_ThrowRangeError(ctx, "this connection asks nothing");
    headers = bridge_arg_texts(ctx, argv[2], DAEMON_RESPONSE_HEADERS_MAX);
    if (headers == NULL)
        return JS_EXCEPTION;
    failed = daemon__write_head(head, sizeof head, &head_bytes, (int) status, headers, body_bytes);
    bridge_free_texts(headers);
    if (failed || body_bytes > DAEMON_RESPONSE_BYTES_MAX)
        return JS_ThrowRangeError(ctx, "the answer is too long");
    sent_bytes = JS_ToBool(ctx, argv[4]) ? 0 : body_bytes;
    response = daemon_frame_new(head_bytes + sent_bytes);
    if (response == NULL)
        return bridge_throw_memory(ctx);
    memcpy(response->text, head, head_bytes);
    if (sent_bytes > 0)
        memcpy(response->text + head_bytes, body, sent_bytes);
    bridge_free(peer->response);
    peer->response = response;
    peer->is_accepted = false;
    return JS_UNDEFINED;
}

/* sendText(peerId, text) -> undefined */
static JSValue daemon__js_send_text(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct daemon_peer *peer;
    struct daemon_frame *frame;
    const char *text;
    size_t bytes;

    (void) this_val;
    (void) argc;
    if (daemon__peer_from(ctx, argv[0], &peer))
        return JS_EXCEPTION;
    if (peer == NULL)
        return JS_UNDEFINED;
    text = JS_ToCStringLen(ctx, &bytes, argv[1]);
    if (text == NULL)
        return JS_EXCEPTION;
    frame = daemon_frame_new(bytes);
    if (frame != NULL)
        memcpy(frame->text, text, bytes);
    JS_FreeCString(ctx, text);
    if (frame == NULL)
        return bridge_throw_memory(ctx);
    daemon_peer_send(peer, frame);
    return JS_UNDEFINED;
}

/* bufferedBytes(peerId) -> bytes */
static JSValue daemon__js_buffered_bytes(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct daemon_peer *peer;

    (void) this_val;
    (void) argc;
    if (daemon__peer_from(ctx, argv[0], &peer))
        return JS_EXCEPTION;
    return JS_NewInt64(ctx, peer == NULL ? 0 : (int64_t) (peer->queued_bytes + peer->in_flight_bytes));
}

/* closePeer(peerId, code) -> undefined */
static JSValue daemon__js_close_peer(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct daemon_peer *peer;
    int64_t code;

    (void) this_val;
    (void) argc;
    if (daemon__peer_from(ctx, argv[0], &peer) || bridge_arg_int64(ctx, argv[1], 1000, 4999, &code))
        return JS_EXCEPTION;
    if (peer != NULL)
        daemon_peer_close(peer, (int) code);
    return JS_UNDEFINED;
}

/* terminatePeer(peerId) -> undefined */
static JSValue daemon__js_terminate_peer(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct daemon_peer *peer;

    (void) this_val;
    (void) argc;
    if (daemon__peer_from(ctx, argv[0], &peer))
        return JS_EXCEPTION;
    if (peer != NULL)
        daemon_peer_terminate(peer);
    return JS_UNDEFINED;
}

/* pausePeer(peerId), resumePeer(peerId) -> undefined; `is_read` tells them apart. */
static JSValue daemon__js_set_read(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int is_read)
{
    struct daemon_peer *peer;

    (void) this_val;
    (void) argc;
    if (daemon__peer_from(ctx, argv[0], &peer))
        return JS_EXCEPTION;
    if (peer != NULL && !peer->is_closing)
        lws_rx_flow_control(peer->wsi, is_read);
    return JS_UNDEFINED;
}

/* stopListening() -> undefined */
static JSValue daemon__js_stop_listening(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    (void) this_val;
    (void) argc;
    (void) argv;
    daemon_socket_stop(daemon_of(ctx)->socket);
    return JS_UNDEFINED;
}

int daemon_socket_add_natives(struct daemon *d)
{
    static const JSCFunctionListEntry functions[] = {
        JS_CFUNC_DEF("acceptUpgrade", 1, daemon__js_accept_upgrade),
        JS_CFUNC_DEF("respond", 5, daemon__js_respond),
        JS_CFUNC_DEF("sendText", 2, daemon__js_send_text),
        JS_CFUNC_DEF("bufferedBytes", 1, daemon__js_buffered_bytes),
        JS_CFUNC_DEF("closePeer", 2, daemon__js_close_peer),
        JS_CFUNC_DEF("terminatePeer", 1, daemon__js_terminate_peer),
        JS_CFUNC_MAGIC_DEF("pausePeer", 1, daemon__js_set_read, 0),
        JS_CFUNC_MAGIC_DEF("resumePeer", 1, daemon__js_set_read, 1),
        JS_CFUNC_DEF("stopListening", 0, daemon__js_stop_listening),
    };

    return daemon_add_functions(d, functions, sizeof functions / sizeof functions[0]);
}
