/* SPDX-License-Identifier: MIT */

/*
 * config: flags, GODWIT_* and files are read by the same TypeScript as those of `godwit` (src/quickjs/config.ts), in an engine of
 * its own: help texts, parsers and the policy's checks take no memory of the agent's.
 */

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../client.h"
#include "daemon.h"
#include "daemon_limits.h"

extern char **environ;

/* ---- what the script is lent: the object `host` ---- */

/* `{ text, mode }` of the whole file, or an Error with `code` thrown. */
static JSValue daemon__read_open_file(JSContext *ctx, int fd)
{
    struct stat is;
    JSValue result = JS_EXCEPTION;
    char *text = NULL;
    size_t bytes = 0;
    ssize_t got;

    if (fstat(fd, &is) != 0)
        return bridge_throw_errno(ctx, errno, "read");
    if (S_ISDIR(is.st_mode))
        return bridge_throw_errno(ctx, EISDIR, "read");
    text = bridge_malloc(DAEMON_FILE_BYTES_MAX + 1);
    if (text == NULL)
        return JS_ThrowOutOfMemory(ctx);
    /* Also of a file whose size says nothing, such as a pipe. */
    while ((got = read(fd, text + bytes, DAEMON_FILE_BYTES_MAX + 1 - bytes)) > 0)
        bytes += (size_t) got;
    if (got < 0 || bytes > DAEMON_FILE_BYTES_MAX) {
        bridge_throw_errno(ctx, got < 0 ? errno : EFBIG, "read");
        goto out;
    }
    result = JS_NewObject(ctx);
    if (JS_IsException(result))
        goto out;
    if (JS_SetPropertyStr(ctx, result, "text", JS_NewStringLen(ctx, text, bytes)) < 0 ||
        JS_SetPropertyStr(ctx, result, "mode", JS_NewInt32(ctx, (int32_t) (is.st_mode & 07777))) < 0) {
        JS_FreeValue(ctx, result);
        result = JS_EXCEPTION;
    }
out:
    explicit_bzero(text, DAEMON_FILE_BYTES_MAX + 1);
    bridge_free(text);
    return result;
}

/* readFile(path) -> { text, mode } */
static JSValue daemon__js_read_file(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    const char *path = JS_ToCString(ctx, argv[0]);
    JSValue result;
    int error;
    int fd;

    (void) this_val;
    (void) argc;
    if (path == NULL)
        return JS_EXCEPTION;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    error = errno;
    JS_FreeCString(ctx, path);
    if (fd < 0)
        return bridge_throw_errno(ctx, error, "open");
    result = daemon__read_open_file(ctx, fd);
    close(fd);
    return result;
}

/* exists(path) -> boolean */
static JSValue daemon__js_exists(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    const char *path = JS_ToCString(ctx, argv[0]);
    bool exists;

    (void) this_val;
    (void) argc;
    if (path == NULL)
        return JS_EXCEPTION;
    exists = access(path, F_OK) == 0;
    JS_FreeCString(ctx, path);
    return JS_NewBool(ctx, exists);
}

/* isCertificate(pem) -> boolean */
static JSValue daemon__js_is_certificate(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    size_t bytes;
    const char *pem = JS_ToCStringLen(ctx, &bytes, argv[0]);
    bool is;

    (void) this_val;
    (void) argc;
    if (pem == NULL)
        return JS_EXCEPTION;
    is = bridge_trust_is_certificate(pem, bytes);
    JS_FreeCString(ctx, pem);
    return JS_NewBool(ctx, is);
}

/* An array of texts, or JS_EXCEPTION. */
static JSValue daemon__texts(JSContext *ctx, char *const *texts, uint32_t count)
{
    JSValue array = JS_NewArray(ctx);

    if (JS_IsException(array))
        return array;
    for (uint32_t i = 0; i < count; i++) {
        if (JS_SetPropertyUint32(ctx, array, i, JS_NewString(ctx, texts[i])) < 0) {
            JS_FreeValue(ctx, array);
            return JS_EXCEPTION;
        }
    }
    return array;
}

