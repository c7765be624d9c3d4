/* SPDX-License-Identifier: MIT */

/*
 * Goal: the supervisor's watchdog never fires on a daemon that sleeps as planned, fires on one that does not come back, and
 * costs few messages. Method: a socket of the test's own stands for systemd; what arrives there is read back.
 */

#undef NDEBUG
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../src/daemon/notify.h"

#define GRACE_MS 90000

static int supervisor(char *directory)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    assert(fd >= 0);
    assert(mkdtemp(directory) != NULL);
    assert((size_t) snprintf(address.sun_path, sizeof address.sun_path, "%s/notify", directory) <
           sizeof address.sun_path);
    assert(bind(fd, (struct sockaddr *) &address, sizeof address) == 0);
    setenv("NOTIFY_SOCKET", address.sun_path, 1);
    return fd;
}

/* What was sent, or "" when nothing was: sending has ended before the call that did it returned. */
static const char *received(int fd)
{
    static char text[256];
    ssize_t bytes = recv(fd, text, sizeof text - 1, MSG_DONTWAIT);

    text[bytes > 0 ? bytes : 0] = '\0';
    return text;
}

static void test_wanted(void)
{
    int64_t now_ms = 1000000;

    /* Nothing planned: the watchdog rests. */
    assert(daemon_notify_wanted(now_ms, GRACE_MS, now_ms, -1) == DAEMON_NOTIFY_NEVER);
    assert(daemon_notify_wanted(now_ms, GRACE_MS, now_ms, INT64_MAX) == DAEMON_NOTIFY_NEVER);
    /* A wake-up in 29 min. */
    assert(daemon_notify_wanted(now_ms + GRACE_MS, GRACE_MS, now_ms, 1740000) == now_ms + 1740000 + GRACE_MS);
    /* A deadline that is still good is left, one that is too near or too far is moved. */
    assert(daemon_notify_wanted(now_ms + 60000, GRACE_MS, now_ms, 1000) == now_ms + 60000);
    assert(daemon_notify_wanted(now_ms + 45999, GRACE_MS, now_ms, 1000) == now_ms + 1000 + GRACE_MS);
    assert(daemon_notify_wanted(now_ms + 91001, GRACE_MS, now_ms, 1000) == now_ms + 1000 + GRACE_MS);
    assert(daemon_notify_wanted(DAEMON_NOTIFY_NEVER, GRACE_MS, now_ms, 1000) == now_ms + 1000 + GRACE_MS);
}

static void test_messages(int fd)
{
    struct daemon_notify notify;
    int64_t now_ms = 5000;
    char pid[24];

    snprintf(pid, sizeof pid, "%ld", (long) getpid());
    setenv("WATCHDOG_USEC", "90000000", 1);
    setenv("WATCHDOG_PID", pid, 1);
    daemon_notify_open(&notify, now_ms);
    assert(notify.grace_ms == GRACE_MS);
    assert(getenv("WATCHDOG_USEC") == NULL);

    daemon_notify_ready(&notify, "connected to nothing yet");
    assert(strcmp(received(fd), "READY=1\nSTATUS=connected to nothing yet") == 0);

    daemon_notify_turn(&notify, now_ms, 240000);
    assert(strcmp(received(fd), "WATCHDOG=1\nWATCHDOG_USEC=330000000") == 0);
    /* A busy second: nothing new to say. */
    for (int turn = 0; turn < 1000; turn++)
        daemon_notify_turn(&notify, now_ms + turn, 240000);
    assert(strcmp(received(fd), "") == 0);
    /* The heartbeat is over; the next one is as far away again. */
    daemon_notify_turn(&notify, now_ms + 240000, 240000);
    assert(strcmp(received(fd), "WATCHDOG=1\nWATCHDOG_USEC=330000000") == 0);
    /* No network: no wake-ups, and nobody to end us for that. */
    daemon_notify_turn(&notify, now_ms + 250000, -1);
    assert(strcmp(received(fd), "WATCHDOG=1\nWATCHDOG_USEC=18446744073709551615") == 0);
    daemon_notify_turn(&notify, now_ms + 260000, -1);
    assert(strcmp(received(fd), "") == 0);

    daemon_notify_stopping(&notify, 10000);
    assert(strcmp(received(fd), "WATCHDOG=1\nWATCHDOG_USEC=100000000") == 0);
    assert(strcmp(received(fd), "STOPPING=1") == 0);
    daemon_notify_turn(&notify, now_ms + 270000, 0);
    assert(strcmp(received(fd), "") == 0);
}

static void test_unwatched(int fd)
{
    struct daemon_notify notify;

    /* Somebody else's watchdog, as in a program that we were started by. */
    setenv("WATCHDOG_USEC", "90000000", 1);
    setenv("WATCHDOG_PID", "1", 1);
    daemon_notify_open(&notify, 0);
    daemon_notify_turn(&notify, 0, 1000);
    assert(strcmp(received(fd), "") == 0);
}

int main(void)
{
    char directory[] = "/tmp/godwit-notify-XXXXXX";
    int fd = supervisor(directory);

    test_wanted();
    test_messages(fd);
    test_unwatched(fd);
    unlink(getenv("NOTIFY_SOCKET"));
    rmdir(directory);
    close(fd);
    puts("notify: ok");
    return 0;
}
