/* SPDX-License-Identifier: MIT */

/*
 * engine: QuickJS-ng with one script in it. Every way into the script goes through here, one at a time: the call, then its
 * jobs, then the events that natives queued meanwhile. Whatever the script throws, or leaves rejected, ends the agent.
 */

#include <string.h>
#include <time.h>

#include "bridge_limits.h"
#include "engine_parts.h"

/* ---- What the script may not do ---- */

static int64_t bridge__cpu_us(void)
{
    struct timespec at = {0};

    (void) clock_gettime(CLOCK_THREAD_CPUTIME_ID, &at);
    return (int64_t) at.tv_sec * 1000000 + at.tv_nsec / 1000;
}

/* Not 0 stops the script with an exception it cannot catch. */
static int bridge__interrupt(JSRuntime *rt, void *opaque)
{
    const struct bridge_engine *engine = opaque;

    (void) rt;
    return bridge__cpu_us() > engine->cpu_deadline_us;
}

static void bridge__track_rejection(JSContext *ctx, JSValueConst promise, JSValueConst reason, bool is_handled, void *opaque)
{
    struct bridge_engine *engine = opaque;
    JSValue *grown;

    (void) reason;
    if (is_handled) {
        for (int i = 0; i < engine->rejected_count; i++) {
            if (JS_VALUE_GET_PTR(engine->rejected[i]) != JS_VALUE_GET_PTR(promise))
                continue;
            JS_FreeValue(ctx, engine->rejected[i]);
            engine->rejected[i] = engine->rejected[--engine->rejected_count];
            return;
        }
        return;
    }
    grown = bridge_realloc(engine->rejected, (size_t) (engine->rejected_count + 1) * sizeof *grown);
    if (grown == NULL) {
        bridge_fail(engine->b, BRIDGE_E_NOMEM);
        return;
    }
    engine->rejected = grown;
    grown[engine->rejected_count++] = JS_DupValue(ctx, promise);
}

/* ---- Failure ---- */

void bridge_fail(struct bridge *b, int error)
{
    if (b->failed == 0)
        b->failed = error;
}

/* Logs what `error` is and where it came from. Borrows it. True when it tells that memory ran out. */
static bool bridge__report(struct bridge *b, JSValueConst error)
{
    JSContext *ctx = b->ctx;
    const char *text = JS_ToCString(ctx, error);
    JSValue stack = JS_IsError(error) ? JS_GetPropertyStr(ctx, error, "stack") : JS_UNDEFINED;
    const char *where = JS_IsString(stack) ? JS_ToCString(ctx, stack) : NULL;
    bool is_memory = b->engine->ran_out || text == NULL;

    bridge_log(b, 3, "script failed: %s %s", text != NULL ? text : "out of memory", where != NULL ? where : "");
    JS_FreeCString(ctx, where);
    JS_FreeValue(ctx, stack);
    JS_FreeCString(ctx, text);
    /* Telling may have thrown too. */
    JS_FreeValue(ctx, JS_GetException(ctx));
    return is_memory;
}

/* The pending exception ends the agent. */
static void bridge__fail_with_exception(struct bridge *b)
{
    JSValue error = JS_GetException(b->ctx);

    bridge_fail(b, bridge__report(b, error) ? BRIDGE_E_NOMEM : BRIDGE_E_SCRIPT);
    JS_FreeValue(b->ctx, error);
}

/* ---- Into the script ---- */

static void bridge__enter(struct bridge *b)
{
    b->engine->is_running = true;
    b->engine->ran_out = false;
    b->engine->cpu_deadline_us = bridge__cpu_us() + b->script_cpu_us_max;
    /* The program around may call from another depth of its stack each time. */
    JS_UpdateStackTop(b->rt);
}

/* Pending jobs, then a look at what nobody handles. */
static void bridge__settle(struct bridge *b)
{
    struct bridge_engine *engine = b->engine;
    JSContext *ctx;
    int result = 1;

    while (b->failed == 0 && result > 0) {
        result = JS_ExecutePendingJob(b->rt, &ctx);
        if (result < 0)
            bridge__fail_with_exception(b);
    }
    if (b->failed == 0 && engine->rejected_count > 0) {
        JSValue reason = JS_PromiseResult(b->ctx, engine->rejected[0]);

        bridge_fail(b, bridge__report(b, reason) ? BRIDGE_E_NOMEM : BRIDGE_E_SCRIPT);
        JS_FreeValue(b->ctx, reason);
    }
}

/* Calls one event. Takes the arguments. */
static void bridge__call_event(struct bridge *b, const char *name, int argc, JSValue *argv)
{
    JSValue function = JS_GetPropertyStr(b->ctx, b->events, name);
    JSValue result = JS_EXCEPTION;

    if (!JS_IsException(function))
        result = JS_Call(b->ctx, function, b->events, argc, (JSValueConst *) argv);
    if (JS_IsException(result))
        bridge__fail_with_exception(b);
    JS_FreeValue(b->ctx, result);
    JS_FreeValue(b->ctx, function);
    for (int i = 0; i < argc; i++)
        JS_FreeValue(b->ctx, argv[i]);
    bridge__settle(b);
}

