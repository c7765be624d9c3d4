/* SPDX-License-Identifier: MIT */

/*
 * bench: what this board spends its time on, as JSON lines. The cases are those of the script (bench/godwitd.ts), which C calls
 * one sample at a time; only what it takes to start is measured here. Needs no network, no clock that is set and no file, so
 * it runs from one copied folder.
 */

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../scripts.h"
#include "bench.h"
#include "daemon.h"
#include "daemon_limits.h"

#define BENCH_SUITE_STARTUP "startup"

extern char **environ;

struct bench {
    const char *suite;
    int rounds;
    struct bridge *b;
    /* The script's step, or JS_UNDEFINED. */
    JSValue step;
    bool lost_output;
};

/* The program itself, with this for its arguments: makes a script ready and ends. */
static const char BENCH_CHILD[] = "--started";

static int64_t bench__now_ns(clockid_t clock)
{
    struct timespec at = {0};

    (void) clock_gettime(clock, &at);
    return (int64_t) at.tv_sec * 1000000000 + at.tv_nsec;
}

/* ---- what the script is lent ---- */

/* nanoseconds() -> number: processor time, so that what else runs on the board counts as little as can be. */
static JSValue bench__js_nanoseconds(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    (void) this_val;
    (void) argc;
    (void) argv;
    return JS_NewFloat64(ctx, (double) bench__now_ns(CLOCK_THREAD_CPUTIME_ID));
}

/* print(line) -> undefined */
static JSValue bench__js_print(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct bench *bench = bridge_of(ctx)->daemon;
    const char *line = JS_ToCString(ctx, argv[0]);

    (void) this_val;
    (void) argc;
    if (line == NULL)
        return JS_EXCEPTION;
    if (puts(line) < 0 || fflush(stdout) != 0)
        bench->lost_output = true;
    JS_FreeCString(ctx, line);
    return JS_UNDEFINED;
}

/* run(step) -> undefined */
static JSValue bench__js_run(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct bench *bench = bridge_of(ctx)->daemon;

    (void) this_val;
    (void) argc;
    JS_FreeValue(ctx, bench->step);
    bench->step = JS_DupValue(ctx, argv[0]);
    return JS_UNDEFINED;
}

/* Called by bridge_create: the script's object `bench`. */
static int bench__extend(struct bridge *b, void *user)
{
    static const JSCFunctionListEntry functions[] = {
        JS_CFUNC_DEF("nanoseconds", 0, bench__js_nanoseconds),
        JS_CFUNC_DEF("print", 1, bench__js_print),
        JS_CFUNC_DEF("run", 1, bench__js_run),
    };
    struct bench *bench = user;
    JSValue object = JS_NewObject(b->ctx);
    JSValue global;
    int result = 0;

    b->daemon = bench;
    if (JS_IsException(object))
        return BRIDGE_E_NOMEM;
    if (JS_SetPropertyFunctionList(b->ctx, object, functions, 3) < 0 ||
        JS_SetPropertyStr(b->ctx, object, "rounds", JS_NewInt32(b->ctx, bench->rounds)) < 0 ||
        JS_SetPropertyStr(b->ctx, object, "suite", JS_NewString(b->ctx, bench->suite)) < 0)
        result = BRIDGE_E_NOMEM;
    global = JS_GetGlobalObject(b->ctx);
    if (JS_SetPropertyStr(b->ctx, global, "bench", object) < 0)
        result = BRIDGE_E_NOMEM;
    JS_FreeValue(b->ctx, global);
    return result;
}

/* Called by bridge_destroy, also when bridge_create fails. */
static void bench__retract(struct bridge *b, void *user)
{
    struct bench *bench = user;

    JS_FreeValue(b->ctx, bench->step);
    bench->step = JS_UNDEFINED;
}

/* ---- cases of the script ---- */

static int bench__run_script(struct bench *bench)
{
    bool goes_on = true;
    int result = 0;

    while (goes_on && result == 0) {
        JSValue answer = JS_UNDEFINED;

        result = bridge_call(bench->b, bench->step, 0, NULL, &answer);
        goes_on = result == 0 && JS_ToBool(bench->b->ctx, answer) == 1;
        JS_FreeValue(bench->b->ctx, answer);
    }
    return result;
}

/* ---- cases of the start ---- */

