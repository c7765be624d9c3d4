/* SPDX-License-Identifier: MIT */

/*
 * godwit.h: a Web Push user agent inside of a C or C++ program (libgodwit.a).
 *
 * The agent keeps one connection to a push service for all apps of a device, decrypts their messages, shows declarative
 * ones through the program's callbacks and hands the others to the program's apps. One `struct godwit` is one agent:
 * its state directory, its connection, its event loop.
 *
 * The shape of a program:
 *
 *     struct godwit_config config = {0};
 *     struct godwit_callbacks callbacks = {0};
 *     struct godwit_failure failure = {0};
 *     struct godwit *agent;
 *
 *     config.struct_size = sizeof config;
 *     config.service_url = "https://push.example";
 *     config.state_directory = "/var/lib/phone/push";
 *     callbacks.struct_size = sizeof callbacks;
 *     callbacks.show = my_show;
 *     failure.struct_size = sizeof failure;
 *     if (godwit_create(&agent, &config, &callbacks, my_shell, &failure) != GODWIT_OK)
 *         fail(failure.code, failure.text);
 *     godwit_run(agent);                  // or godwit_step(agent, wait_ms) in a loop of your own
 *     godwit_destroy(agent);
 *
 * Rules that hold for everything below, unless a function says otherwise:
 *
 * Threads. A handle belongs to the thread that made it. Every other thread gets GODWIT_E_THREAD, but for godwit_wake.
 *   There may be several agents, each with a state directory and a thread of its own. Do not use a handle in the child
 *   after fork(). The library starts a thread for each name it resolves, which blocks all signals, calls getaddrinfo()
 *   and ends, perhaps a minute after godwit_destroy: until then a program ends by _exit(), and keeps the library. The
 *   first godwit_create has SIGPIPE ignored, even if it fails, and it stays so; no other signal's handling is changed.
 * Event loop. Everything happens inside of godwit_run and godwit_step. There is no descriptor to poll instead of
 *   calling them: the loop is that of libwebsockets, which watches several descriptors that change. A program with a
 *   loop of its own gives the agent a thread and talks to it over a queue and godwit_wake, or calls godwit_step(agent,
 *   0) from time to time, which costs wake-ups.
 * Callbacks. They are called by godwit_run and godwit_step alone (those of requests that are still open also by
 *   godwit_destroy), on the handle's thread, one at a time, while nothing of the agent is in the midst of anything. So
 *   all of this API may be called from within them, but for godwit_run, godwit_step and godwit_destroy, which refuse
 *   with GODWIT_E_BUSY. The log callback is the exception: it is called in the midst of things, and every function
 *   refuses it. A callback returns soon: meanwhile the agent hears nothing.
 * Requests. A function with a `done` callback answers twice: its return value says whether the request was taken. If it
 *   is GODWIT_OK, `done` is called exactly once, later; otherwise never. On GODWIT_E_SHUTDOWN, from godwit_destroy,
 *   nothing more may be called on the handle. `done` may be NULL where it only tells of success or failure.
 * Ownership. What a caller passes is borrowed until the function returns; nothing of it is kept. What a callback is
 *   given is borrowed until the callback returns. What a caller has to free says so.
 * Texts are UTF-8 with a zero at the end. Malformed ones, surrogates, overlong forms, and those longer than their bound
 *   are refused with GODWIT_E_ARGUMENT. Texts that callbacks get are well-formed; what a sender put into them that is
 *   no character (a zero, a lone surrogate) has become U+FFFD.
 * Structs that a caller fills begin with `struct_size`, which is sizeof the struct as the program was compiled: a
 *   program and a library of different age understand each other, and members that come later are zero for an older
 *   program. Zero has to be the default in each member: clear a struct before filling it. Structs that callbacks get
 *   may grow at their end.
 * Flags are 0 or 1. Times are ms of CLOCK_BOOTTIME unless they are called `epoch`: ms since 1970.
 * Numbers of notifications, deliveries, subscriptions and questions are at least 1, so that 0 is none.
 */
#ifndef GODWIT_H
#define GODWIT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Changes when a program has to be compiled anew, or changed. Growth at the end of structs does not change it. */
#define GODWIT_API_VERSION 1

/* ---- errors ---- */

