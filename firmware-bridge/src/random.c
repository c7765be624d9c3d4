/* SPDX-License-Identifier: MIT */

/* random: bytes of the kernel's CSPRNG. Waits for it to be seeded, at first boot; never returns weak bytes. */

#include <errno.h>
#include <sys/random.h>

#include "bridge.h"

int bridge_random_fill(void *target, size_t bytes)
{
    uint8_t *at = target;

    while (bytes > 0) {
        ssize_t count = getrandom(at, bytes, 0);

        if (count < 0) {
            if (errno == EINTR)
                continue;
            return BRIDGE_E_SYSTEM;
        }
        at += count;
        bytes -= (size_t) count;
    }
    return 0;
}

/* randomFill(target: Uint8Array) -> undefined. Throws Error (EIO) where the kernel has no getrandom(). */
static JSValue bridge__random_fill(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    const uint8_t *bytes;
    size_t count;

    (void) this_val;
    (void) argc;
    if (bridge_arg_bytes(ctx, argv[0], &bytes, &count))
        return JS_EXCEPTION;
    if (bridge_random_fill((uint8_t *) (uintptr_t) bytes, count))
        return bridge_throw_errno(ctx, EIO, "getrandom");
    return JS_UNDEFINED;
}

int bridge_random_open(struct bridge *b)
{
    static const JSCFunctionListEntry functions[] = {
        JS_CFUNC_DEF("randomFill", 1, bridge__random_fill),
    };

    return bridge_add_functions(b, functions, 1);
}
