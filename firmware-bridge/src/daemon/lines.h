/* SPDX-License-Identifier: MIT */

/* lines: what a program writes to its stdout, line by line, read on the loop. */
#ifndef DAEMON_LINES_H
#define DAEMON_LINES_H

#include <stddef.h>

#include "../bridge.h"

struct daemon_lines;

/*
 * Reads from `fd`, which is taken, also on failure (NULL). `line` is called with each line without its end, borrowed; those over
 * LIMIT_HELPER_LINE_BYTES_MAX and empty ones are skipped. It may not close the lines.
 */
struct daemon_lines *daemon_lines_open(struct bridge *b, int fd, void (*line)(void *user, const char *text, size_t bytes),
                                       void *user);
/* The program has ended: tells what is left of what it wrote. */
void daemon_lines_drain(struct daemon_lines *lines);
/* NULL is allowed. */
void daemon_lines_close(struct daemon_lines *lines);

#endif
