/* SPDX-License-Identifier: MIT */

/* process: programs that are started for apps and as helpers, each with a pidfd on the loop (Linux 5.3). */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon.h"
#include "daemon_limits.h"
#include "lines.h"
#include "script_limits.h"

#define DAEMON__OUR_PREFIX "GODWIT_"

extern char **environ;

struct daemon_process {
    struct lws_dll2 all;
    struct daemon *d;
    int64_t id;
    pid_t pid;
    int pidfd;
    struct bridge_watch *watch;
    /* Its stdout, of a helper; else NULL. */
    struct daemon_lines *lines;
};

struct daemon_processes {
    struct lws_dll2_owner all;
};

/* ---- starting ---- */

/* Ours without what configures us, and `added`: name, value, … The vector is to be freed; its texts are borrowed or in `*texts`. */
static char **daemon__environment(char *const *added, char **texts)
{
    size_t count = 0;
    size_t bytes = 0;
    char **environment;
    char *at;

    for (char **each = environ; each != NULL && *each != NULL; each++)
        count++;
    for (char *const *each = added; each[0] != NULL && each[1] != NULL; each += 2) {
        bytes += strlen(each[0]) + strlen(each[1]) + 2;
        count++;
    }
    environment = bridge_calloc(count + 1, sizeof *environment);
    *texts = bridge_malloc(bytes + 1);
    if (environment == NULL || *texts == NULL) {
        bridge_free(environment);
        bridge_free(*texts);
        *texts = NULL;
        return NULL;
    }
    count = 0;
    for (char **each = environ; each != NULL && *each != NULL; each++) {
        if (strncmp(*each, DAEMON__OUR_PREFIX, strlen(DAEMON__OUR_PREFIX)) != 0)
            environment[count++] = *each;
    }
    at = *texts;
    for (char *const *each = added; each[0] != NULL && each[1] != NULL; each += 2) {
        environment[count++] = at;
        at = stpcpy(at, each[0]);
        *at++ = '=';
        at = stpcpy(at, each[1]) + 1;
    }
    return environment;
}

/*
 * Marks every descriptor but the standard ones to be closed by exec. Before Linux 5.11 that means those that /proc names. Nothing
 * is allocated: a thread that looks up a name may have held malloc's lock when this child was made.
 */
static void daemon__close_others_on_exec(void)
{
    _Alignas(struct dirent64) char buffer[1024];
    const struct dirent64 *entry;
    long bytes;
    int directory;

#ifdef CLOSE_RANGE_CLOEXEC
    if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) == 0)
        return;
#endif
    directory = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    while ((bytes = syscall(SYS_getdents64, directory, buffer, sizeof buffer)) > 0) {
        for (long at = 0; at < bytes; at += entry->d_reclen) {
            int fd;

            entry = (const void *) (buffer + at);
            fd = atoi(entry->d_name);
            if (fd >= 3)
                fcntl(fd, F_SETFD, FD_CLOEXEC);
        }
    }
}

/* stdin and stdout of a program; -1: /dev/null. */
struct daemon__pipes {
    int in;
    int out;
};

/* In the child: never returns. What fails is written to `told` as an errno; exec closes it. */
static _Noreturn void daemon__become(char *const *argv, char **environment, const struct daemon__pipes *pipes, int told)
{
    const struct sigaction by_default = {.sa_handler = SIG_DFL};
    sigset_t none;
    int error;
    int null_fd;

    sigemptyset(&none);
    for (int number = 1; number < NSIG; number++)
        sigaction(number, &by_default, NULL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    /* Of its own: Ctrl-C at our terminal is for us, and what it starts ends with it. */
    if (null_fd >= 0 && dup2(pipes->in >= 0 ? pipes->in : null_fd, STDIN_FILENO) >= 0 &&
        dup2(pipes->out >= 0 ? pipes->out : null_fd, STDOUT_FILENO) >= 0 && setpgid(0, 0) == 0) {
        daemon__close_others_on_exec();
        environ = environment;
        execvp(argv[0], argv);
    }
    error = errno;
    if (write(told, &error, sizeof error) < 0)
        _exit(126);
    _exit(127);
}

/* Waits until the program runs, which takes no longer than finding its file. 0, or what the system said. */
static int daemon__spawn(char *const *argv, char **environment, const struct daemon__pipes *pipes, pid_t *pid)
{
    int told[2];
    int error = 0;
    ssize_t got;

    if (pipe2(told, O_CLOEXEC) != 0)
        return errno;
    *pid = fork();
    if (*pid == 0)
        daemon__become(argv, environment, pipes, told[1]);
    if (*pid < 0)
        error = errno;
    close(told[1]);
    if (error == 0) {
        do
            got = read(told[0], &error, sizeof error);
        while (got < 0 && errno == EINTR);
        if (got != sizeof error)
            error = 0;
        if (error != 0)
            waitpid(*pid, NULL, 0);
    }
    close(told[0]);
    return error;
}

/* ---- ending ---- */

static void daemon__forget(struct daemon_process *process)
{
    bridge_watch_remove(process->watch);
    daemon_lines_close(process->lines);
    if (process->pidfd >= 0)
        close(process->pidfd);
    lws_dll2_remove(&process->all);
    bridge_free(process);
}

static const char *daemon__signal_name(int number)
{
    static const struct {
        int number;
        const char *name;
    } names[] = {
        {SIGHUP, "SIGHUP"},   {SIGINT, "SIGINT"},   {SIGQUIT, "SIGQUIT"}, {SIGILL, "SIGILL"},   {SIGTRAP, "SIGTRAP"},
        {SIGABRT, "SIGABRT"}, {SIGBUS, "SIGBUS"},   {SIGFPE, "SIGFPE"},   {SIGKILL, "SIGKILL"}, {SIGUSR1, "SIGUSR1"},
        {SIGSEGV, "SIGSEGV"}, {SIGUSR2, "SIGUSR2"}, {SIGPIPE, "SIGPIPE"}, {SIGALRM, "SIGALRM"}, {SIGTERM, "SIGTERM"},
        {SIGXCPU, "SIGXCPU"}, {SIGXFSZ, "SIGXFSZ"}, {SIGSYS, "SIGSYS"},
    };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (names[i].number == number)
            return names[i].name;
    }
    return "a signal";
}

