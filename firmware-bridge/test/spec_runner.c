/* SPDX-License-Identifier: MIT */

/*
 * spec_runner: runs one bundled spec (test/quickjs/run.mjs) in the engine of the firmware, with the stack the bridge allows.
 *
 *   spec_runner BUNDLE NAME MS_MAX
 *
 * The global object `bridge` has the firmware's cryptography, where the build has any.
 *
 * Prints the reports as JSON. Exit code 0 when there are some, whatever they say; 1 with a reason on stderr when not.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bridge_limits.h"
#include "engine_parts.h"

/* Calls the global function `name` without arguments; returns new. */
static JSValue call_global(JSContext *ctx, const char *name)
{
    JSValue global = JS_GetGlobalObject(ctx);
    JSValue function = JS_GetPropertyStr(ctx, global, name);
    JSValue result = JS_Call(ctx, function, JS_UNDEFINED, 0, NULL);

    JS_FreeValue(ctx, function);
    JS_FreeValue(ctx, global);
    return result;
}

/* Prints the pending exception. */
static void print_exception(JSContext *ctx)
{
    JSValue error = JS_GetException(ctx);
    JSValue stack = JS_IsError(error) ? JS_GetPropertyStr(ctx, error, "stack") : JS_UNDEFINED;
    const char *text = JS_ToCString(ctx, error);
    const char *where = JS_ToCString(ctx, stack);

    fprintf(stderr, "%s\n%s\n", text != NULL ? text : "out of memory", where != NULL ? where : "");
    JS_FreeCString(ctx, where);
    JS_FreeCString(ctx, text);
    JS_FreeValue(ctx, stack);
    JS_FreeValue(ctx, error);
}

/* Prints globalThis.__reports when it is there. True then. */
static bool print_reports(JSContext *ctx)
{
    JSValue global = JS_GetGlobalObject(ctx);
    JSValue reports = JS_GetPropertyStr(ctx, global, "__reports");
    const char *text = JS_IsString(reports) ? JS_ToCString(ctx, reports) : NULL;
    bool is_there = text != NULL;

    if (is_there)
        puts(text);
    JS_FreeCString(ctx, text);
    JS_FreeValue(ctx, reports);
    JS_FreeValue(ctx, global);
    return is_there;
}

/* Evaluates the bundle, then runs jobs and timers until its reports are there. True when they are. */
static bool run_spec(JSContext *ctx, const char *code, size_t bytes, const char *name)
{
    JSValue result = JS_Eval(ctx, code, bytes, name, JS_EVAL_TYPE_GLOBAL);
    JSContext *job_ctx;
    int has_fired;

    if (!JS_IsException(result)) {
        JS_FreeValue(ctx, result);
        result = call_global(ctx, "__run");
    }
    while (!JS_IsException(result)) {
        int job = 1;

        JS_FreeValue(ctx, result);
        while (job > 0)
            job = JS_ExecutePendingJob(JS_GetRuntime(ctx), &job_ctx);
        if (job < 0)
            break;
        if (print_reports(ctx))
            return true;
        result = call_global(ctx, "__fireTimer");
        has_fired = JS_IsException(result) ? -1 : JS_ToBool(ctx, result);
        if (has_fired == 0) {
            fprintf(stderr, "a test waits for something that never happens\n");
            JS_FreeValue(ctx, result);
            return false;
        }
    }
    print_exception(ctx);
    return false;
}

/* Lends the spec `bridge.crypto`. 0 or a BRIDGE_E. */
static int lend_crypto(struct bridge *b, JSRuntime *rt, JSContext *ctx)
{
    JSValue global = JS_GetGlobalObject(ctx);
    int error = 0;

    b->rt = rt;
    b->ctx = ctx;
    b->object = JS_NewObject(ctx);
    JS_SetContextOpaque(ctx, b);
#if BRIDGE_HAS_CRYPTO
    error = bridge_crypto_open(b);
#endif
    if (error == 0 && JS_SetPropertyStr(ctx, global, "bridge", JS_DupValue(ctx, b->object)) < 0)
        error = BRIDGE_E_NOMEM;
    JS_FreeValue(ctx, global);
    return error;
}

static void take_crypto_back(struct bridge *b)
{
#if BRIDGE_HAS_CRYPTO
    bridge_crypto_close(b);
#endif
    JS_FreeValue(b->ctx, b->object);
}

static int is_late(JSRuntime *rt, void *opaque)
{
    const int64_t *end_us = opaque;

    (void) rt;
    return bridge_clock_boottime_us() > *end_us;
}

/* The whole file with a zero byte behind it, to be freed with free(), or NULL. */
static char *read_file(const char *path, size_t *bytes)
{
    FILE *file = fopen(path, "rb");
    char *text = NULL;
    long length = -1;

    if (file == NULL)
        return NULL;
    if (fseek(file, 0, SEEK_END) == 0)
        length = ftell(file);
    if (length >= 0 && fseek(file, 0, SEEK_SET) == 0)
        text = malloc((size_t) length + 1);
    if (text != NULL && fread(text, 1, (size_t) length, file) != (size_t) length) {
        free(text);
        text = NULL;
    }
    (void) fclose(file);
    if (text == NULL)
        return NULL;
    text[length] = '\0';
    *bytes = (size_t) length;
    return text;
}

int main(int argc, char **argv)
{
    struct bridge b = {0};
    struct bridge_engine engine = {.b = &b, .heap_bytes_max = SIZE_MAX};
    JSRuntime *rt;
    JSContext *ctx;
    int64_t end_us;
    char *code;
    size_t bytes = 0;
    bool has_reports;

    if (argc != 4) {
        fprintf(stderr, "usage: spec_runner BUNDLE NAME MS_MAX\n");
        return 2;
    }
    b.engine = &engine;
    code = read_file(argv[1], &bytes);
    rt = JS_NewRuntime2(&bridge_engine_memory, &engine);
    ctx = rt != NULL ? JS_NewContext(rt) : NULL;
    if (code == NULL || ctx == NULL) {
        fprintf(stderr, "%s cannot be read\n", argv[1]);
        return 1;
    }
    end_us = bridge_clock_boottime_us() + strtoll(argv[3], NULL, 10) * 1000;
    JS_SetDumpFlags(rt, JS_ABORT_ON_LEAKS);
    JS_SetMaxStackSize(rt, BRIDGE_STACK_BYTES_MAX);
    JS_SetInterruptHandler(rt, is_late, &end_us);
    has_reports = lend_crypto(&b, rt, ctx) == 0 && run_spec(ctx, code, bytes, argv[2]);
    take_crypto_back(&b);
    JS_FreeContext(ctx);
    JS_FreeRuntime(rt);
    bridge_pages_close(&engine.pages);
    free(code);
    return has_reports ? 0 : 1;
}