enum {
    GODWIT_OK = 0,
    /* Of godwit_step, godwit_run: godwit_stop has been carried out. Of `show`: the answer follows. */
    GODWIT_STOPPED = 1,
    GODWIT_LATER = 2,
    /* NULL where it may not be, malformed or too long text, a number out of its range, a negative wait. */
    GODWIT_E_ARGUMENT = -1,
    /*
     * Memory. What was asked for is not done; once it happens inside of the script, the agent ends, see
     * GODWIT_E_FAILED.
     */
    GODWIT_E_NOMEM = -2,
    /* Called by another thread than the handle's. */
    GODWIT_E_THREAD = -3,
    /* Called from within a callback that may not. */
    GODWIT_E_BUSY = -4,
    /* Not in this state: stopping or stopped, or not configured for it. */
    GODWIT_E_STATE = -5,
    /* The agent stopped, or was destroyed, before there was an answer. */
    GODWIT_E_SHUTDOWN = -6,
    /*
     * The agent has failed: it ran out of memory, or has a bug. Messages it had not acknowledged are still at the
     * service. Destroy it, and create it anew.
     */
    GODWIT_E_FAILED = -7,
    /* The system refused; the log says what. */
    GODWIT_E_SYSTEM = -8,
    /* `struct_size` is of no known version, or a member this library does not know is not zero. */
    GODWIT_E_VERSION = -9,
    /* More requests are open than GODWIT_REQUESTS_MAX. */
    GODWIT_E_LIMIT = -10,
    /*
     * The agent said no. struct godwit_failure says why, with one of the ERR_ codes of SPEC.md: that of `done`, of
     * godwit_create, or else godwit_last_failure.
     */
    GODWIT_E_REFUSED = -11,
    /* godwit_stop's time was over before everything was done. */
    GODWIT_E_TIMEOUT = -12
};

/* A plain sentence in static memory for each of them, and for any other number. Any thread. */
const char *godwit_strerror(int result);

/* Whose fault something is. */
enum {
    GODWIT_FAULT_NONE = 0,
    /* The program's, or its configuration's. */
    GODWIT_FAULT_LOCAL = 1,
    /* The push service's, or a sender's. */
    GODWIT_FAULT_REMOTE = 2,
    /* Disk, network, clock or memory. The same may work later. */
    GODWIT_FAULT_ENVIRONMENT = 3
};

/* Why something was refused. Texts hold no secrets. */
struct godwit_failure {
    size_t struct_size;
    int fault;
    /* "ERR_SUBSCRIBE_PERMISSION", …, or "" when there is nothing to say beyond the result. Never renamed. */
    char code[48];
    /* A sentence for a log. May change. */
    char text[232];
};

/*
 * Why the last call on this handle that returned GODWIT_E_REFUSED was refused. Borrowed until the next call on it. NULL
 * for NULL and for other threads.
 */
struct godwit;
const struct godwit_failure *godwit_last_failure(struct godwit *agent);

/* GODWIT_API_VERSION of the library. Any thread. */
uint32_t godwit_api_version(void);
/* Version of Godwit, such as "0.1.0", in static memory. Any thread. */
const char *godwit_version(void);

/* ---- bounds ---- */

/* Bytes of UTF-8 without the zero, where nothing else is said. */
#define GODWIT_URL_BYTES_MAX 1024
#define GODWIT_PATH_BYTES_MAX 3072
#define GODWIT_DEVICE_ID_BYTES_MAX 256
#define GODWIT_OWNER_BYTES_MAX 256
#define GODWIT_WA_TOKEN_BYTES_MAX 256
#define GODWIT_LABEL_BYTES_MAX 128
#define GODWIT_PEM_BYTES_MAX 262144
/* Of a notification's texts, each and together. */
#define GODWIT_NOTIFICATION_BYTES_MAX 30000
#define GODWIT_MQTT_URLS_MAX 4
#define GODWIT_ORIGINS_MAX 100
#define GODWIT_ACTIONS_MAX 2
#define GODWIT_DEVICE_KEY_BYTES 32
#define GODWIT_PUBLIC_KEY_BYTES 65
#define GODWIT_AUTH_BYTES 16
/* Requests whose `done` has not been called yet. */
#define GODWIT_REQUESTS_MAX 256
#define GODWIT_HEARTBEAT_MS_MIN 15000
#define GODWIT_HEARTBEAT_MS_MAX 86400000
#define GODWIT_WINDOW_S_MAX 86400
#define GODWIT_STATE_QUOTA_BYTES_MIN 196608
#define GODWIT_HEAP_BYTES_MIN 2097152
/* Of godwit_step, and of godwit_stop. */
#define GODWIT_WAIT_MS_MAX 86400000
#define GODWIT_NUMBER_MAX 9007199254740991

