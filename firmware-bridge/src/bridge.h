/* SPDX-License-Identifier: MIT */

/*
 * bridge: what lends the TypeScript agent a device. Internal; the public face is include/godwit.h.
 *
 * One `struct bridge` is one user agent: one QuickJS runtime, one libwebsockets context, one thread (but see
 * lookup.c). Each concern is one module: it has a `bridge_<module>_open` that adds its functions to the script's
 * `bridge` object and a `bridge_<module>_close` that lets go of everything, in reverse order, also after a failed open.
 * Errors are negative (BRIDGE_E*), 0 is success.
 *
 * Bounds shared with the script are LIMIT_* of script_limits.h, made of src/limits.ts. (A header called limits.h on the
 * include path would hide the C library's.)
 *
 * JSValue ownership stands at each prototype: takes, borrows, or returns new.
 */
#ifndef BRIDGE_H
#define BRIDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libwebsockets.h>

#include "quickjs.h"

/* Errors of the inside; api.c maps them to GODWIT_E*. */
#define BRIDGE_E_NOMEM (-1)
/* The script threw or asked for what is out of bounds: its state is unknown, only closing is left. */
#define BRIDGE_E_SCRIPT (-2)
#define BRIDGE_E_SYSTEM (-3)
#define BRIDGE_E_ARGUMENT (-4)
#define BRIDGE_E_STATE (-5)

/* Script contract, src/quickjs/bridge.d.ts. */
#define BRIDGE_ABI 1

struct bridge;
struct bridge_watch;

/* A script as qjsc made it: bytecode of one of the bundles. The engine in the bridge compiles nothing. */
struct bridge_script {
    const uint8_t *bytecode;
    size_t bytes;
};

/* Copied by bridge_create; every pointer is borrowed for the call only. */
struct bridge_options {
    const struct bridge_script *script;
    /* JSON for the script (src/quickjs/options.ts). */
    const char *options_json;
    /* 32 bytes or NULL. */
    const uint8_t *device_key;
    /* PEM file with certificates trusted instead of the system's bundle; NULL for the system's. Read anew for each connection. */
    const char *ca_file;
    /* PEM certificates trusted besides, or NULL. */
    const char *ca_pem;
    /* Bytes files under `state_directory` may hold together; 0 for no quota. */
    const char *state_directory;
    uint64_t state_quota_bytes;
    /* Bound of the script's heap; 0 for BRIDGE_HEAP_BYTES_MAX. */
    size_t heap_bytes_max;
    /* The wall clock counts only from this time on (build time); ms since 1970. */
    int64_t epoch_floor_ms;
    bool epoch_trusted;
    /* Where log lines go; NULL for nowhere. `text` has no line break. */
    void (*log)(void *user, int priority, const char *text);
    void *user;
    /* Called before the script is evaluated: for modules of the program around (api.c, the daemon). 0 or a BRIDGE_E. */
    int (*extend)(struct bridge *b, void *user);
    /* Called once after that, also when bridge_create fails, while values of the script can still be freed. May be NULL. */
    void (*retract)(struct bridge *b, void *user);
    void *extend_user;
};

struct bridge {
    JSRuntime *rt;
    JSContext *ctx;
    /* The object `bridge` of the script. */
    JSValue object;
    /* What the script listens with, or JS_UNDEFINED. */
    JSValue events;
    struct lws_context *lws;
    /* Client vhost: WebSocket, HTTP. */
    struct lws_vhost *vhost;
    /* Processor time of one event with its jobs. */
    int64_t script_cpu_us_max;
    /* First BRIDGE_E that ended the agent, else 0. Nothing is emitted any more then. */
    int failed;
    bool is_stopping;
    /* Times the loop came back with something to do: the watchdog is fed with them. */
    uint64_t wake_ups;
    int64_t epoch_floor_ms;
    bool epoch_trusted;
    char *ca_file;
    char *ca_pem;
    char *state_directory;
    uint64_t state_quota_bytes;
    void (*log)(void *user, int priority, const char *text);
    void *user;
    /* Modules that are open, in bridge.c's order. */
    size_t modules_open;
    /* Each module's own, NULL while it is closed. */
    struct bridge_engine *engine;
    struct bridge_loop *loop;
    struct bridge_alarm *alarm;
    struct bridge_websockets *websockets;
    struct bridge_http *http;
    struct bridge_mqtt *mqtt;
    struct bridge_tls *tls;
    struct bridge_storage *storage;
    struct bridge_crypto *crypto;
    struct bridge_network *network;
    struct bridge_lookups *lookups;
    /* Of the program around: api.c and the daemon. */
    void *embedding;
    void *daemon;
    void (*retract)(struct bridge *b, void *user);
    void *extend_user;
};

/* ---- bridge.c: puts the modules together ---- */

/* Makes all of it, evaluates the script, runs its jobs. On failure *out is NULL. */
int bridge_create(struct bridge **out, const struct bridge_options *options);
/* NULL is allowed. Never emits. */
void bridge_destroy(struct bridge *b);

/* ---- engine.c, engine_object.c: every way into the script ---- */