/* For evaluating the daemon's script, which calls nothing of `daemon` before it is asked to start. */
static int bench__extend_daemon(struct bridge *b, void *user)
{
    JSValue global = JS_GetGlobalObject(b->ctx);
    int result = JS_SetPropertyStr(b->ctx, global, "daemon", JS_NewObject(b->ctx));

    (void) user;
    JS_FreeValue(b->ctx, global);
    return result < 0 ? BRIDGE_E_NOMEM : 0;
}

/* Makes godwitd's engine, loop and script ready to be told to start. Returns 0 or a BRIDGE_E; *took_ns is without the end. */
static int bench__create(int64_t *took_ns)
{
    const struct bridge_script script = {bridge_script_daemon, bridge_script_daemon_size};
    const struct bridge_options options = {
        .script = &script,
        .options_json = "{\"policy\":{\"owners\":[]}}",
        .epoch_floor_ms = GODWIT_BUILD_EPOCH_S * 1000,
        .log = daemon_log_write,
        .extend = bench__extend_daemon,
    };
    struct bridge *b;
    int64_t start_ns = bench__now_ns(CLOCK_MONOTONIC);
    int result = bridge_create(&b, &options);

    *took_ns = bench__now_ns(CLOCK_MONOTONIC) - start_ns;
    bridge_destroy(b);
    return result;
}

/* The same in a program of its own, from its start to its end. */
static int bench__exec(int64_t *took_ns)
{
    char program[] = "godwitd";
    char command[] = "bench";
    char child[sizeof BENCH_CHILD];
    char *argv[] = {program, command, child, NULL};
    int64_t start_ns = bench__now_ns(CLOCK_MONOTONIC);
    int status = 0;
    pid_t pid;

    memcpy(child, BENCH_CHILD, sizeof BENCH_CHILD);
    if (posix_spawn(&pid, "/proc/self/exe", NULL, NULL, argv, environ) != 0)
        return BRIDGE_E_SYSTEM;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return BRIDGE_E_SYSTEM;
    *took_ns = bench__now_ns(CLOCK_MONOTONIC) - start_ns;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : BRIDGE_E_SYSTEM;
}

static int bench__compare(const void *left, const void *right)
{
    const double *a = left;
    const double *b = right;

    return (*a > *b) - (*a < *b);
}

/* That share of the samples is below it, between two of them in proportion. Sorts. */
static double bench__quantile(double *samples, int count, double share)
{
    double at = share * (count - 1);
    int low = (int) at;
    int high = low + 1 < count ? low + 1 : low;

    qsort(samples, (size_t) count, sizeof *samples, bench__compare);
    return samples[low] + (samples[high] - samples[low]) * (at - low);
}

/* A row as bench/harness.ts has it: median, median deviation from it, quartiles. Sorts. */
static void bench__print_row(const char *name, double *samples, int count)
{
    double value = bench__quantile(samples, count, 0.5);
    double low = bench__quantile(samples, count, 0.25);
    double high = bench__quantile(samples, count, 0.75);

    for (int i = 0; i < count; i++)
        samples[i] = samples[i] < value ? value - samples[i] : samples[i] - value;
    printf("{\"suite\":\"" BENCH_SUITE_STARTUP "\",\"case\":\"%s\",\"runtime\":\"godwitd\",\"unit\":\"us\","
           "\"value\":%.3f,\"spread\":%.3f,\"low\":%.3f,\"high\":%.3f,\"rounds\":%d,"
           "\"peer\":null,\"peerValue\":null,\"peerLow\":null,\"peerHigh\":null,\"ratio\":null}\n",
           name, value, bench__quantile(samples, count, 0.5), low, high, count);
}

static int bench__run_startup(int rounds)
{
    static const struct {
        const char *name;
        int (*sample)(int64_t *took_ns);
    } cases[] = {{"create", bench__create}, {"exec", bench__exec}};
    double *samples[] = {NULL, NULL};
    int result = 0;

    for (size_t i = 0; i < 2; i++)
        if ((samples[i] = bridge_calloc((size_t) rounds, sizeof **samples)) == NULL)
            result = BRIDGE_E_NOMEM;
    for (int round = -DAEMON_BENCH_WARM_UP; result == 0 && round < rounds; round++) {
        /* In either order, so that drift hits both alike. */
        size_t first = (size_t) (bench__now_ns(CLOCK_MONOTONIC) / 1000 % 2);

        for (size_t i = 0; result == 0 && i < 2; i++) {
            size_t which = (first + i) % 2;
            int64_t took_ns = 0;

            result = cases[which].sample(&took_ns);
            if (round >= 0)
                samples[which][round] = (double) took_ns / 1000;
        }
    }
    for (size_t i = 0; i < 2; i++) {
        if (result == 0)
            bench__print_row(cases[i].name, samples[i], rounds);
        bridge_free(samples[i]);
    }
    return result;
}

