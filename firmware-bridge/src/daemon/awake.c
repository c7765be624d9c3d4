/* SPDX-License-Identifier: MIT */

/* daemon_awake: see awake.h. */

#include "awake.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define LOCK_NAME "godwitd"
/* A lock is taken for at most so long, however far away the script wants it: a bug must not drain a battery. */
#define HOLD_MS_MAX 60000
/* An end this much later is not worth another write. */
#define HOLD_SLACK_MS 250

bool daemon_awake_open(struct daemon_awake *awake, const char *path)
{
    awake->held_until_ms = 0;
    awake->fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    return awake->fd >= 0;
}

void daemon_awake_turn(struct daemon_awake *awake, int64_t now_ms, int64_t until_ms)
{
    char text[48];
    int length;

    if (awake->fd < 0 || until_ms <= now_ms || until_ms <= awake->held_until_ms + HOLD_SLACK_MS)
        return;
    if (until_ms > now_ms + HOLD_MS_MAX)
        until_ms = now_ms + HOLD_MS_MAX;
    /* Name and ns: the kernel lets go by itself. The same name again moves the end. */
    length = snprintf(text, sizeof text, LOCK_NAME " %" PRId64, (until_ms - now_ms) * 1000000);
    if (write(awake->fd, text, (size_t) length) == length)
        awake->held_until_ms = until_ms;
    else
        daemon_awake_close(awake);
}

void daemon_awake_close(struct daemon_awake *awake)
{
    if (awake->fd >= 0)
        (void) close(awake->fd);
    awake->fd = -1;
}
