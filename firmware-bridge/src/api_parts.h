/* SPDX-License-Identifier: MIT */

/*
 * What the parts of the embedding API share: api.c (life of a handle), api_config.c, api_call.c (into the script and
 * back), api_callbacks.c (to the program), api_values.c and api_text.c (from one form to the other), api_apps.c,
 * api_people.c, api_figures.c (the functions of godwit.h).
 *
 * The script (src/quickjs/embedding.ts) is entered by api_call alone, and never from within itself: what it tells is
 * queued and handed to the program by api_drain, when nothing of it is on the stack.
 */
#ifndef API_PARTS_H
#define API_PARTS_H

#include <pthread.h>

#include "api.h"

/* What the script tells; the names stand in api_call.c, in this order, and in src/quickjs/embedding-bridge.d.ts. */
enum api_what {
    API_SHOW,
    API_CLOSE,
    API_BADGE,
    API_OPEN_URL,
    API_ASK_PERMISSION,
    API_PERMISSION_SETTLED,
    API_ASK_NAVIGATION,
    API_NAVIGATION_SETTLED,
    API_DELIVER,
    API_CANCEL_DELIVERY,
    API_CLICK,
    API_START_APP,
    API_SUBSCRIPTION_CHANGE,
    API_WARNING,
    API_REPORT,
    /* The answer to a request. */
    API_ANSWER
};
#define API_TOLD_COUNT API_ANSWER
extern const char *const api_told_names[API_TOLD_COUNT];

#define API_VALUES_MAX 4
/* Arguments of one call, with its verb. */
#define API_ARGUMENTS_MAX 12
/* A larger struct_size is a mistake, and nothing that far is looked at. */
#define API_STRUCT_BYTES_MAX 4096

/* One thing to be handed to the program. */
struct api_item {
    struct api_item *next;
    enum api_what what;
    int values_count;
    /* Owned. */
    JSValue values[API_VALUES_MAX];
};

/* What `done` is, for a request. */
enum api_kind { API_DONE, API_SUBSCRIPTION_DONE, API_PERMISSION_DONE, API_UNSUBSCRIBED_DONE, API_NOTIFICATIONS_DONE };

/* A request that is not answered yet, then the item that answers it. */
struct api_request {
    struct api_item item;
    /* Of those not answered. */
    struct api_request *next_open;
    int64_t request_id;
    enum api_kind kind;
    union {
        godwit_done plain;
        godwit_subscription_done subscription;
        godwit_permission_done permission;
        godwit_unsubscribed_done unsubscribed;
        godwit_notifications_done notifications;
    } done;
    void *user;
    int result;
    struct godwit_failure failure;
};

/* What became of the call at hand. */
enum api_outcome { API_SILENT, API_RETURNED, API_REFUSED };

enum api_progress { API_STARTING, API_RUNNING, API_START_FAILED, API_STOPPING, API_STOPPED_WELL, API_STOPPED_LATE };

struct godwit {
    struct bridge *b;
    pthread_t thread;
    struct godwit_callbacks callbacks;
    void *user;
    void (*log)(void *user, int priority, const char *text);
    const struct api_program *program;
    enum api_progress progress;
    /* Callbacks on the stack, of which the log's is `is_logging`. */
    int callbacks_running;
    bool is_logging;
    bool is_being_destroyed;
    bool is_network_told;
    bool is_power_told;
    enum api_outcome outcome;
    /* What the call at hand returned, owned. */
    JSValue returned;
    /* Of the last call that was refused, and of the start. */
    struct godwit_failure failure;
    /* To be handed to the program, oldest first. */
    struct api_item *first;
    struct api_item **last;
    struct api_request *open;
    int requests_count;
    int64_t last_request_id;
    struct bridge_delay stop_limit;
    int64_t stop_at_ms;
};

/* ---- api.c ---- */

/* GODWIT_OK when `agent` may be asked by this thread now, in this state; else the error to return. */
int api_enter(struct godwit *agent);
/* Likewise for what goes on while the agent stops. */
int api_enter_running(struct godwit *agent);
/* What a bad argument is answered with: GODWIT_E_ARGUMENT, unless the caller may not call at all. */
int api_argument_error(struct godwit *agent);

/* ---- api_config.c ---- */

/*
 * The script's options as JSON, for bridge_free; NULL with *result = GODWIT_E_. `config` has been taken by api_take,
 * and is checked here; likewise `callbacks`.
 */
char *api_config_json(const struct godwit_config *config, const struct godwit_callbacks *callbacks,
                      const char *program_json, int *result);

/* ---- api_call.c ---- */

/*
 * Arguments being gathered. Allocation failures are remembered, and end in GODWIT_E_NOMEM without entering the script.
 */
struct api_arguments {
    struct godwit *agent;
    int count;
    bool has_failed;
    JSValue values[API_ARGUMENTS_MAX];
};

void api_begin(struct api_arguments *arguments, struct godwit *agent, const char *verb);
void api_add_text(struct api_arguments *arguments, const char *text);
void api_add_number(struct api_arguments *arguments, int64_t number);
void api_add_flag(struct api_arguments *arguments, bool flag);
void api_add_bytes(struct api_arguments *arguments, const uint8_t *bytes, size_t count);
/* Takes `value`. */
void api_add_value(struct api_arguments *arguments, JSValue value);
/*
 * Enters the script. GODWIT_OK: agent->returned holds the result, until the next call. Else GODWIT_E_; takes the
 * arguments.
 */