int bridge_engine_open(struct bridge *b, size_t heap_bytes_max);
int bridge_engine_run(struct bridge *b, const struct bridge_script *script);
/* From here on nothing is emitted. */
void bridge_engine_stop(struct bridge *b);
void bridge_engine_close(struct bridge *b);
/* The agent has ended with a BRIDGE_E; the first one counts. */
void bridge_fail(struct bridge *b, int error);

/*
 * Calls the script's event `name`, then runs every pending job. Takes the arguments, also on failure. After a failure the
 * bridge is `failed` and this does nothing but free them. Called from within an event (a native function of the script that
 * answers at once) it is queued and called when the outer one is done, so that the script is never entered twice. `name` is a
 * literal. An argument that is JS_EXCEPTION, for want of memory, is a failure: callers need not look.
 */
int bridge_emit(struct bridge *b, const char *name, int argc, JSValue *argv);
/*
 * Calls a function of the script for the program around, then jobs and queued events as bridge_emit does. Borrows function and
 * arguments; *result is new, JS_UNDEFINED on failure. BRIDGE_E_STATE from within an event; what it throws fails the bridge.
 */
int bridge_call(struct bridge *b, JSValueConst function, int argc, JSValueConst *argv, JSValue *result);
/* True within an event, or a call, of the script: in a native, or in what it called. */
bool bridge_is_running(const struct bridge *b);
/* Runs pending jobs; for natives called outside of an event. */
int bridge_run_jobs(struct bridge *b);
/* Adds functions, or one member (takes `value`, which may be JS_EXCEPTION), to the script's `bridge` object. 0 or BRIDGE_E_NOMEM. */
int bridge_add_functions(struct bridge *b, const JSCFunctionListEntry *functions, int count);
int bridge_set_member(struct bridge *b, const char *name, JSValue value);
/* From the context a native was called with. */
struct bridge *bridge_of(JSContext *ctx);

/* ---- arguments.c ---- */

/* Arguments of natives: 0, or -1 with an exception pending. Texts are freed with JS_FreeCString; bytes are borrowed. */
int bridge_arg_bytes(JSContext *ctx, JSValueConst value, const uint8_t **bytes, size_t *count);
int bridge_arg_int64(JSContext *ctx, JSValueConst value, int64_t min, int64_t max, int64_t *out);
/* Borrows a Uint8Array to write to; RangeError when it is shorter than `bytes_min`. 0, or -1 with an exception pending. */
int bridge_arg_target(JSContext *ctx, JSValueConst value, size_t bytes_min, uint8_t **target);
/* Returns a new Uint8Array of zeros, or an exception; *data is borrowed as long as the array lives. bytes.c */
JSValue bridge_new_bytes(JSContext *ctx, size_t bytes, uint8_t **data);
/* "name", "value", … of an array of texts as one malloc'ed vector of malloc'ed strings, NULL-terminated; free with bridge_free_texts. */
char **bridge_arg_texts(JSContext *ctx, JSValueConst value, size_t count_max);
void bridge_free_texts(char **texts);
/* Throws what the engine throws when it is out of memory itself: uncaught, it ends the agent with BRIDGE_E_NOMEM. */
JSValue bridge_throw_memory(JSContext *ctx);
/* Throws Error with `code` = the errno's name. ENOMEM ends the agent likewise. */
JSValue bridge_throw_errno(JSContext *ctx, int error, const char *doing);

/* ---- memory.c: everything of ours and of the engine comes from here, so that tests can make any allocation fail ---- */

void *bridge_malloc(size_t bytes);
void *bridge_calloc(size_t count, size_t bytes);
void *bridge_realloc(void *at, size_t bytes);
char *bridge_strdup(const char *text);
char *bridge_strndup(const char *text, size_t bytes);
void bridge_free(void *at);
/* One block of pages.h, or NULL; and back. */
struct bridge_pages;
void *bridge_page_malloc(struct bridge_pages *pages);
void bridge_page_free(struct bridge_pages *pages, void *at);

/* ---- lookup.c ---- */

/*
 * Whether a thread of this bridge waits for a name server, for somebody or for nobody any more. It goes on behind the bridge's
 * end: a program that ends meanwhile has to do so by _exit(), since exit() takes away what it stands on.
 */
bool bridge_lookups_are_under_way(const struct bridge *b);
void bridge_lookups_close(struct bridge *b);

/* ---- loop.c ---- */

int bridge_loop_open(struct bridge *b);
void bridge_loop_close(struct bridge *b);
/* One turn: waits for at most wait_ms (-1: until something happens, 0: not at all), handles what there is. */
int bridge_loop_step(struct bridge *b, int64_t wait_ms);
/*
 * The present step ends without waiting (any more). For whoever was called by libwebsockets' timers: it would wait on after
 * them, without a look at what they did. bridge_emit and delays call it themselves.
 */
void bridge_loop_hurry(struct bridge *b);
/* From any thread, and from signal handlers of a program that knows what it does. */
void bridge_loop_wake(struct bridge *b);

