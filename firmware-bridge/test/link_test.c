/* SPDX-License-Identifier: MIT */

/*
 * Goal: a link and a request end with an event or with the agent's end whichever allocation fails, and give everything
 * back; what the script asks wrongly is an exception, and nothing is left of it. Method: a server of a few lines in
 * threads of its own, each allocation in turn made to fail.
 */

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "client.h"
#include "memory_faults.h"
#include "support.h"

/* A message of two fragments that together need the link's buffer to grow. */
#define FRAGMENT_BYTES 5000
#define ANSWER_BYTES 5000

#define SCRIPT                                                                                                         \
    "bridge.listen({"                                                                                                  \
    "  go(port) {"                                                                                                     \
    "    bridge.openWebSocket(1, `ws://127.0.0.1:${port}/`, 'test', ['X-A', 'b'], 'bearer');"                          \
    "    bridge.httpRequest(2, 'POST', `http://127.0.0.1:${port}/`, ['X-A', 'b'], bridge.utf8Encode('body'), 9000);"   \
    "  },"                                                                                                             \
    "  linkOpened(id) { bridge.send(id, bridge.utf8Encode('hello'), 0); bridge.ping(id); },"                           \
    "  linkMessage(id, frame) { say(`link ${frame.length}`); bridge.closeLink(id); },"                                 \
    "  linkPong() {},"                                                                                                 \
    "  linkClosed(id, cause) { say(`link ${cause}`); },"                                                               \
    "  httpDone(id, status, cause, retryAfterS, body) { say(`http ${cause ?? status} ${body?.length}`); },"            \
    "  look() {}, timer() {}, alarm() {},"                                                                             \
    "});"

static void write_all(int fd, const void *bytes, size_t count)
{
    /* The other side may be gone: that is the test. */
    if (send(fd, bytes, count, MSG_NOSIGNAL) < 0)
        return;
}

/* Sec-WebSocket-Accept of the request in `head`. */
static void accept_of(const char *head, char accept[64])
{
    const char *key = strcasestr(head, "Sec-WebSocket-Key: ");
    char text[128];
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned int bytes;

    CHECK(key != NULL);
    (void) snprintf(text, sizeof(text), "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11",
                    key + strlen("Sec-WebSocket-Key: "));
    CHECK(EVP_Digest(text, strlen(text), hash, &bytes, EVP_sha1(), NULL));
    (void) EVP_EncodeBlock((unsigned char *) accept, hash, (int) bytes);
}

static void *serve(void *argument)
{
    static const unsigned char zeros[ANSWER_BYTES];
    int fd = (int) (intptr_t) argument;
    char head[8192] = "";
    size_t bytes = 0;
    ssize_t more;
    char answer[512];

    while (!strstr(head, "\r\n\r\n") && (more = read(fd, head + bytes, sizeof(head) - 1 - bytes)) > 0)
        bytes += (size_t) more;
    if (!strncmp(head, "POST", 4)) {
        (void) snprintf(answer, sizeof(answer), "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", ANSWER_BYTES);
        write_all(fd, answer, strlen(answer));
        write_all(fd, zeros, ANSWER_BYTES);
    } else if (!strncmp(head, "GET", 3)) {
        const unsigned char first[] = {0x02, 126, FRAGMENT_BYTES >> 8, FRAGMENT_BYTES & 0xff};
        const unsigned char last[] = {0x80, 126, FRAGMENT_BYTES >> 8, FRAGMENT_BYTES & 0xff};
        char accept[64];

        accept_of(head, accept);
        (void) snprintf(answer, sizeof(answer),
                        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Protocol: test\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                        accept);
        write_all(fd, answer, strlen(answer));
        write_all(fd, first, sizeof(first));
        write_all(fd, zeros, FRAGMENT_BYTES);
        write_all(fd, last, sizeof(last));
        write_all(fd, zeros, FRAGMENT_BYTES);
    }
    (void) shutdown(fd, SHUT_WR);
    while (read(fd, head, sizeof(head)) > 0)
        ;
    (void) close(fd);
    return NULL;
}

static void *accept_all(void *argument)
{
    int listener = (int) (intptr_t) argument;
    pthread_attr_t detached;

    (void) pthread_attr_init(&detached);
    (void) pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        pthread_t thread;

        if (fd < 0)
            break;
        CHECK(pthread_create(&thread, &detached, serve, (void *) (intptr_t) fd) == 0);
    }
    (void) pthread_attr_destroy(&detached);
    return NULL;
}

static int listener_fd;
static int port;
static pthread_t acceptor;

