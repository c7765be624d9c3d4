/* SPDX-License-Identifier: MIT */

/*
 * storage_names: those functions of `bridge.fs` that look at names and change them; storage.c has the rest.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bridge.h"
#include "quota.h"
#include "storage.h"

const char *bridge_arg_path(JSContext *ctx, const struct bridge_storage *storage, JSValueConst value)
{
    const char *path;
    size_t bytes;
    int error = 0;

    if (!JS_IsString(value)) {
        JS_ThrowTypeError(ctx, "a path is a text");
        return NULL;
    }
    path = JS_ToCStringLen(ctx, &bytes, value);
    if (path == NULL)
        return NULL;
    if (bytes >= PATH_MAX)
        error = ENAMETOOLONG;
    else if (path[0] != '/' || strlen(path) != bytes || bridge_quota_escapes(&storage->quota, path))
        error = EINVAL;
    if (error != 0) {
        JS_FreeCString(ctx, path);
        bridge_throw_errno(ctx, error, "path");
        return NULL;
    }
    return path;
}

int bridge_storage_open_read(const char *path, int more_flags)
{
    int fd;

    BRIDGE_RETRY(fd, open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | more_flags));
    return fd;
}

/* stat(path) -> { size, mode, uid }; of the link itself below the state directory. */
static JSValue bridge__js_stat(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct bridge_storage *storage = bridge_of(ctx)->storage;
    const char *path = bridge_arg_path(ctx, storage, argv[0]);
    struct stat found;
    JSValue result;
    int failed, error;

    (void) this_val;
    (void) argc;
    if (path == NULL)
        return JS_EXCEPTION;
    failed = bridge_quota_covers(&storage->quota, path) ? lstat(path, &found) : stat(path, &found);
    /* Not every free() leaves errno alone. */
    error = errno;
    JS_FreeCString(ctx, path);
    if (failed)
        return bridge_throw_errno(ctx, error, "stat");
    result = JS_NewObject(ctx);
    if (JS_IsException(result))
        return result;
    if (JS_SetPropertyStr(ctx, result, "size", JS_NewInt64(ctx, found.st_size)) < 0
        || JS_SetPropertyStr(ctx, result, "mode", JS_NewInt32(ctx, (int32_t) (found.st_mode & 07777))) < 0
        || JS_SetPropertyStr(ctx, result, "uid", JS_NewInt64(ctx, found.st_uid)) < 0) {
        JS_FreeValue(ctx, result);
        return JS_EXCEPTION;
    }
    return result;
}

/* rename(from, to) */
static JSValue bridge__js_rename(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct bridge_storage *storage = bridge_of(ctx)->storage;
    const char *from = bridge_arg_path(ctx, storage, argv[0]), *to = NULL;
    JSValue result = JS_EXCEPTION;
    int64_t moved_bytes, replaced_bytes;

    (void) this_val;
    (void) argc;
    if (from == NULL)
        return JS_EXCEPTION;
    to = bridge_arg_path(ctx, storage, argv[1]);
    if (to == NULL)
        goto out;
    /* 0 for what lies elsewhere. */
    moved_bytes = bridge_quota_bytes_of(&storage->quota, from);
    replaced_bytes = bridge_quota_bytes_of(&storage->quota, to);
    if (rename(from, to) < 0) {
        result = bridge_throw_errno(ctx, errno, "rename");
        goto out;
    }
    bridge_quota_freed(&storage->quota, moved_bytes + replaced_bytes);
    bridge_quota_grown(&storage->quota, bridge_quota_bytes_of(&storage->quota, to));
    result = JS_UNDEFINED;
out:
    JS_FreeCString(ctx, to);
    JS_FreeCString(ctx, from);
    return result;
}

/* The place of `path`; for NULL a free one. NULL when there is none. */
static struct bridge__link *bridge__link_of(struct bridge_storage *storage, const char *path)
{
    for (size_t i = 0; i < BRIDGE_LINKS_MAX; i++) {
        struct bridge__link *link = &storage->links[i];

        if (path == NULL ? link->path == NULL : link->path != NULL && strcmp(link->path, path) == 0)
            return link;
    }
    return NULL;
}

