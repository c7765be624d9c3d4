/* SPDX-License-Identifier: MIT */

/*
 * Goal: the script is entered once at a time, everything it starts is finished before the loop waits again, and whatever goes
 * wrong in it ends the agent with a code. Method: a bridge around a few lines of script, events from C.
 */

#include <string.h>

#include "support.h"

static void a_script_that_listens_is_called_with_events(void)
{
    struct bridge *b;
    JSValue arguments[2];

    CHECK_INT(test_create(&b, "bridge.listen({ sum(a, b) { say(a + b); } });", NULL), 0);
    arguments[0] = JS_NewInt32(b->ctx, 20);
    arguments[1] = JS_NewInt32(b->ctx, 22);
    CHECK_INT(bridge_emit(b, "sum", 2, arguments), 0);
    CHECK_TEXT(test_said(), "42\n");
    bridge_destroy(b);
}

static void jobs_run_before_the_event_returns(void)
{
    struct bridge *b;

    CHECK_INT(test_create(&b,
                          "bridge.listen({ go() { Promise.resolve().then(() => say('job')).then(() => say('its job'));"
                          " say('event'); } });",
                          NULL),
              0);
    CHECK_INT(bridge_emit(b, "go", 0, NULL), 0);
    CHECK_TEXT(test_said(), "event\njob\nits job\n");
    bridge_destroy(b);
}

static JSValue answer_at_once(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    JSValue text = JS_NewString(ctx, "answer");

    (void) this_val;
    (void) argc;
    (void) argv;
    CHECK(bridge_is_running(bridge_of(ctx)));
    CHECK_INT(bridge_emit(bridge_of(ctx), "answered", 1, &text), 0);
    return JS_UNDEFINED;
}

static int add_ask(struct bridge *b, void *user)
{
    static const JSCFunctionListEntry functions[] = {JS_CFUNC_DEF("ask", 0, answer_at_once)};

    (void) user;
    return bridge_add_functions(b, functions, 1);
}

static void an_event_within_an_event_waits_for_its_end_and_its_jobs(void)
{
    const struct bridge_options options = {.extend = add_ask};
    struct bridge *b;

    CHECK_INT(test_create(&b,
                          "bridge.listen({ go() { say('before'); bridge.ask(); Promise.resolve().then(() => say('job'));"
                          " say('after'); }, answered(text) { say(text); } }); bridge.ask(); say('evaluated');",
                          &options),
              0);
    CHECK_TEXT(test_said(), "evaluated\nanswer\n");
    test_forget();
    CHECK_INT(bridge_emit(b, "go", 0, NULL), 0);
    CHECK_TEXT(test_said(), "before\nafter\njob\nanswer\n");
    CHECK(!bridge_is_running(b));
    bridge_destroy(b);
}

static void what_the_script_throws_ends_the_agent(void)
{
    struct bridge *b;

    CHECK_INT(test_create(&b, "bridge.listen({ go() { throw new Error('broken\\nline'); }, after() { say('after'); } });", NULL), 0);
    CHECK_INT(bridge_emit(b, "go", 0, NULL), BRIDGE_E_SCRIPT);
    CHECK_INT(b->failed, BRIDGE_E_SCRIPT);
    CHECK(strstr(test_logged(), "<3> script failed: Error: broken line") != NULL);
    CHECK_INT(bridge_emit(b, "after", 0, NULL), BRIDGE_E_SCRIPT);
    CHECK_INT(bridge_loop_step(b, -1), BRIDGE_E_SCRIPT);
    CHECK_TEXT(test_said(), "");
    bridge_destroy(b);
}

static void an_event_the_script_does_not_know_ends_the_agent(void)
{
    struct bridge *b;

    CHECK_INT(test_create(&b, "bridge.listen({});", NULL), 0);
    CHECK_INT(bridge_emit(b, "alarm", 0, NULL), BRIDGE_E_SCRIPT);
    bridge_destroy(b);
}

static void a_rejection_nobody_handles_ends_the_agent(void)
{
    struct bridge *b;

    CHECK_INT(test_create(&b,
                          "bridge.listen({ late() { const p = Promise.reject(new Error('late'));"
                          " Promise.resolve().then(() => p.catch((e) => say('caught ' + e.message))); },"
                          " never() { Promise.reject(new Error('never')); } });",
                          NULL),
              0);
    CHECK_INT(bridge_emit(b, "late", 0, NULL), 0);
    CHECK_TEXT(test_said(), "caught late\n");
    CHECK_INT(bridge_emit(b, "never", 0, NULL), BRIDGE_E_SCRIPT);
    CHECK(strstr(test_logged(), "never") != NULL);
    bridge_destroy(b);
}