static void start_server(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof(address);

    listener_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(bind(listener_fd, (struct sockaddr *) &address, bytes) == 0 && listen(listener_fd, 64) == 0);
    CHECK(getsockname(listener_fd, (struct sockaddr *) &address, &bytes) == 0);
    port = ntohs(address.sin_port);
    CHECK(pthread_create(&acceptor, NULL, accept_all, (void *) (intptr_t) listener_fd) == 0);
}

static void stop_server(void)
{
    (void) shutdown(listener_fd, SHUT_RDWR);
    (void) pthread_join(acceptor, NULL);
    (void) close(listener_fd);
}

/* Steps until link and request have ended, or the agent has. */
static int run(struct bridge *b)
{
    int64_t end_us = bridge_clock_boottime_us() + INT64_C(30000000);
    int error = 0;

    while (!error && !(strstr(test_said(), "link ") && strstr(test_said(), "http "))) {
        int64_t left_ms = (end_us - bridge_clock_boottime_us()) / 1000;

        CHECK(left_ms > 0);
        error = bridge_loop_step(b, left_ms);
    }
    return error;
}

static void whichever_allocation_fails_both_end(void)
{
    size_t before = bridge_memory_blocks();
    uint64_t needed = 1;
    uint64_t ended = 0;

    for (uint64_t nth = 0; nth <= needed; nth++) {
        struct bridge *b;
        JSValue at;
        int error;

        test_forget();
        CHECK_INT(test_create(&b, SCRIPT, NULL), 0);
        at = JS_NewInt32(b->ctx, port);
        bridge_memory_faults_set(nth, false);
        error = bridge_emit(b, "go", 1, &at);
        if (!error)
            error = run(b);
        if (nth == 0) {
            needed = bridge_memory_faults_seen();
            CHECK_INT(error, 0);
            CHECK(strstr(test_said(), "link 10000") && strstr(test_said(), "http 200 5000"));
        }
        /* A native that ran out itself throws, and this script catches nothing. */
        CHECK(error == 0 || bridge_memory_faults_hit());
        CHECK(error == 0 || error == BRIDGE_E_NOMEM);
        ended += error != 0;
        bridge_memory_faults_set(0, false);
        bridge_destroy(b);
        CHECK_INT((int64_t) bridge_memory_blocks(), (int64_t) before);
    }
    CHECK(needed >= 10 && ended > 0);
}

static void what_is_asked_wrongly_is_an_exception(void)
{
    static const char *const CASES[] = {
        "bridge.openWebSocket()",
        "bridge.openWebSocket(1)",
        "bridge.openWebSocket(-1, 'ws://a/', 'p', [], 'b')",
        "bridge.openWebSocket(1.5, 'ws://a/', 'p', [], 'b')",
        "bridge.openWebSocket(NaN, 'ws://a/', 'p', [], 'b')",
        "bridge.openWebSocket(1, 'http://a/', 'p', [], 'b')",
        "bridge.openWebSocket(1, 'ws://a/', '', [], 'b')",
        "bridge.openWebSocket(1, 'ws://a/', 'p q', [], 'b')",
        "bridge.openWebSocket(1, 'ws://a/', 'p'.repeat(65), [], 'b')",
        "bridge.openWebSocket(1, 'ws://a/', 'p', null, 'b')",
        "bridge.openWebSocket(1, 'ws://a/', 'p', ['a'], 'b')",
        "bridge.openWebSocket(1, 'ws://a/', 'p', ['', 'b'], 'b')",
        "bridge.openWebSocket(1, 'ws://a/', 'p', ['a:', 'b'], 'b')",
        "bridge.openWebSocket(1, 'ws://a/', 'p', ['a', 'b\\r\\nc: d'], 'b')",
        "bridge.openWebSocket(1, 'ws://a/', 'p', ['a', 'b\\0'], 'b')",
        "bridge.openWebSocket(1, 'ws://a/', 'p', Array(66).fill('a'), 'b')",
        "bridge.openWebSocket(1, 'ws://a/', 'p', [], '')",
        "bridge.openWebSocket(1, 'ws://a/', 'p', [], 'b c')",
        "bridge.openWebSocket(1, 'ws://a/', 'p', [], 'b\\r\\n')",
        "bridge.openWebSocket(1, 'ws://a/', 'p', [], 'b'.repeat(513))",
        "bridge.openWebSocket(1, { toString() { throw 1; } }, 'p', [], 'b')",
        "bridge.openWebSocket(1, 'ws://a/', 'p', [], { toString() { throw 1; } }, true)",
        "bridge.openWebSocket(1, 'ws://a/', '', [], null, true)",
        "bridge.send()",
        "bridge.send(1, 'text', 0)",
        "bridge.send(1, new Uint8Array(1), 2)",
        "bridge.ping('1')",
        "bridge.closeLink(2 ** 53)",
        "bridge.httpRequest()",
        "bridge.httpRequest(1, 'PUT', 'http://a/', [], null, 1)",
        "bridge.httpRequest(1, 'GET\\r\\n', 'http://a/', [], null, 1)",
        "bridge.httpRequest(1, 'GET', 'ws://a/', [], null, 1)",
        "bridge.httpRequest(1, 'GET', 'http://a/', [], 'body', 1)",
        "bridge.httpRequest(1, 'GET', 'http://a/', [], new Uint8Array(16385), 1)",
        "bridge.httpRequest(1, 'GET', 'http://a/', [], null, 0)",
        "bridge.httpRequest(1, 'GET', 'http://a/', [], null, 600001)",
        "bridge.abortHttp('1')",
    };
    size_t before = bridge_memory_blocks();

    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct bridge *b;
        char source[512];

        test_forget();
        (void) snprintf(source, sizeof(source),
                        "let error = 'none'; try { %s; } catch (thrown) { error = typeof thrown === 'number' ? 'TypeError' :"
                        " thrown.name; } say(error.replace('Range', 'Type')); bridge.listen({});",
                        CASES[i]);
        CHECK_INT(test_create(&b, source, NULL), 0);
        if (strcmp(test_said(), "TypeError\n"))
            CHECK_TEXT(CASES[i], test_said());
        bridge_destroy(b);
        CHECK_INT((int64_t) bridge_memory_blocks(), (int64_t) before);
    }
}

