/* SPDX-License-Identifier: MIT */

/*
 * websocket: the WebSocket links of the agent (RFC 6455) over libwebsockets. The counterpart of src/node/websocket.ts,
 * with the same causes. Decides nothing: the agent says when to open, ping and close (websocket_natives.c), and lws' own
 * heartbeat is off.
 */

#include <string.h>

#include "websocket.h"

/* Private to lws, and the same in all its versions: it sends closes only while the loop turns. */
#define WRITE_CLOSE ((enum lws_write_protocol) 4)

/* ---- Links ---- */

struct bridge_link *bridge_link_find(struct bridge *b, int64_t id)
{
    struct bridge_link *link;

    for (link = b->websockets->links; link; link = link->next)
        if (link->id == id && !link->is_closing)
            return link;
    return NULL;
}

static void websocket__free_opening(struct bridge_link *link)
{
    bridge_free(link->subprotocol);
    bridge_free(link->authorization);
    bridge_free_texts(link->headers);
    link->subprotocol = NULL;
    link->authorization = NULL;
    link->headers = NULL;
}

static struct bridge_frame *websocket__take_frame(struct bridge_link *link)
{
    struct bridge_frame *frame = link->first;

    link->first = frame->next;
    if (!link->first)
        link->last = NULL;
    link->queued_bytes -= frame->bytes;
    return frame;
}

void bridge_link_free(struct bridge_link *link)
{
    struct bridge_link **at = &link->b->websockets->links;

    while (*at && *at != link)
        at = &(*at)->next;
    if (*at) {
        *at = link->next;
        link->b->websockets->count--;
    }
    bridge_delay_cancel(&link->limit);
    bridge_dial_end(&link->dial);
    websocket__free_opening(link);
    while (link->first)
        bridge_free(websocket__take_frame(link));
    bridge_free(link->message);
    bridge_free(link);
}

/* Frees the link, and tells why unless the agent has forgotten it. */
static void websocket__end(struct bridge_link *link, const char *cause, int http_status, int64_t retry_after_s)
{
    struct bridge *b = link->b;
    int64_t id = link->id;
    bool is_told = !link->is_closing;

    bridge_link_free(link);
    if (is_told)
        bridge_emit_link_closed(b, id, cause, http_status, retry_after_s);
}

static void websocket__dial_failed(struct bridge_dial *dial, const char *cause)
{
    websocket__end((struct bridge_link *) dial, cause, -1, -1);
}

/* Opening, or closing, takes too long. */
static void websocket__limit_reached(void *user)
{
    websocket__end(user, "unreachable", -1, -1);
}

void bridge_emit_link_closed(struct bridge *b, int64_t link_id, const char *cause, int http_status,
                             int64_t retry_after_s)
{
    JSValue argv[] = {
        JS_NewInt64(b->ctx, link_id),
        JS_NewString(b->ctx, cause),
        http_status < 0 ? JS_NULL : JS_NewInt32(b->ctx, http_status),
        retry_after_s < 0 ? JS_NULL : JS_NewInt64(b->ctx, retry_after_s),
    };

    bridge_emit(b, "linkClosed", 4, argv);
}

static void websocket__emit(struct bridge_link *link, const char *name)
{
    JSValue id = JS_NewInt64(link->b->ctx, link->id);

    bridge_emit(link->b, name, 1, &id);
}

/* ---- What lws tells ---- */

/* The answer to the upgrade. 0, or -1 when the link is gone. */
static int websocket__answered(struct bridge_link *link, struct lws *wsi)
{
    int status = (int) lws_http_client_http_response(wsi);

    if (status != 101) {
        /* An answer whose status is none is no refusal. */
        bool is_status = status >= 200 && status <= 999;

        websocket__end(link, is_status ? "refused" : "unreachable", is_status ? status : -1,
                       bridge_answer_retry_after(wsi));
        return -1;
    }
    /* lws compares it with what was asked for, but does not miss it; services of text may leave it out. */
    if (link->is_text || lws_hdr_total_length(wsi, WSI_TOKEN_PROTOCOL) > 0)
        return 0;
    websocket__end(link, "unreachable", -1, -1);
    return -1;
}

static void websocket__opened(struct bridge_link *link)
{
    bridge_delay_cancel(&link->limit);
    websocket__free_opening(link);
    link->dial.phase = BRIDGE_DIAL_OPEN;
    link->is_open = true;
    websocket__emit(link, "linkOpened");
}