/* Puts `host` on the global object. 0, or a BRIDGE_E. */
static int daemon__lend(JSContext *ctx, int argc, char **argv)
{
    static const JSCFunctionListEntry functions[] = {
        JS_CFUNC_DEF("readFile", 1, daemon__js_read_file),
        JS_CFUNC_DEF("exists", 1, daemon__js_exists),
        JS_CFUNC_DEF("isCertificate", 1, daemon__js_is_certificate),
    };
    JSValue global = JS_GetGlobalObject(ctx);
    JSValue host = JS_NewObject(ctx);
    char directory[4096];
    uint32_t variables = 0;
    int result = BRIDGE_E_NOMEM;

    while (environ != NULL && environ[variables] != NULL)
        variables++;
    if (getcwd(directory, sizeof directory) == NULL)
        strcpy(directory, "/");
    if (!JS_IsException(host) && JS_SetPropertyFunctionList(ctx, host, functions, 3) == 0 &&
        JS_SetPropertyStr(ctx, host, "args", daemon__texts(ctx, argv, (uint32_t) argc)) >= 0 &&
        JS_SetPropertyStr(ctx, host, "environment", daemon__texts(ctx, environ, variables)) >= 0 &&
        JS_SetPropertyStr(ctx, host, "directory", JS_NewString(ctx, directory)) >= 0 &&
        JS_SetPropertyStr(ctx, host, "hasScreen", JS_NewBool(ctx, !daemon_log_is_journal(STDOUT_FILENO))) >= 0 &&
        JS_SetPropertyStr(ctx, global, "host", JS_DupValue(ctx, host)) >= 0)
        result = 0;
    JS_FreeValue(ctx, host);
    JS_FreeValue(ctx, global);
    return result;
}

/* ---- what it found: the object `configuration` ---- */

/* A copy of the member, NULL in `*out` for null. 0, or a BRIDGE_E. */
static int daemon__take_text(JSContext *ctx, JSValueConst from, const char *name, char **out)
{
    JSValue value = JS_GetPropertyStr(ctx, from, name);
    const char *text = NULL;
    int result = 0;

    *out = NULL;
    if (!JS_IsNull(value)) {
        text = JS_IsString(value) ? JS_ToCString(ctx, value) : NULL;
        *out = text == NULL ? NULL : bridge_strdup(text);
        result = *out != NULL ? 0 : JS_IsString(value) ? BRIDGE_E_NOMEM : BRIDGE_E_SCRIPT;
        JS_FreeCString(ctx, text);
    }
    JS_FreeValue(ctx, value);
    return result;
}

/* The member, -1 for null. 0, or a BRIDGE_E. */
static int daemon__take_number(JSContext *ctx, JSValueConst from, const char *name, int64_t *out)
{
    JSValue value = JS_GetPropertyStr(ctx, from, name);
    int result = 0;

    *out = -1;
    if (!JS_IsNull(value) && (!JS_IsNumber(value) || JS_ToInt64(ctx, out, value) != 0 || *out < 0))
        result = BRIDGE_E_SCRIPT;
    JS_FreeValue(ctx, value);
    return result;
}

static int daemon__take_flag(JSContext *ctx, JSValueConst from, const char *name, bool *out)
{
    JSValue value = JS_GetPropertyStr(ctx, from, name);
    int result = JS_IsBool(value) ? 0 : BRIDGE_E_SCRIPT;

    *out = result == 0 && JS_ToBool(ctx, value) == 1;
    JS_FreeValue(ctx, value);
    return result;
}

/* 32 bytes, or null. 0, or a BRIDGE_E. */
static int daemon__take_key(JSContext *ctx, JSValueConst from, struct daemon_config *config)
{
    JSValue value = JS_GetPropertyStr(ctx, from, "deviceKey");
    const uint8_t *key;
    size_t bytes;
    int result = 0;

    if (!JS_IsNull(value)) {
        if (bridge_arg_bytes(ctx, value, &key, &bytes) != 0 || bytes != sizeof config->device_key) {
            result = BRIDGE_E_SCRIPT;
        } else {
            memcpy(config->device_key, key, bytes);
            config->has_device_key = true;
        }
    }
    JS_FreeValue(ctx, value);
    return result;
}

