/* SPDX-License-Identifier: MIT */

/* support: see support.h. */

#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEST_WAIT_MS_MAX 30000

static char test__said[65536];
static char test__logged[65536];

void test_check(bool holds, const char *condition, const char *file, int line)
{
    if (holds)
        return;
    fprintf(stderr, "%s:%d: %s\nsaid: %s\nlogged: %s\n", file, line, condition, test__said, test__logged);
    exit(1);
}

void test_check_text(const char *got, const char *expected, const char *file, int line)
{
    if (strcmp(got, expected) == 0)
        return;
    fprintf(stderr, "got: %s\nexpected: %s\n", got, expected);
    test_check(false, "the texts are the same", file, line);
}

void test_check_int(int64_t got, int64_t expected, const char *expression, const char *file, int line)
{
    if (got == expected)
        return;
    fprintf(stderr, "%s is %lld, not %lld\n", expression, (long long) got, (long long) expected);
    test_check(false, expression, file, line);
}

void test_run(const char *name, void (*body)(void))
{
    test_forget();
    body();
    printf("ok   %s\n", name);
    (void) fflush(stdout);
}

/* Appends, or ends the test: what is cut could hide a difference. */
static void test__append(char *to, size_t bytes_max, const char *text)
{
    size_t length = strlen(to);
    int added = snprintf(to + length, bytes_max - length, "%s\n", text);

    test_check(added >= 0 && (size_t) added < bytes_max - length, "there is room for what is said", __FILE__, __LINE__);
}

static void test__log(void *user, int priority, const char *text)
{
    char line[2048];

    (void) user;
    (void) snprintf(line, sizeof line, "<%d> %s", priority, text);
    test__append(test__logged, sizeof test__logged, line);
}

static JSValue test__say(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    const char *text = JS_ToCString(ctx, argv[0]);

    (void) this_val;
    (void) argc;
    if (text == NULL)
        return JS_EXCEPTION;
    test__append(test__said, sizeof test__said, text);
    JS_FreeCString(ctx, text);
    return JS_UNDEFINED;
}

struct test__extension {
    int (*extend)(struct bridge *b, void *user);
    void *user;
};

static int test__extend(struct bridge *b, void *user)
{
    const struct test__extension *inner = user;
    JSValue global = JS_GetGlobalObject(b->ctx);
    JSValue say = JS_NewCFunction(b->ctx, test__say, "say", 1);
    int result = JS_IsException(say) ? -1 : JS_SetPropertyStr(b->ctx, global, "say", say);

    JS_FreeValue(b->ctx, global);
    if (result < 0) {
        JS_FreeValue(b->ctx, JS_GetException(b->ctx));
        return BRIDGE_E_NOMEM;
    }
    return inner->extend != NULL ? inner->extend(b, inner->user) : 0;
}

struct bridge_script test_compile(const char *source)
{
    struct bridge_script script = {0};
    JSRuntime *rt = JS_NewRuntime();
    JSContext *ctx = rt != NULL ? JS_NewContext(rt) : NULL;
    JSValue function;
    uint8_t *bytes;
    uint8_t *copy;

    CHECK(ctx != NULL);
    function = JS_Eval(ctx, source, strlen(source), "test.js", JS_EVAL_TYPE_GLOBAL | JS_EVAL_FLAG_COMPILE_ONLY);
    CHECK(!JS_IsException(function));
    bytes = JS_WriteObject(ctx, &script.bytes, function, JS_WRITE_OBJ_BYTECODE | JS_WRITE_OBJ_STRIP_SOURCE);
    CHECK(bytes != NULL);
    copy = malloc(script.bytes);
    CHECK(copy != NULL);
    memcpy(copy, bytes, script.bytes);
    js_free(ctx, bytes);
    JS_FreeValue(ctx, function);
    JS_FreeContext(ctx);
    JS_FreeRuntime(rt);
    script.bytecode = copy;
    return script;
}

int test_create(struct bridge **b, const char *source, const struct bridge_options *options)
{
    struct bridge_script script = test_compile(source);
    struct bridge_options own = options != NULL ? *options : (struct bridge_options) {.epoch_trusted = true};
    struct test__extension extension = {.extend = own.extend, .user = own.extend_user};
    int error;

    own.script = &script;
    own.log = test__log;
    own.extend = test__extend;
    own.extend_user = &extension;
    error = bridge_create(b, &own);
    free((void *) (uintptr_t) script.bytecode);
    return error;
}

const char *test_said(void)
{
    return test__said;
}

const char *test_logged(void)
{
    return test__logged;
}

void test_forget(void)
{
    test__said[0] = test__logged[0] = '\0';
}

void test_step_until_said(struct bridge *b, const char *text)
{
    int64_t end_us = bridge_clock_boottime_us() + (int64_t) TEST_WAIT_MS_MAX * 1000;

    while (strstr(test__said, text) == NULL) {
        int64_t left_ms = (end_us - bridge_clock_boottime_us()) / 1000;

        CHECK(left_ms > 0);
        CHECK_INT(bridge_loop_step(b, left_ms), 0);
    }
}