/* ---- words ---- */

enum { GODWIT_PERMISSION_PROMPT = 0, GODWIT_PERMISSION_GRANTED = 1, GODWIT_PERMISSION_DENIED = 2 };

/* Who may subscribe, where nothing is decided yet. */
enum {
    GODWIT_POLICY_DENY = 0,
    GODWIT_POLICY_GRANT = 1,
    /* A person is asked: callbacks ask_permission, permission_settled; answer with godwit_answer_permission. */
    GODWIT_POLICY_ASK = 2
};

/* RFC 8030 section 5.3. */
enum { GODWIT_URGENCY_VERY_LOW = 0, GODWIT_URGENCY_LOW = 1, GODWIT_URGENCY_NORMAL = 2, GODWIT_URGENCY_HIGH = 3 };

enum {
    /* The agent asks the system (rtnetlink). */
    GODWIT_NETWORK_FOLLOW = 0,
    /*
     * The program tells with godwit_set_network. Until it does there is none, and only a service on loopback is dialed.
     */
    GODWIT_NETWORK_TOLD = 1,
    /* Nobody tells: the agent dials and sees. */
    GODWIT_NETWORK_IGNORED = 2
};

enum { GODWIT_KIND_UNKNOWN = 0, GODWIT_KIND_WIFI = 1, GODWIT_KIND_CELLULAR = 2, GODWIT_KIND_ETHERNET = 3 };

/*
 * How a subscription treats declarative messages: shown without the app, also opaque ones that are, never anything
 * else, never.
 */
enum {
    GODWIT_DECLARATIVE_AUTO = 0,
    GODWIT_DECLARATIVE_AUTO_EXPLAINER = 1,
    GODWIT_DECLARATIVE_ONLY = 2,
    GODWIT_DECLARATIVE_NEVER = 3
};

/* How long a dead connection may go unnoticed: 29, 9, 58 minutes. */
enum { GODWIT_FRESHNESS_NORMAL = 0, GODWIT_FRESHNESS_URGENT = 1, GODWIT_FRESHNESS_RELAXED = 2 };

/* States of the one connection; ARCHITECTURE.md has the diagram. */
enum {
    GODWIT_LINK_IDLE = 0,
    GODWIT_LINK_OFFLINE = 1,
    GODWIT_LINK_TOKEN = 2,
    GODWIT_LINK_DIALING = 3,
    GODWIT_LINK_GREETING = 4,
    GODWIT_LINK_ONLINE = 5,
    GODWIT_LINK_WAITING = 6,
    GODWIT_LINK_STOPPED = 7
};

enum { GODWIT_TRANSPORT_WEBSOCKET = 0, GODWIT_TRANSPORT_MQTT = 1 };

enum { GODWIT_BADGE_NOTHING = 0, GODWIT_BADGE_FLAG = 1, GODWIT_BADGE_NUMBER = 2 };

/* ---- creating ---- */

