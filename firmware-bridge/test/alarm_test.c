/* SPDX-License-Identifier: MIT */

/*
 * Goal: one alarm that comes inside its window, at the end of it unless something else wakes us before; one timer. Method: a
 * script that says when it was called, and other wake-ups made on purpose.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

#define SCRIPT                                                                                                                   \
    "const at = {};"                                                                                                             \
    "globalThis.act = (text) => { const [what, atMs, windowMs] = JSON.parse(text);"                                              \
    "  const time = atMs === null ? null : bridge.monotonicMs() + atMs; at[what] = time;"                                        \
    "  if (what === 'alarm') bridge.setAlarm(time, windowMs); else bridge.setTimer(time); };"                                    \
    "const tell = (what) => say(what + ' ' + (bridge.monotonicMs() >= at[what] ? bridge.monotonicMs() - at[what] : 'early'));"   \
    "bridge.listen({ alarm() { tell('alarm'); }, timer() { tell('timer'); }, look() { say('look'); } });"

static void act(struct bridge *b, const char *json)
{
    JSValue global = JS_GetGlobalObject(b->ctx);
    JSValue function = JS_GetPropertyStr(b->ctx, global, "act");
    JSValue argument = JS_NewString(b->ctx, json);
    JSValue result;

    CHECK_INT(bridge_call(b, function, 1, (JSValueConst *) &argument, &result), 0);
    JS_FreeValue(b->ctx, result);
    JS_FreeValue(b->ctx, argument);
    JS_FreeValue(b->ctx, function);
    JS_FreeValue(b->ctx, global);
}

static struct bridge *make(void)
{
    struct bridge *b;

    CHECK_INT(test_create(&b, SCRIPT, NULL), 0);
    CHECK_INT(bridge_loop_step(b, 0), 0);
    CHECK_INT(bridge_loop_step(b, 0), 0);
    return b;
}

/* How late `what` was, in ms, of the one line said. */
static long late_ms(const char *what)
{
    char format[32];
    long ms = -1;

    (void) snprintf(format, sizeof format, "%s %%ld", what);
    CHECK(sscanf(test_said(), format, &ms) == 1);
    return ms;
}

static void an_alarm_comes_at_the_end_of_its_window_when_nothing_else_wakes(void)
{
    struct bridge *b = make();

    act(b, "[\"alarm\", 20, 60]");
    CHECK_INT(bridge_loop_step(b, -1), 0);
    CHECK(late_ms("alarm") >= 60);
    test_forget();
    /* Once only. */
    CHECK_INT(bridge_loop_step(b, 20), 0);
    CHECK_TEXT(test_said(), "");
    CHECK_INT(bridge_alarm_deadline_ms(b), INT64_MAX);
    bridge_destroy(b);
}

static void any_other_wake_up_inside_the_window_serves_as_well(void)
{
    struct bridge *b = make();

    act(b, "[\"alarm\", 20, 3600000]");
    CHECK_INT(bridge_loop_step(b, 5), 0);
    CHECK_TEXT(test_said(), "");
    act(b, "[\"timer\", 30, 0]");
    test_step_until_said(b, "timer");
    CHECK(strstr(test_said(), "timer") < strstr(test_said(), "alarm"));
    CHECK(strstr(test_said(), "early") == NULL);
    bridge_destroy(b);
}

static void an_alarm_in_the_past_comes_at_the_next_step_and_not_at_once(void)
{
    struct bridge *b = make();

    act(b, "[\"alarm\", -10, 3600000]");
    CHECK_TEXT(test_said(), "");
    CHECK_INT(bridge_loop_step(b, -1), 0);
    CHECK(late_ms("alarm") >= 10);
    bridge_destroy(b);
}

