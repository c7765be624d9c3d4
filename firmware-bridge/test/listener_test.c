/* SPDX-License-Identifier: MIT */

/*
 * Goal: a connection the system has no descriptor or memory for costs a wake-up, not the processor: it is turned away, or waits
 * while the listener rests. Method: real connections; accept4() is the system's, but for the times it is told to refuse.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon.h"
#include "daemon_limits.h"
#include "support.h"

static int refusals;
static int refusal;
static int asked;
static int taken;

/* In the place of the C library's. */
int accept4(int fd, struct sockaddr *restrict address, socklen_t *restrict bytes, int flags)
{
    int result;

    asked++;
    if (refusals > 0) {
        refusals--;
        errno = refusal;
        return -1;
    }
    result = (int) syscall(SYS_accept4, fd, address, bytes, flags);
    if (result >= 0)
        taken++;
    return result;
}

static int lend(struct bridge *b, void *user)
{
    struct daemon *d = user;
    JSValue global = JS_GetGlobalObject(b->ctx);

    d->b = b;
    b->daemon = d;
    d->object = JS_NewObject(b->ctx);
    CHECK_INT(daemon_listeners_open(d), 0);
    CHECK_INT(daemon_socket_open(d), 0);
    CHECK(JS_SetPropertyStr(b->ctx, global, "daemon", d->object) >= 0);
    JS_FreeValue(b->ctx, global);
    return 0;
}

static int connected(int port)
{
    const struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t) port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK(fd >= 0);
    CHECK_INT(connect(fd, (const struct sockaddr *) &at, sizeof at), 0);
    return fd;
}

/* Connects where accept4() refuses so often, and steps until somebody was taken. ms that took; `*peer` is to be closed. */
static int64_t ms_until_taken(struct bridge *b, int error, int times, int *peer)
{
    const int64_t start_ms = bridge_clock_boottime_us() / 1000;

    asked = taken = 0;
    refusal = error;
    refusals = times;
    *peer = connected(atoi(test_said()));
    while (taken == 0)
        CHECK_INT(bridge_loop_step(b, 30000), 0);
    return bridge_clock_boottime_us() / 1000 - start_ms;
}

static void whom_there_is_no_room_for_is_turned_away_or_waits(void)
{
    struct daemon d = {.object = JS_UNDEFINED};
    struct bridge_options options = {.epoch_trusted = true, .extend = lend, .extend_user = &d};
    const int errors[] = {ENFILE, ENOMEM};
    struct bridge *b;
    char byte;
    int peer;

    CHECK_INT(test_create(&b, "bridge.listen({ go() { say(String(daemon.listenLoopback(0))); }, peerCame() {}, peerClosed() {},"
                             " allPeersGone() {} });", &options), 0);
    CHECK_INT(bridge_emit(b, "go", 0, NULL), 0);

    /* By the descriptor that is kept for it. */
    CHECK(ms_until_taken(b, EMFILE, 1, &peer) < DAEMON_ACCEPT_REST_MS);
    CHECK_INT(recv(peer, &byte, 1, 0), 0);
    CHECK_INT(asked, 2);
    CHECK_INT(close(peer), 0);

    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        /* The descriptor that is kept for it does not do either. */
        const int times = errors[i] == ENOMEM ? 1 : 2;

        CHECK(ms_until_taken(b, errors[i], times, &peer) >= DAEMON_ACCEPT_REST_MS);
        /* Then until there are no more. */
        CHECK_INT(asked, times + 2);
        CHECK_INT(close(peer), 0);
    }
    daemon_listeners_close(&d);
    daemon_socket_close(&d);
    bridge_destroy(b);
}

int main(void)
{
    RUN(whom_there_is_no_room_for_is_turned_away_or_waits);
    return 0;
}
