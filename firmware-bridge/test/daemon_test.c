/* SPDX-License-Identifier: MIT */

/*
 * Goal: whichever allocation fails while godwitd reads its configuration, starts, listens and stops, it ends with an exit code and
 * gives everything back. Method: the whole program in child processes, with SIGTERM waiting for it; in each of them one allocation
 * fails, alone or with all that follow. The many of an engine's start are sampled.
 */

#define _XOPEN_SOURCE 700
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon.h"
#include "memory_faults.h"
#include "support.h"

/* Of each kind. */
#define SAMPLES 30
/* Far more than a run takes, with sanitizers too. */
#define RUN_S_MAX 60

static char directory[] = "/tmp/godwit-daemon-test-XXXXXX";

static int remove_one(const char *path, const struct stat *is, int kind, struct FTW *at)
{
    (void) is;
    (void) kind;
    (void) at;
    return remove(path);
}

static void remove_directory(void)
{
    (void) nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* In a child: runs the program. Writes how many allocations there were to `told`. */
static _Noreturn void run(uint64_t nth, bool and_all_after, int told)
{
    char *argv[] = {
        "godwitd", "--service", "https://127.0.0.1:1", "--state", directory, "--app-port", "0", "--permission", "granted", NULL,
    };
    int null_fd = open("/dev/null", O_WRONLY);
    size_t before = bridge_memory_blocks();
    sigset_t asked;
    uint64_t seen;
    int exit_code;

    sigemptyset(&asked);
    sigaddset(&asked, SIGTERM);
    sigprocmask(SIG_BLOCK, &asked, NULL);
    raise(SIGTERM);
    alarm(RUN_S_MAX);
    if (nth > 0 && (dup2(null_fd, STDOUT_FILENO) < 0 || dup2(null_fd, STDERR_FILENO) < 0))
        _exit(99);
    bridge_memory_faults_set(nth, and_all_after);
    exit_code = daemon_main(9, argv);
    seen = bridge_memory_faults_seen();
    bridge_memory_faults_set(0, false);
    if (write(told, &seen, sizeof seen) != sizeof seen || bridge_memory_blocks() != before)
        _exit(98);
    exit(exit_code);
}

/* Its exit code. Fails the test when there is none. */
static int run_in_child(uint64_t nth, bool and_all_after, uint64_t *seen)
{
    int told[2];
    int status;
    pid_t pid;

    CHECK_INT(pipe(told), 0);
    fflush(NULL);
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0)
        run(nth, and_all_after, told[1]);
    close(told[1]);
    *seen = 0;
    if (read(told[0], seen, sizeof *seen) != sizeof *seen)
        *seen = 0;
    close(told[0]);
    CHECK_INT(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status))
        fprintf(stderr, "allocation %llu: signal %d\n", (unsigned long long) nth, WTERMSIG(status));
    CHECK(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void it_starts_and_stops(void)
{
    uint64_t seen;

    CHECK_INT(run_in_child(0, false, &seen), DAEMON_EXIT_OK);
    /* How many it takes depends on the environment and its files. */
    CHECK(seen > 100);
}

static void every_failed_allocation_ends_in_an_exit_code(void)
{
    uint64_t needed;
    uint64_t seen;
    int refusals = 0;

    CHECK_INT(run_in_child(0, false, &needed), DAEMON_EXIT_OK);
    for (int and_all_after = 0; and_all_after < 2; and_all_after++) {
        for (int i = 0; i < SAMPLES; i++) {
            /* From the first to the last, and never at the same steps for both kinds. */
            uint64_t nth = 1 + (needed - 1) * (uint64_t) (2 * i + and_all_after) / (2 * SAMPLES);
            int exit_code = run_in_child(nth, and_all_after != 0, &seen);

            /* Without memory the script may find words for it, such as that a file cannot be read. */
            if (exit_code != DAEMON_EXIT_OK && exit_code != DAEMON_EXIT_FAILURE && exit_code != DAEMON_EXIT_SCRIPT &&
                exit_code != 75 && exit_code != 78)
                fprintf(stderr, "allocation %llu of %llu: exit code %d\n", (unsigned long long) nth,
                        (unsigned long long) needed, exit_code);
            CHECK(exit_code == DAEMON_EXIT_OK || exit_code == DAEMON_EXIT_FAILURE || exit_code == DAEMON_EXIT_SCRIPT ||
                  exit_code == 75 || exit_code == 78);
            refusals += exit_code != DAEMON_EXIT_OK;
        }
    }
    CHECK(refusals > SAMPLES);
}

int main(void)
{
    CHECK(mkdtemp(directory) != NULL);
    atexit(remove_directory);
    RUN(it_starts_and_stops);
    RUN(every_failed_allocation_ends_in_an_exit_code);
    return 0;
}