/*
 * Garbage that holds itself (closures, promises) waits for a collection, and the engine waits for half as much again as the
 * heap had after the last one: a device would pay for 1.5 heaps. Here it waits for BRIDGE_GARBAGE_BYTES_MAX.
 */
static void bridge__bound_garbage(struct bridge *b)
{
    size_t threshold = JS_GetGCThreshold(b->rt);

    if (threshold == b->engine->gc_threshold)
        return;
    b->engine->gc_threshold = threshold / 3 * 2 + BRIDGE_GARBAGE_BYTES_MAX;
    JS_SetGCThreshold(b->rt, b->engine->gc_threshold);
}

/* Everything that natives queued meanwhile; then nobody is in the script any more. */
static int bridge__leave(struct bridge *b)
{
    struct bridge_engine *engine = b->engine;

    bridge__settle(b);
    while (engine->first != NULL && b->failed == 0) {
        struct bridge__event *event = engine->first;

        engine->first = event->next;
        if (engine->first == NULL)
            engine->last = &engine->first;
        engine->queued--;
        bridge__call_event(b, event->name, event->argc, event->argv);
        bridge_free(event);
    }
    engine->is_running = false;
    /* Also when the script came through: a job of a promise may be lost, and whoever awaits that would wait for ever. */
    if (engine->ran_out && b->failed == 0) {
        bridge_log(b, 3, "the script ran out of memory");
        bridge_fail(b, BRIDGE_E_NOMEM);
    }
    bridge__bound_garbage(b);
    bridge_engine_trim(engine);
    bridge_loop_hurry(b);
    return b->failed;
}

/* Queues one event. Takes the arguments. */
static int bridge__queue(struct bridge *b, const char *name, int argc, JSValue *argv)
{
    struct bridge_engine *engine = b->engine;
    struct bridge__event *event = NULL;

    if (engine->queued < BRIDGE_EVENTS_QUEUED_MAX)
        event = bridge_malloc(sizeof *event + (size_t) argc * sizeof *argv);
    if (event == NULL) {
        for (int i = 0; i < argc; i++)
            JS_FreeValue(b->ctx, argv[i]);
        bridge_fail(b, BRIDGE_E_NOMEM);
        return b->failed;
    }
    event->next = NULL;
    event->name = name;
    event->argc = argc;
    for (int i = 0; i < argc; i++)
        event->argv[i] = argv[i];
    *engine->last = event;
    engine->last = &event->next;
    engine->queued++;
    return 0;
}

int bridge_emit(struct bridge *b, const char *name, int argc, JSValue *argv)
{
    bool is_whole = true;

    for (int i = 0; i < argc; i++)
        is_whole = is_whole && !JS_IsException(argv[i]);
    if (b->failed == 0 && !b->engine->is_closing && !is_whole)
        bridge__fail_with_exception(b);
    if (b->failed != 0 || b->engine->is_closing) {
        for (int i = 0; i < argc; i++)
            JS_FreeValue(b->ctx, argv[i]);
        return b->failed;
    }
    /* Also before the script listens. */
    if (b->engine->is_running || JS_IsUndefined(b->events))
        return bridge__queue(b, name, argc, argv);
    bridge__enter(b);
    bridge__call_event(b, name, argc, argv);
    return bridge__leave(b);
}

bool bridge_is_running(const struct bridge *b)
{
    return b->engine->is_running;
}

int bridge_call(struct bridge *b, JSValueConst function, int argc, JSValueConst *argv, JSValue *result)
{
    *result = JS_UNDEFINED;
    if (b->failed != 0)
        return b->failed;
    if (b->engine->is_running)
        return BRIDGE_E_STATE;
    bridge__enter(b);
    *result = JS_Call(b->ctx, function, JS_UNDEFINED, argc, argv);
    if (JS_IsException(*result))
        bridge__fail_with_exception(b);
    if (bridge__leave(b) == 0)
        return 0;
    JS_FreeValue(b->ctx, *result);
    *result = JS_UNDEFINED;
    return b->failed;
}

int bridge_run_jobs(struct bridge *b)
{
    if (b->failed != 0 || b->engine->is_running)
        return b->failed;
    bridge__enter(b);
    return bridge__leave(b);
}

int bridge_engine_run(struct bridge *b, const struct bridge_script *script)
{
    JSValue result;

    bridge__enter(b);
    /* Nothing it makes while it is read and begins is garbage. */
    JS_SetGCThreshold(b->rt, SIZE_MAX);
    result = JS_ReadObject(b->ctx, script->bytecode, script->bytes, JS_READ_OBJ_BYTECODE);
    if (!JS_IsException(result))
        result = JS_EvalFunction(b->ctx, result);
    if (JS_IsException(result))
        bridge__fail_with_exception(b);
    JS_FreeValue(b->ctx, result);
    JS_SetGCThreshold(b->rt, 0);
    if (b->failed == 0 && JS_IsUndefined(b->events)) {
        bridge_log(b, 3, "the script does not listen");
        bridge_fail(b, b->engine->ran_out ? BRIDGE_E_NOMEM : BRIDGE_E_SCRIPT);
    }
    return bridge__leave(b);
}

