/* SPDX-License-Identifier: MIT */

/*
 * power_cut: a layer between a program and the system's files (LD_PRELOAD), for tests.
 *
 * Of one directory it writes down every change in the order it was made, so that a test can work out what a disk would
 * hold had the power gone after any of them, with what was not synced lost. It can kill the program at one of those steps,
 * or let the step fail. Everything else passes through.
 *
 *   POWER_CUT_DIRECTORY  the directory; without it nothing is done
 *   POWER_CUT_LOG        file the steps are added to (struct power_cut_step and what follows it)
 *   POWER_CUT_KILL_AT    number of the step, from 1, to die at by SIGKILL; a write is then half done
 *   POWER_CUT_FAIL_AT    number of the step that fails
 *   POWER_CUT_FAIL_UNTIL number of the last step that fails; else only the one does
 *   POWER_CUT_ERRNO      as a number; else EIO
 */
#define _GNU_SOURCE

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum power_cut_operation {
    POWER_CUT_CREATE = 1,
    POWER_CUT_WRITE,
    POWER_CUT_TRUNCATE,
    POWER_CUT_SYNC,
    POWER_CUT_SYNC_DIRECTORY,
    POWER_CUT_RENAME,
    POWER_CUT_UNLINK,
    POWER_CUT_SYMLINK,
    /* A write that is on the disk when it returns (O_DSYNC). */
    POWER_CUT_WRITE_THROUGH,
};

/* Little-endian; behind it `path_bytes`, `other_bytes` and `data_bytes` bytes. A file is named by its inode. */
struct power_cut_step {
    uint32_t operation;
    uint32_t path_bytes;
    uint32_t other_bytes;
    uint32_t data_bytes;
    uint64_t inode;
    /* Of a write: where. Of a truncation: the length. */
    uint64_t offset;
};

#define POWER_CUT_FDS_MAX 1024

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char directory[4096];
static size_t directory_bytes;
static int log_fd = -1;
static uint64_t steps, kill_at, fail_at, fail_until;
static int fail_errno = EIO;
/* Whether a descriptor is a file of the directory, or the directory itself. */
static bool is_ours[POWER_CUT_FDS_MAX];
static bool is_directory[POWER_CUT_FDS_MAX];
static bool is_through[POWER_CUT_FDS_MAX];

static uint64_t number_of(const char *name)
{
    const char *text = getenv(name);

    return text == NULL ? 0 : strtoull(text, NULL, 10);
}

__attribute__((constructor)) static void prepare(void)
{
    const char *path = getenv("POWER_CUT_DIRECTORY"), *log = getenv("POWER_CUT_LOG");

    if (path == NULL || strlen(path) >= sizeof directory)
        return;
    strcpy(directory, path);
    directory_bytes = strlen(directory);
    if (log != NULL)
        log_fd = (int) syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    kill_at = number_of("POWER_CUT_KILL_AT");
    fail_at = number_of("POWER_CUT_FAIL_AT");
    fail_until = number_of("POWER_CUT_FAIL_UNTIL");
    if (fail_until < fail_at)
        fail_until = fail_at;
    if (number_of("POWER_CUT_ERRNO") != 0)
        fail_errno = (int) number_of("POWER_CUT_ERRNO");
}

/* The name within the directory, "" for the directory itself, NULL for anything else. */
static const char *inside(const char *path)
{
    if (directory_bytes == 0 || strncmp(path, directory, directory_bytes) != 0)
        return NULL;
    path += directory_bytes;
    if (*path != '\0' && *path != '/')
        return NULL;
    return path + strspn(path, "/");
}

static void write_down(enum power_cut_operation operation, int fd, uint64_t offset, const char *path, const char *other,
                       const void *data, size_t data_bytes)
{
    struct power_cut_step step = { .operation = operation, .offset = offset };
    struct stat found;
    struct iovec parts[4] = { { &step, sizeof step } };
    size_t wanted = sizeof step;
    ssize_t written;

    if (log_fd < 0)
        return;
    if (fd >= 0 && fstat(fd, &found) == 0)
        step.inode = found.st_ino;
    step.path_bytes = path == NULL ? 0 : (uint32_t) strlen(path);
    step.other_bytes = other == NULL ? 0 : (uint32_t) strlen(other);
    step.data_bytes = (uint32_t) data_bytes;
    parts[1] = (struct iovec){ (void *) (uintptr_t) path, step.path_bytes };
    parts[2] = (struct iovec){ (void *) (uintptr_t) other, step.other_bytes };
    parts[3] = (struct iovec){ (void *) (uintptr_t) data, data_bytes };
    wanted += step.path_bytes + step.other_bytes + data_bytes;
    written = syscall(SYS_writev, log_fd, parts, 4);
    if (written != (ssize_t) wanted) {
        fprintf(stderr, "power_cut: the log cannot be written\n");
        abort();
    }
}