static void bridge__forget_link(struct bridge__link *link)
{
    if (link == NULL)
        return;
    bridge_free(link->path);
    bridge_free(link->target);
    link->path = link->target = NULL;
}

/* unlink(path) */
static JSValue bridge__js_unlink(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct bridge_storage *storage = bridge_of(ctx)->storage;
    const char *path = bridge_arg_path(ctx, storage, argv[0]);
    int64_t bytes;
    int failed, error;

    (void) this_val;
    (void) argc;
    if (path == NULL)
        return JS_EXCEPTION;
    bytes = bridge_quota_bytes_of(&storage->quota, path);
    failed = unlink(path);
    error = errno;
    if (!failed)
        bridge__forget_link(bridge__link_of(storage, path));
    JS_FreeCString(ctx, path);
    if (failed)
        return bridge_throw_errno(ctx, error, "unlink");
    bridge_quota_freed(&storage->quota, bytes);
    return JS_UNDEFINED;
}

void bridge_storage_remove_links(struct bridge_storage *storage)
{
    char target[PATH_MAX];

    for (size_t i = 0; i < BRIDGE_LINKS_MAX; i++) {
        struct bridge__link *link = &storage->links[i];
        ssize_t bytes = link->path != NULL ? readlink(link->path, target, sizeof target - 1) : -1;

        /* Somebody may have taken it over. */
        if (bytes >= 0) {
            target[bytes] = '\0';
            if (strcmp(target, link->target) == 0)
                (void) unlink(link->path);
        }
        bridge__forget_link(link);
    }
}

/* 0, or -1 with errno. */
static int bridge__make_link(struct bridge_storage *storage, const char *target, const char *path)
{
    struct bridge__link *known = bridge__link_of(storage, path);
    struct bridge__link *place = known != NULL ? known : bridge__link_of(storage, NULL);
    struct bridge__link made = {.path = bridge_strdup(path), .target = bridge_strdup(target)};
    int error = 0;

    if (place == NULL)
        error = EMFILE;
    else if (made.path == NULL || made.target == NULL)
        error = ENOMEM;
    else if (symlink(target, path) < 0)
        error = errno;
    if (error != 0) {
        bridge__forget_link(&made);
        errno = error;
        return -1;
    }
    bridge__forget_link(known);
    *place = made;
    return 0;
}

/* symlink(target, path): the target is any text without NUL. Removed when the bridge closes, if the script did not. */
static JSValue bridge__js_symlink(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct bridge_storage *storage = bridge_of(ctx)->storage;
    const char *path = bridge_arg_path(ctx, storage, argv[1]), *target = NULL;
    JSValue result = JS_EXCEPTION;
    size_t bytes;

    (void) this_val;
    (void) argc;
    if (path == NULL)
        return JS_EXCEPTION;
    target = JS_ToCStringLen(ctx, &bytes, argv[0]);
    if (target == NULL)
        goto out;
    if (strlen(target) != bytes)
        result = bridge_throw_errno(ctx, EINVAL, "symlink");
    else if (bridge__make_link(storage, target, path) < 0)
        result = bridge_throw_errno(ctx, errno, "symlink");
    else
        result = JS_UNDEFINED;
out:
    JS_FreeCString(ctx, target);
    JS_FreeCString(ctx, path);
    return result;
}

/* readlink(path) -> text */
static JSValue bridge__js_readlink(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    const char *path = bridge_arg_path(ctx, bridge_of(ctx)->storage, argv[0]);
    char target[PATH_MAX];
    ssize_t bytes;
    int error;

    (void) this_val;
    (void) argc;
    if (path == NULL)
        return JS_EXCEPTION;
    bytes = readlink(path, target, sizeof target);
    error = errno;
    JS_FreeCString(ctx, path);
    if (bytes < 0)
        return bridge_throw_errno(ctx, error, "readlink");
    if (bytes == (ssize_t) sizeof target)
        return bridge_throw_errno(ctx, ENAMETOOLONG, "readlink");
    return JS_NewStringLen(ctx, target, (size_t) bytes);
}

/*
 * The directory entry of `path` survives a power cut. 0, or -1 with errno. A parent we may not read is left to the
 * system.
 */