/* ---- the command ---- */

static const char BENCH_USAGE[] = "usage: godwitd bench [--rounds N] [decrypt|parse|wire|journal|startup]\n";

static bool bench__read_arguments(struct bench *bench, int argc, char **argv)
{
    static const char *const suites[] = {"decrypt", "parse", "wire", "journal", BENCH_SUITE_STARTUP};

    for (int i = 0; i < argc; i++) {
        bool is_suite = false;

        if (strcmp(argv[i], "--rounds") == 0 && i + 1 < argc) {
            char *end;
            long rounds = strtol(argv[++i], &end, 10);

            if (*end != '\0' || rounds < DAEMON_BENCH_ROUNDS_MIN || rounds > DAEMON_BENCH_ROUNDS_MAX) {
                fprintf(stderr, "godwitd: --rounds must be a whole number from %d to %d\n", DAEMON_BENCH_ROUNDS_MIN,
                        DAEMON_BENCH_ROUNDS_MAX);
                return false;
            }
            bench->rounds = (int) rounds;
            continue;
        }
        for (size_t j = 0; j < sizeof suites / sizeof suites[0]; j++)
            is_suite = is_suite || strcmp(argv[i], suites[j]) == 0;
        if (!is_suite || bench->suite[0] != '\0') {
            fputs(BENCH_USAGE, stderr);
            return false;
        }
        bench->suite = argv[i];
    }
    return true;
}

/* 0, or a BRIDGE_E. */
static int bench__run(struct bench *bench)
{
    const struct bridge_script script = {bridge_script_bench, bridge_script_bench_size};
    const struct bridge_options options = {
        .script = &script,
        .epoch_floor_ms = GODWIT_BUILD_EPOCH_S * 1000,
        .log = daemon_log_write,
        .extend = bench__extend,
        .retract = bench__retract,
        .extend_user = bench,
    };
    int result = bridge_create(&bench->b, &options);

    if (result == 0) {
        JSValue crypto = JS_GetPropertyStr(bench->b->ctx, bench->b->object, "crypto");
        JSValue name = JS_IsObject(crypto) ? JS_GetPropertyStr(bench->b->ctx, crypto, "name") : JS_UNDEFINED;
        const char *text = JS_IsString(name) ? JS_ToCString(bench->b->ctx, name) : NULL;

        daemon_board_print(text);
        if (text != NULL)
            JS_FreeCString(bench->b->ctx, text);
        JS_FreeValue(bench->b->ctx, name);
        JS_FreeValue(bench->b->ctx, crypto);
        result = bench__run_script(bench);
    }
    bridge_destroy(bench->b);
    if (result == 0 && (bench->suite[0] == '\0' || strcmp(bench->suite, BENCH_SUITE_STARTUP) == 0))
        result = bench__run_startup(bench->rounds);
    return result;
}

int daemon_bench(int argc, char **argv)
{
    struct bench bench = {.suite = "", .rounds = DAEMON_BENCH_ROUNDS_MIN, .step = JS_UNDEFINED};
    int64_t took_ns;

    daemon_log_open();
    if (argc == 1 && strcmp(argv[0], BENCH_CHILD) == 0)
        return bench__create(&took_ns) == 0 ? DAEMON_EXIT_OK : DAEMON_EXIT_SCRIPT;
    if (argc == 1 && strcmp(argv[0], "--help") == 0)
        return fputs(BENCH_USAGE, stdout) < 0 ? DAEMON_EXIT_FAILURE : DAEMON_EXIT_OK;
    if (!bench__read_arguments(&bench, argc, argv))
        return DAEMON_EXIT_USAGE;
    if (bench__run(&bench) != 0) {
        fputs("godwitd: bench: the script failed\n", stderr);
        return DAEMON_EXIT_SCRIPT;
    }
    return bench.lost_output || fflush(stdout) != 0 ? DAEMON_EXIT_FAILURE : DAEMON_EXIT_OK;
}
