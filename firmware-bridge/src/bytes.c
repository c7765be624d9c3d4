/* SPDX-License-Identifier: MIT */

/*
 * bytes: Uint8Arrays that natives fill, without a copy in between.
 */
#include "bridge.h"

/*
 * Returns a new Uint8Array of zeros, or an exception. *data is borrowed as long as the array lives: nothing the script
 * does while a native runs can move or shorten it.
 */
JSValue bridge_new_bytes(JSContext *ctx, size_t bytes, uint8_t **data)
{
    size_t count;
    /* With no source the engine makes zeros. JS_NewUint8Array would leave open who frees the buffer after a failure. */
    JSValue array = JS_NewUint8ArrayCopy(ctx, NULL, bytes);

    *data = NULL;
    if (!JS_IsException(array))
        *data = JS_GetUint8Array(ctx, &count, array);
    return array;
}

/*
 * Borrows a Uint8Array to write to; RangeError when it is shorter than `bytes_min`. 0, or -1 with an exception pending.
 */
int bridge_arg_target(JSContext *ctx, JSValueConst value, size_t bytes_min, uint8_t **target)
{
    size_t count;

    *target = JS_GetUint8Array(ctx, &count, value);
    if (*target == NULL)
        return -1;
    if (count < bytes_min) {
        JS_ThrowRangeError(ctx, "%zu bytes do not fit into %zu", bytes_min, count);
        return -1;
    }
    return 0;
}