struct godwit_config {
    size_t struct_size;
    /*
     * URL of the push service, without path: https for one like Godwit's, wss for one that speaks dialect autopush, such as
     * Mozilla's. http and ws for loopback only. Required.
     */
    const char *service_url;
    /* Absolute path of a directory for this agent alone; made with mode 0700. Required. */
    const char *state_directory;
    /* Bytes the files in it may hold together, at least GODWIT_STATE_QUOTA_BYTES_MIN; 0: no bound but the disk's. */
    uint64_t state_quota_bytes;
    /*
     * Names the device, so that a journal on a cloned image is recognised. NULL: /etc/machine-id, else the host name.
     */
    const char *device_id;
    /* GODWIT_DEVICE_KEY_BYTES that seal the journal's secrets; NULL: they lie in files of mode 0600. */
    const uint8_t *device_key;
    /* PEM file of certificates to trust instead of the system's, read for each connection; NULL: the system's. */
    const char *ca_file;
    /* PEM certificates to trust besides; NULL: none. */
    const char *ca_pem;
    /*
     * Where MQTT is to be had when WebSocket is not, in the order to try: "mqtts://push.example:8883". NULL: ports 8883
     * and 443 of a service on port 443, else none. Not NULL with a count of 0: none.
     */
    const char *const *mqtt_urls;
    size_t mqtt_urls_count;
    /* Between signs of life on an idle connection; 0: learned from each network. */
    uint32_t heartbeat_ms;
    /* Low-urgency messages may wait at the service for so long, s. */
    uint32_t window_s;
    /* GODWIT_URGENCY_: messages below stay at the service. */
    int least_urgency;
    /*
     * Flag: godwit_set_power and the network raise it, as in RFC 8030 section 5.3: very-low needs power and Wi-Fi (or
     * Ethernet), low needs either, normal neither, and on a low battery only high comes. Never below least_urgency.
     */
    int least_urgency_by_power;
    /* Plain http URL that answers 204 unless a captive portal is in between; NULL: a dial finds out. */
    const char *portal_probe_url;
    /* Flag: stay connected without a subscription. */
    int keep_connected;
    /* Flag: open http links of other origins. */
    int http_allowed;
    /* Origins whose links open without asking. */
    const char *const *origins_allowed;
    size_t origins_allowed_count;
    /* GODWIT_POLICY_. */
    int permission_policy;
    /* GODWIT_NETWORK_. A service on loopback needs no network and is never watched for. */
    int network;
    /* Flag: the wall clock may be wrong until godwit_set_clock_trusted; nothing expires by it meanwhile. */
    int clock_untrusted;
    /* Bound of the script's heap, at least GODWIT_HEAP_BYTES_MIN; 0: the library's own. Past it the agent fails. */
    size_t heap_bytes_max;
    /*
     * One line, without line break and secrets; priority as in syslog: 3 error, 4 warning, 5 notice, 6 info, 7 debug.
     * Called in the midst of things: call nothing of this API. NULL: nowhere.
     */
    void (*log)(void *user, int priority, const char *text);
};

/* A button of a notification. */
struct godwit_action {
    /* Fit for a screen. */
    const char *title;
    /* The sender's name for it: what an app's click handler is told. */
    const char *action;
    /* Absolute URL of a picture, or NULL. */
    const char *icon;
};

struct godwit_notification {
    uint64_t notification_id;
    /* Web origin or app id it comes from: people have to see it. */
    const char *owner;
    /*
     * One line and several, fit for a screen: bounded, no control characters, nothing that reorders its surroundings.
     */
    const char *title;
    const char *body;
    /* "auto", "ltr" or "rtl". */
    const char *direction;
    /* BCP 47, or "". */
    const char *language;
    /* The sender's name for it, or "". */
    const char *tag;
    /* Absolute URLs, or NULL. */
    const char *icon;
    const char *image;
    const char *badge;
    int64_t timestamp_epoch_ms;
    /* Ms on, off, on, … */
    const uint32_t *vibrate_ms;
    size_t vibrate_count;
    const struct godwit_action *const *actions;
    size_t actions_count;
    /* Flags. */
    int renotify;
    int require_interaction;
    /* 0 or 1; -1 leaves it to the device. */
    int silent;
    /* All members as the sender sent them, `data` included, as JSON text: not fit for a screen. */
    const char *json;
};

/* A link to another origin, which a person has to allow. */
struct godwit_navigation {
    uint64_t question_id;
    uint64_t notification_id;
    const char *owner;
    /* Where it leads: this is what people have to see. */
    const char *host;
};

struct godwit_badge {
    /* GODWIT_BADGE_. */
    int kind;
    /* Above 0 for GODWIT_BADGE_NUMBER, else 0. */
    uint64_t number;
    /* "", a dot, "7", "99+". */
    const char *text;
};

/* A push subscription, for an application server. */
struct godwit_subscription {
    uint64_t subscription_id;
    /* Secret: whoever has it may send. */
    const char *endpoint;
    /* Ms since 1970; -1: none. */
    int64_t expiration_epoch_ms;
    /* GODWIT_PUBLIC_KEY_BYTES, GODWIT_AUTH_BYTES, and GODWIT_PUBLIC_KEY_BYTES or NULL. */
    const uint8_t *p256dh;
    const uint8_t *auth;
    const uint8_t *application_server_key;
    int user_visible_only;
    /*
     * {"endpoint":…,"expirationTime":…,"keys":{…}}: what PushSubscription.toJSON() gives, as application servers take
     * it.
     */
    const char *json;
};

/* A message for an app. */
struct godwit_message {
    uint64_t delivery_id;
    const char *owner;
    uint64_t subscription_id;
    /* Stays the same when the message is delivered again. */
    const char *message_id;
    /* Flag: an earlier run may have handed out the same message. */
    int redelivered;
    /* Decrypted, not always text; NULL for none. */
    const uint8_t *data;
    size_t data_bytes;
    /*
     * The declared notification of a mutable message, or NULL. It is shown unless the app shows another one. Its id is
     * 0.
     */
    const struct godwit_notification *notification;
    /* The declared badge of a mutable message, or NULL. */
    const struct godwit_badge *badge;
};

