/* SPDX-License-Identifier: MIT */

/*
 * What a push service answers: to a WebSocket's upgrade, raw, or with the 101 that belongs to it and frames behind; to a request over HTTP.
 * And what a proxy answers to CONNECT, or puts into the tunnel in place of the service. The first byte says which. A link ends with
 * one event, a request with one answer; nothing is told that is over its bound. A proxy that nobody vouches for opens no link, and
 * what it says is nobody's answer.
 */

#define _GNU_SOURCE
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "peer.h"
#include "fuzz_support.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* From PROXY on the bit of TUNNEL says that the proxy has agreed, that of PROXIED_REQUEST what goes through it. */
enum kind { RAW, TEXT_FRAMES, BINARY_FRAMES, HTTP, PROXY, TUNNEL, PROXIED_REQUEST, TUNNELLED_REQUEST };

#define SCRIPT \
    "let kind = 0, id = 0;" \
    "bridge.listen({" \
    "  kind(value) { kind = value; }," \
    "  go(port) { id++;" \
    "    const at = kind < 4 ? `127.0.0.1:${port}` : 'push.example', tls = kind < 4 ? '' : 's';" \
    "    if (kind === 3 || kind > 5)" \
    "      bridge.httpRequest(id, 'POST', `http${tls}://${at}/`, ['X-A', 'b'], bridge.utf8Encode('x'), 9000);" \
    "    else bridge.openWebSocket(id, `ws${tls}://${at}/v1`, 'test', ['X-A', 'b'], 'bearer', kind === 1); }," \
    "  linkOpened(linkId) { if (kind > 3) say('wrong');" \
    "    bridge.send(linkId, bridge.utf8Encode('hello'), 0); bridge.ping(linkId); }," \
    "  linkMessage(linkId, frame) { if (frame.length > 65536) say('too long'); }," \
    "  linkPong() {}," \
    "  linkClosed(linkId, cause, status) { if (linkId !== id || typeof cause !== 'string') say('wrong'); say('ended'); }," \
    "  httpDone(requestId, status, cause, retryAfterS, body) {" \
    "    if (body !== null && body.length > 16384) say('too long');" \
    "    if ((status === 0) !== (cause !== null) || (kind > 3 && status !== 0)) say('wrong'); say('ended'); }," \
    "  look() {}, timer() {}, alarm() {}," \
    "});"

/* The 101 for the upgrade in `head`. */
static void write_answer(struct peer *peer, enum kind kind)
{
    const char *key = strcasestr(peer->head, "Sec-WebSocket-Key: ");
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned int hash_bytes;
    char accept[64];
    char text[512];

    CHECK(key != NULL);
    (void) snprintf(text, sizeof text, "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key + strlen("Sec-WebSocket-Key: "));
    CHECK(EVP_Digest(text, strlen(text), hash, &hash_bytes, EVP_sha1(), NULL));
    (void) EVP_EncodeBlock((unsigned char *) accept, hash, (int) hash_bytes);
    (void) snprintf(text, sizeof text,
                    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    "%sSec-WebSocket-Accept: %s\r\n\r\n",
                    kind == BINARY_FRAMES ? "Sec-WebSocket-Protocol: test\r\n" : "", accept);
    peer_write(peer, text, strlen(text));
}

/* The environment names the peer. What goes to loopback in clear goes past it. */
static void use_proxy(void)
{
    char address[64];

    (void) snprintf(address, sizeof address, "http://127.0.0.1:%d", peer_port());
    CHECK_INT(clearenv(), 0);
    CHECK_INT(setenv("https_proxy", address, 1), 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static struct bridge *b;
    struct peer peer;
    enum kind kind;
    JSValue argument;

    if (bytes < 1)
        return 0;
    if (b == NULL) {
        use_proxy();
        b = fuzz_bridge(SCRIPT, NULL);
    }
    kind = (enum kind) (data[0] & 7);
    argument = JS_NewInt32(b->ctx, (int32_t) kind);
    CHECK_INT(bridge_emit(b, "kind", 1, &argument), 0);
    test_forget();
    peer_await(&peer, b);
    if (kind == TEXT_FRAMES || kind == BINARY_FRAMES)
        write_answer(&peer, kind);
    if (kind == TUNNEL || kind == TUNNELLED_REQUEST)
        peer_write(&peer, "HTTP/1.1 200 OK\r\n\r\n", 19);
    peer_write(&peer, data + 1, bytes - 1);
    peer_hang_up(&peer, "ended");
    CHECK(strstr(test_said(), "too long") == NULL && strstr(test_said(), "wrong") == NULL);
    return 0;
}
