/* SPDX-License-Identifier: MIT */

/*
 * daemon: the program's life. Reads the configuration, makes the bridge with what this directory adds, and turns its loop
 * until the script is done or failed. A script that failed is not mended here: the program ends and its supervisor starts it anew.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "../scripts.h"
#include "bench.h"
#include "bus.h"
#include "daemon.h"
#include "daemon_limits.h"
#include "notify.h"

struct daemon *daemon_of(JSContext *ctx)
{
    return bridge_of(ctx)->daemon;
}

int daemon_add_functions(struct daemon *d, const JSCFunctionListEntry *functions, int count)
{
    return JS_SetPropertyFunctionList(d->b->ctx, d->object, functions, count) == 0 ? 0 : BRIDGE_E_NOMEM;
}

/* ---- what the script does with the program ---- */

/* print(text) -> undefined */
static JSValue daemon__js_print(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    const char *text = JS_ToCString(ctx, argv[0]);

    (void) this_val;
    (void) argc;
    if (text == NULL)
        return JS_EXCEPTION;
    /* Whoever read us has seen enough, or the disk it goes to is full: the agent goes on. Only the latter is a failure. */
    if ((fputs(text, stdout) < 0 || fputc('\n', stdout) < 0 || fflush(stdout) != 0) && errno != EPIPE)
        daemon_of(ctx)->lost_output = true;
    JS_FreeCString(ctx, text);
    return JS_UNDEFINED;
}

/* ready(status) -> undefined */
static JSValue daemon__js_ready(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    const char *status = JS_ToCString(ctx, argv[0]);

    (void) this_val;
    (void) argc;
    if (status == NULL)
        return JS_EXCEPTION;
    daemon_notify_ready(&daemon_of(ctx)->notify, status);
    JS_FreeCString(ctx, status);
    return JS_UNDEFINED;
}

/* finish(exitCode) -> undefined */
static JSValue daemon__js_finish(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    int64_t exit_code;

    (void) this_val;
    (void) argc;
    if (bridge_arg_int64(ctx, argv[0], 0, 127, &exit_code))
        return JS_EXCEPTION;
    daemon_of(ctx)->exit_code = (int) exit_code;
    return JS_UNDEFINED;
}

/* Called by bridge_create: the script's object `daemon`. */
static int daemon__extend(struct bridge *b, void *user)
{
    static const JSCFunctionListEntry functions[] = {
        JS_CFUNC_DEF("print", 1, daemon__js_print),
        JS_CFUNC_DEF("ready", 1, daemon__js_ready),
        JS_CFUNC_DEF("finish", 1, daemon__js_finish),
    };
    struct daemon *d = user;
    JSValue global;
    int result;

    d->b = b;
    b->daemon = d;
    d->object = JS_NewObject(b->ctx);
    if (JS_IsException(d->object))
        return BRIDGE_E_NOMEM;
    result = daemon_add_functions(d, functions, 3);
    if (result == 0)
        result = daemon_listeners_open(d);
    if (result == 0)
        result = daemon_socket_open(d);
    if (result == 0)
        result = daemon_processes_open(d);
    if (result == 0)
        result = daemon_bus_open(d);
    if (result == 0 && d->is_doctor)
        result = daemon_doctor_open(d);
    global = JS_GetGlobalObject(b->ctx);
    /* From here on it belongs to the script. */
    if (JS_SetPropertyStr(b->ctx, global, "daemon", d->object) < 0 && result == 0)
        result = BRIDGE_E_NOMEM;
    d->object = JS_UNDEFINED;
    JS_FreeValue(b->ctx, global);
    return result;
}

/* Called by bridge_destroy, also when bridge_create fails. */
static void daemon__retract(struct bridge *b, void *user)
{
    struct daemon *d = user;

    (void) b;
    bridge_delay_cancel(&d->patience);
    bridge_watch_remove(d->signals);
    d->signals = NULL;
    daemon_bus_close(d);
    daemon_processes_close(d);
    daemon_listeners_close(d);
    daemon_socket_close(d);
    d->b = NULL;
}

