/* SPDX-License-Identifier: MIT */

/*
 * alarm: the one wake-up and the one timer the script may hold, and the news that the clock was set.
 *
 * The alarm's descriptor is armed for the end of its window; any other wake-up inside the window serves as well. So the script
 * is called by what the clock says after each turn of the loop (bridge_alarm_check), and the descriptors do no more than end
 * the wait.
 */

#include <errno.h>
#include <limits.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "bridge.h"
#include "script_limits.h"

#define BRIDGE__NEVER INT64_MAX

struct bridge_alarm {
    struct bridge *b;
    /* Of CLOCK_BOOTTIME_ALARM where that is allowed. They are the loop's; ours until their watch is removed. */
    int alarm_fd;
    int timer_fd;
    struct bridge_watch *alarm_watch;
    struct bridge_watch *timer_watch;
    struct bridge_watch *clock_watch;
    int clock_fd;
    bool can_wake;
    /* Window of the alarm; BRIDGE__NEVER for none. */
    int64_t at_ms;
    int64_t end_ms;
    int64_t timer_at_ms;
    int64_t awake_until_ms;
};

/* Arms for `at_ms` of the descriptor's clock, or disarms. 0 or BRIDGE_E_SYSTEM. */
static int bridge__arm(int fd, int64_t at_ms)
{
    struct itimerspec spec = {0};

    if (at_ms != BRIDGE__NEVER) {
        spec.it_value.tv_sec = (time_t) (at_ms / 1000);
        spec.it_value.tv_nsec = (long) (at_ms % 1000) * 1000000;
        /* All zero would disarm. */
        if (at_ms <= 0) {
            spec.it_value.tv_sec = 0;
            spec.it_value.tv_nsec = 1;
        }
    }
    return timerfd_settime(fd, TFD_TIMER_ABSTIME, &spec, NULL) == 0 ? 0 : BRIDGE_E_SYSTEM;
}

/* Empties the descriptor; what is due is seen by the clock. */
static void bridge__alarm_expired(void *user)
{
    const struct bridge_alarm *alarm = user;
    uint64_t times;

    (void) !read(alarm->alarm_fd, &times, sizeof times);
}

static void bridge__timer_expired(void *user)
{
    const struct bridge_alarm *alarm = user;
    uint64_t times;

    (void) !read(alarm->timer_fd, &times, sizeof times);
}

/* The wall clock was set, or the device resumed. */
static void bridge__clock_was_set(void *user)
{
    const struct bridge_alarm *alarm = user;
    uint64_t times;

    if (read(alarm->clock_fd, &times, sizeof times) < 0 && errno == EAGAIN)
        return;
    (void) bridge_emit(alarm->b, "look", 0, NULL);
}

bool bridge_alarm_check(struct bridge *b)
{
    struct bridge_alarm *alarm = b->alarm;
    int64_t now_ms = bridge_clock_boottime_us() / 1000;
    bool was_due = alarm->timer_at_ms <= now_ms || alarm->at_ms <= now_ms;

    if (alarm->timer_at_ms <= now_ms) {
        alarm->timer_at_ms = BRIDGE__NEVER;
        (void) bridge_emit(b, "timer", 0, NULL);
    }
    if (alarm->at_ms <= now_ms) {
        alarm->at_ms = alarm->end_ms = BRIDGE__NEVER;
        if (bridge__arm(alarm->alarm_fd, BRIDGE__NEVER))
            bridge_log(b, 3, "the alarm cannot be disarmed");
        (void) bridge_emit(b, "alarm", 0, NULL);
    }
    return was_due;
}

/* setAlarm(atMs: number | null, windowMs: number) -> undefined. Throws RangeError beyond LIMIT_ALARM_AHEAD_MS_MAX. */
static JSValue bridge__set_alarm(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct bridge *b = bridge_of(ctx);
    struct bridge_alarm *alarm = b->alarm;
    int64_t ahead_ms_max = bridge_clock_boottime_us() / 1000 + LIMIT_ALARM_AHEAD_MS_MAX;
    int64_t at_ms = BRIDGE__NEVER;
    int64_t end_ms = BRIDGE__NEVER;
    int64_t window_ms;

    (void) this_val;
    (void) argc;
    if (!JS_IsNull(argv[0])) {
        if (bridge_arg_int64(ctx, argv[0], 0, ahead_ms_max, &at_ms) ||
            bridge_arg_int64(ctx, argv[1], 0, LIMIT_ALARM_AHEAD_MS_MAX, &window_ms))
            return JS_EXCEPTION;
        end_ms = at_ms + window_ms;
    }
    if (end_ms != alarm->end_ms && bridge__arm(alarm->alarm_fd, end_ms))
        return bridge_throw_errno(ctx, errno, "timerfd_settime");
    alarm->at_ms = at_ms;
    alarm->end_ms = end_ms;
    return JS_UNDEFINED;
}

