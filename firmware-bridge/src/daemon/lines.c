/* SPDX-License-Identifier: MIT */

/* lines: see lines.h. */

#include "lines.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "script_limits.h"

/* What may come of a program that has ended: as much as a pipe holds (pipe(7)), and no more of what its children go on writing. */
#define DAEMON__PIPE_BYTES_MAX 65536

struct daemon_lines {
    int fd;
    struct bridge_watch *watch;
    void (*line)(void *user, const char *text, size_t bytes);
    void *user;
    size_t bytes;
    /* The line that began is too long. */
    bool is_skipping;
    char text[LIMIT_HELPER_LINE_BYTES_MAX];
};

static void daemon__tell_line(struct daemon_lines *lines, size_t bytes)
{
    if (bytes > 0 && !lines->is_skipping)
        lines->line(lines->user, lines->text, bytes);
    lines->is_skipping = false;
}

/* Tells the whole lines there are, and moves the rest to the front. */
static void daemon__take_lines(struct daemon_lines *lines)
{
    char *end;

    while ((end = memchr(lines->text, '\n', lines->bytes)) != NULL) {
        size_t length = (size_t) (end - lines->text);

        daemon__tell_line(lines, length);
        lines->bytes -= length + 1;
        memmove(lines->text, end + 1, lines->bytes);
    }
    if (lines->bytes == sizeof lines->text) {
        lines->is_skipping = true;
        lines->bytes = 0;
    }
}

/* One read. Bytes read, 0 at the end, negative when there is nothing now. */
static ssize_t daemon__read_some(struct daemon_lines *lines)
{
    ssize_t got;

    do
        got = read(lines->fd, lines->text + lines->bytes, sizeof lines->text - lines->bytes);
    while (got < 0 && errno == EINTR);
    if (got > 0) {
        lines->bytes += (size_t) got;
        daemon__take_lines(lines);
    }
    return got;
}

/* One read a turn: a program that writes without end does not keep the loop from others. */
static void daemon__handle_lines(void *user)
{
    struct daemon_lines *lines = user;

    if (daemon__read_some(lines) != 0)
        return;
    bridge_watch_remove(lines->watch);
    lines->watch = NULL;
}

struct daemon_lines *daemon_lines_open(struct bridge *b, int fd, void (*line)(void *user, const char *text, size_t bytes),
                                       void *user)
{
    struct daemon_lines *lines = bridge_calloc(1, sizeof *lines);

    if (lines == NULL || fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
        goto fail;
    lines->line = line;
    lines->user = user;
    lines->fd = fd;
    lines->watch = bridge_watch_add(b, fd, daemon__handle_lines, NULL, lines);
    if (lines->watch != NULL)
        return lines;
fail:
    (void) close(fd);
    bridge_free(lines);
    return NULL;
}

void daemon_lines_drain(struct daemon_lines *lines)
{
    ssize_t left = DAEMON__PIPE_BYTES_MAX;
    ssize_t got;

    do {
        got = daemon__read_some(lines);
        left -= got;
    } while (got > 0 && left > 0);
    daemon__tell_line(lines, lines->bytes);
    lines->bytes = 0;
}

void daemon_lines_close(struct daemon_lines *lines)
{
    if (lines == NULL)
        return;
    bridge_watch_remove(lines->watch);
    (void) close(lines->fd);
    bridge_free(lines);
}