/* Appends to the message; false when memory is short. */
static bool websocket__append(struct bridge_link *link, const uint8_t *part, size_t bytes)
{
    if (bytes == 0)
        return true;
    if (link->message_bytes + bytes > link->message_bytes_allocated) {
        size_t allocated = link->message_bytes_allocated ? link->message_bytes_allocated * 2 : 4096;
        uint8_t *grown;

        while (allocated < link->message_bytes + bytes)
            allocated *= 2;
        grown = bridge_realloc(link->message, allocated);
        if (!grown)
            return false;
        link->message = grown;
        link->message_bytes_allocated = allocated;
    }
    memcpy(link->message + link->message_bytes, part, bytes);
    link->message_bytes += bytes;
    return true;
}

static void websocket__emit_message(struct bridge_link *link, const uint8_t *message, size_t bytes)
{
    JSContext *ctx = link->b->ctx;
    JSValue argv[] = {JS_NewInt64(ctx, link->id), JS_NewUint8ArrayCopy(ctx, message, bytes)};

    bridge_emit(link->b, "linkMessage", 2, argv);
}

/* A part of a message: of one frame, of a fragment of it, or of less. */
static void websocket__received(struct bridge_link *link, struct lws *wsi, const uint8_t *part, size_t bytes)
{
    size_t bytes_max = link->is_text ? LIMIT_AUTOPUSH_FRAME_BYTES_MAX : LIMIT_FRAME_BYTES_MAX;
    size_t total = link->message_bytes + bytes;
    uint8_t *message;

    if (link->is_closing)
        return;
    /* What a frame's header promises counts already: nobody waits for 2^63 bytes. */
    if (!lws_frame_is_binary(wsi) != link->is_text || total > bytes_max ||
        lws_remaining_packet_payload(wsi) > bytes_max - total) {
        websocket__end(link, "protocol", -1, -1);
        return;
    }
    if (lws_is_final_fragment(wsi) && link->message_bytes == 0) {
        websocket__emit_message(link, part, bytes);
        return;
    }
    if (!websocket__append(link, part, bytes)) {
        websocket__end(link, "local", -1, -1);
        return;
    }
    if (!lws_is_final_fragment(wsi))
        return;
    /* Out of the link, which the script may close. */
    message = link->message;
    link->message = NULL;
    link->message_bytes = 0;
    link->message_bytes_allocated = 0;
    websocket__emit_message(link, message, total);
    bridge_free(message);
}

/* Writes one frame. 0, or -1 when lws is to close: it failed, or everything is written and the agent has closed it. */
static int websocket__write(struct bridge_link *link, struct lws *wsi)
{
    if (link->first) {
        struct bridge_frame *frame = websocket__take_frame(link);
        /* What the kernel does not take at once, lws keeps. */
        int written = lws_write(wsi, frame->buffer + LWS_PRE, frame->bytes, frame->kind);

        bridge_free(frame);
        if (written < 0)
            return -1;
    }
    if (link->first || (link->is_closing && lws_partial_buffered(wsi))) {
        lws_callback_on_writable(wsi);
        return 0;
    }
    if (!link->is_closing)
        return 0;
    lws_close_reason(wsi, LWS_CLOSE_STATUS_NORMAL, NULL, 0);
    bridge_dial_release(&link->dial);
    bridge_link_free(link);
    return -1;
}

/* Seconds the service asks for with the close frame whose payload is at `reason`, or -1. */
static int64_t websocket__asked_away_s(const struct bridge_link *link, const uint8_t *reason, size_t bytes)
{
    bool is_asked = link->is_text && bytes >= 2 && ((reason[0] << 8) | reason[1]) == LIMIT_AUTOPUSH_CLOSE_AWAY;

    return is_asked ? LIMIT_AUTOPUSH_AWAY_S : -1;
}

