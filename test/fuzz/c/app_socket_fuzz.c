/* SPDX-License-Identifier: MIT */

/*
 * What a peer of the app socket sends, as bytes: a request, an upgrade, frames behind one that is good. The first byte says whether that comes
 * before the rest, and where the rest is cut. Each connection that came is told as gone, once; no message over its bound is told.
 */

#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon.h"
#include "script_limits.h"
#include "fuzz_support.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#define UPGRADE                                                                                                               \
    "GET /v1/app HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"                                \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: godwit.app.v1\r\n\r\n"
#define SCRIPT                                                                                                                \
    "let open = 0;"                                                                                                           \
    "bridge.listen({ peerCame() { open++; }, peerOpened(id) { daemon.sendText(id, 'hello'); }, peerClosed() { open--; },"     \
    "  upgradeAsked(id, path, host, origin, subprotocols) {"                                                                  \
    "    if (path === '/v1/app') daemon.acceptUpgrade(id); else daemon.respond(id, 404, ['X-A', 'b'], null, false); },"       \
    "  fileAsked(id, method, path, host) {"                                                                                   \
    "    daemon.respond(id, 200, ['Content-Type', 'text/plain'], bridge.utf8Encode(path), method === 'HEAD'); },"             \
    "  peerMessage(id, text) { if (text !== null && text.length > 65536) say('too long');"                                    \
    "    if (text === null) return daemon.closePeer(id, 4400);"                                                               \
    "    if (text === 'pause') daemon.pausePeer(id); if (text === 'end') daemon.terminatePeer(id);"                           \
    "    daemon.sendText(id, text); },"                                                                                       \
    "  allPeersGone() {}, check() { say('open ' + open); }, look() {}, timer() {}, alarm() {} });"

static struct daemon d = {.object = {0}};

/* As daemon.c does, without processes, bus and signals. */
static int extend(struct bridge *b, void *user)
{
    JSValue global = JS_GetGlobalObject(b->ctx);

    (void) user;
    d.b = b;
    b->daemon = &d;
    d.object = JS_NewObject(b->ctx);
    CHECK(!JS_IsException(d.object));
    CHECK_INT(daemon_listeners_open(&d), 0);
    CHECK_INT(daemon_socket_open(&d), 0);
    CHECK(JS_SetPropertyStr(b->ctx, global, "daemon", d.object) >= 0);
    d.object = JS_UNDEFINED;
    JS_FreeValue(b->ctx, global);
    return 0;
}

/* Writes, turns the loop, reads what comes back. */
static void exchange(struct bridge *b, int fd, const void *bytes, size_t count)
{
    char answer[4096];
    const uint8_t *at = bytes;

    for (int turns = 0; turns < 1000; turns++) {
        const ssize_t sent = count > 0 ? send(fd, at, count, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;

        CHECK_INT(bridge_loop_step(b, 0), 0);
        while (recv(fd, answer, sizeof answer, MSG_DONTWAIT) > 0)
            ;
        if (sent > 0) {
            at += sent;
            count -= (size_t) sent;
        } else if (turns > 2)
            break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static struct bridge *b;
    int ends[2];
    size_t cut;

    if (bytes < 1)
        return 0;
    if (b == NULL)
        b = fuzz_bridge(SCRIPT, &(struct bridge_options) {.epoch_trusted = true, .extend = extend});
    test_forget();
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    daemon_socket_take(&d, ends[1], false);
    if (data[0] & 0x80)
        exchange(b, ends[0], UPGRADE, sizeof UPGRADE - 1);
    cut = data[0] & 0x7f;
    data++;
    bytes--;
    if (cut > bytes)
        cut = bytes;
    exchange(b, ends[0], data, cut);
    exchange(b, ends[0], data + cut, bytes - cut);
    (void) close(ends[0]);
    for (int turns = 0; turns < 2000; turns++) {
        test_forget();
        CHECK_INT(bridge_loop_step(b, turns < 20 ? 0 : 1), 0);
        CHECK_INT(bridge_emit(b, "check", 0, NULL), 0);
        if (strstr(test_said(), "open 0") != NULL)
            return 0;
    }
    CHECK_TEXT(test_said(), "open 0");
    return 0;
}