static void die(void)
{
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

/* Counts a step. True when it is to fail, with errno. Where the program is to die, it does here, unless `is_write`. */
static bool begin_step(bool is_write)
{
    steps++;
    if (steps == kill_at && !is_write)
        die();
    if (fail_at != 0 && steps >= fail_at && steps <= fail_until) {
        errno = fail_errno;
        return true;
    }
    return false;
}

#define REAL(name) ((__typeof__(&name)) dlsym(RTLD_NEXT, #name))

static int open_any(const char *path, int flags, mode_t mode)
{
    const char *name = inside(path);
    struct stat found;
    bool is_new;
    int fd = -1;

    if (name == NULL)
        return (int) syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    pthread_mutex_lock(&lock);
    is_new = (flags & O_CREAT) != 0 && fstatat(AT_FDCWD, path, &found, AT_SYMLINK_NOFOLLOW) < 0;
    if (is_new && begin_step(false))
        goto out;
    if (!is_new && (flags & O_TRUNC) != 0 && begin_step(false))
        goto out;
    fd = (int) syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    if (fd < 0 || fd >= POWER_CUT_FDS_MAX)
        goto out;
    is_ours[fd] = *name != '\0';
    is_directory[fd] = *name == '\0';
    is_through[fd] = (flags & O_DSYNC) != 0;
    if (is_new)
        write_down(POWER_CUT_CREATE, fd, 0, name, NULL, NULL, 0);
    else if ((flags & O_TRUNC) != 0)
        write_down(POWER_CUT_TRUNCATE, fd, 0, NULL, NULL, NULL, 0);
out:
    pthread_mutex_unlock(&lock);
    return fd;
}

int open(const char *path, int flags, ...);
int open64(const char *path, int flags, ...);

int open(const char *path, int flags, ...)
{
    va_list more;
    mode_t mode;

    va_start(more, flags);
    mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
    va_end(more);
    return open_any(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    va_list more;
    mode_t mode;

    va_start(more, flags);
    mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
    va_end(more);
    return open_any(path, flags, mode);
}

/* What programs built with _FORTIFY_SOURCE call for an open() without mode. */
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);

int __open_2(const char *path, int flags)
{
    return open_any(path, flags, 0);
}

int __open64_2(const char *path, int flags)
{
    return open_any(path, flags, 0);
}

static bool is_watched(int fd)
{
    return directory_bytes != 0 && fd >= 0 && fd < POWER_CUT_FDS_MAX && is_ours[fd];
}

/* `offset` < 0: where the descriptor stands. */
static ssize_t write_any(int fd, const void *data, size_t bytes, off_t offset)
{
    ssize_t written = -1;
    off_t at;

    if (!is_watched(fd))
        return offset < 0 ? syscall(SYS_write, fd, data, bytes) : syscall(SYS_pwrite64, fd, data, bytes, offset);
    pthread_mutex_lock(&lock);
    at = offset < 0 ? (off_t) syscall(SYS_lseek, fd, 0, SEEK_CUR) : offset;
    if (begin_step(true))
        goto out;
    if (steps == kill_at)
        bytes /= 2;
    written = offset < 0 ? syscall(SYS_write, fd, data, bytes) : syscall(SYS_pwrite64, fd, data, bytes, offset);
    if (steps == kill_at)
        die();
    if (written > 0)
        write_down(is_through[fd] ? POWER_CUT_WRITE_THROUGH : POWER_CUT_WRITE, fd, (uint64_t) at, NULL, NULL, data,
                   (size_t) written);
out:
    pthread_mutex_unlock(&lock);
    return written;
}

ssize_t write(int fd, const void *data, size_t bytes)
{
    return write_any(fd, data, bytes, -1);
}

ssize_t pwrite(int fd, const void *data, size_t bytes, off_t offset)
{
    return write_any(fd, data, bytes, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t bytes, off64_t offset);
ssize_t pwrite64(int fd, const void *data, size_t bytes, off64_t offset)
{
    return write_any(fd, data, bytes, offset);
}

/* As one step, which dies or fails as a whole. `offset` < 0: where the descriptor stands. */
static ssize_t write_parts(int fd, const struct iovec *parts, int count, off_t offset)
{
    size_t bytes = 0, at = 0;
    ssize_t written;
    uint8_t *whole;
    int i;

    if (!is_watched(fd))
        return offset < 0 ? syscall(SYS_writev, fd, parts, count)
                          : syscall(SYS_pwritev, fd, parts, count, offset, (off_t) 0);
    for (i = 0; i < count; i++)
        bytes += parts[i].iov_len;
    whole = malloc(bytes == 0 ? 1 : bytes);
    if (whole == NULL)
        return -1;
    for (i = 0; i < count; i++) {
        memcpy(whole + at, parts[i].iov_base, parts[i].iov_len);
        at += parts[i].iov_len;
    }
    written = write_any(fd, whole, bytes, offset);
    free(whole);
    return written;
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    return write_parts(fd, parts, count, -1);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
    return write_parts(fd, parts, count, offset);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset);
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset)
{
    return write_parts(fd, parts, count, offset);
}

static int truncate_any(int fd, off_t length)
{
    int result = -1;

    if (!is_watched(fd))
        return (int) syscall(SYS_ftruncate, fd, length);
    pthread_mutex_lock(&lock);
    if (!begin_step(false)) {
        result = (int) syscall(SYS_ftruncate, fd, length);
        if (result == 0)
            write_down(POWER_CUT_TRUNCATE, fd, (uint64_t) length, NULL, NULL, NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    return result;
}

int ftruncate(int fd, off_t length)
{
    return truncate_any(fd, length);
}

int ftruncate64(int fd, off64_t length);
int ftruncate64(int fd, off64_t length)
{
    return truncate_any(fd, length);
}

static int sync_any(int fd, long call)
{
    int result = -1;

    if (directory_bytes == 0 || fd < 0 || fd >= POWER_CUT_FDS_MAX || !(is_ours[fd] || is_directory[fd]))
        return (int) syscall(call, fd);
    pthread_mutex_lock(&lock);
    if (!begin_step(false)) {
        /* The test keeps the books: a real sync would only take time. */
        write_down(is_directory[fd] ? POWER_CUT_SYNC_DIRECTORY : POWER_CUT_SYNC, fd, 0, NULL, NULL, NULL, 0);
        result = 0;
    }
    pthread_mutex_unlock(&lock);
    return result;
}

int fsync(int fd)
{
    return sync_any(fd, SYS_fsync);
}

int fdatasync(int fd)
{
    return sync_any(fd, SYS_fdatasync);
}

int close(int fd)
{
    if (fd >= 0 && fd < POWER_CUT_FDS_MAX)
        is_ours[fd] = is_directory[fd] = false;
    return (int) syscall(SYS_close, fd);
}

int rename(const char *from, const char *to)
{
    const char *from_name = inside(from), *to_name = inside(to);
    int result = -1;

    if (from_name == NULL || to_name == NULL)
        return REAL(rename)(from, to);
    pthread_mutex_lock(&lock);
    if (!begin_step(false)) {
        result = REAL(rename)(from, to);
        if (result == 0)
            write_down(POWER_CUT_RENAME, -1, 0, from_name, to_name, NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    return result;
}

int unlink(const char *path)
{
    const char *name = inside(path);
    struct stat found;
    int result = -1;

    /* What is not there is no step, and a socket is on no disk. */
    if (name == NULL || fstatat(AT_FDCWD, path, &found, AT_SYMLINK_NOFOLLOW) < 0 || S_ISSOCK(found.st_mode))
        return REAL(unlink)(path);
    pthread_mutex_lock(&lock);
    if (!begin_step(false)) {
        result = REAL(unlink)(path);
        if (result == 0)
            write_down(POWER_CUT_UNLINK, -1, 0, name, NULL, NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    return result;
}

int symlink(const char *target, const char *path)
{
    const char *name = inside(path);
    int result = -1;

    if (name == NULL)
        return REAL(symlink)(target, path);
    pthread_mutex_lock(&lock);
    if (!begin_step(false)) {
        result = REAL(symlink)(target, path);
        if (result == 0)
            write_down(POWER_CUT_SYMLINK, -1, 0, name, target, NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    return result;
}