/* ---- signals ---- */

/* What is on disk holds; nobody waits longer for the rest. */
static void daemon__handle_impatience(void *user)
{
    struct daemon *d = user;

    daemon_log_write(NULL, 4, "godwitd: stopping takes too long: ended without saying goodbye");
    d->exit_code = DAEMON_EXIT_FAILURE;
}

static void daemon__handle_signal(void *user)
{
    struct daemon *d = user;
    struct signalfd_siginfo is;
    int64_t now_ms = bridge_clock_boottime_us() / 1000;

    while (read(d->signal_fd, &is, sizeof is) == sizeof is) {
        if (d->stop_asked_ms < 0) {
            d->stop_asked_ms = now_ms;
            daemon_notify_stopping(&d->notify, DAEMON_STOP_MS_MAX);
            bridge_delay_start(d->b, &d->patience, DAEMON_STOP_MS_MAX, daemon__handle_impatience, d);
            bridge_emit(d->b, "stopAsked", 0, NULL);
        } else if (now_ms - d->stop_asked_ms > DAEMON_ONE_SIGNAL_MS) {
            /* It takes too long for somebody. */
            d->exit_code = 128 + (int) is.ssi_signo;
        }
    }
}

/* SIGTERM and SIGINT come over the loop. The configuration is read at the start only: SIGHUP, which asks for it anew, is ignored. */
static int daemon__open_signals(struct daemon *d)
{
    sigset_t asked;

    sigemptyset(&asked);
    sigaddset(&asked, SIGTERM);
    sigaddset(&asked, SIGINT);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    if (sigprocmask(SIG_BLOCK, &asked, NULL) != 0)
        return BRIDGE_E_SYSTEM;
    d->signal_fd = signalfd(-1, &asked, SFD_CLOEXEC | SFD_NONBLOCK);
    return d->signal_fd < 0 ? BRIDGE_E_SYSTEM : 0;
}

/* ---- the program ---- */

