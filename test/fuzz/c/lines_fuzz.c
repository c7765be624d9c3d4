/* SPDX-License-Identifier: MIT */

/*
 * What a helper program writes, read line by line: the lines told are those of the bytes, whatever the pieces they came in, without
 * the empty ones and those that are too long.
 */

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lines.h"
#include "script_limits.h"
#include "fuzz_support.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

struct expected {
    const uint8_t *at;
    size_t left;
};

/* The next line that is to be told, or NULL. */
static const uint8_t *next_line(struct expected *expected, size_t *length)
{
    while (expected->left > 0) {
        const uint8_t *line = expected->at;
        const uint8_t *end = memchr(line, '\n', expected->left);

        *length = end != NULL ? (size_t) (end - line) : expected->left;
        expected->left -= *length + (end != NULL ? 1 : 0);
        expected->at += *length + (end != NULL ? 1 : 0);
        if (*length > 0 && *length < LIMIT_HELPER_LINE_BYTES_MAX)
            return line;
    }
    return NULL;
}

static void handle_line(void *user, const char *text, size_t bytes)
{
    size_t length;
    const uint8_t *line = next_line(user, &length);

    CHECK(line != NULL);
    CHECK_INT((int64_t) bytes, (int64_t) length);
    CHECK(memcmp(line, text, bytes) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static struct bridge *b;
    struct expected expected;
    struct daemon_lines *lines;
    size_t length;
    size_t piece;
    int ends[2];

    if (b == NULL)
        b = fuzz_bridge("bridge.listen({ look() {} });", NULL);
    /* The first two bytes say how long the pieces are; what a pipe holds is the bound of what is drained. */
    if (bytes < 2 || bytes > 60000)
        return 0;
    piece = 1 + (size_t) data[0] * 256 + data[1];
    data += 2;
    bytes -= 2;
    expected = (struct expected) {data, bytes};
    CHECK_INT(pipe2(ends, O_CLOEXEC), 0);
    lines = daemon_lines_open(b, ends[0], handle_line, &expected);
    CHECK(lines != NULL);
    for (size_t at = 0; at < bytes; at += piece) {
        const size_t now = bytes - at < piece ? bytes - at : piece;

        CHECK_INT(write(ends[1], data + at, now), (int64_t) now);
        CHECK_INT(bridge_loop_step(b, 0), 0);
    }
    (void) close(ends[1]);
    daemon_lines_drain(lines);
    daemon_lines_close(lines);
    CHECK(next_line(&expected, &length) == NULL);
    CHECK_INT(bridge_loop_step(b, 0), 0);
    return 0;
}
