/* SPDX-License-Identifier: MIT */

/*
 * bus: a client of the session bus (D-Bus) for the script, over sd-bus on the bridge's loop: methods called, signals taken. What
 * is said on it is the script's affair (src/user-agent/desktop-display.ts). Values are those of bus_values.c.
 */

#include "bus.h"

#ifdef GODWIT_DBUS

#include <errno.h>
#include <poll.h>
#include <time.h>

#include "bus_values.h"
#include "daemon.h"
#include "script_limits.h"
#include "sd_bus.h"

/* Calls without an answer. The display makes one at a time. */
#define DAEMON_BUS_CALLS_MAX 16
#define DAEMON_BUS_STEPS_PER_TURN_MAX 32

struct daemon__call {
    struct daemon_bus *bus;
    /* NULL: free. */
    sd_bus_slot *slot;
    int64_t call_id;
};

struct daemon_bus {
    struct daemon *d;
    /* NULL while it is closed. */
    sd_bus *bus;
    struct bridge_watch *watch;
    struct bridge_delay delay;
    struct daemon__call calls[DAEMON_BUS_CALLS_MAX];
};

static void daemon__bus_work(void *user);

/* Lets go of the bus. What comes of open calls is not told. */
static void daemon__bus_end(struct daemon_bus *bus)
{
    /* The library may not even be loaded. */
    if (bus->bus == NULL)
        return;
    for (int i = 0; i < DAEMON_BUS_CALLS_MAX; i++)
        bus->calls[i].slot = sd_bus_slot_unref(bus->calls[i].slot);
    bridge_delay_cancel(&bus->delay);
    bridge_watch_remove(bus->watch);
    bus->watch = NULL;
    bus->bus = sd_bus_close_unref(bus->bus);
}

/* The clock of sd-bus's time-outs. */
static int64_t daemon__bus_now_ms(void)
{
    struct timespec at = {0};

    (void) clock_gettime(CLOCK_MONOTONIC, &at);
    return (int64_t) at.tv_sec * 1000 + at.tv_nsec / 1000000;
}

/* Waits for what sd-bus wants: readable always, writable while it has something to send, its own time-outs. */
static void daemon__bus_rest(struct daemon_bus *bus)
{
    uint64_t until_us;
    int64_t wait_ms;

    if (sd_bus_get_events(bus->bus) & POLLOUT)
        bridge_watch_want_write(bus->watch);
    bridge_delay_cancel(&bus->delay);
    if (sd_bus_get_timeout(bus->bus, &until_us) < 0 || until_us == UINT64_MAX)
        return;
    wait_ms = (int64_t) (until_us / 1000) - daemon__bus_now_ms() + 1;
    bridge_delay_start(bus->d->b, &bus->delay, wait_ms > 0 ? wait_ms : 1, daemon__bus_work, bus);
}

/*
 * What there is to do on the bus, but no more than DAEMON_BUS_STEPS_PER_TURN_MAX of it: somebody who floods it with signals would
 * keep the loop from everybody else. The script may close the bus meanwhile.
 */
static void daemon__bus_work(void *user)
{
    struct daemon_bus *bus = user;
    int result = 1;

    for (int steps = 0; result > 0 && steps < DAEMON_BUS_STEPS_PER_TURN_MAX; steps++) {
        /* sd-bus holds itself while it works, also when it is closed from within. */
        result = bus->bus != NULL ? sd_bus_process(bus->bus, NULL) : 0;
    }
    if (bus->bus == NULL)
        return;
    if (result >= 0 && sd_bus_is_open(bus->bus) > 0) {
        daemon__bus_rest(bus);
        /* What sd-bus has read already makes no descriptor readable. */
        if (result > 0) {
            bridge_delay_cancel(&bus->delay);
            bridge_delay_start(bus->d->b, &bus->delay, 1, daemon__bus_work, bus);
        }
        return;
    }
    daemon__bus_end(bus);
    (void) bridge_emit(bus->d->b, "busGone", 0, NULL);
}

/* Returns new. */
static JSValue daemon__bus_sender(JSContext *ctx, sd_bus_message *message)
{
    const char *sender = sd_bus_message_get_sender(message);

    return JS_NewString(ctx, sender == NULL ? "" : sender);
}

/* The answer to one call, or its time-out, or that the bus went. */
static int daemon__bus_answered(sd_bus_message *message, void *user, sd_bus_error *error)
{
    struct daemon__call *call = user;
    struct daemon_bus *bus = call->bus;
    JSContext *ctx = bus->d->b->ctx;
    const sd_bus_error *failure = sd_bus_message_get_error(message);
    JSValue reply[4];

    (void) error;
    reply[0] = JS_NewInt64(ctx, call->call_id);
    reply[1] = failure == NULL ? JS_NULL : JS_NewString(ctx, failure->name);
    reply[2] = daemon__bus_sender(ctx, message);
    reply[3] = daemon_bus_read(ctx, message);
    /* The place is free for what the script asks next. */
    call->slot = sd_bus_slot_unref(call->slot);
    (void) bridge_emit(bus->d->b, "busReplied", 4, reply);
    return 0;
}

