/* SPDX-License-Identifier: MIT */

/*
 * daemon_awake: keeps a sleeping kind of machine awake while a message is in hand, by a wake lock of the kernel
 * (/sys/power/wake_lock) that ends by itself: nobody has to wake up to let go of it.
 *
 * Where there are no wake locks, or this user may not take one, nothing is held: the machine's own policy decides, and an
 * interrupted message is finished after the next wake-up.
 */
#ifndef DAEMON_AWAKE_H
#define DAEMON_AWAKE_H

#include <stdbool.h>
#include <stdint.h>

struct daemon_awake {
    /* Of the kernel's file; -1: none. */
    int fd;
    /* When the lock that was taken last ends, ms of CLOCK_BOOTTIME. */
    int64_t held_until_ms;
};

#define DAEMON_WAKE_LOCK_FILE "/sys/power/wake_lock"

/* `path`: DAEMON_WAKE_LOCK_FILE, but for tests. False when locks cannot be taken. */
bool daemon_awake_open(struct daemon_awake *awake, const char *path);
/* After a turn of the loop: holds the machine awake until `until_ms`, both ms of CLOCK_BOOTTIME. */
void daemon_awake_turn(struct daemon_awake *awake, int64_t now_ms, int64_t until_ms);
/* What is held ends by itself. */
void daemon_awake_close(struct daemon_awake *awake);

#endif