int api_call(struct api_arguments *arguments);
/* The same for what returns true, or false when there is nothing like that: GODWIT_E_STATE. */
int api_call_flag(struct api_arguments *arguments);

/*
 * A request whose `done` is not NULL-checked; api_begin_request adds its number as first argument. NULL: has_failed, or
 * *result.
 */
struct api_request *api_begin_request(struct api_arguments *arguments, struct godwit *agent, const char *verb,
                                      enum api_kind kind, void *user, int *result);
/*
 * Enters the script. Unless GODWIT_OK, the request is gone. Takes arguments and request, which may be NULL with
 * `result`.
 */
int api_send(struct api_arguments *arguments, struct api_request *request, int result);

/* Adds the natives; as struct bridge_options wants it. */
int api_extend(struct bridge *b, void *user);
/* Removes and returns the oldest, or NULL. */
struct api_item *api_take_item(struct godwit *agent);
/* Of both kinds. */
void api_free_item(struct godwit *agent, struct api_item *item);
/* Ends all that are open or queued with GODWIT_E_SHUTDOWN, and forgets what is queued. */
void api_end_all(struct godwit *agent);
/* The failure of a bridge as GODWIT_E_. */
int api_failed(const struct godwit *agent);

/* ---- api_callbacks.c ---- */

/* Hands the program what is queued at this moment. */
void api_drain(struct godwit *agent);
/* Calls `done` without a result. */
void api_refuse(struct godwit *agent, struct api_request *request, int result);

/* ---- api_values.c ---- */

#define API_TEXTS_MAX 32

/* Texts and values of the script, held while a callback looks at them. */
struct api_held {
    JSContext *ctx;
    int texts_count;
    int values_count;
    const char *texts[API_TEXTS_MAX];
    JSValue values[API_TEXTS_MAX];
    /* Out of memory, or the script told something else than it should. */
    bool has_failed;
};

struct api_notification {
    struct godwit_notification view;
    struct godwit_action actions[GODWIT_ACTIONS_MAX];
    const struct godwit_action *action_list[GODWIT_ACTIONS_MAX];
    uint32_t vibrate_ms[10];
};

struct api_message {
    struct godwit_message view;
    struct api_notification notification;
    struct godwit_badge badge;
};

void api_hold(struct api_held *held, JSContext *ctx);
void api_release(struct api_held *held);
/* Each reads one value, which is borrowed; NULL, 0 or nothing with has_failed. */
const char *api_text_of(struct api_held *held, JSValueConst value);
int64_t api_number_of(struct api_held *held, JSValueConst value);
/* Null where that is null. */
const struct godwit_notification *api_notification_of(struct api_held *held, JSValueConst value,
                                                      struct api_notification *into);
const struct godwit_subscription *api_subscription_of(struct api_held *held, JSValueConst value,
                                                      struct godwit_subscription *into);
const struct godwit_badge *api_badge_of(struct api_held *held, JSValueConst value, struct godwit_badge *into);
void api_navigation_of(struct api_held *held, JSValueConst value, struct godwit_navigation *into);
void api_message_of(struct api_held *held, JSValueConst value, struct api_message *into);
/* The member `name`, as text, number or flag. */
const char *api_member_text(struct api_held *held, JSValueConst object, const char *name);
int64_t api_member_number(struct api_held *held, JSValueConst object, const char *name);

/* ---- api_text.c ---- */

/* True for UTF-8 (RFC 3629) of at most `bytes_max` bytes before its zero, of which there is at least `bytes_min`. */
bool api_is_text(const char *text, size_t bytes_min, size_t bytes_max);
/* True for NULL too. */
bool api_is_text_or_null(const char *text, size_t bytes_max);
bool api_is_owner(const char *owner);
bool api_is_flag(int value);
bool api_is_id(uint64_t value);
/*
 * Copies a struct that begins with struct_size, which is at least `bytes_min`, into `into` of `bytes` bytes; what it is
 * shorter is zero. GODWIT_E_VERSION when it is none, or has members this library does not know.
 */
int api_take(void *into, size_t bytes, size_t bytes_min, const void *from);
/* The other way. `struct_size` of `into` tells how much it takes; what it has beyond is zero. */
int api_give(void *into, size_t bytes_min, const void *from, size_t bytes);
/* Cuts between characters. */
void api_copy_text(char *into, size_t bytes, const char *text);

/* JSON being written. */
struct api_json {
    char *text;
    size_t bytes;
    size_t room;
    bool has_failed;
    bool needs_comma;
};

void api_json_raw(struct api_json *json, const char *text);
void api_json_text(struct api_json *json, const char *text);
/* Each a member, with its comma. NULL texts are left out. */
void api_json_member(struct api_json *json, const char *name);
void api_json_member_text(struct api_json *json, const char *name, const char *text);
void api_json_member_number(struct api_json *json, const char *name, int64_t number);
void api_json_member_flag(struct api_json *json, const char *name, bool flag);

#endif
