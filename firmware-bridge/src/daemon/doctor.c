/* SPDX-License-Identifier: MIT */

/*
 * doctor: what the script of `godwitd doctor` (src/quickjs/doctor.ts) is lent besides, to look at files and at what the kernel
 * allows. Only reads; what is made to see whether it may be made is closed at once. Every function throws an Error with
 * `code` where the system refuses.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "../client.h"
#include "../quota.h"
#include "awake.h"
#include "daemon.h"
#include "daemon_limits.h"

/* look(path) -> { kind, mode, uid, size } of a new object, or null. A symbolic link counts as it is. */
static JSValue daemon__js_look(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    const char *path = JS_ToCString(ctx, argv[0]);
    const char *kind;
    struct stat found;
    JSValue result;
    bool is_there;

    (void) this_val;
    (void) argc;
    if (path == NULL)
        return JS_EXCEPTION;
    is_there = lstat(path, &found) == 0;
    JS_FreeCString(ctx, path);
    if (!is_there)
        return JS_NULL;
    kind = S_ISDIR(found.st_mode) ? "directory" : S_ISREG(found.st_mode) ? "file" : "other";
    result = JS_NewObject(ctx);
    if (JS_IsException(result))
        return result;
    if (JS_SetPropertyStr(ctx, result, "kind", JS_NewString(ctx, kind)) < 0 ||
        JS_SetPropertyStr(ctx, result, "mode", JS_NewInt32(ctx, (int32_t) (found.st_mode & 07777))) < 0 ||
        JS_SetPropertyStr(ctx, result, "uid", JS_NewInt64(ctx, found.st_uid)) < 0 ||
        JS_SetPropertyStr(ctx, result, "size", JS_NewInt64(ctx, found.st_size)) < 0) {
        JS_FreeValue(ctx, result);
        return JS_EXCEPTION;
    }
    return result;
}

/* list(path) -> a new array of the names in a directory, at most DAEMON_NAMES_MAX */
static JSValue daemon__js_list(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    const char *path = JS_ToCString(ctx, argv[0]);
    JSValue names = JS_UNDEFINED;
    struct dirent *entry;
    uint32_t count = 0;
    DIR *directory;

    (void) this_val;
    (void) argc;
    if (path == NULL)
        return JS_EXCEPTION;
    directory = opendir(path);
    names = directory == NULL ? bridge_throw_errno(ctx, errno, "opendir") : JS_NewArray(ctx);
    JS_FreeCString(ctx, path);
    while (!JS_IsException(names) && count < DAEMON_NAMES_MAX && (entry = readdir(directory)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (JS_SetPropertyUint32(ctx, names, count++, JS_NewString(ctx, entry->d_name)) < 0) {
            JS_FreeValue(ctx, names);
            names = JS_EXCEPTION;
        }
    }
    if (directory != NULL)
        closedir(directory);
    return names;
}

/* freeBytes(path) -> number: what a user who is not root may still write there */
static JSValue daemon__js_free_bytes(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    const char *path = JS_ToCString(ctx, argv[0]);
    struct statvfs found;
    int error = 0;

    (void) this_val;
    (void) argc;
    if (path == NULL)
        return JS_EXCEPTION;
    if (statvfs(path, &found) != 0)
        error = errno;
    JS_FreeCString(ctx, path);
    if (error != 0)
        return bridge_throw_errno(ctx, error, "statvfs");
    return JS_NewFloat64(ctx, (double) found.f_bavail * (double) found.f_frsize);
}

/* usedBytes(path) -> number: what the quota of a state directory counts there */
static JSValue daemon__js_used_bytes(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    const char *path = JS_ToCString(ctx, argv[0]);
    int64_t bytes;

    (void) this_val;
    (void) argc;
    if (path == NULL)
        return JS_EXCEPTION;
    bytes = bridge_quota_count(path);
    JS_FreeCString(ctx, path);
    return JS_NewInt64(ctx, bytes);
}

/* tryAlarm() -> undefined: whether alarms may wake the machine */
static JSValue daemon__js_try_alarm(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    int fd = timerfd_create(CLOCK_BOOTTIME_ALARM, TFD_CLOEXEC);

    (void) this_val;
    (void) argc;
    (void) argv;
    if (fd < 0)
        return bridge_throw_errno(ctx, errno, "timerfd_create");
    close(fd);
    return JS_UNDEFINED;
}

/* tryWakeLock() -> undefined: whether the machine can be kept awake. Takes none. */
static JSValue daemon__js_try_wake_lock(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct daemon_awake awake;

    (void) this_val;
    (void) argc;
    (void) argv;
    if (!daemon_awake_open(&awake, DAEMON_WAKE_LOCK_FILE))
        return bridge_throw_errno(ctx, errno, DAEMON_WAKE_LOCK_FILE);
    daemon_awake_close(&awake);
    return JS_UNDEFINED;
}

/* tryProgram(path) -> undefined: whether it is a file that may be executed */
static JSValue daemon__js_try_program(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    const char *path = JS_ToCString(ctx, argv[0]);
    struct stat found;
    int error = 0;

    (void) this_val;
    (void) argc;
    if (path == NULL)
        return JS_EXCEPTION;
    if (stat(path, &found) != 0 || faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) != 0)
        error = errno;
    else if (!S_ISREG(found.st_mode))
        error = EACCES;
    JS_FreeCString(ctx, path);
    return error == 0 ? JS_UNDEFINED : bridge_throw_errno(ctx, error, "execute");
}

/* trusted(caBundle: string | null) -> { path, count }: the certificates trusted, of a file or the system's */
static JSValue daemon__js_trusted(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    const char *given = JS_IsNull(argv[0]) ? NULL : JS_ToCString(ctx, argv[0]);
    const char *path;
    JSValue result;
    int count;

    (void) this_val;
    (void) argc;
    if (given == NULL && !JS_IsNull(argv[0]))
        return JS_EXCEPTION;
    count = bridge_trust_count(given, &path);
    result = JS_NewObject(ctx);
    if (!JS_IsException(result) && (JS_SetPropertyStr(ctx, result, "path", JS_NewString(ctx, path)) < 0 ||
                                    JS_SetPropertyStr(ctx, result, "count", JS_NewInt32(ctx, count)) < 0)) {
        JS_FreeValue(ctx, result);
        result = JS_EXCEPTION;
    }
    JS_FreeCString(ctx, given);
    return result;
}

int daemon_doctor_open(struct daemon *d)
{
    static const JSCFunctionListEntry functions[] = {
        JS_CFUNC_DEF("look", 1, daemon__js_look),
        JS_CFUNC_DEF("list", 1, daemon__js_list),
        JS_CFUNC_DEF("freeBytes", 1, daemon__js_free_bytes),
        JS_CFUNC_DEF("usedBytes", 1, daemon__js_used_bytes),
        JS_CFUNC_DEF("tryAlarm", 0, daemon__js_try_alarm),
        JS_CFUNC_DEF("tryWakeLock", 0, daemon__js_try_wake_lock),
        JS_CFUNC_DEF("tryProgram", 1, daemon__js_try_program),
        JS_CFUNC_DEF("trusted", 1, daemon__js_trusted),
    };

    return daemon_add_functions(d, functions, (int) (sizeof functions / sizeof functions[0]));
}
