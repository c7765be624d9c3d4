/* SPDX-License-Identifier: MIT */

/*
 * storage: the files of the script (`bridge.fs`, BridgeFiles in src/quickjs/bridge.d.ts).
 *
 * Thin over the system calls: what is written when, and in which order, is decided in TypeScript, where power cuts are
 * tested. Here are the bounds: descriptors are numbers of our own and few, paths are absolute, a symbolic link below
 * the state directory is never followed, and the files there never outgrow their quota. Calls are made again after
 * EINTR, except close(). Names are storage_names.c's.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bridge.h"
#include "quota.h"
#include "script_limits.h"
#include "storage.h"

_Static_assert(sizeof(off_t) == 8, "build with -D_FILE_OFFSET_BITS=64");

/* First allocation for a file whose length nobody knows, such as those of /proc. */
#define BRIDGE__READ_BYTES 4096

/* The file of a descriptor of ours, or NULL with an Error EBADF pending. */
static struct bridge__file *bridge__arg_file(JSContext *ctx, struct bridge_storage *storage, JSValueConst value)
{
    int64_t id;

    if (bridge_arg_int64(ctx, value, 1, INT64_MAX, &id))
        return NULL;
    for (size_t i = 0; i < BRIDGE_FILES_OPEN_MAX; i++) {
        if (storage->files[i].id == id)
            return &storage->files[i];
    }
    bridge_throw_errno(ctx, EBADF, "descriptor");
    return NULL;
}

/*
 * Opens for writing, emptied: what is there is counted out of the quota and gets `mode`, what is not is made with
 * `mode`, whatever the umask. -1 with errno.
 */
static int bridge__open_write(struct bridge_quota *quota, const char *path, int more_flags, mode_t mode)
{
    struct stat found;
    int fd, result, error;

    /* Not O_TRUNC: the length is wanted first, and a device or pipe by that name is left alone. */
    BRIDGE_RETRY(fd, open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | more_flags, mode));
    if (fd < 0) {
        /* A pipe nobody reads: no file either. */
        if (errno == ENXIO)
            errno = EINVAL;
        return -1;
    }
    if (fstat(fd, &found) < 0)
        goto fail;
    if (!S_ISREG(found.st_mode)) {
        errno = EINVAL;
        goto fail;
    }
    if ((found.st_mode & BRIDGE_MODE_MAX) != mode && fchmod(fd, mode) < 0)
        goto fail;
    if (found.st_size > 0) {
        BRIDGE_RETRY(result, ftruncate(fd, 0));
        if (result < 0)
            goto fail;
        if (bridge_quota_covers(quota, path))
            bridge_quota_freed(quota, found.st_size);
    }
    return fd;
fail:
    error = errno;
    close(fd);
    errno = error;
    return -1;
}

/* open(path, flags, mode) -> descriptor */
static JSValue bridge__js_open(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct bridge_storage *storage = bridge_of(ctx)->storage;
    struct bridge__file *file = NULL;
    const char *path, *flags = NULL;
    JSValue result = JS_EXCEPTION;
    struct stat found;
    int64_t mode;
    int fd = -1, more_flags;

    (void) this_val;
    (void) argc;
    path = bridge_arg_path(ctx, storage, argv[0]);
    if (path == NULL)
        return JS_EXCEPTION;
    flags = JS_ToCString(ctx, argv[1]);
    if (flags == NULL || bridge_arg_int64(ctx, argv[2], 0, BRIDGE_MODE_MAX, &mode))
        goto out;
    for (size_t i = 0; i < BRIDGE_FILES_OPEN_MAX && file == NULL; i++) {
        if (storage->files[i].id == 0)
            file = &storage->files[i];
    }
    if (file == NULL) {
        bridge_throw_errno(ctx, EMFILE, "open");
        goto out;
    }
    more_flags = bridge_quota_covers(&storage->quota, path) ? O_NOFOLLOW : 0;
    if (strcmp(flags, "r") == 0) {
        fd = bridge_storage_open_read(path, more_flags);
    } else if (strcmp(flags, "r+") == 0) {
        BRIDGE_RETRY(fd, open(path, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | more_flags));
    } else if (strcmp(flags, "w") == 0) {
        fd = bridge__open_write(&storage->quota, path, more_flags, (mode_t) mode);
    } else {
        JS_ThrowRangeError(ctx, "open flags are r, r+ or w");
        goto out;
    }
    if (fd >= 0 && fstat(fd, &found) == 0 && !S_ISREG(found.st_mode) && !S_ISDIR(found.st_mode)) {
        close(fd);
        fd = -1;
        errno = EINVAL;
    }
    if (fd < 0) {
        bridge_throw_errno(ctx, errno, "open");
        goto out;
    }
    *file = (struct bridge__file){
        .id = ++storage->last_id,
        .fd = fd,
        .is_counted = more_flags != 0,
    };
    result = JS_NewInt64(ctx, file->id);
out:
    JS_FreeCString(ctx, flags);
    JS_FreeCString(ctx, path);
    return result;
}