/* Each may be NULL. `user` is the one of godwit_create. */
struct godwit_callbacks {
    size_t struct_size;

    /*
     * Show a notification. `replaces`: the one whose place it takes, gone from then on, or 0; it may be its own number.
     * `alert` is 0 when it shall not make a sound or pop up again. GODWIT_OK: it is on the screen. GODWIT_LATER:
     * godwit_displayed or godwit_display_failed will tell, within GODWIT_DISPLAY_MS_MAX. Anything else, or NULL: there
     * is no screen; the notification is kept, and comes again with the next start.
     */
    int (*show)(void *user, const struct godwit_notification *notification, uint64_t replaces, int alert);
    /* It goes from the screen. */
    void (*close)(void *user, uint64_t notification_id);
    /* What an app's icon carries from now on. Told again after each start. */
    void (*badge)(void *user, const char *owner, const struct godwit_badge *badge);
    /* A person activated a notification with a link. GODWIT_OK, or anything else when it cannot be opened. */
    int (*open_url)(void *user, const char *owner, const char *url);

    /* Ask a person; at most one question an owner is open. Only with GODWIT_POLICY_ASK. */
    void (*ask_permission)(void *user, const char *owner);
    /* Decided, whichever way: a prompt that is still open goes. `permission` is GODWIT_PERMISSION_. */
    void (*permission_settled)(void *user, const char *owner, int permission);
    /* Ask whether a link may be opened. NULL: none to other origins is. */
    void (*ask_navigation)(void *user, const struct godwit_navigation *question);
    /* Answered, or there is nothing to open any more. */
    void (*navigation_settled)(void *user, uint64_t question_id);

    /*
     * A message for an app that is attached with `handles_push`, one at a time for each. Answer with
     * godwit_delivery_handled or godwit_delivery_failed, now or later. After 30 s (10 s for a mutable one) without an
     * answer it counts as failed.
     */
    void (*deliver)(void *user, const struct godwit_message *message);
    /* It took too long: whatever still comes of it is ignored. */
    void (*cancel_delivery)(void *user, uint64_t delivery_id);
    /*
     * A person activated a notification of an app that has no link. `action` is "" for the notification itself, whose
     * number is 0 here: it may be gone.
     */
    void (*click)(void *user, const struct godwit_notification *notification, const char *action);
    /* Something waits for an app that is not attached. */
    void (*start_app)(void *user, const char *owner);
    /*
     * A subscription changed without the app: revoked, expired, or made anew by the service. Either may be NULL, not
     * both. The app tells its application server.
     */
    void (*subscription_change)(void *user, const char *owner, const struct godwit_subscription *before,
                                const struct godwit_subscription *after);
    /* For the app's developer. `code` is stable, such as "silent-budget-low". */
    void (*warning)(void *user, const char *owner, const char *code, const char *text);

    /* What happens, for logs: the member `type` of `json`, and all of it. No secrets. */
    void (*report)(void *user, const char *type, const char *json);
};

/* A notification that `show` answered with GODWIT_LATER and nobody tells of is not shown after this, ms. */
#define GODWIT_DISPLAY_MS_MAX 5000

/*
 * Makes an agent: opens the state directory, starts the script, tells it to begin. Callbacks are called later, by
 * godwit_step.
 *
 * On success *out is owned by the caller until godwit_destroy; on failure it is NULL. `failure` may be NULL; otherwise
 * its struct_size is set, and it is filled in on failure. `user` is handed to every callback of `config` and
 * `callbacks`, which are copied; `callbacks` may be NULL.
 *
 * GODWIT_E_ARGUMENT (a member out of its range, a relative path; `failure` has no code then), GODWIT_E_VERSION,
 * GODWIT_E_NOMEM, GODWIT_E_SYSTEM; GODWIT_E_REFUSED with ERR_CONFIG (a value that
 * cannot work), ERR_JOURNAL_IN_USE (another agent has the directory), ERR_JOURNAL_IO, ERR_JOURNAL_SEAL (other device
 * key); GODWIT_E_FAILED; GODWIT_E_TIMEOUT (the system did not tell its network).
 */
int godwit_create(struct godwit **out, const struct godwit_config *config, const struct godwit_callbacks *callbacks,
                  void *user, struct godwit_failure *failure);

