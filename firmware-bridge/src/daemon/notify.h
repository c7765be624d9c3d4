/* SPDX-License-Identifier: MIT */

/*
 * daemon_notify: what the supervisor (systemd, sd_notify(3)) is told: ready, stopping, and that the daemon is alive.
 *
 * The watchdog is fed on turns of the loop that happen anyway, never by a timer of its own. So its deadline has to follow
 * the wake-ups: after a turn it lies `grace` behind the next one that is planned, and where none is planned the watchdog
 * rests. A daemon that does not come back for its alarm is ended `grace` later.
 */
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

#define DAEMON_NOTIFY_NEVER INT64_MAX

struct daemon_notify {
    /* WatchdogSec= of the unit; 0: the supervisor does not watch, or there is none. */
    int64_t grace_ms;
    /* When the supervisor gives up on us, by CLOCK_MONOTONIC; DAEMON_NOTIFY_NEVER while it rests. */
    int64_t deadline_ms;
};

/* Reads what the supervisor said in the environment, and leaves it out of that of programs that are started. */
void daemon_notify_open(struct daemon_notify *notify, int64_t now_ms);
/* `status` is one line for people. */
void daemon_notify_ready(struct daemon_notify *notify, const char *status);
/* After a turn of the loop. `in_ms`: until the next planned one, as of godwit_next_deadline; -1: none is. */
void daemon_notify_turn(struct daemon_notify *notify, int64_t now_ms, int64_t in_ms);
/* `limit_ms`: what stopping may take. */
void daemon_notify_stopping(struct daemon_notify *notify, int64_t limit_ms);

/*
 * The deadline there should be, by the same clock as `now_ms`: `deadline_ms` itself as long as it is far enough behind the
 * next turn to spare a message, and no farther than it may.
 */
int64_t daemon_notify_wanted(int64_t deadline_ms, int64_t grace_ms, int64_t now_ms, int64_t in_ms);

#endif
