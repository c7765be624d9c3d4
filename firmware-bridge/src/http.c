/* SPDX-License-Identifier: MIT */

/*
 * http: the short HTTP requests of the agent over libwebsockets: token, portal probe, a test message. One answer,
 * bounded in size and time; HTTP/1.1, no redirects, and the connection ends with it. The counterpart of
 * src/node/http.ts.
 */

#include <stdio.h>
#include <string.h>

#include "client.h"

struct request {
    /* First: what lws knows a connection by. */
    struct bridge_dial dial;
    struct request *next;
    struct bridge *b;
    int64_t id;
    struct bridge_delay limit;
    char method[BRIDGE_METHOD_CHARS_MAX + 1];
    char **headers;
    /* Behind LWS_PRE bytes; NULL for none, which is another thing than an empty one. */
    uint8_t *body;
    size_t body_bytes;
    size_t body_bytes_sent;
    /* 0 until the answer's head is there. */
    int status;
    int64_t retry_after_s;
    char *answer;
    size_t answer_bytes;
    size_t answer_bytes_allocated;
};

struct bridge_http {
    struct request *requests;
    int count;
};

/* Also of one half made. Its wsi, if it has one, is closed by the loop. */
static void http__free(struct request *request)
{
    struct request **at = &request->b->http->requests;

    while (*at && *at != request)
        at = &(*at)->next;
    if (*at) {
        *at = request->next;
        request->b->http->count--;
    }
    bridge_delay_cancel(&request->limit);
    bridge_dial_end(&request->dial);
    bridge_free_texts(request->headers);
    bridge_free(request->body);
    bridge_free(request->answer);
    bridge_free(request);
}

/* Tells the answer, or why there is none, and frees the request. -1, for lws to close. */
static int http__end(struct request *request, const char *cause)
{
    struct bridge *b = request->b;
    JSContext *ctx = b->ctx;
    bool is_answer = cause == NULL;
    JSValue argv[] = {
        JS_NewInt64(ctx, request->id),
        JS_NewInt32(ctx, is_answer ? request->status : 0),
        is_answer ? JS_NULL : JS_NewString(ctx, cause),
        is_answer && request->retry_after_s >= 0 ? JS_NewInt64(ctx, request->retry_after_s) : JS_NULL,
        is_answer ? JS_NewStringLen(ctx, request->answer ? request->answer : "", request->answer_bytes) : JS_NULL,
    };

    http__free(request);
    bridge_emit(b, "httpDone", 5, argv);
    return -1;
}

static void http__dial_failed(struct bridge_dial *dial, const char *cause)
{
    http__end((struct request *) dial, cause);
}

static void http__limit_reached(void *user)
{
    http__end(user, "unreachable");
}

/* ---- What lws tells ---- */

/* Headers of the request; a body is announced, and follows when lws can write. */
static int http__write_head(struct request *request, struct lws *wsi, unsigned char **at, size_t bytes)
{
    const unsigned char *end = *at + bytes;
    char length[24];

    snprintf(length, sizeof(length), "%zu", request->body_bytes);
    if (!bridge_headers_write(request->headers, at, end) ||
        (request->body && !bridge_header_write("Content-Length", length, at, end)))
        return http__end(request, "local");
    if (request->body_bytes > 0) {
        lws_client_http_body_pending(wsi, 1);
        lws_callback_on_writable(wsi);
    }
    return 0;
}

static int http__write_body(struct request *request, struct lws *wsi)
{
    size_t bytes = request->body_bytes - request->body_bytes_sent;

    if (bytes == 0)
        return 0;
    /* What the kernel does not take at once, lws keeps: it is one message at most. */
    if (lws_write(wsi, request->body + LWS_PRE, bytes, LWS_WRITE_HTTP_FINAL) < 0)
        return http__end(request, "reset");
    request->body_bytes_sent = request->body_bytes;
    lws_client_http_body_pending(wsi, 0);
    return 0;
}

/* The head of the answer. */
static int http__answered(struct request *request, struct lws *wsi)
{
    int status = (int) lws_http_client_http_response(wsi);

    if (status < 200 || status > 999)
        return http__end(request, "unreachable");
    request->status = status;
    request->retry_after_s = bridge_answer_retry_after(wsi);
    /* These have no body, whatever their headers say; lws would wait for one. */
    return status == 204 || status == 304 ? http__end(request, NULL) : 0;
}

/* A part of the answer's body. `bytes` may be anything: lws counts the length of a chunk in an int. */
static int http__received(struct request *request, const char *part, size_t bytes)
{
    if (bytes > LIMIT_HTTP_RESPONSE_BYTES_MAX - request->answer_bytes)
        return http__end(request, "overflow");
    /* Nothing may have been allocated yet. */
    if (bytes == 0)
        return 0;
    if (request->answer_bytes + bytes > request->answer_bytes_allocated) {
        size_t allocated = request->answer_bytes + bytes < 1024 ? 1024 : LIMIT_HTTP_RESPONSE_BYTES_MAX;
        char *grown = bridge_realloc(request->answer, allocated);

        if (!grown)
            return http__end(request, "local");
        request->answer = grown;
        request->answer_bytes_allocated = allocated;
    }
    memcpy(request->answer + request->answer_bytes, part, bytes);
    request->answer_bytes += bytes;
    return 0;
}