/* All that is no answer. */
static int daemon__bus_came(sd_bus_message *message, void *user, sd_bus_error *error)
{
    struct daemon_bus *bus = user;
    JSContext *ctx = bus->d->b->ctx;
    JSValue signal[3];
    uint8_t type;

    (void) error;
    if (sd_bus_message_get_type(message, &type) < 0 || type != SD_BUS_MESSAGE_SIGNAL)
        return 0;
    signal[0] = JS_NewString(ctx, sd_bus_message_get_member(message));
    signal[1] = daemon__bus_sender(ctx, message);
    signal[2] = daemon_bus_read(ctx, message);
    (void) bridge_emit(bus->d->b, "busSignal", 3, signal);
    return 0;
}

/*
 * busOpen() -> undefined
 *
 * Connects to the session bus that the environment names; closes the one before. Throws Error with `code` when there is none.
 * Calls may be made at once. Ends with busClose, or by itself, answered by `busGone`.
 */
static JSValue daemon__bus_open(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct daemon_bus *bus = daemon_of(ctx)->bus;
    int result;

    (void) this_val;
    (void) argc;
    (void) argv;
    daemon__bus_end(bus);
    result = daemon_sd_bus_load();
    if (result >= 0)
        result = sd_bus_open_user(&bus->bus);
    if (result >= 0)
        result = sd_bus_add_filter(bus->bus, NULL, daemon__bus_came, bus);
    if (result >= 0) {
        bus->watch = bridge_watch_add(bus->d->b, sd_bus_get_fd(bus->bus), daemon__bus_work, daemon__bus_work, bus);
        result = bus->watch == NULL ? -ENOMEM : 0;
    }
    if (result < 0) {
        daemon__bus_end(bus);
        return bridge_throw_errno(ctx, -result, "connecting to the session bus");
    }
    daemon__bus_rest(bus);
    return JS_UNDEFINED;
}

/* A place for a call, or NULL. */
static struct daemon__call *daemon__bus_free_call(struct daemon_bus *bus)
{
    for (int i = 0; i < DAEMON_BUS_CALLS_MAX; i++)
        if (bus->calls[i].slot == NULL)
            return &bus->calls[i];
    return NULL;
}

/*
 * busCall(callId, destination, path, interface, member, body: [type, value][]) -> undefined
 *
 * Answered by `busReplied` within DBUS_CALL_TIMEOUT_MS, or by `busGone`. Throws Error with `code`: ENOTCONN while it is closed, EBUSY
 * with DAEMON_BUS_CALLS_MAX calls open, EINVAL for names that are none.
 */
static JSValue daemon__bus_call(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct daemon_bus *bus = daemon_of(ctx)->bus;
    struct daemon__call *call = daemon__bus_free_call(bus);
    const char *names[4] = {NULL};
    sd_bus_message *message = NULL;
    JSValue outcome = JS_EXCEPTION;
    int64_t call_id;
    int result = 0;

    (void) this_val;
    (void) argc;
    if (bridge_arg_int64(ctx, argv[0], 0, INT64_C(9007199254740991), &call_id))
        return JS_EXCEPTION;
    for (int i = 0; i < 4; i++) {
        names[i] = JS_ToCString(ctx, argv[i + 1]);
        if (names[i] == NULL)
            goto end;
    }
    if (bus->bus == NULL)
        result = -ENOTCONN;
    else if (call == NULL)
        result = -EBUSY;
    if (result >= 0)
        result = sd_bus_message_new_method_call(bus->bus, &message, names[0], names[1], names[2], names[3]);
    if (result >= 0) {
        result = daemon_bus_append(ctx, message, argv[5]);
        if (result == -EPROTO)
            goto end;
    }
    if (result >= 0) {
        call->bus = bus;
        call->call_id = call_id;
        result = sd_bus_call_async(bus->bus, &call->slot, message, daemon__bus_answered, call,
                                   (uint64_t) LIMIT_DBUS_CALL_TIMEOUT_MS * 1000);
    }
    if (result < 0) {
        outcome = bridge_throw_errno(ctx, -result, "calling a method on the session bus");
    } else {
        daemon__bus_rest(bus);
        outcome = JS_UNDEFINED;
    }
end:
    sd_bus_message_unref(message);
    for (int i = 0; i < 4; i++)
        JS_FreeCString(ctx, names[i]);
    return outcome;
}

/* busClose() -> undefined. Nothing of it is told any more. */
static JSValue daemon__bus_close(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    (void) this_val;
    (void) argc;
    (void) argv;
    daemon__bus_end(daemon_of(ctx)->bus);
    return JS_UNDEFINED;
}

int daemon_bus_open(struct daemon *d)
{
    static const JSCFunctionListEntry functions[] = {
        JS_CFUNC_DEF("busOpen", 0, daemon__bus_open),
        JS_CFUNC_DEF("busCall", 6, daemon__bus_call),
        JS_CFUNC_DEF("busClose", 0, daemon__bus_close),
    };
    struct daemon_bus *bus = bridge_calloc(1, sizeof *bus);

    if (bus == NULL)
        return BRIDGE_E_NOMEM;
    bus->d = d;
    d->bus = bus;
    return daemon_add_functions(d, functions, 3);
}

void daemon_bus_close(struct daemon *d)
{
    if (d->bus == NULL)
        return;
    daemon__bus_end(d->bus);
    bridge_free(d->bus);
    d->bus = NULL;
}

#else

int daemon_bus_open(struct daemon *d)
{
    (void) d;
    return 0;
}

void daemon_bus_close(struct daemon *d)
{
    (void) d;
}

#endif