/* How many bytes writing up to `end` makes the file longer, 0 when it does not count; -1 with errno. */
static int64_t bridge__growth(const struct bridge__file *file, int64_t end)
{
    struct stat now;

    if (!file->is_counted)
        return 0;
    if (fstat(file->fd, &now) < 0)
        return -1;
    /* One without a name is gone when it is closed. */
    if (now.st_nlink == 0 || end <= now.st_size)
        return 0;
    return end - now.st_size;
}

/* write(fd, bytes, offset, length, position) -> bytes written */
static JSValue bridge__js_write(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct bridge_storage *storage = bridge_of(ctx)->storage;
    struct bridge__file *file = bridge__arg_file(ctx, storage, argv[0]);
    int64_t offset, length, position, growth, grown;
    const uint8_t *bytes;
    size_t count;
    ssize_t written;

    (void) this_val;
    (void) argc;
    if (file == NULL || bridge_arg_bytes(ctx, argv[1], &bytes, &count))
        return JS_EXCEPTION;
    if (bridge_arg_int64(ctx, argv[2], 0, (int64_t) count, &offset)
        || bridge_arg_int64(ctx, argv[3], 1, (int64_t) count - offset, &length)
        || bridge_arg_int64(ctx, argv[4], 0, LIMIT_JOURNAL_SEGMENT_BYTES_MAX, &position))
        return JS_EXCEPTION;

    growth = bridge__growth(file, position + length);
    if (growth < 0)
        return bridge_throw_errno(ctx, errno, "write");
    if (!bridge_quota_allows(&storage->quota, growth))
        return bridge_throw_errno(ctx, EDQUOT, "write");
    BRIDGE_RETRY(written, pwrite(file->fd, bytes + offset, (size_t) length, position));
    if (written <= 0)
        return bridge_throw_errno(ctx, written < 0 ? errno : EIO, "write");
    grown = growth - (length - written);
    if (grown > 0)
        bridge_quota_grown(&storage->quota, grown);
    return JS_NewInt64(ctx, written);
}

/* datasync(fd), sync(fd); magic: true for data only */
static JSValue bridge__js_sync(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int is_data_only)
{
    struct bridge__file *file = bridge__arg_file(ctx, bridge_of(ctx)->storage, argv[0]);
    int result;

    (void) this_val;
    (void) argc;
    if (file == NULL)
        return JS_EXCEPTION;
    BRIDGE_RETRY(result, is_data_only ? fdatasync(file->fd) : fsync(file->fd));
    return result < 0 ? bridge_throw_errno(ctx, errno, "sync") : JS_UNDEFINED;
}

/* close(fd): the descriptor is gone also when that fails. */
static JSValue bridge__js_close(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct bridge__file *file = bridge__arg_file(ctx, bridge_of(ctx)->storage, argv[0]);
    int result;

    (void) this_val;
    (void) argc;
    if (file == NULL)
        return JS_EXCEPTION;
    file->id = 0;
    /* Linux has let go of it also after EINTR: a second close might hit a descriptor of somebody else. */
    result = close(file->fd);
    return result < 0 && errno != EINTR ? bridge_throw_errno(ctx, errno, "close") : JS_UNDEFINED;
}

/* Returns the bytes of `fd` as a new Uint8Array, at most `bytes_max`, or an exception. */
static JSValue bridge__read_all(JSContext *ctx, int fd, size_t expected, size_t bytes_max)
{
    size_t capacity = expected, got = 0;
    uint8_t *data, *larger, probe;
    JSValue array = bridge_new_bytes(ctx, capacity, &data), other;
    ssize_t count;

    if (JS_IsException(array))
        return array;
    for (;;) {
        if (got < capacity)
            BRIDGE_RETRY(count, read(fd, data + got, capacity - got));
        else
            BRIDGE_RETRY(count, read(fd, &probe, 1));
        if (count <= 0)
            break;
        if (got < capacity) {
            got += (size_t) count;
            continue;
        }
        /* Longer than its length said: it grew, or is one of /proc. */
        if (capacity >= bytes_max) {
            count = -1;
            errno = EFBIG;
            break;
        }
        capacity = capacity < BRIDGE__READ_BYTES / 2 ? BRIDGE__READ_BYTES : 2 * capacity;
        if (capacity > bytes_max)
            capacity = bytes_max;
        other = bridge_new_bytes(ctx, capacity, &larger);
        if (!JS_IsException(other)) {
            memcpy(larger, data, got);
            larger[got++] = probe;
        }
        JS_FreeValue(ctx, array);
        if (JS_IsException(other))
            return other;
        array = other;
        data = larger;
    }
    if (count == 0 && got == capacity)
        return array;
    other = count < 0 ? bridge_throw_errno(ctx, errno, "read") : JS_NewUint8ArrayCopy(ctx, data, got);
    JS_FreeValue(ctx, array);
    return other;
}