/*
 * Lets go of everything, after calling the `done` of each open request with GODWIT_E_SHUTDOWN. Without a godwit_stop
 * before, it is like a power cut: nothing acknowledged is lost, but messages that were in an app's hands come again.
 * NULL is allowed.
 *
 * GODWIT_E_THREAD, GODWIT_E_BUSY from within a callback: nothing happened.
 */
int godwit_destroy(struct godwit *agent);

/* ---- running ---- */

/*
 * Runs until the agent is stopped: GODWIT_OK, or GODWIT_E_TIMEOUT when godwit_stop's time was over. GODWIT_E_FAILED,
 * GODWIT_E_THREAD, GODWIT_E_BUSY.
 */
int godwit_run(struct godwit *agent);

/*
 * One turn: waits until something happens, but at most wait_ms (0: not at all, -1: as long as it takes, else at
 * most GODWIT_WAIT_MS_MAX), does it, calls what callbacks there are to be called. May return sooner with nothing done.
 *
 * GODWIT_OK: call it again. GODWIT_STOPPED: stopped, and everything was done; GODWIT_E_TIMEOUT: stopped, and it was
 * not. GODWIT_E_FAILED, GODWIT_E_ARGUMENT, GODWIT_E_THREAD, GODWIT_E_BUSY.
 */
int godwit_step(struct godwit *agent, int64_t wait_ms);

/*
 * Makes a godwit_step that waits, or the next one, return. Any thread, while the handle is not being destroyed; not from
 * a signal handler: give signals to a thread that waits for them, or to signalfd().
 */
int godwit_wake(struct godwit *agent);

/*
 * *in_ms: how long the device may sleep as far as the agent is concerned when no packet comes, 0 when there is
 * something to do, or -1 when there is nothing to wake for. The end of the window its alarm has, or, sooner, the next
 * step of what it has begun, such as a dial. Where the system lets a program wake the machine (CAP_WAKE_ALARM), the
 * agent has done so for its alarm, and this is for programs that arrange it otherwise.
 */
int godwit_next_deadline(struct godwit *agent, int64_t *in_ms);

/*
 * Begins to stop: acknowledges, writes down, says goodbye. Keep calling godwit_step until it returns GODWIT_STOPPED, or
 * GODWIT_E_TIMEOUT after `limit_ms` (at least 1). Again: only makes the limit shorter. From then on requests are
 * refused with GODWIT_E_STATE, and open ones end with ERR_SHUTDOWN.
 */
int godwit_stop(struct godwit *agent, uint32_t limit_ms);

/* ---- the device ---- */

struct godwit_network {
    size_t struct_size;
    /* Stable for one network: "wifi home", "cell 262-01". Learned timeouts are kept by it. Required. */
    const char *label;
    /* GODWIT_KIND_. */
    int kind;
    /* Flags. `has_new_address`: the label is the same, but addresses links used are gone. */
    int metered;
    int has_new_address;
};

/* The network the device is on; NULL: none. GODWIT_E_STATE without GODWIT_NETWORK_TOLD. */
int godwit_set_network(struct godwit *agent, const struct godwit_network *network);

/* Flags. Only with least_urgency_by_power, else GODWIT_E_STATE. Until it is called: charging, battery not low. */
int godwit_set_power(struct godwit *agent, int charging, int battery_low);

/* Flag: 1 once the wall clock was set from a source that is right, 0 when it may be wrong again. */
int godwit_set_clock_trusted(struct godwit *agent, int trusted);

/* The device woke from sleep: the agent looks at the clock. Only needed where timers do not count sleep. */
int godwit_resumed(struct godwit *agent);

/* ---- for apps: `owner` is a web origin ("https://news.example") or an app id ("mail"), in lower case ---- */

/* `failure` is NULL on GODWIT_OK. */
typedef void (*godwit_done)(void *user, int result, const struct godwit_failure *failure);
/* `subscription` is NULL unless there is one. */
typedef void (*godwit_subscription_done)(void *user, int result, const struct godwit_failure *failure,
                                         const struct godwit_subscription *subscription);
/* `permission` is GODWIT_PERMISSION_; only on GODWIT_OK. */
typedef void (*godwit_permission_done)(void *user, int result, const struct godwit_failure *failure, int permission);
/* `existed` is a flag; only on GODWIT_OK. */
typedef void (*godwit_unsubscribed_done)(void *user, int result, const struct godwit_failure *failure, int existed);
/* An array of `count` pointers. */
typedef void (*godwit_notifications_done)(void *user, int result, const struct godwit_failure *failure,
                                          const struct godwit_notification *const *notifications, size_t count);