static int daemon__take(JSContext *ctx, struct daemon_config *config)
{
    JSValue global = JS_GetGlobalObject(ctx);
    JSValue found = JS_GetPropertyStr(ctx, global, "configuration");
    int64_t exit_code = -1;
    int64_t quota_bytes = -1;
    int result = JS_IsObject(found) ? 0 : BRIDGE_E_SCRIPT;

    if (result == 0)
        result = daemon__take_number(ctx, found, "exitCode", &exit_code);
    if (result == 0)
        result = daemon__take_text(ctx, found, "stdout", &config->stdout_text);
    if (result == 0)
        result = daemon__take_text(ctx, found, "stderr", &config->stderr_text);
    if (result == 0)
        result = daemon__take_text(ctx, found, "options", &config->options_json);
    if (result == 0)
        result = daemon__take_text(ctx, found, "stateDirectory", &config->state_directory);
    if (result == 0)
        result = daemon__take_text(ctx, found, "caPem", &config->ca_pem);
    if (result == 0)
        result = daemon__take_text(ctx, found, "caBundle", &config->ca_file);
    if (result == 0)
        result = daemon__take_number(ctx, found, "quotaBytes", &quota_bytes);
    if (result == 0)
        result = daemon__take_flag(ctx, found, "isDoctor", &config->is_doctor);
    if (result == 0)
        result = daemon__take_key(ctx, found, config);
    if (result == 0 && exit_code < 0 && (config->options_json == NULL || config->state_directory == NULL))
        result = BRIDGE_E_SCRIPT;
    config->exit_code = (int) exit_code;
    config->state_quota_bytes = quota_bytes < 0 ? 0 : (uint64_t) quota_bytes;
    JS_FreeValue(ctx, found);
    JS_FreeValue(ctx, global);
    return result;
}

/* Evaluates the script. 0, or a BRIDGE_E. */
static int daemon__evaluate(JSContext *ctx, const struct bridge_script *script)
{
    JSValue code = JS_ReadObject(ctx, script->bytecode, script->bytes, JS_READ_OBJ_BYTECODE);
    JSValue value = JS_IsException(code) ? code : JS_EvalFunction(ctx, code);
    int result = JS_IsException(value) ? BRIDGE_E_SCRIPT : 0;

    JS_FreeValue(ctx, value);
    return result;
}

/* ---- the engine's memory: ours, so that tests can make any allocation fail ---- */

static void *daemon__engine_calloc(void *opaque, size_t count, size_t bytes)
{
    (void) opaque;
    return bridge_calloc(count, bytes);
}

static void *daemon__engine_malloc(void *opaque, size_t bytes)
{
    (void) opaque;
    return bridge_malloc(bytes);
}

static void daemon__engine_free(void *opaque, void *at)
{
    (void) opaque;
    bridge_free(at);
}

static void *daemon__engine_realloc(void *opaque, void *at, size_t bytes)
{
    (void) opaque;
    return bridge_realloc(at, bytes);
}

static size_t daemon__engine_usable(const void *at)
{
    return malloc_usable_size((void *) (uintptr_t) at);
}

int daemon_config_read(struct daemon_config *config, const struct bridge_script *script, int argc, char **argv)
{
    static const JSMallocFunctions memory = {
        .js_calloc = daemon__engine_calloc,
        .js_malloc = daemon__engine_malloc,
        .js_free = daemon__engine_free,
        .js_realloc = daemon__engine_realloc,
        .js_malloc_usable_size = daemon__engine_usable,
    };
    JSRuntime *rt = NULL;
    JSContext *ctx = NULL;
    int result = BRIDGE_E_NOMEM;

    *config = (struct daemon_config){.exit_code = -1};
    rt = JS_NewRuntime2(&memory, NULL);
    if (rt == NULL)
        goto out;
    JS_SetMemoryLimit(rt, DAEMON_CONFIG_HEAP_BYTES_MAX);
    JS_SetMaxStackSize(rt, DAEMON_CONFIG_STACK_BYTES_MAX);
    ctx = JS_NewContext(rt);
    if (ctx == NULL)
        goto out;
    result = daemon__lend(ctx, argc, argv);
    if (result == 0)
        result = daemon__evaluate(ctx, script);
    if (result == 0)
        result = daemon__take(ctx, config);
out:
    if (ctx != NULL)
        JS_FreeContext(ctx);
    if (rt != NULL)
        JS_FreeRuntime(rt);
    if (result != 0)
        daemon_config_free(config);
    return result;
}

void daemon_config_free(struct daemon_config *config)
{
    bridge_free(config->stdout_text);
    bridge_free(config->stderr_text);
    bridge_free(config->options_json);
    bridge_free(config->state_directory);
    bridge_free(config->ca_pem);
    bridge_free(config->ca_file);
    explicit_bzero(config, sizeof *config);
    config->exit_code = -1;
}