int bridge_websocket_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
    struct bridge_link *link = user;
    const char *cause;

    switch (reason) {
    /* This protocol is the vhost's first, which hears of the end of all. */
    case LWS_CALLBACK_WSI_DESTROY:
        if (user)
            bridge_dial_lost(user);
        return 0;

    case LWS_CALLBACK_WSI_CREATE:
        if (link)
            bridge_dial_connected(&link->dial, wsi);
        return 0;

    case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER: {
        unsigned char **at = in;
        const unsigned char *end = *at + len;

        if (link && (!bridge_headers_write(link->headers, at, end) ||
                     (link->authorization &&
                      !bridge_header_write("Authorization", link->authorization, at, end)))) {
            websocket__end(link, "local", -1, -1);
            return -1;
        }
        return link ? 0 : -1;
    }

    /* Comes with the answer, whatever it is. */
    case LWS_CALLBACK_ESTABLISHED_CLIENT_HTTP:
        return link ? websocket__answered(link, wsi) : -1;

    case LWS_CALLBACK_CLIENT_ESTABLISHED:
        if (link)
            websocket__opened(link);
        return lws_wsi_user(wsi) ? 0 : -1;

    case LWS_CALLBACK_CLIENT_RECEIVE:
        if (link)
            websocket__received(link, wsi, in, len);
        return lws_wsi_user(wsi) ? 0 : -1;

    case LWS_CALLBACK_CLIENT_RECEIVE_PONG:
        if (link && !link->is_closing)
            websocket__emit(link, "linkPong");
        return lws_wsi_user(wsi) ? 0 : -1;

    case LWS_CALLBACK_CLIENT_WRITEABLE:
        return link ? websocket__write(link, wsi) : -1;

    /* lws answers it and closes. */
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
        if (link) {
            bridge_dial_release(&link->dial);
            websocket__end(link, "closed", -1, websocket__asked_away_s(link, in, len));
        }
        return 0;

    /* Until the upgrade is done lws has it for HTTP. */
    case LWS_CALLBACK_CLOSED_CLIENT_HTTP:
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
    case LWS_CALLBACK_CLIENT_CLOSED:
        cause = link ? bridge_dial_ended(&link->dial, in, len) : NULL;
        if (cause)
            websocket__end(link, cause, -1, -1);
        return 0;

    default:
        return 0;
    }
}

/* ---- What the agent says ---- */

void bridge_link_start(struct bridge_link *link)
{
    struct bridge *b = link->b;

    link->next = b->websockets->links;
    b->websockets->links = link;
    b->websockets->count++;
    link->dial.subprotocol = link->subprotocol;
    link->dial.failed = websocket__dial_failed;
    bridge_delay_start(b, &link->limit, LIMIT_OPEN_TIMEOUT_MS, websocket__limit_reached, link);
    bridge_dial_start(&link->dial);
}

bool bridge_link_queue(struct bridge_link *link, enum lws_write_protocol kind, const uint8_t *bytes, size_t count)
{
    struct bridge_frame *frame;

    if (count > LIMIT_LINK_QUEUED_BYTES_MAX - link->queued_bytes) {
        websocket__end(link, "overflow", -1, -1);
        return true;
    }
    frame = bridge_malloc(sizeof(*frame) + LWS_PRE + count);
    if (!frame)
        return false;
    frame->next = NULL;
    frame->kind = kind;
    frame->bytes = count;
    if (count > 0)
        memcpy(frame->buffer + LWS_PRE, bytes, count);
    if (link->last)
        link->last->next = frame;
    else
        link->first = frame;
    link->last = frame;
    link->queued_bytes += count;
    lws_callback_on_writable(link->dial.peer.wsi);
    return true;
}

void bridge_link_leave(struct bridge_link *link)
{
    if (!link->is_open) {
        bridge_link_free(link);
        return;
    }
    link->is_closing = true;
    bridge_delay_start(link->b, &link->limit, BRIDGE_WEBSOCKET_CLOSE_MS, websocket__limit_reached, link);
    lws_callback_on_writable(link->dial.peer.wsi);
}

/* ---- All of them ---- */

int bridge_websockets_open(struct bridge *b)
{
    b->websockets = bridge_calloc(1, sizeof(*b->websockets));
    if (!b->websockets)
        return BRIDGE_E_NOMEM;
    return bridge_websocket_natives_add(b);
}

/* What is queued, and the close, as far as the kernel takes them now: the loop does not turn any more. */
static void websocket__say_goodbye(struct bridge_link *link)
{
    struct lws *wsi = link->dial.peer.wsi;
    uint8_t code[LWS_PRE + 2] = {0};

    code[LWS_PRE] = LWS_CLOSE_STATUS_NORMAL >> 8;
    code[LWS_PRE + 1] = LWS_CLOSE_STATUS_NORMAL & 0xff;
    while (link->first && !lws_partial_buffered(wsi)) {
        struct bridge_frame *frame = websocket__take_frame(link);
        int written = lws_write(wsi, frame->buffer + LWS_PRE, frame->bytes, frame->kind);

        bridge_free(frame);
        if (written < 0)
            return;
    }
    if (!lws_partial_buffered(wsi))
        lws_write(wsi, code + LWS_PRE, 2, WRITE_CLOSE);
}

void bridge_websockets_close(struct bridge *b)
{
    if (!b->websockets)
        return;
    while (b->websockets->links) {
        if (b->websockets->links->is_open)
            websocket__say_goodbye(b->websockets->links);
        bridge_link_free(b->websockets->links);
    }
    bridge_free(b->websockets);
    b->websockets = NULL;
}
