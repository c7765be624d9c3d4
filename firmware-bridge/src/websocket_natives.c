/* SPDX-License-Identifier: MIT */

/* websocket_natives: what the script does with its links. One that is gone is as if it heard it. */

#include <string.h>

#include "websocket.h"

/* Fills a new link from the arguments; false with an exception pending. */
static bool websocket__fill(JSContext *ctx, struct bridge_link *link, JSValueConst *argv)
{
    const char *url = JS_ToCString(ctx, argv[1]);
    const char *subprotocol = JS_ToCString(ctx, argv[2]);
    const char *bearer = JS_IsNull(argv[4]) ? NULL : JS_ToCString(ctx, argv[4]);
    bool is_good = false;

    if (!url || !subprotocol || (!bearer && !JS_IsNull(argv[4])))
        goto done;
    link->is_text = JS_ToBool(ctx, argv[5]) == 1;
    if (!bridge_parse_url(url, &link->dial.url) || strncmp(link->dial.url.scheme, "ws", 2)) {
        JS_ThrowTypeError(ctx, "no WebSocket URL");
        goto done;
    }
    if (!bridge_is_token68(subprotocol, BRIDGE_SUBPROTOCOL_CHARS_MAX) ||
        (bearer && !bridge_is_token68(bearer, LIMIT_UA_TOKEN_CHARS_MAX))) {
        JS_ThrowTypeError(ctx, "subprotocol or bearer is none");
        goto done;
    }
    link->headers = bridge_headers_take(ctx, argv[3]);
    if (!link->headers)
        goto done;
    link->subprotocol = bridge_strdup(subprotocol);
    if (bearer)
        link->authorization = bridge_malloc(sizeof("Bearer ") + strlen(bearer));
    if (!link->subprotocol || (bearer && !link->authorization)) {
        bridge_throw_memory(ctx);
        goto done;
    }
    if (bearer) {
        strcpy(link->authorization, "Bearer ");
        strcat(link->authorization, bearer);
    }
    is_good = true;
done:
    JS_FreeCString(ctx, url);
    JS_FreeCString(ctx, subprotocol);
    JS_FreeCString(ctx, bearer);
    return is_good;
}

/* openWebSocket(linkId, url, subprotocol, headers, bearer, isText) */
static JSValue websocket__js_open(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct bridge *b = bridge_of(ctx);
    struct bridge_link *link;
    int64_t id;

    (void) this_val;
    (void) argc;
    if (bridge_arg_int64(ctx, argv[0], 0, INT64_MAX, &id))
        return JS_EXCEPTION;
    if (b->websockets->count == BRIDGE_LINKS_MAX)
        return JS_ThrowRangeError(ctx, "too many links");
    link = bridge_calloc(1, sizeof(*link));
    if (!link)
        return bridge_throw_memory(ctx);
    link->b = b;
    link->id = id;
    link->dial.b = b;
    if (!websocket__fill(ctx, link, argv)) {
        bridge_link_free(link);
        return JS_EXCEPTION;
    }
    bridge_link_start(link);
    return JS_UNDEFINED;
}

/* send(linkId, frame, qos) */
static JSValue websocket__js_send(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct bridge *b = bridge_of(ctx);
    struct bridge_link *link;
    const uint8_t *bytes;
    size_t count;
    int64_t id, qos;

    (void) this_val;
    (void) argc;
    if (bridge_arg_int64(ctx, argv[0], 0, INT64_MAX, &id) || bridge_arg_bytes(ctx, argv[1], &bytes, &count) ||
        bridge_arg_int64(ctx, argv[2], 0, 1, &qos))
        return JS_EXCEPTION;
#if BRIDGE_HAS_MQTT
    if (bridge_mqtt_send(b, id, bytes, count, (int) qos))
        return JS_UNDEFINED;
#endif
    link = bridge_link_find(b, id);
    if (link && link->is_open &&
        !bridge_link_queue(link, link->is_text ? LWS_WRITE_TEXT : LWS_WRITE_BINARY, bytes, count))
        return bridge_throw_memory(ctx);
    return JS_UNDEFINED;
}

/* ping(linkId) */
static JSValue websocket__js_ping(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct bridge_link *link;
    int64_t id;

    (void) this_val;
    (void) argc;
    if (bridge_arg_int64(ctx, argv[0], 0, INT64_MAX, &id))
        return JS_EXCEPTION;
    link = bridge_link_find(bridge_of(ctx), id);
    if (link && link->is_open && !bridge_link_queue(link, LWS_WRITE_PING, NULL, 0))
        return bridge_throw_memory(ctx);
    return JS_UNDEFINED;
}

/* closeLink(linkId): nothing is told of it any more. */
static JSValue websocket__js_close(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct bridge *b = bridge_of(ctx);
    struct bridge_link *link;
    int64_t id;

    (void) this_val;
    (void) argc;
    if (bridge_arg_int64(ctx, argv[0], 0, INT64_MAX, &id))
        return JS_EXCEPTION;
#if BRIDGE_HAS_MQTT
    if (bridge_mqtt_close_link(b, id))
        return JS_UNDEFINED;
#endif
    link = bridge_link_find(b, id);
    if (link)
        bridge_link_leave(link);
    return JS_UNDEFINED;
}

static const JSCFunctionListEntry FUNCTIONS[] = {
    JS_CFUNC_DEF("openWebSocket", 6, websocket__js_open),
    JS_CFUNC_DEF("send", 3, websocket__js_send),
    JS_CFUNC_DEF("ping", 1, websocket__js_ping),
    JS_CFUNC_DEF("closeLink", 1, websocket__js_close),
};

int bridge_websocket_natives_add(struct bridge *b)
{
    return bridge_add_functions(b, FUNCTIONS, sizeof(FUNCTIONS) / sizeof(FUNCTIONS[0]));
}