static int bridge__sync_parent(char *path)
{
    char *slash = strrchr(path, '/');
    int fd, result, error;

    if (slash == path) {
        fd = bridge_storage_open_read("/", O_DIRECTORY);
    } else {
        *slash = '\0';
        fd = bridge_storage_open_read(path, O_DIRECTORY);
        *slash = '/';
    }
    if (fd < 0)
        return errno == EACCES ? 0 : -1;
    BRIDGE_RETRY(result, fsync(fd));
    error = errno;
    close(fd);
    errno = error;
    return result;
}

/* One directory with exactly `mode`. 1: made, 0: something is there already, -1 with errno. */
static int bridge__make_one(char *path, mode_t mode)
{
    if (mkdir(path, mode) < 0)
        return errno == EEXIST ? 0 : -1;
    /* Nobody but us may write into the parent of what matters, so that the name still means what we made. */
    if (chmod(path, mode) < 0 || bridge__sync_parent(path) < 0)
        return -1;
    return 1;
}

/* Makes `path` and what is missing above it. 1: made, 0: was there, -1 with errno. `path` comes back as it was. */
static int bridge__make_all(char *path, mode_t mode)
{
    struct stat found;
    int result = 0;
    char *end = path + strlen(path);

    while (end > path + 1 && end[-1] == '/')
        *--end = '\0';
    for (char *slash = strchr(path + 1, '/'); slash != NULL && result >= 0; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        /* Asked for first: on a read-only file system mkdir says so also of what is there. */
        result = stat(path, &found) == 0 ? 0 : bridge__make_one(path, mode);
        *slash = '/';
    }
    if (result < 0)
        return -1;
    if (stat(path, &found) < 0) {
        result = bridge__make_one(path, mode);
        if (result != 0)
            return result;
        if (stat(path, &found) < 0)
            return -1;
    }
    if (!S_ISDIR(found.st_mode)) {
        errno = ENOTDIR;
        return -1;
    }
    return 0;
}

/* makeDirectory(path, mode) -> whether it was made */
static JSValue bridge__js_make_directory(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    const char *path = bridge_arg_path(ctx, bridge_of(ctx)->storage, argv[0]);
    char copy[PATH_MAX];
    int64_t mode;
    int result;

    (void) this_val;
    (void) argc;
    if (path == NULL)
        return JS_EXCEPTION;
    /* bridge_arg_path saw to the length. */
    memcpy(copy, path, strlen(path) + 1);
    JS_FreeCString(ctx, path);
    if (bridge_arg_int64(ctx, argv[1], 0, BRIDGE_MODE_MAX, &mode))
        return JS_EXCEPTION;
    result = bridge__make_all(copy, (mode_t) mode);
    return result < 0 ? bridge_throw_errno(ctx, errno, "makeDirectory") : JS_NewBool(ctx, result == 1);
}

/* uid() -> number */
static JSValue bridge__js_uid(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    (void) this_val;
    (void) argc;
    (void) argv;
    return JS_NewInt64(ctx, geteuid());
}

/* isRunning(pid) -> false when there is no such process; one of another user counts as running. */
static JSValue bridge__js_is_running(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    int64_t pid;

    (void) this_val;
    (void) argc;
    if (bridge_arg_int64(ctx, argv[0], 1, INT32_MAX, &pid))
        return JS_EXCEPTION;
    return JS_NewBool(ctx, kill((pid_t) pid, 0) == 0 || errno != ESRCH);
}

static const JSCFunctionListEntry bridge__name_functions[] = {
    JS_CFUNC_DEF("stat", 1, bridge__js_stat),
    JS_CFUNC_DEF("rename", 2, bridge__js_rename),
    JS_CFUNC_DEF("unlink", 1, bridge__js_unlink),
    JS_CFUNC_DEF("symlink", 2, bridge__js_symlink),
    JS_CFUNC_DEF("readlink", 1, bridge__js_readlink),
    JS_CFUNC_DEF("makeDirectory", 2, bridge__js_make_directory),
    JS_CFUNC_DEF("uid", 0, bridge__js_uid),
    JS_CFUNC_DEF("isRunning", 1, bridge__js_is_running),
};

int bridge_storage_add_names(JSContext *ctx, JSValueConst fs)
{
    return JS_SetPropertyFunctionList(ctx, fs, bridge__name_functions,
                                      (int) (sizeof bridge__name_functions / sizeof bridge__name_functions[0]));
}