/* setTimer(atMs: number | null) -> undefined. Throws RangeError beyond LIMIT_ALARM_AHEAD_MS_MAX. */
static JSValue bridge__set_timer(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct bridge *b = bridge_of(ctx);
    struct bridge_alarm *alarm = b->alarm;
    int64_t ahead_ms_max = bridge_clock_boottime_us() / 1000 + LIMIT_ALARM_AHEAD_MS_MAX;
    int64_t at_ms = BRIDGE__NEVER;

    (void) this_val;
    (void) argc;
    if (!JS_IsNull(argv[0]) && bridge_arg_int64(ctx, argv[0], 0, ahead_ms_max, &at_ms))
        return JS_EXCEPTION;
    if (at_ms != alarm->timer_at_ms && bridge__arm(alarm->timer_fd, at_ms))
        return bridge_throw_errno(ctx, errno, "timerfd_settime");
    alarm->timer_at_ms = at_ms;
    return JS_UNDEFINED;
}

/* stayAwake(untilMs: number) -> undefined. The program around asks for it (bridge_alarm_awake_until_ms). */
static JSValue bridge__stay_awake(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct bridge *b = bridge_of(ctx);
    int64_t ahead_ms_max = bridge_clock_boottime_us() / 1000 + LIMIT_ALARM_AHEAD_MS_MAX;
    int64_t until_ms;

    (void) this_val;
    (void) argc;
    if (bridge_arg_int64(ctx, argv[0], 0, ahead_ms_max, &until_ms))
        return JS_EXCEPTION;
    b->alarm->awake_until_ms = until_ms;
    return JS_UNDEFINED;
}

bool bridge_alarm_can_wake(const struct bridge *b)
{
    return b->alarm->can_wake;
}

int64_t bridge_alarm_deadline_ms(const struct bridge *b)
{
    return b->alarm->end_ms < b->alarm->timer_at_ms ? b->alarm->end_ms : b->alarm->timer_at_ms;
}

int64_t bridge_alarm_awake_until_ms(const struct bridge *b)
{
    return b->alarm->awake_until_ms;
}

/* A timer descriptor of `clock`, watched. On failure *fd is -1. 0 or a BRIDGE_E. */
static int bridge__open_timer(struct bridge_alarm *alarm, clockid_t clock, void (*expired)(void *user), int *fd,
                              struct bridge_watch **watch)
{
    int made = timerfd_create(clock, TFD_NONBLOCK | TFD_CLOEXEC);

    *fd = -1;
    if (made < 0)
        return BRIDGE_E_SYSTEM;
    *watch = bridge_watch_own(alarm->b, made, expired, NULL, alarm);
    if (*watch == NULL)
        return BRIDGE_E_NOMEM;
    *fd = made;
    return 0;
}

/* Readable when somebody sets the wall clock, and never before. 0 or BRIDGE_E_SYSTEM. */
static int bridge__watch_clock(int fd)
{
    struct itimerspec spec = {0};

    spec.it_value.tv_sec = sizeof(time_t) > 4 ? (time_t) INT64_C(0x3fffffffff) : (time_t) INT32_MAX;
    return timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &spec, NULL) == 0 ? 0 : BRIDGE_E_SYSTEM;
}

int bridge_alarm_open(struct bridge *b)
{
    static const JSCFunctionListEntry functions[] = {
        JS_CFUNC_DEF("setAlarm", 2, bridge__set_alarm),
        JS_CFUNC_DEF("setTimer", 1, bridge__set_timer),
        JS_CFUNC_DEF("stayAwake", 1, bridge__stay_awake),
    };
    struct bridge_alarm *alarm = bridge_calloc(1, sizeof *alarm);
    int error;

    if (alarm == NULL)
        return BRIDGE_E_NOMEM;
    b->alarm = alarm;
    alarm->b = b;
    alarm->at_ms = alarm->end_ms = alarm->timer_at_ms = BRIDGE__NEVER;
    error = bridge__open_timer(alarm, CLOCK_BOOTTIME_ALARM, bridge__alarm_expired, &alarm->alarm_fd, &alarm->alarm_watch);
    alarm->can_wake = error == 0;
    /* Without CAP_WAKE_ALARM, or on a kernel without alarm timers. */
    if (error == BRIDGE_E_SYSTEM)
        error = bridge__open_timer(alarm, CLOCK_BOOTTIME, bridge__alarm_expired, &alarm->alarm_fd, &alarm->alarm_watch);
    if (!error)
        error = bridge__open_timer(alarm, CLOCK_BOOTTIME, bridge__timer_expired, &alarm->timer_fd, &alarm->timer_watch);
    if (!error)
        error = bridge__open_timer(alarm, CLOCK_REALTIME, bridge__clock_was_set, &alarm->clock_fd, &alarm->clock_watch);
    if (!error)
        error = bridge__watch_clock(alarm->clock_fd);
    if (!error)
        error = bridge_add_functions(b, functions, 3);
    return error;
}

void bridge_alarm_close(struct bridge *b)
{
    struct bridge_alarm *alarm = b->alarm;

    if (alarm == NULL)
        return;
    bridge_watch_remove(alarm->alarm_watch);
    bridge_watch_remove(alarm->timer_watch);
    bridge_watch_remove(alarm->clock_watch);
    bridge_free(alarm);
    b->alarm = NULL;
}
