/* SPDX-License-Identifier: MIT */

/* peer: see peer.h. */

#include "peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support.h"

/* Turns of the loop, a millisecond each at most, within which everything here happens. */
#define PEER__TURNS_MAX 20000

/* A listener for all connections of this process. */
static int peer__listener(uint16_t *port)
{
    static int fd = -1;
    static struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t bytes = sizeof address;

    if (fd < 0) {
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        CHECK(fd >= 0);
        CHECK_INT(bind(fd, (const struct sockaddr *) &address, sizeof address), 0);
        CHECK_INT(listen(fd, 8), 0);
        CHECK_INT(getsockname(fd, (struct sockaddr *) &address, &bytes), 0);
    }
    *port = ntohs(address.sin_port);
    return fd;
}

int peer_port(void)
{
    uint16_t port;

    (void) peer__listener(&port);
    return port;
}

void peer_await(struct peer *peer, struct bridge *b)
{
    uint16_t port;
    const int listener = peer__listener(&port);
    JSValue argument = JS_NewInt32(b->ctx, port);
    ssize_t got = -1;

    *peer = (struct peer) {.b = b, .fd = -1};
    CHECK_INT(bridge_emit(b, "go", 1, &argument), 0);
    for (int turns = 0; got < 0; turns++) {
        CHECK(turns < PEER__TURNS_MAX);
        CHECK_INT(bridge_loop_step(b, 1), 0);
        if (peer->fd < 0)
            peer->fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (peer->fd >= 0)
            got = recv(peer->fd, peer->head, sizeof peer->head - 1, MSG_DONTWAIT);
    }
}

/* What the bridge writes is read and thrown away, so that it never waits for us. */
static void peer__drain(struct peer *peer)
{
    char nothing[4096];

    while (recv(peer->fd, nothing, sizeof nothing, MSG_DONTWAIT) > 0)
        ;
}

void peer_write(struct peer *peer, const void *bytes, size_t count)
{
    const uint8_t *at = bytes;

    for (int turns = 0; count > 0; turns++) {
        ssize_t sent = send(peer->fd, at, count, MSG_DONTWAIT | MSG_NOSIGNAL);

        CHECK(turns < PEER__TURNS_MAX);
        if (sent > 0) {
            at += sent;
            count -= (size_t) sent;
        }
        CHECK_INT(bridge_loop_step(peer->b, 0), 0);
        peer__drain(peer);
        if (sent <= 0 && send(peer->fd, at, 0, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
            return;
    }
}

static int peer__count(const char *text)
{
    int count = 0;

    for (const char *at = strstr(test_said(), text); at != NULL; at = strstr(at + 1, text))
        count++;
    return count;
}

void peer_hang_up(struct peer *peer, const char *text)
{
    for (int turns = 0; turns < 3; turns++) {
        CHECK_INT(bridge_loop_step(peer->b, 0), 0);
        peer__drain(peer);
    }
    (void) shutdown(peer->fd, SHUT_WR);
    for (int turns = 0; peer__count(text) == 0; turns++) {
        CHECK(turns < PEER__TURNS_MAX);
        CHECK_INT(bridge_loop_step(peer->b, 1), 0);
        peer__drain(peer);
    }
    (void) close(peer->fd);
    for (int turns = 0; turns < 3; turns++)
        CHECK_INT(bridge_loop_step(peer->b, 0), 0);
    CHECK_INT(peer__count(text), 1);
}
