/* SPDX-License-Identifier: MIT */

/*
 * Goal: the machine is held awake as long as asked, no longer than the bound, with few writes, and without wake locks nothing
 * breaks. Method: a file stands for /sys/power/wake_lock.
 */

#undef NDEBUG
#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../src/daemon/awake.h"

static char path[] = "/tmp/godwit-awake-XXXXXX";

/* What was written since the last call. */
static const char *written(int fd)
{
    static char text[128];
    ssize_t bytes = read(fd, text, sizeof text - 1);

    assert(bytes >= 0);
    text[bytes] = '\0';
    return text;
}

int main(void)
{
    struct daemon_awake awake;
    int64_t now_ms = 1000000;
    int fd = mkstemp(path);

    assert(fd >= 0);
    assert(daemon_awake_open(&awake, path));

    daemon_awake_turn(&awake, now_ms, now_ms + 5000);
    assert(strcmp(written(fd), "godwitd 5000000000") == 0);
    /* The same wish, and one that is hardly later. */
    daemon_awake_turn(&awake, now_ms + 1000, now_ms + 5000);
    daemon_awake_turn(&awake, now_ms + 1000, now_ms + 5250);
    assert(strcmp(written(fd), "") == 0);
    daemon_awake_turn(&awake, now_ms + 1000, now_ms + 6000);
    assert(strcmp(written(fd), "godwitd 5000000000") == 0);
    /* What is over needs no lock. */
    daemon_awake_turn(&awake, now_ms + 9000, now_ms + 8000);
    assert(strcmp(written(fd), "") == 0);
    /* However long the wish is. */
    daemon_awake_turn(&awake, now_ms + 9000, INT64_MAX);
    assert(strcmp(written(fd), "godwitd 60000000000") == 0);
    daemon_awake_close(&awake);
    daemon_awake_turn(&awake, now_ms + 90000, now_ms + 95000);
    assert(strcmp(written(fd), "") == 0);

    close(fd);
    unlink(path);
    assert(!daemon_awake_open(&awake, path));
    daemon_awake_turn(&awake, now_ms, now_ms + 5000);
    puts("awake: ok");
    return 0;
}