/*
 * The app is there, from now on: clicks, subscription changes and, with the flag `handles_push`, messages come to the
 * callbacks. Again: changes the flag. Messages of an app that is there without it are dealt with as if it could not
 * handle any: attach with the right flag. GODWIT_E_REFUSED: `owner` is none (ERR_OWNER).
 */
int godwit_app_attach(struct godwit *agent, const char *owner, int handles_push);
/* The app is gone. A message in its hands has failed. */
int godwit_app_detach(struct godwit *agent, const char *owner);

struct godwit_subscribe_options {
    size_t struct_size;
    /* GODWIT_PUBLIC_KEY_BYTES of the application server, or NULL: then anybody who has the endpoint may send. */
    const uint8_t *application_server_key;
    /* Names one of several registrations of the owner; NULL: its only one. */
    const char *wa_token;
    /* Flag. */
    int user_visible_only;
    /* GODWIT_DECLARATIVE_, GODWIT_FRESHNESS_. */
    int declarative;
    int freshness;
};

/* Subscribes, or finds the subscription there is. `options` may be NULL. Answered within 30 s, connection or not. */
int godwit_app_subscribe(struct godwit *agent, const char *owner, const struct godwit_subscribe_options *options,
                         godwit_subscription_done done, void *user);
/* The subscription there is, or none. `wa_token` may be NULL. */
int godwit_app_get_subscription(struct godwit *agent, const char *owner, const char *wa_token,
                                godwit_subscription_done done, void *user);
/* Ends one of the owner's subscriptions, here at once, and at the service as soon as it can be reached. */
int godwit_app_unsubscribe(struct godwit *agent, const char *owner, uint64_t subscription_id,
                           godwit_unsubscribed_done done, void *user);

/* What is decided, into *permission, at once. */
int godwit_app_permission(struct godwit *agent, const char *owner, int *permission);
/* Asks the person when nothing is decided yet. GODWIT_PERMISSION_PROMPT: they left it open. */
int godwit_app_request_permission(struct godwit *agent, const char *owner, godwit_permission_done done, void *user);

/* The app's answer to `deliver`. GODWIT_E_STATE: there is no such delivery, or not any more. */
int godwit_delivery_handled(struct godwit *agent, uint64_t delivery_id);
int godwit_delivery_failed(struct godwit *agent, uint64_t delivery_id);

struct godwit_action_options {
    size_t struct_size;
    const char *action;
    const char *title;
    /* URL or NULL: activating it then is a click for the app. */
    const char *navigate;
    const char *icon;
};

struct godwit_notification_options {
    size_t struct_size;
    /* NULL: none. Relative URLs count from the owner's origin. */
    const char *body;
    const char *tag;
    const char *language;
    const char *direction;
    const char *navigate;
    const char *icon;
    const char *image;
    const char *badge;
    /* Flags. */
    int renotify;
    int require_interaction;
    int silent;
    /* At most GODWIT_ACTIONS_MAX. */
    const struct godwit_action_options *const *actions;
    size_t actions_count;
    /* Any JSON text for the member `data`; NULL: null. */
    const char *data_json;
};

/*
 * Shows a notification of the app's own. Within a delivery, pass its number: it takes the place of what a mutable
 * message declared. 0 outside of one. `options` may be NULL.
 */
int godwit_app_show_notification(struct godwit *agent, const char *owner, uint64_t delivery_id, const char *title,
                                 const struct godwit_notification_options *options, godwit_done done, void *user);
/* `kind` is GODWIT_BADGE_; `number` at most GODWIT_NUMBER_MAX, 0 unless it is a number. */
int godwit_app_set_badge(struct godwit *agent, const char *owner, uint64_t delivery_id, int kind, uint64_t number,
                         godwit_done done, void *user);
/* The app's own, oldest first; with a tag only those. `tag` may be NULL. */
int godwit_app_get_notifications(struct godwit *agent, const char *owner, const char *tag,
                                 godwit_notifications_done done, void *user);
/* The app takes a notification of its own away; one nobody can have seen yet stays up to 30 s. */
int godwit_app_close_notification(struct godwit *agent, const char *owner, uint64_t notification_id, godwit_done done,
                                  void *user);

/* ---- for people ---- */

/*
 * A person chose a notification: -1 for itself, else the index of one of its actions. Nothing happens when it is gone.
 */