/* CLOCK_MONOTONIC, as the supervisor counts. */
static int64_t daemon__monotonic_ms(void)
{
    struct timespec now;

    return clock_gettime(CLOCK_MONOTONIC, &now) == 0 ? (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000 : 0;
}

/* ms until the script has to be called again, or -1. */
static int64_t daemon__until_turn_ms(struct daemon *d)
{
    int64_t now_ms = bridge_clock_boottime_us() / 1000;
    int64_t at_ms = bridge_alarm_deadline_ms(d->b);

    if (at_ms == INT64_MAX)
        return -1;
    return at_ms > now_ms ? at_ms - now_ms : 0;
}

/* Turns the loop until there is an exit code. */
static int daemon__run(struct daemon *d)
{
    uint64_t wake_ups = 0;

    bridge_emit(d->b, "startAsked", 0, NULL);
    while (d->exit_code < 0 && d->b->failed == 0 && bridge_loop_step(d->b, -1) == 0) {
        if (d->b->wake_ups != wake_ups) {
            daemon_awake_turn(&d->awake, bridge_clock_boottime_us() / 1000, bridge_alarm_awake_until_ms(d->b));
            daemon_notify_turn(&d->notify, daemon__monotonic_ms(), daemon__until_turn_ms(d));
        }
        wake_ups = d->b->wake_ups;
    }
    if (d->exit_code >= 0)
        return d->exit_code;
    daemon_log_write(NULL, 3, "godwitd: the script failed; a restart begins from what is on disk");
    return DAEMON_EXIT_SCRIPT;
}

static const char *daemon__describe(int error)
{
    return error == BRIDGE_E_NOMEM ? "out of memory" : error == BRIDGE_E_SYSTEM ? strerror(errno) : "the script failed";
}

/* Its exit code; `*has_lookups`: threads are left that wait for name servers. */
static int daemon__start(const struct daemon_config *config, bool *has_lookups)
{
    const struct bridge_script agent = {bridge_script_daemon, bridge_script_daemon_size};
    const struct bridge_script doctor = {bridge_script_doctor, bridge_script_doctor_size};
    struct daemon d = {.object = JS_UNDEFINED, .is_doctor = config->is_doctor, .exit_code = -1, .signal_fd = -1, .stop_asked_ms = -1};
    const struct bridge_options options = {
        .script = config->is_doctor ? &doctor : &agent,
        .options_json = config->options_json,
        .device_key = config->has_device_key ? config->device_key : NULL,
        .ca_file = config->ca_file,
        .ca_pem = config->ca_pem,
        .state_directory = config->state_directory,
        .state_quota_bytes = config->state_quota_bytes,
        .epoch_floor_ms = GODWIT_BUILD_EPOCH_S * 1000,
        .epoch_trusted = true,
        .log = daemon_log_write,
        .extend = daemon__extend,
        .retract = daemon__retract,
        .extend_user = &d,
    };
    struct bridge *b = NULL;
    int exit_code = DAEMON_EXIT_FAILURE;
    int result = daemon__open_signals(&d);

    d.awake.fd = -1;
    if (!config->is_doctor) {
        daemon_notify_open(&d.notify, daemon__monotonic_ms());
        (void) daemon_awake_open(&d.awake, DAEMON_WAKE_LOCK_FILE);
    }
    if (result == 0)
        result = bridge_create(&b, &options);
    if (result == 0) {
        d.signals = bridge_watch_add(d.b, d.signal_fd, daemon__handle_signal, NULL, &d);
        result = d.signals == NULL ? BRIDGE_E_NOMEM : 0;
    }
    if (result == 0)
        exit_code = daemon__run(&d);
    else
        fprintf(stderr, "godwitd: cannot start: %s\n", daemon__describe(result));
    *has_lookups = b != NULL && bridge_lookups_are_under_way(b);
    bridge_destroy(b);
    daemon_awake_close(&d.awake);
    if (d.signal_fd >= 0)
        close(d.signal_fd);
    return exit_code == DAEMON_EXIT_OK && d.lost_output ? DAEMON_EXIT_FAILURE : exit_code;
}

/*
 * Whoever starts us may have closed stdin, stdout or stderr: then a journal or a connection would get the number, and be written
 * to as if it were the screen. 0, or -1.
 */
static int daemon__fill_standard_descriptors(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    return fd < 0 ? -1 : close(fd);
}

int daemon_main(int argc, char **argv)
{
    const struct bridge_script script = {bridge_script_config, bridge_script_config_size};
    struct daemon_config config;
    bool has_lookups = false;
    int exit_code;
    int result;

    if (daemon__fill_standard_descriptors() != 0)
        return DAEMON_EXIT_FAILURE;
    if (argc == 2 && strcmp(argv[1], "--version") == 0)
        return puts(GODWIT_VERSION) < 0 ? DAEMON_EXIT_FAILURE : DAEMON_EXIT_OK;
    if (argc > 1 && strcmp(argv[1], "bench") == 0)
        return daemon_bench(argc - 2, argv + 2);
    daemon_log_open();
    result = daemon_config_read(&config, &script, argc > 0 ? argc - 1 : 0, argv + 1);
    if (result != 0) {
        fprintf(stderr, "godwitd: cannot read the configuration: %s\n", daemon__describe(result));
        return DAEMON_EXIT_FAILURE;
    }
    if (config.exit_code >= 0) {
        fputs(config.stdout_text == NULL ? "" : config.stdout_text, stdout);
        fputs(config.stderr_text == NULL ? "" : config.stderr_text, stderr);
        exit_code = config.exit_code;
    } else {
        exit_code = daemon__start(&config, &has_lookups);
    }
    daemon_config_free(&config);
    if (fflush(stdout) != 0 && exit_code == DAEMON_EXIT_OK)
        exit_code = DAEMON_EXIT_FAILURE;
    /* exit() would take the libraries' data from under the resolver. */
    if (has_lookups)
        _exit(exit_code);
    return exit_code;
}