/* ---- Open and close ---- */

/* What a script made of our bundles uses. Without Eval the linker leaves the parser out: it takes bytecode only. */
static int bridge__add_intrinsics(JSContext *ctx)
{
    return JS_AddIntrinsicBaseObjects(ctx) || JS_AddIntrinsicDate(ctx) || JS_AddIntrinsicRegExp(ctx) ||
           JS_AddIntrinsicJSON(ctx) || JS_AddIntrinsicMapSet(ctx) || JS_AddIntrinsicTypedArrays(ctx) ||
           JS_AddIntrinsicPromise(ctx);
}

/* The context without anything in it. 0 or BRIDGE_E_NOMEM. */
static int bridge__add_context(struct bridge *b)
{
    struct bridge_engine *engine = b->engine;
    bool is_reserved = true;

    for (int i = 0; i < BRIDGE__RESERVES; i++) {
        engine->reserves[i] = bridge_malloc(BRIDGE__RESERVE_BYTES);
        is_reserved = is_reserved && engine->reserves[i] != NULL;
    }
    if (is_reserved)
        b->ctx = JS_NewContextRaw(b->rt);
    for (int i = 0; i < BRIDGE__RESERVES; i++) {
        bridge_free(engine->reserves[i]);
        engine->reserves[i] = NULL;
    }
    if (b->ctx == NULL)
        return BRIDGE_E_NOMEM;
    JS_SetContextOpaque(b->ctx, b);
    return 0;
}

int bridge_engine_open(struct bridge *b, size_t heap_bytes_max)
{
    struct bridge_engine *engine = bridge_calloc(1, sizeof *engine);

    b->object = b->events = JS_UNDEFINED;
    if (engine == NULL)
        return BRIDGE_E_NOMEM;
    b->engine = engine;
    engine->b = b;
    engine->last = &engine->first;
    engine->heap_bytes_max = heap_bytes_max > 0 ? heap_bytes_max : BRIDGE_HEAP_BYTES_MAX;
    b->script_cpu_us_max = (int64_t) BRIDGE_SCRIPT_CPU_MS_MAX * 1000;
    b->rt = JS_NewRuntime2(&bridge_engine_memory, engine);
    if (b->rt == NULL)
        return BRIDGE_E_NOMEM;
#if !defined(NDEBUG)
    JS_SetDumpFlags(b->rt, JS_ABORT_ON_LEAKS);
#endif
    JS_SetMaxStackSize(b->rt, BRIDGE_STACK_BYTES_MAX);
    JS_SetInterruptHandler(b->rt, bridge__interrupt, engine);
    JS_SetHostPromiseRejectionTracker(b->rt, bridge__track_rejection, engine);
    if (bridge__add_context(b))
        return BRIDGE_E_NOMEM;
    if (bridge__add_intrinsics(b->ctx)) {
        JS_FreeValue(b->ctx, JS_GetException(b->ctx));
        return BRIDGE_E_NOMEM;
    }
    return bridge_engine_add_object(b);
}

void bridge_engine_stop(struct bridge *b)
{
    if (b->engine != NULL)
        b->engine->is_closing = true;
}

void bridge_engine_close(struct bridge *b)
{
    struct bridge_engine *engine = b->engine;

    if (engine == NULL)
        return;
    while (engine->first != NULL) {
        struct bridge__event *event = engine->first;

        engine->first = event->next;
        for (int i = 0; i < event->argc; i++)
            JS_FreeValue(b->ctx, event->argv[i]);
        bridge_free(event);
    }
    for (int i = 0; i < engine->rejected_count; i++)
        JS_FreeValue(b->ctx, engine->rejected[i]);
    bridge_free(engine->rejected);
    if (b->ctx != NULL) {
        JS_FreeValue(b->ctx, b->events);
        JS_FreeValue(b->ctx, b->object);
        JS_FreeContext(b->ctx);
    }
    /* JS_ToCStringLen of QuickJS-ng 0.17 leaks its argument when it runs out of memory: told in debug builds, no reason to abort. */
    if (b->rt != NULL && engine->ever_ran_out && JS_GetDumpFlags(b->rt) != 0)
        JS_SetDumpFlags(b->rt, JS_DUMP_LEAKS);
    if (b->rt != NULL)
        JS_FreeRuntime(b->rt);
    b->ctx = NULL;
    b->rt = NULL;
    bridge_pages_close(&engine->pages);
    bridge_free(engine);
    b->engine = NULL;
}
