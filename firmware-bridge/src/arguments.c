/* SPDX-License-Identifier: MIT */

/* arguments: what natives make of the script's values, and the errors they throw. */

#include <errno.h>
#include <math.h>
#include <string.h>

#include "engine_parts.h"

int bridge_arg_bytes(JSContext *ctx, JSValueConst value, const uint8_t **bytes, size_t *count)
{
    static const uint8_t none[1];

    *count = 0;
    if (JS_GetTypedArrayType(value) != JS_TYPED_ARRAY_UINT8) {
        JS_ThrowTypeError(ctx, "not a Uint8Array");
        return -1;
    }
    *bytes = JS_GetUint8Array(ctx, count, value);
    if (*bytes == NULL && JS_HasException(ctx))
        return -1;
    if (*count == 0)
        *bytes = none;
    return 0;
}

int bridge_arg_int64(JSContext *ctx, JSValueConst value, int64_t min, int64_t max, int64_t *out)
{
    double number;

    if (!JS_IsNumber(value)) {
        JS_ThrowTypeError(ctx, "not a number");
        return -1;
    }
    if (JS_ToFloat64(ctx, &number, value))
        return -1;
    /* Beyond 2^53 numbers are not exact, and no bound of ours lies there. */
    if (!isfinite(number) || trunc(number) != number || fabs(number) > 9007199254740991.0 || (int64_t) number < min ||
        (int64_t) number > max) {
        JS_ThrowRangeError(ctx, "%g is out of range", number);
        return -1;
    }
    *out = (int64_t) number;
    return 0;
}

/* A malloc'ed copy of the text `value`, or NULL with an exception pending. */
static char *bridge__copy_text(JSContext *ctx, JSValueConst value)
{
    size_t length;
    const char *text;
    char *copy;

    if (!JS_IsString(value)) {
        JS_ThrowTypeError(ctx, "not a text");
        return NULL;
    }
    text = JS_ToCStringLen(ctx, &length, value);
    if (text == NULL)
        return NULL;
    copy = strlen(text) == length ? bridge_strdup(text) : NULL;
    if (copy == NULL && strlen(text) != length)
        JS_ThrowTypeError(ctx, "a text holds a zero byte");
    else if (copy == NULL)
        bridge_throw_memory(ctx);
    JS_FreeCString(ctx, text);
    return copy;
}

char **bridge_arg_texts(JSContext *ctx, JSValueConst value, size_t count_max)
{
    int64_t count = 0;
    char **texts;

    if (!JS_IsArray(value)) {
        JS_ThrowTypeError(ctx, "not an array");
        return NULL;
    }
    if (JS_GetLength(ctx, value, &count))
        return NULL;
    if (count < 0 || (uint64_t) count > count_max) {
        JS_ThrowRangeError(ctx, "too many texts");
        return NULL;
    }
    texts = bridge_calloc((size_t) count + 1, sizeof *texts);
    if (texts == NULL) {
        bridge_throw_memory(ctx);
        return NULL;
    }
    for (int64_t i = 0; i < count; i++) {
        JSValue element = JS_GetPropertyInt64(ctx, value, i);

        if (!JS_IsException(element))
            texts[i] = bridge__copy_text(ctx, element);
        JS_FreeValue(ctx, element);
        if (texts[i] == NULL) {
            bridge_free_texts(texts);
            return NULL;
        }
    }
    return texts;
}

void bridge_free_texts(char **texts)
{
    if (texts == NULL)
        return;
    for (char **text = texts; *text != NULL; text++)
        bridge_free(*text);
    bridge_free(texts);
}

/* The name scripts know an errno by; "EIO" for one that no file or socket operation of ours returns. */
static const char *bridge__errno_name(int error)
{
    static const struct {
        int error;
        const char *name;
    } names[] = {
        {EACCES, "EACCES"},       {EAGAIN, "EAGAIN"},   {EBADF, "EBADF"},           {EBUSY, "EBUSY"},   {EEXIST, "EEXIST"},
        {EFBIG, "EFBIG"},         {EINTR, "EINTR"},     {EINVAL, "EINVAL"},         {EIO, "EIO"},       {EISDIR, "EISDIR"},
        {ELOOP, "ELOOP"},         {EMFILE, "EMFILE"},   {ENAMETOOLONG, "ENAMETOOLONG"}, {ENFILE, "ENFILE"}, {ENOENT, "ENOENT"},
        {ENOMEM, "ENOMEM"},       {ENOSPC, "ENOSPC"},   {ENOSYS, "ENOSYS"},         {ENOTDIR, "ENOTDIR"}, {ENOTEMPTY, "ENOTEMPTY"},
        {EOPNOTSUPP, "EOPNOTSUPP"}, {EPERM, "EPERM"},   {EROFS, "EROFS"},           {ESRCH, "ESRCH"},   {EXDEV, "EXDEV"},
        {EDQUOT, "EDQUOT"},       {ECONNREFUSED, "ECONNREFUSED"}, {EADDRINUSE, "EADDRINUSE"}, {ETIMEDOUT, "ETIMEDOUT"},
    };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (names[i].error == error)
            return names[i].name;
    }
    return "EIO";
}

/* The script's engine ran out, as far as its end is concerned. That of godwitd's configuration has no bridge around it. */
static void bridge__note_memory(JSContext *ctx)
{
    const struct bridge *b = bridge_of(ctx);

    if (b != NULL)
        b->engine->ran_out = true;
}

JSValue bridge_throw_memory(JSContext *ctx)
{
    bridge__note_memory(ctx);
    return JS_ThrowOutOfMemory(ctx);
}

JSValue bridge_throw_errno(JSContext *ctx, int error, const char *doing)
{
    const char *name = bridge__errno_name(error);
    JSValue thrown;

    if (error == ENOMEM)
        bridge__note_memory(ctx);
    thrown = JS_NewPlainError(ctx, "%s: %s", name, doing);
    if (JS_IsException(thrown))
        return JS_EXCEPTION;
    if (JS_DefinePropertyValueStr(ctx, thrown, "code", JS_NewString(ctx, name), JS_PROP_C_W_E) < 0) {
        JS_FreeValue(ctx, thrown);
        return JS_EXCEPTION;
    }
    return JS_Throw(ctx, thrown);
}
