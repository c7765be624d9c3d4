/* SPDX-License-Identifier: MIT */

/* clock: CLOCK_BOOTTIME, which counts suspend, for timers; the wall clock only as far as it can be believed. */

#include <time.h>

#include "bridge.h"

static int64_t bridge__clock_us(clockid_t clock)
{
    struct timespec at = {0};

    /* Both clocks are there on every Linux since 2.6.39: no error is possible. */
    (void) clock_gettime(clock, &at);
    return (int64_t) at.tv_sec * 1000000 + at.tv_nsec / 1000;
}

int64_t bridge_clock_boottime_us(void)
{
    return bridge__clock_us(CLOCK_BOOTTIME);
}

/* monotonicMs() -> number */
static JSValue bridge__monotonic_ms(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    (void) this_val;
    (void) argc;
    (void) argv;
    return JS_NewInt64(ctx, bridge_clock_boottime_us() / 1000);
}

/* epochMs() -> number */
static JSValue bridge__epoch_ms(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    (void) this_val;
    (void) argc;
    (void) argv;
    return JS_NewInt64(ctx, bridge__clock_us(CLOCK_REALTIME) / 1000);
}

/*
 * isEpochTrusted() -> boolean
 *
 * A clock that lies before the build was never set. Whether it is synchronised (adjtimex) is not asked: devices whose RTC
 * keeps the time, and no daemon tells the kernel, would never be trusted.
 */
static JSValue bridge__is_epoch_trusted(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    const struct bridge *b = bridge_of(ctx);

    (void) this_val;
    (void) argc;
    (void) argv;
    return JS_NewBool(ctx, b->epoch_trusted && bridge__clock_us(CLOCK_REALTIME) / 1000 >= b->epoch_floor_ms);
}

int bridge_clock_open(struct bridge *b)
{
    static const JSCFunctionListEntry functions[] = {
        JS_CFUNC_DEF("monotonicMs", 0, bridge__monotonic_ms),
        JS_CFUNC_DEF("epochMs", 0, bridge__epoch_ms),
        JS_CFUNC_DEF("isEpochTrusted", 0, bridge__is_epoch_trusted),
    };

    return bridge_add_functions(b, functions, 3);
}