int bridge_http_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
    struct request *request = user;
    const char *cause;

    switch (reason) {
    case LWS_CALLBACK_WSI_CREATE:
        if (request)
            bridge_dial_connected(&request->dial, wsi);
        return 0;

    case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER:
        return request ? http__write_head(request, wsi, in, len) : -1;

    case LWS_CALLBACK_CLIENT_HTTP_WRITEABLE:
        return request ? http__write_body(request, wsi) : -1;

    case LWS_CALLBACK_ESTABLISHED_CLIENT_HTTP:
        return request ? http__answered(request, wsi) : -1;

    case LWS_CALLBACK_RECEIVE_CLIENT_HTTP: {
        char buffer[LWS_PRE + 2048];
        char *part = buffer + LWS_PRE;
        int bytes = sizeof(buffer) - LWS_PRE;

        /* Takes chunks apart and comes back with RECEIVE_CLIENT_HTTP_READ. */
        return request && lws_http_client_read(wsi, &part, &bytes) == 0 ? 0 : -1;
    }

    case LWS_CALLBACK_RECEIVE_CLIENT_HTTP_READ:
        return request ? http__received(request, in, len) : -1;

    case LWS_CALLBACK_COMPLETED_CLIENT_HTTP:
        return request ? http__end(request, NULL) : -1;

    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
    case LWS_CALLBACK_CLOSED_CLIENT_HTTP:
        cause = request ? bridge_dial_ended(&request->dial, in, len) : NULL;
        if (cause)
            http__end(request, cause);
        return 0;

    default:
        return 0;
    }
}

/* ---- Natives ---- */

/* Fills a new request from the arguments; false with an exception pending. */
static bool http__fill(JSContext *ctx, struct request *request, JSValueConst *argv)
{
    const char *method = JS_ToCString(ctx, argv[1]);
    const char *url = JS_ToCString(ctx, argv[2]);
    const uint8_t *body;
    bool is_good = false;

    if (!method || !url)
        goto done;
    if (strlen(method) > BRIDGE_METHOD_CHARS_MAX || (strcmp(method, "GET") && strcmp(method, "POST"))) {
        JS_ThrowTypeError(ctx, "no method");
        goto done;
    }
    strcpy(request->method, method);
    if (!bridge_parse_url(url, &request->dial.url) || strncmp(request->dial.url.scheme, "http", 4)) {
        JS_ThrowTypeError(ctx, "no HTTP URL");
        goto done;
    }
    request->headers = bridge_headers_take(ctx, argv[3]);
    if (!request->headers)
        goto done;
    if (!JS_IsNull(argv[4])) {
        if (bridge_arg_bytes(ctx, argv[4], &body, &request->body_bytes))
            goto done;
        if (request->body_bytes > BRIDGE_HTTP_BODY_BYTES_MAX) {
            JS_ThrowRangeError(ctx, "the body is too long");
            goto done;
        }
        request->body = bridge_malloc(LWS_PRE + request->body_bytes);
        if (!request->body) {
            bridge_throw_memory(ctx);
            goto done;
        }
        memcpy(request->body + LWS_PRE, body, request->body_bytes);
    }
    is_good = true;
done:
    JS_FreeCString(ctx, method);
    JS_FreeCString(ctx, url);
    return is_good;
}

/* httpRequest(requestId, method, url, headers, body, timeoutMs) */
static JSValue http__js_request(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct bridge *b = bridge_of(ctx);
    struct request *request;
    int64_t id, timeout_ms;

    (void) this_val;
    (void) argc;
    if (bridge_arg_int64(ctx, argv[0], 0, INT64_MAX, &id) ||
        bridge_arg_int64(ctx, argv[5], 1, BRIDGE_HTTP_TIMEOUT_MS_MAX, &timeout_ms))
        return JS_EXCEPTION;
    if (b->http->count == BRIDGE_HTTP_REQUESTS_MAX)
        return JS_ThrowRangeError(ctx, "too many requests");
    request = bridge_calloc(1, sizeof(*request));
    if (!request)
        return bridge_throw_memory(ctx);
    request->b = b;
    request->id = id;
    request->dial.b = b;
    if (!http__fill(ctx, request, argv)) {
        http__free(request);
        return JS_EXCEPTION;
    }
    request->next = b->http->requests;
    b->http->requests = request;
    b->http->count++;
    request->dial.method = request->method;
    request->dial.failed = http__dial_failed;
    bridge_delay_start(b, &request->limit, timeout_ms, http__limit_reached, request);
    bridge_dial_start(&request->dial);
    return JS_UNDEFINED;
}

/* abortHttp(requestId): nothing is told of it any more. */
static JSValue http__js_abort(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct request *request;
    int64_t id;

    (void) this_val;
    (void) argc;
    if (bridge_arg_int64(ctx, argv[0], 0, INT64_MAX, &id))
        return JS_EXCEPTION;
    for (request = bridge_of(ctx)->http->requests; request; request = request->next) {
        if (request->id == id) {
            http__free(request);
            break;
        }
    }
    return JS_UNDEFINED;
}

static const JSCFunctionListEntry FUNCTIONS[] = {
    JS_CFUNC_DEF("httpRequest", 6, http__js_request),
    JS_CFUNC_DEF("abortHttp", 1, http__js_abort),
};

int bridge_http_open(struct bridge *b)
{
    b->http = bridge_calloc(1, sizeof(*b->http));
    if (!b->http)
        return BRIDGE_E_NOMEM;
    return bridge_add_functions(b, FUNCTIONS, sizeof(FUNCTIONS) / sizeof(FUNCTIONS[0]));
}

void bridge_http_close(struct bridge *b)
{
    if (!b->http)
        return;
    while (b->http->requests)
        http__free(b->http->requests);
    bridge_free(b->http);
    b->http = NULL;
}