/* readFile(path, bytesMax) -> Uint8Array */
static JSValue bridge__js_read_file(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct bridge_storage *storage = bridge_of(ctx)->storage;
    const char *path = bridge_arg_path(ctx, storage, argv[0]);
    JSValue result = JS_EXCEPTION;
    struct stat found;
    int64_t bytes_max;
    int fd = -1, error = 0;

    (void) this_val;
    (void) argc;
    if (path == NULL)
        return JS_EXCEPTION;
    if (bridge_arg_int64(ctx, argv[1], 0, LIMIT_JOURNAL_SEGMENT_BYTES_MAX, &bytes_max))
        goto out;
    fd = bridge_storage_open_read(path, bridge_quota_covers(&storage->quota, path) ? O_NOFOLLOW : 0);
    if (fd < 0 || fstat(fd, &found) < 0)
        error = errno;
    else if (!S_ISREG(found.st_mode))
        error = S_ISDIR(found.st_mode) ? EISDIR : EINVAL;
    else if (found.st_size > bytes_max)
        error = EFBIG;
    if (error != 0)
        result = bridge_throw_errno(ctx, error, "readFile");
    else
        result = bridge__read_all(ctx, fd, (size_t) found.st_size, (size_t) bytes_max);
out:
    if (fd >= 0)
        close(fd);
    JS_FreeCString(ctx, path);
    return result;
}

static const JSCFunctionListEntry bridge__file_functions[] = {
    JS_CFUNC_DEF("open", 3, bridge__js_open),
    JS_CFUNC_DEF("write", 5, bridge__js_write),
    JS_CFUNC_MAGIC_DEF("datasync", 1, bridge__js_sync, true),
    JS_CFUNC_MAGIC_DEF("sync", 1, bridge__js_sync, false),
    JS_CFUNC_DEF("close", 1, bridge__js_close),
    JS_CFUNC_DEF("readFile", 2, bridge__js_read_file),
};

/* Makes the script's `fs` object. 0 or BRIDGE_E_NOMEM. */
static int bridge__lend(struct bridge *b)
{
    int count = (int) (sizeof bridge__file_functions / sizeof bridge__file_functions[0]);
    JSValue object = JS_NewObject(b->ctx);

    if (JS_IsException(object))
        return BRIDGE_E_NOMEM;
    if (JS_SetPropertyFunctionList(b->ctx, object, bridge__file_functions, count) < 0
        || bridge_storage_add_names(b->ctx, object) < 0) {
        JS_FreeValue(b->ctx, object);
        return BRIDGE_E_NOMEM;
    }
    /* Takes it. */
    return bridge_set_member(b, "fs", object);
}

/*
 * Lends the script its files and touches none. BRIDGE_E_NOMEM; BRIDGE_E_ARGUMENT for a state directory that is no
 * absolute path.
 */
int bridge_storage_open(struct bridge *b)
{
    struct bridge_storage *storage = bridge_calloc(1, sizeof *storage);
    int result;

    if (storage == NULL)
        return BRIDGE_E_NOMEM;
    result = bridge_quota_open(&storage->quota, b->state_directory, b->state_quota_bytes);
    if (result == 0)
        result = bridge__lend(b);
    if (result < 0) {
        bridge_quota_close(&storage->quota);
        bridge_free(storage);
        return result;
    }
    b->storage = storage;
    return 0;
}

/* Closes what the script left open; what it did not sync is the system's. */
void bridge_storage_close(struct bridge *b)
{
    if (b->storage == NULL)
        return;
    for (size_t i = 0; i < BRIDGE_FILES_OPEN_MAX; i++) {
        if (b->storage->files[i].id != 0)
            close(b->storage->files[i].fd);
    }
    bridge_storage_remove_links(b->storage);
    bridge_quota_close(&b->storage->quota);
    bridge_free(b->storage);
    b->storage = NULL;
}
