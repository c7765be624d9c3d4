/* SPDX-License-Identifier: MIT */

/* daemon_notify: see notify.h. Over libsystemd; a build without it has no supervisor to tell. */

#include "notify.h"

#include <inttypes.h>
#include <stdlib.h>

#ifdef GODWIT_SYSTEMD
#include <systemd/sd-daemon.h>
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

void daemon_notify_open(struct daemon_notify *notify, int64_t now_ms)
{
    uint64_t watchdog_us = 0;

    notify->grace_ms = 0;
    if (sd_watchdog_enabled(0, &watchdog_us) > 0)
        notify->grace_ms = (int64_t) (watchdog_us / 1000);
    notify->deadline_ms = now_ms + notify->grace_ms;
    /* NOTIFY_SOCKET is still needed; NotifyAccess=main keeps others from using it. */
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

void daemon_notify_ready(struct daemon_notify *notify, const char *status)
{
    (void) notify;
    sd_notifyf(0, "READY=1\nSTATUS=%s", status);
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
        sd_notifyf(0, "WATCHDOG=1\nWATCHDOG_USEC=%" PRIu64, UINT64_MAX);
    else
        sd_notifyf(0, "WATCHDOG=1\nWATCHDOG_USEC=%" PRIu64, (uint64_t) (wanted_ms - now_ms) * 1000);
}

void daemon_notify_stopping(struct daemon_notify *notify, int64_t limit_ms)
{
    if (notify->grace_ms > 0)
        sd_notifyf(0, "WATCHDOG=1\nWATCHDOG_USEC=%" PRIu64, (uint64_t) (limit_ms + notify->grace_ms) * 1000);
    /* No more of it: stopping has the supervisor's own limit. */
    notify->grace_ms = 0;
    sd_notify(0, "STOPPING=1");
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
