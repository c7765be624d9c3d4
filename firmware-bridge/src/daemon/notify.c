/* SPDX-License-Identifier: MIT */

/*
 * daemon_notify: see notify.h. The supervisor is told in datagrams, as sd_notify(3) has it; libsystemd for that alone
 * would take 1 MB of memory. A build without GODWIT_SYSTEMD has no supervisor to tell.
 */

#include "notify.h"

#include <inttypes.h>
#include <stdlib.h>

#ifdef GODWIT_SYSTEMD
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#endif

/* A deadline nearer than this part of the grace is moved. */
#define NEAR_GRACE_PART 2

int64_t daemon_notify_wanted(int64_t deadline_ms, int64_t grace_ms, int64_t now_ms, int64_t in_ms)
{
    int64_t next_ms;

    if (in_ms < 0 || in_ms > DAEMON_NOTIFY_NEVER - now_ms - grace_ms)
        return DAEMON_NOTIFY_NEVER;
    next_ms = now_ms + in_ms;
    if (deadline_ms >= next_ms + grace_ms / NEAR_GRACE_PART && deadline_ms <= next_ms + grace_ms)
        return deadline_ms;
    return next_ms + grace_ms;
}

#ifdef GODWIT_SYSTEMD

/* Longest message: a status. More is cut. */
#define DAEMON__NOTIFY_BYTES_MAX 512

/* One datagram to the supervisor, if there is one. Best effort: nothing depends on it but what it does with us. */
static void __attribute__((format(printf, 1, 2))) daemon__notify(const char *format, ...)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t bytes = path != NULL ? strlen(path) : 0;
    char message[DAEMON__NOTIFY_BYTES_MAX];
    va_list arguments;
    int written, fd;

    if (bytes < 2 || bytes > sizeof address.sun_path || (path[0] != '/' && path[0] != '@'))
        return;
    memcpy(address.sun_path, path, bytes);
    /* A name of the abstract kind begins with a zero byte. */
    if (path[0] == '@')
        address.sun_path[0] = '\0';
    va_start(arguments, format);
    written = vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    if (written >= (int) sizeof message)
        written = (int) sizeof message - 1;
    if (written > 0)
        (void) sendto(fd, message, (size_t) written, MSG_NOSIGNAL, (const struct sockaddr *) &address,
                      (socklen_t) (offsetof(struct sockaddr_un, sun_path) + bytes));
    (void) close(fd);
}

/* What WATCHDOG_USEC allows this process, in us; 0 for no watchdog. */
static uint64_t daemon__watchdog_us(void)
{
    const char *limit = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    char *end;
    uint64_t limit_us;

    if (limit == NULL || limit[0] < '0' || limit[0] > '9')
        return 0;
    if (pid != NULL && strtoll(pid, NULL, 10) != getpid())
        return 0;
    limit_us = strtoull(limit, &end, 10);
    return *end == '\0' && limit_us <= INT64_MAX ? limit_us : 0;
}

void daemon_notify_open(struct daemon_notify *notify, int64_t now_ms)
{
    notify->grace_ms = (int64_t) (daemon__watchdog_us() / 1000);
    notify->deadline_ms = now_ms + notify->grace_ms;
    /* NOTIFY_SOCKET is still needed; NotifyAccess=main keeps others from using it. */
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

void daemon_notify_ready(struct daemon_notify *notify, const char *status)
{
    (void) notify;
    daemon__notify("READY=1\nSTATUS=%s", status);
}

void daemon_notify_turn(struct daemon_notify *notify, int64_t now_ms, int64_t in_ms)
{
    int64_t wanted_ms;

    if (notify->grace_ms == 0)
        return;
    wanted_ms = daemon_notify_wanted(notify->deadline_ms, notify->grace_ms, now_ms, in_ms);
    if (wanted_ms == notify->deadline_ms)
        return;
    notify->deadline_ms = wanted_ms;
    /* USEC_INFINITY stops the supervisor's timer. */
    if (wanted_ms == DAEMON_NOTIFY_NEVER)
        daemon__notify("WATCHDOG=1\nWATCHDOG_USEC=%" PRIu64, UINT64_MAX);
    else
        daemon__notify("WATCHDOG=1\nWATCHDOG_USEC=%" PRIu64, (uint64_t) (wanted_ms - now_ms) * 1000);
}

void daemon_notify_stopping(struct daemon_notify *notify, int64_t limit_ms)
{
    if (notify->grace_ms > 0)
        daemon__notify("WATCHDOG=1\nWATCHDOG_USEC=%" PRIu64, (uint64_t) (limit_ms + notify->grace_ms) * 1000);
    /* No more of it: stopping has the supervisor's own limit. */
    notify->grace_ms = 0;
    daemon__notify("STOPPING=1");
}

#else

void daemon_notify_open(struct daemon_notify *notify, int64_t now_ms)
{
    notify->grace_ms = 0;
    notify->deadline_ms = now_ms;
}

void daemon_notify_ready(struct daemon_notify *notify, const char *status)
{
    (void) notify;
    (void) status;
}

void daemon_notify_turn(struct daemon_notify *notify, int64_t now_ms, int64_t in_ms)
{
    (void) notify;
    (void) now_ms;
    (void) in_ms;
}

void daemon_notify_stopping(struct daemon_notify *notify, int64_t limit_ms)
{
    (void) notify;
    (void) limit_ms;
}

#endif