static void an_alarm_is_replaced_and_cancelled(void)
{
    struct bridge *b = make();
    int64_t deadline_ms;

    act(b, "[\"alarm\", 3600000, 1000]");
    deadline_ms = bridge_alarm_deadline_ms(b);
    CHECK(deadline_ms > bridge_clock_boottime_us() / 1000 + 3600000);
    CHECK(deadline_ms <= bridge_clock_boottime_us() / 1000 + 3601000);
    act(b, "[\"alarm\", 10, 0]");
    CHECK_INT(bridge_loop_step(b, -1), 0);
    CHECK(late_ms("alarm") >= 0);
    test_forget();
    act(b, "[\"alarm\", 10, 0]");
    act(b, "[\"alarm\", null, 0]");
    CHECK_INT(bridge_loop_step(b, 40), 0);
    CHECK_TEXT(test_said(), "");
    bridge_destroy(b);
}

static void a_timer_is_replaced_and_cancelled(void)
{
    struct bridge *b = make();

    act(b, "[\"timer\", 3600000]");
    act(b, "[\"timer\", 10]");
    CHECK_INT(bridge_loop_step(b, -1), 0);
    CHECK(late_ms("timer") >= 0);
    test_forget();
    act(b, "[\"timer\", 10]");
    act(b, "[\"timer\", null]");
    CHECK_INT(bridge_loop_step(b, 40), 0);
    CHECK_TEXT(test_said(), "");
    bridge_destroy(b);
}

/* RangeError or TypeError, as the script sees it. */
static void times_out_of_bounds_are_refused(void)
{
    struct bridge *b;

    CHECK_INT(test_create(&b,
                          "for (const bad of [NaN, Infinity, -1, 1.5, 1e17, Number.MAX_SAFE_INTEGER, '5', undefined, 5n, {}])"
                          "  for (const call of [() => bridge.setAlarm(bad, 0), () => bridge.setAlarm(1, bad), () => bridge.setTimer(bad),"
                          "      () => bridge.stayAwake(bad)])"
                          "    try { call(); say('taken: ' + bad); } catch (e) { if (!/^(Range|Type)Error$/.test(e.name)) say(e.name); }"
                          "say('done'); bridge.listen({});",
                          NULL),
              0);
    CHECK_TEXT(test_said(), "done\n");
    CHECK_INT(bridge_alarm_deadline_ms(b), INT64_MAX);
    CHECK_INT(bridge_alarm_awake_until_ms(b), 0);
    bridge_destroy(b);
}

static void the_device_is_asked_to_stay_awake(void)
{
    struct bridge *b;

    CHECK_INT(test_create(&b, "const until = bridge.monotonicMs() + 5000; bridge.stayAwake(until); say(until); bridge.listen({});", NULL), 0);
    CHECK_INT(bridge_alarm_awake_until_ms(b), strtoll(test_said(), NULL, 10));
    bridge_destroy(b);
}

static void the_wall_clock_counts_from_the_build_on(void)
{
    const char *script = "say(bridge.isEpochTrusted()); say(Math.abs(bridge.epochMs() - Date.now()) < 1000); bridge.listen({});";
    struct bridge_options options = {.epoch_trusted = true, .epoch_floor_ms = 1};
    struct bridge *b;

    CHECK_INT(test_create(&b, script, &options), 0);
    bridge_destroy(b);
    options.epoch_floor_ms = INT64_C(4102444800000);
    CHECK_INT(test_create(&b, script, &options), 0);
    bridge_destroy(b);
    options = (struct bridge_options) {.epoch_trusted = false};
    CHECK_INT(test_create(&b, script, &options), 0);
    bridge_destroy(b);
    CHECK_TEXT(test_said(), "true\ntrue\nfalse\ntrue\nfalse\ntrue\n");
}

int main(void)
{
    RUN(an_alarm_comes_at_the_end_of_its_window_when_nothing_else_wakes);
    RUN(any_other_wake_up_inside_the_window_serves_as_well);
    RUN(an_alarm_in_the_past_comes_at_the_next_step_and_not_at_once);
    RUN(an_alarm_is_replaced_and_cancelled);
    RUN(a_timer_is_replaced_and_cancelled);
    RUN(times_out_of_bounds_are_refused);
    RUN(the_device_is_asked_to_stay_awake);
    RUN(the_wall_clock_counts_from_the_build_on);
    return 0;
}