static void a_script_that_fails_or_does_not_listen_makes_no_bridge(void)
{
    struct bridge *b;

    CHECK_INT(test_create(&b, "throw new Error('no');", NULL), BRIDGE_E_SCRIPT);
    CHECK(b == NULL);
    CHECK_INT(test_create(&b, "say('idle');", NULL), BRIDGE_E_SCRIPT);
    CHECK(b == NULL);
    CHECK_INT(test_create(&b, "bridge.listen({}); bridge.listen({});", NULL), BRIDGE_E_SCRIPT);
    CHECK(b == NULL);
}

static void the_heap_and_the_stack_have_bounds(void)
{
    const struct bridge_options options = {.heap_bytes_max = (size_t) 4 * 1024 * 1024};
    struct bridge *b;

    CHECK_INT(test_create(&b, "const held = []; bridge.listen({ grow() { for (;;) held.push(new Uint8Array(65536)); } });", &options),
              0);
    CHECK_INT(bridge_emit(b, "grow", 0, NULL), BRIDGE_E_NOMEM);
    bridge_destroy(b);

    CHECK_INT(test_create(&b, "const dig = (n) => dig(n + 1) + 1; bridge.listen({ dig() { try { dig(0); } catch (e) { say(e.name); } } });",
                          NULL),
              0);
    CHECK_INT(bridge_emit(b, "dig", 0, NULL), 0);
    CHECK_TEXT(test_said(), "RangeError\n");
    bridge_destroy(b);
}

static void a_script_that_runs_away_is_stopped(void)
{
    static const char *const events[] = {"loop", "jobs", "expression"};

    for (size_t i = 0; i < 3; i++) {
        struct bridge *b;

        CHECK_INT(test_create(&b,
                              "const again = () => Promise.resolve().then(again); bridge.listen({"
                              "  loop() { try { for (;;); } catch { say('caught'); } finally { say('finally'); } },"
                              "  jobs() { again(); },"
                              "  expression() { /^(a|a)*$/.test('a'.repeat(60) + 'b'); } });",
                              NULL),
                  0);
        b->script_cpu_us_max = 50000;
        CHECK_INT(bridge_emit(b, events[i], 0, NULL), BRIDGE_E_SCRIPT);
        CHECK_TEXT(test_said(), "");
        bridge_destroy(b);
    }
}

static void the_script_cannot_compile_code(void)
{
    struct bridge *b;

    CHECK_INT(test_create(&b,
                          "try { (0, eval)('1'); } catch (e) { say(e.name); }"
                          "try { new Function('return 1'); } catch (e) { say(e.name); } bridge.listen({});",
                          NULL),
              0);
    CHECK(strstr(test_said(), "Error") != NULL);
    CHECK(strstr(test_said(), "1") == NULL);
    bridge_destroy(b);
}

static void the_program_calls_functions_of_the_script(void)
{
    struct bridge *b;
    JSValue global;
    JSValue function;
    JSValue result;
    int32_t number = 0;

    CHECK_INT(test_create(&b, "globalThis.answer = () => { Promise.resolve().then(() => say('job')); return 42; }; bridge.listen({});", NULL),
              0);
    global = JS_GetGlobalObject(b->ctx);
    function = JS_GetPropertyStr(b->ctx, global, "answer");
    CHECK_INT(bridge_call(b, function, 0, NULL, &result), 0);
    CHECK_INT(JS_ToInt32(b->ctx, &number, result), 0);
    CHECK_INT(number, 42);
    CHECK_TEXT(test_said(), "job\n");
    JS_FreeValue(b->ctx, result);
    JS_FreeValue(b->ctx, function);
    JS_FreeValue(b->ctx, global);
    bridge_destroy(b);
}

int main(void)
{
    RUN(a_script_that_listens_is_called_with_events);
    RUN(jobs_run_before_the_event_returns);
    RUN(an_event_within_an_event_waits_for_its_end_and_its_jobs);
    RUN(what_the_script_throws_ends_the_agent);
    RUN(an_event_the_script_does_not_know_ends_the_agent);
    RUN(a_rejection_nobody_handles_ends_the_agent);
    RUN(a_script_that_fails_or_does_not_listen_makes_no_bridge);
    RUN(the_heap_and_the_stack_have_bounds);
    RUN(a_script_that_runs_away_is_stopped);
    RUN(the_script_cannot_compile_code);
    RUN(the_program_calls_functions_of_the_script);
    return 0;
}