int godwit_activate(struct godwit *agent, uint64_t notification_id, int action);
/* A person closed a notification. */
int godwit_dismiss(struct godwit *agent, uint64_t notification_id);
/*
 * What became of a `show` that was answered with GODWIT_LATER; the oldest of that notification. GODWIT_E_STATE: none is
 * open.
 */
int godwit_displayed(struct godwit *agent, uint64_t notification_id);
int godwit_display_failed(struct godwit *agent, uint64_t notification_id);

/* The answer to ask_permission: GODWIT_PERMISSION_PROMPT leaves it open. GODWIT_E_STATE: the question is not open. */
int godwit_answer_permission(struct godwit *agent, const char *owner, int permission);
/* The answer to ask_navigation, a flag. GODWIT_E_STATE: the question is not open. */
int godwit_answer_navigation(struct godwit *agent, uint64_t question_id, int allowed);

/* What people decide in settings. `done` is called once it is on disk. Where `owner` may be NULL, that is everybody. */

/* Anything but granted ends the owner's subscriptions; GODWIT_PERMISSION_PROMPT asks again next time. */
int godwit_set_permission(struct godwit *agent, const char *owner, int permission, godwit_done done, void *user);
/* Flag: messages wait at the service until their TTL. `owner` may be NULL. */
int godwit_set_paused(struct godwit *agent, const char *owner, int paused, godwit_done done, void *user);
/* Flag: ends the subscriptions, here and at the service, and lets none be made. `owner` may be NULL. */
int godwit_set_opted_out(struct godwit *agent, const char *owner, int opted_out, godwit_done done, void *user);
/* Subscriptions, messages, notifications and badge go; what was decided stays. */
int godwit_clear_data(struct godwit *agent, const char *owner, godwit_done done, void *user);
/* Makes the owner known. Flag `startable`: the program starts it when start_app asks, so messages may wait for it. */
int godwit_install(struct godwit *agent, const char *owner, int startable, godwit_done done, void *user);
/* Like clear_data, and the owner is forgotten. */
int godwit_uninstall(struct godwit *agent, const char *owner, godwit_done done, void *user);
int godwit_remove_subscription(struct godwit *agent, uint64_t subscription_id, godwit_done done, void *user);
/* Everything goes; the service is told to forget the device as soon as it can be reached. */
int godwit_factory_reset(struct godwit *agent, godwit_done done, void *user);

/* ---- figures ---- */

/* Counts are since the start. -1: none, or not known. */
struct godwit_stats {
    size_t struct_size;
    /* GODWIT_LINK_, GODWIT_TRANSPORT_. */
    int32_t link;
    int32_t transport;
    /* Flags. */
    int32_t is_behind_portal;
    int32_t is_paused;
    int32_t is_opted_out;
    int32_t is_journal_failing;
    /* GODWIT_URGENCY_ that counts at present. */
    int32_t least_urgency;
    /* Flag: the agent knows the idle timeout of this network. */
    int32_t is_learned;
    uint64_t subscriptions;
    uint64_t notifications;
    uint64_t messages_waiting;
    uint64_t messages_received;
    uint64_t messages_delivered;
    uint64_t messages_shown;
    uint64_t messages_dropped;
    /* Of our own making, and by frames that came in. */
    uint64_t wake_ups;
    uint64_t wire_bytes;
    uint64_t links_lost;
    uint64_t tries_failed;
    /* Time without a connection although one was wanted and there was a network. */
    uint64_t deaf_ms;
    int64_t link_since_epoch_ms;
    int64_t retry_in_ms;
    int64_t alarm_in_ms;
    int64_t heartbeat_ms;
    int64_t round_trip_ms;
    int64_t last_received_ago_ms;
    int64_t last_message_ago_ms;
    /* Times the loop came back with something to do. */
    uint64_t loop_turns;
};

/* Fills in *stats, up to its struct_size. These three: GODWIT_E_STATE once the agent has stopped, GODWIT_E_FAILED. */
int godwit_get_stats(struct godwit *agent, struct godwit_stats *stats);
/*
 * All of it as JSON text, members as `godwit status --json` and `godwit stats --json` have them. *out: for godwit_free.
 */
int godwit_status_json(struct godwit *agent, char **out);
int godwit_stats_json(struct godwit *agent, char **out);
/* NULL is allowed. Any thread. */
void godwit_free(void *text);

#ifdef __cplusplus
}
#endif

#endif