/* Watches a foreign descriptor, which stays the caller's: a dup() is what the loop holds. Callbacks may remove their watch. */
struct bridge_watch *bridge_watch_add(struct bridge *b, int fd, void (*readable)(void *user), void (*writable)(void *user),
                                      void *user);
/* The same with a descriptor that becomes the loop's, also on failure (NULL), and is closed with the watch. */
struct bridge_watch *bridge_watch_own(struct bridge *b, int fd, void (*readable)(void *user), void (*writable)(void *user),
                                      void *user);
/* `writable` is called once. */
void bridge_watch_want_write(struct bridge_watch *watch);
/* Whether `readable` is called; until told otherwise it is. */
void bridge_watch_want_read(struct bridge_watch *watch, bool is_wanted);
/* NULL is allowed. The loop's descriptor is closed at its next turn. */
void bridge_watch_remove(struct bridge_watch *watch);

/* When the next delay, or time-out of libwebsockets, is due: ms of CLOCK_BOOTTIME, INT64_MAX for none. Not within a step. */
int64_t bridge_loop_due_ms(struct bridge *b);

/* One call after `delay_ms`, on the loop. `delay` lies in the caller's memory and must be cancelled before that goes. */
struct bridge_delay {
    lws_sorted_usec_list_t sul;
    struct bridge *b;
    void (*expired)(void *user);
    void *user;
};
void bridge_delay_start(struct bridge *b, struct bridge_delay *delay, int64_t delay_ms, void (*expired)(void *user), void *user);
void bridge_delay_cancel(struct bridge_delay *delay);

/* ---- clock.c, alarm.c, random.c, text.c, log.c ---- */

int64_t bridge_clock_boottime_us(void);
int bridge_clock_open(struct bridge *b);
int bridge_alarm_open(struct bridge *b);
void bridge_alarm_close(struct bridge *b);
/* True when CLOCK_BOOTTIME_ALARM may be used. */
bool bridge_alarm_can_wake(const struct bridge *b);
/* Earliest time of CLOCK_BOOTTIME (ms) the script has to be called at, with the end of the alarm's window; INT64_MAX for none. */
int64_t bridge_alarm_deadline_ms(const struct bridge *b);
/* Until then, in ms of CLOCK_BOOTTIME, the script wants the device awake; 0 when it never asked. */
int64_t bridge_alarm_awake_until_ms(const struct bridge *b);
/* For loop.c: emits what is due. True when something was. */
bool bridge_alarm_check(struct bridge *b);
int bridge_random_open(struct bridge *b);
/* 0, or BRIDGE_E_SYSTEM: never weak bytes. */
int bridge_random_fill(void *target, size_t bytes);
int bridge_text_open(struct bridge *b);
int bridge_log_open(struct bridge *b);
void bridge_log(struct bridge *b, int priority, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* ---- tls.c: what WebSocket, HTTP and MQTT share: trusted certificates, sessions to resume ---- */

int bridge_tls_open(struct bridge *b);
void bridge_tls_close(struct bridge *b);
/* Prepares an SSL_CTX (OpenSSL): certificates, minimum version, session callbacks. `ssl_ctx` is borrowed. */
int bridge_tls_prepare(struct bridge *b, void *ssl_ctx);

/* ---- websocket.c, http.c, mqtt.c ---- */

/* lws protocols of the client vhost; loop.c puts them together. */
int bridge_websocket_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len);
int bridge_http_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len);
int bridge_websockets_open(struct bridge *b);
void bridge_websockets_close(struct bridge *b);
int bridge_http_open(struct bridge *b);
void bridge_http_close(struct bridge *b);
int bridge_mqtt_open(struct bridge *b);
void bridge_mqtt_close(struct bridge *b);
/* False when `link_id` is none of its links. send/ping/closeLink are those of websocket_natives.c, which ask mqtt.c first. */
bool bridge_mqtt_send(struct bridge *b, int64_t link_id, const uint8_t *frame, size_t bytes, int qos);
bool bridge_mqtt_close_link(struct bridge *b, int64_t link_id);
/* Emits linkClosed. status and retry_after_s: -1 for null. */
void bridge_emit_link_closed(struct bridge *b, int64_t link_id, const char *cause, int http_status, int64_t retry_after_s);
/* Delta-seconds of Retry-After up to RETRY_AFTER_S_MAX, or -1. */
int64_t bridge_parse_retry_after(const char *text, size_t bytes);

/* wss, ws, https, http, mqtts or mqtt URL, split. False for anything else or anything too long. */
struct bridge_url {
    bool is_tls;
    char scheme[8];
    /* Without brackets. */
    char host[256];
    /* As in Host and SNI: with brackets for IPv6, with the port where the URL names one. */
    char authority[272];
    int port;
    /* With query; "/" when there is none. */
    char path[2048];
};
bool bridge_parse_url(const char *text, struct bridge_url *url);

/* ---- storage.c, crypto.c, network.c ---- */

int bridge_storage_open(struct bridge *b);
void bridge_storage_close(struct bridge *b);
int bridge_crypto_open(struct bridge *b);
void bridge_crypto_close(struct bridge *b);
int bridge_network_open(struct bridge *b);
void bridge_network_close(struct bridge *b);

#endif