/* Without a route, or a descriptor, lws ends a connection before it has handed it out. */
static void what_cannot_be_dialled_at_all_is_unreachable(void)
{
    static const char source[] =
        "bridge.listen({"
        "  go() {"
        "    bridge.openWebSocket(1, 'ws://255.255.255.255:9/', 'test', [], 'bearer');"
        "    bridge.openWebSocket(2, 'wss://255.255.255.255:9/', 'test', [], 'bearer');"
        "    bridge.httpRequest(3, 'GET', 'http://255.255.255.255:9/', [], null, 9000);"
        "  },"
        "  linkClosed(id, cause) { say(`link ${id} ${cause}`); },"
        "  httpDone(id, status, cause) { say(`http ${id} ${cause}`); },"
        "});";
    size_t before = bridge_memory_blocks();

    for (int has_descriptors = 0; has_descriptors < 2; has_descriptors++) {
        struct rlimit limit, none;
        struct bridge *b;
        int error;

        test_forget();
        CHECK_INT(test_create(&b, source, NULL), 0);
        CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
        none = limit;
        none.rlim_cur = has_descriptors ? limit.rlim_cur : 3;
        CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
        error = bridge_emit(b, "go", 0, NULL);
        for (int turns = 0; !error && turns < 40 && !strstr(test_said(), "http 3"); turns++)
            error = bridge_loop_step(b, 1000);
        CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
        CHECK_INT(error, 0);
        CHECK(strstr(test_said(), "link 1 unreachable\n") && strstr(test_said(), "link 2 unreachable\n"));
        CHECK(strstr(test_said(), "http 3 unreachable\n"));
        bridge_destroy(b);
        CHECK_INT((int64_t) bridge_memory_blocks(), (int64_t) before);
    }
}

static void a_bridge_that_is_destroyed_meanwhile_tells_nothing(void)
{
    size_t before = bridge_memory_blocks();

    /* After each number of turns of the loop: resolving, connecting, opening, open, receiving. */
    for (int turns = 0; turns < 40; turns++) {
        struct bridge *b;
        JSValue at;

        CHECK_INT(test_create(&b, SCRIPT, NULL), 0);
        at = JS_NewInt32(b->ctx, port);
        CHECK_INT(bridge_emit(b, "go", 1, &at), 0);
        for (int i = 0; i < turns; i++)
            CHECK_INT(bridge_loop_step(b, i % 2), 0);
        test_forget();
        bridge_destroy(b);
        CHECK_TEXT(test_said(), "");
        CHECK_INT((int64_t) bridge_memory_blocks(), (int64_t) before);
    }
}

int main(void)
{
    start_server();
    RUN(whichever_allocation_fails_both_end);
    RUN(what_is_asked_wrongly_is_an_exception);
    RUN(what_cannot_be_dialled_at_all_is_unreachable);
    RUN(a_bridge_that_is_destroyed_meanwhile_tells_nothing);
    stop_server();
    return 0;
}