static void daemon__handle_exit(void *user)
{
    struct daemon_process *process = user;
    struct bridge *b = process->d->b;
    int64_t id = process->id;
    int status;
    pid_t pid;

    /* First: the script may signal it for what it says, and once waited for its number may be another's. */
    if (process->lines != NULL)
        daemon_lines_drain(process->lines);
    pid = waitpid(process->pid, &status, WNOHANG);
    if (pid == 0 || (pid < 0 && errno == EINTR))
        return;
    daemon__forget(process);
    /* Somebody else has waited for it: what it ended with is not known. */
    if (pid < 0)
        status = 0;
    JSValue values[] = {
        JS_NewInt64(b->ctx, id),
        WIFEXITED(status) ? JS_NewInt32(b->ctx, WEXITSTATUS(status)) : JS_NULL,
        WIFEXITED(status) ? JS_NULL : JS_NewString(b->ctx, daemon__signal_name(WTERMSIG(status))),
    };
    bridge_emit(b, "processEnded", 3, values);
}

/* ---- from the script ---- */

static void daemon__handle_line(void *user, const char *text, size_t bytes)
{
    const struct daemon_process *process = user;
    struct bridge *b = process->d->b;
    JSValue values[] = {JS_NewInt64(b->ctx, process->id), JS_NewStringLen(b->ctx, text, bytes)};

    bridge_emit(b, "processLine", 2, values);
}

/* Takes a program that runs, and the end of its stdout we read, or -1. 0, or an errno: then it was killed. */
static int daemon__watch(struct daemon *d, int64_t id, pid_t pid, int out)
{
    struct daemon_process *process = bridge_calloc(1, sizeof *process);
    int error = ENOMEM;

    if (process == NULL) {
        if (out >= 0)
            close(out);
        goto kill;
    }
    process->d = d;
    process->id = id;
    process->pid = pid;
    process->pidfd = (int) syscall(SYS_pidfd_open, pid, 0);
    lws_dll2_add_tail(&process->all, &d->processes->all);
    if (out >= 0) {
        process->lines = daemon_lines_open(d->b, out, daemon__handle_line, process);
        if (process->lines == NULL)
            goto forget;
    }
    if (process->pidfd < 0) {
        error = errno;
        goto forget;
    }
    /* The call made without it would leave a descriptor to the next program, between fork and exec of which nothing of ours runs. */
    fcntl(process->pidfd, F_SETFD, FD_CLOEXEC);
    process->watch = bridge_watch_add(d->b, process->pidfd, daemon__handle_exit, NULL, process);
    if (process->watch != NULL)
        return 0;
forget:
    daemon__forget(process);
kill:
    kill(-pid, SIGKILL);
    waitpid(pid, NULL, 0);
    return error;
}

/* A file in memory that holds `text` and is read from its start, or -1 with errno set. */
static int daemon__input(const char *text, size_t bytes)
{
    int fd = memfd_create("godwitd-event", MFD_CLOEXEC);
    ssize_t written;
    int error;

    if (fd < 0)
        return -1;
    written = write(fd, text, bytes);
    if (written == (ssize_t) bytes && lseek(fd, 0, SEEK_SET) == 0)
        return fd;
    /* Less than all of it is no error of the system's. */
    error = written >= 0 && written != (ssize_t) bytes ? ENOSPC : errno;
    close(fd);
    errno = error;
    return -1;
}

