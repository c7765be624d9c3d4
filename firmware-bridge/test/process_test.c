/* SPDX-License-Identifier: MIT */

/*
 * Goal: programs that are started get all of what is said to them or nothing, none of our descriptors, and only they get its signals. Method:
 * real shells; waitpid() and kill() are the system's, with a note of when they were called, and close_range() is missing on demand.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon.h"
#include "support.h"

static pid_t waited_for;
static int signals_sent;

/* In the place of the C library's. */
pid_t waitpid(pid_t pid, int *status, int options)
{
    pid_t result = (pid_t) syscall(SYS_wait4, pid, status, options, NULL);

    if (result > 0)
        waited_for = result;
    return result;
}

int kill(pid_t pid, int number)
{
    if (pid < 0) {
        signals_sent++;
        /* Nobody else may have the number yet. */
        CHECK(-pid != waited_for);
    }
    return (int) syscall(SYS_kill, pid, number);
}

/* In the child: what tells of it is what the child does then. */
static bool has_close_range;

int close_range(unsigned int first, unsigned int last, int flags)
{
    if (has_close_range)
        return (int) syscall(SYS_close_range, first, last, flags);
    errno = ENOSYS;
    return -1;
}

/* It allocates, which between fork and exec may wait for ever. */
DIR *opendir(const char *path)
{
    fprintf(stderr, "opendir(%s)\n", path);
    abort();
}

static int lend(struct bridge *b, void *user)
{
    struct daemon *d = user;
    JSValue global = JS_GetGlobalObject(b->ctx);

    d->b = b;
    b->daemon = d;
    d->object = JS_NewObject(b->ctx);
    CHECK_INT(daemon_processes_open(d), 0);
    CHECK(JS_SetPropertyStr(b->ctx, global, "daemon", d->object) >= 0);
    JS_FreeValue(b->ctx, global);
    return 0;
}

/* Runs `go` of the script until it said `last`. */
static void run(const char *script, const char *last)
{
    struct daemon d = {.object = JS_UNDEFINED};
    struct bridge_options options = {.epoch_trusted = true, .extend = lend, .extend_user = &d};
    struct bridge *b;

    CHECK_INT(test_create(&b, script, &options), 0);
    CHECK_INT(bridge_emit(b, "go", 0, NULL), 0);
    test_step_until_said(b, last);
    daemon_processes_close(&d);
    bridge_destroy(b);
}

static void a_program_is_signalled_for_its_last_words_while_it_is_ours_to_wait_for(void)
{
    signals_sent = 0;
    run("bridge.listen({ go() { daemon.startProcess(1, ['/bin/sh', '-c', 'cat; printf \" last words\"'], [], 'its'); },"
        " processLine(id, text) { say(text); daemon.signalProcess(id, 'SIGKILL'); },"
        " processEnded(id, code, signal) { say(`ended ${code} ${signal}`); } });",
        "ended 0 null");
    CHECK_TEXT(test_said(), "its last words\nended 0 null\n");
    CHECK_INT(signals_sent, 1);
}

static void what_cannot_be_handed_over_whole_is_not_started(void)
{
    struct rlimit before, little;

    CHECK_INT(getrlimit(RLIMIT_FSIZE, &before), 0);
    little = (struct rlimit) {.rlim_cur = 10, .rlim_max = before.rlim_max};
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &little), 0);
    run("bridge.listen({ go() { try { daemon.startProcess(1, ['/bin/cat'], [], 'more than ten bytes'); }"
        " catch (error) { say(error.code); } say('done'); }, processLine: say, processEnded() {} });",
        "done");
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &before), 0);
    CHECK_TEXT(test_said(), "ENOSPC\ndone\n");
}

/* With more descriptors than one look into /proc tells. */
static void no_program_gets_our_descriptors(void)
{
    const int first = 100, last = 199;

    for (int fd = first; fd <= last; fd++)
        CHECK_INT(dup2(STDERR_FILENO, fd), fd);
    for (int i = 0; i < 2; i++) {
        has_close_range = i == 0;
        run("bridge.listen({ go() { daemon.startProcess(1, ['/bin/sh', '-c', 'echo /proc/self/fd/1[0-9][0-9]'], [], ''); },"
            " processLine(id, text) { say(text); }, processEnded(id, code) { say(`ended ${code}`); } });",
            "ended 0");
        /* What a shell makes of a pattern that nothing matches. */
        CHECK_TEXT(test_said(), "/proc/self/fd/1[0-9][0-9]\nended 0\n");
    }
    for (int fd = first; fd <= last; fd++)
        CHECK_INT(close(fd), 0);
}

int main(void)
{
    int pidfd = (int) syscall(SYS_pidfd_open, getpid(), 0);

    if (pidfd < 0) {
        puts("skipped: no pidfds here (Linux before 5.3, valgrind before 3.20)");
        return 0;
    }
    (void) close(pidfd);
    RUN(a_program_is_signalled_for_its_last_words_while_it_is_ours_to_wait_for);
    RUN(no_program_gets_our_descriptors);
    RUN(what_cannot_be_handed_over_whole_is_not_started);
    return 0;
}
