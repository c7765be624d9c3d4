/* SPDX-License-Identifier: MIT */

/* engine_object: the object `bridge` of the script, to which modules add their functions, and `listen`. */

#include <unistd.h>

#include "engine_parts.h"

struct bridge *bridge_of(JSContext *ctx)
{
    return JS_GetContextOpaque(ctx);
}

/* listen(events: BridgeEvents) -> undefined. Throws TypeError the second time. */
static JSValue bridge__listen(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct bridge *b = bridge_of(ctx);

    (void) this_val;
    (void) argc;
    if (!JS_IsUndefined(b->events) || !JS_IsObject(argv[0]))
        return JS_ThrowTypeError(ctx, "listen: once, with an object");
    b->events = JS_DupValue(ctx, argv[0]);
    return JS_UNDEFINED;
}

int bridge_add_functions(struct bridge *b, const JSCFunctionListEntry *functions, int count)
{
    if (JS_SetPropertyFunctionList(b->ctx, b->object, functions, count) == 0)
        return 0;
    JS_FreeValue(b->ctx, JS_GetException(b->ctx));
    return BRIDGE_E_NOMEM;
}

int bridge_set_member(struct bridge *b, const char *name, JSValue value)
{
    if (!JS_IsException(value) &&
        JS_DefinePropertyValueStr(b->ctx, b->object, name, value, JS_PROP_C_W_E) >= 0)
        return 0;
    JS_FreeValue(b->ctx, JS_GetException(b->ctx));
    return BRIDGE_E_NOMEM;
}

int bridge_engine_add_object(struct bridge *b)
{
    static const JSCFunctionListEntry functions[] = {
        JS_PROP_INT32_DEF("abi", BRIDGE_ABI, JS_PROP_ENUMERABLE),
        JS_CFUNC_DEF("listen", 1, bridge__listen),
    };
    JSValue global = JS_GetGlobalObject(b->ctx);
    int result;

    b->object = JS_NewObject(b->ctx);
    result = JS_IsException(b->object)
                 ? -1
                 : JS_DefinePropertyValueStr(b->ctx, global, "bridge", JS_DupValue(b->ctx, b->object), JS_PROP_ENUMERABLE);
    JS_FreeValue(b->ctx, global);
    if (result < 0) {
        JS_FreeValue(b->ctx, JS_GetException(b->ctx));
        return BRIDGE_E_NOMEM;
    }
    if (bridge_add_functions(b, functions, 2) || bridge_set_member(b, "pid", JS_NewInt32(b->ctx, (int32_t) getpid())))
        return BRIDGE_E_NOMEM;
    return bridge_set_member(b, "crypto", JS_NULL);
}