/* Starts `arguments`; with `input`, which may be NULL, on its stdin, and its stdout told line by line. 0, or an errno. */
static int daemon__start_process(struct daemon *d, int64_t id, char *const *arguments, char **environment, const char *input,
                                 size_t input_bytes)
{
    struct daemon__pipes pipes = {-1, -1};
    int out[2] = {-1, -1};
    int error = 0;
    pid_t pid = -1;

    if (input != NULL) {
        pipes.in = daemon__input(input, input_bytes);
        if (pipes.in < 0 || pipe2(out, O_CLOEXEC) != 0)
            error = errno;
        pipes.out = out[1];
    }
    if (error == 0)
        error = daemon__spawn(arguments, environment, &pipes, &pid);
    if (pipes.in >= 0)
        close(pipes.in);
    if (out[1] >= 0)
        close(out[1]);
    if (error == 0)
        error = daemon__watch(d, id, pid, out[0]);
    else if (out[0] >= 0)
        close(out[0]);
    return error;
}

/* startProcess(processId, argv, environment, input: string | null) -> undefined */
static JSValue daemon__js_start_process(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    char **arguments = NULL;
    char **added = NULL;
    char **environment = NULL;
    char *texts = NULL;
    const char *input = NULL;
    size_t input_bytes = 0;
    JSValue result = JS_EXCEPTION;
    int64_t id;
    int error;

    (void) this_val;
    (void) argc;
    if (bridge_arg_int64(ctx, argv[0], 0, INT64_C(9007199254740991), &id))
        goto out;
    arguments = bridge_arg_texts(ctx, argv[1], LIMIT_START_ARGUMENTS_MAX);
    added = arguments == NULL ? NULL : bridge_arg_texts(ctx, argv[2], LIMIT_START_ARGUMENTS_MAX);
    if (added == NULL)
        goto out;
    if (arguments[0] == NULL) {
        JS_ThrowRangeError(ctx, "there is no program");
        goto out;
    }
    if (!JS_IsNull(argv[3])) {
        input = JS_ToCStringLen(ctx, &input_bytes, argv[3]);
        if (input == NULL)
            goto out;
    }
    environment = daemon__environment(added, &texts);
    error = environment == NULL ? ENOMEM
                                : daemon__start_process(daemon_of(ctx), id, arguments, environment, input, input_bytes);
    result = error == 0 ? JS_UNDEFINED : bridge_throw_errno(ctx, error, "start");
out:
    JS_FreeCString(ctx, input);
    bridge_free(texts);
    bridge_free(environment);
    bridge_free_texts(added);
    bridge_free_texts(arguments);
    return result;
}

/* signalProcess(processId, name) -> undefined */
static JSValue daemon__js_signal_process(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct daemon *d = daemon_of(ctx);
    const char *name;
    int64_t id;
    int number;

    (void) this_val;
    (void) argc;
    if (bridge_arg_int64(ctx, argv[0], 0, INT64_C(9007199254740991), &id))
        return JS_EXCEPTION;
    name = JS_ToCString(ctx, argv[1]);
    if (name == NULL)
        return JS_EXCEPTION;
    number = strcmp(name, "SIGKILL") == 0 ? SIGKILL : SIGTERM;
    JS_FreeCString(ctx, name);
    lws_start_foreach_dll(struct lws_dll2 *, at, d->processes->all.head)
    {
        struct daemon_process *process = lws_container_of(at, struct daemon_process, all);

        /* It is ours to wait for, so the number is nobody else's yet. */
        if (process->id == id)
            kill(-process->pid, number);
    }
    lws_end_foreach_dll(at);
    return JS_UNDEFINED;
}

int daemon_processes_open(struct daemon *d)
{
    static const JSCFunctionListEntry functions[] = {
        JS_CFUNC_DEF("startProcess", 4, daemon__js_start_process),
        JS_CFUNC_DEF("signalProcess", 2, daemon__js_signal_process),
    };

    d->processes = bridge_calloc(1, sizeof *d->processes);
    if (d->processes == NULL)
        return BRIDGE_E_NOMEM;
    return daemon_add_functions(d, functions, sizeof functions / sizeof functions[0]);
}

void daemon_processes_close(struct daemon *d)
{
    while (d->processes != NULL && d->processes->all.head != NULL) {
        struct daemon_process *process = lws_container_of(d->processes->all.head, struct daemon_process, all);

        kill(-process->pid, SIGTERM);
        daemon__forget(process);
    }
    bridge_free(d->processes);
    d->processes = NULL;
}
