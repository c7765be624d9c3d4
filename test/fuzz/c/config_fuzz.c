/* SPDX-License-Identifier: MIT */

/*
 * What godwitd is started with: arguments, and files with anything in them. It is told to run, or to end with an exit code and a
 * sentence; never that the script failed. An input is the configuration file, a NUL byte, the policy, a NUL byte, certificates, a NUL
 * byte, and arguments, each behind a NUL byte of its own.
 */

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon.h"
#include "scripts.h"
#include "support.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#define ARGUMENTS_MAX 12
#define FILES 3

/* A file without a name, which `path` names nevertheless, with the input up to its next NUL byte in it. */
static int file_of(const uint8_t **at, const uint8_t *end, char path[64])
{
    const uint8_t *nul = memchr(*at, '\0', (size_t) (end - *at));
    const size_t count = (size_t) ((nul != NULL ? nul : end) - *at);
    const int fd = memfd_create("fuzz", MFD_CLOEXEC);

    CHECK(fd >= 0);
    CHECK_INT(write(fd, *at, count), (int64_t) count);
    CHECK_INT(fchmod(fd, 0600), 0);
    (void) snprintf(path, 64, "/proc/self/fd/%d", fd);
    *at += count + (nul != NULL ? 1 : 0);
    return fd;
}

static void check(const struct daemon_config *config)
{
    if (config->exit_code < 0) {
        CHECK(config->options_json != NULL && config->state_directory != NULL);
        CHECK(config->state_directory[0] == '/');
        return;
    }
    CHECK(config->exit_code == DAEMON_EXIT_OK || config->exit_code == DAEMON_EXIT_USAGE || config->exit_code == 78);
    CHECK(config->stdout_text != NULL || config->stderr_text != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    const struct bridge_script script = {bridge_script_config, bridge_script_config_size};
    struct daemon_config config;
    char paths[FILES][64];
    char *argv[ARGUMENTS_MAX + 9] = {"--service", "https://push.example", "--config", paths[0], "--policy", paths[1]};
    const uint8_t *end = data + bytes;
    int fds[FILES];
    int argc = 6;
    char *arguments;
    size_t left;

    /* Of the machine this runs on nothing counts. */
    CHECK_INT(clearenv(), 0);
    for (int i = 0; i < FILES; i++)
        fds[i] = file_of(&data, end, paths[i]);
    left = (size_t) (end - data);
    if (left > 0) {
        argv[argc++] = "--ca";
        argv[argc++] = paths[2];
    }
    arguments = malloc(left + 1);
    CHECK(arguments != NULL);
    memcpy(arguments, data, left);
    arguments[left] = '\0';
    for (size_t at = 0; at < left && argc < ARGUMENTS_MAX + 8; at += strlen(arguments + at) + 1)
        argv[argc++] = arguments + at;
    CHECK_INT(daemon_config_read(&config, &script, argc, argv), 0);
    check(&config);
    daemon_config_free(&config);
    free(arguments);
    for (int i = 0; i < FILES; i++)
        (void) close(fds[i]);
    return 0;
}
