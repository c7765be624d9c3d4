/* SPDX-License-Identifier: MIT */

/*
 * loop: libwebsockets' poll loop, which carries everything: its own sockets, foreign descriptors, delays.
 *
 * TLS is not set up here: the first wss link does that (lws_init_vhost_client_ssl), and a device without one never pays for it.
 */

#include <fcntl.h>
#include <unistd.h>

#include "bridge.h"
#include "bridge_limits.h"

#define BRIDGE__WATCH_PROTOCOL "bridge-watch"

/* What libwebsockets ticks with, and how far it may have gone since it was started. */
#define BRIDGE__TICK_US (30 * LWS_US_PER_SEC)
#define BRIDGE__TICK_US_MIN (25 * LWS_US_PER_SEC)

struct bridge_loop {
    struct lws_protocols protocols[4];
    /* Ends a wait that has a bound. */
    lws_sorted_usec_list_t limit;
    bool is_stepping;
    bool is_closing;
};

struct bridge_watch {
    struct bridge *b;
    /* NULL once the descriptor hung up. */
    struct lws *wsi;
    void (*readable)(void *user);
    void (*writable)(void *user);
    void *user;
    /* libwebsockets forgets a wish to write that is told while `writable` runs: it is told again at the next turn. */
    bool is_writable;
    lws_sorted_usec_list_t again;
};

static void bridge__watch_again(lws_sorted_usec_list_t *sul)
{
    struct bridge_watch *watch = lws_container_of(sul, struct bridge_watch, again);

    bridge_watch_want_write(watch);
}

/* lws protocol of watches. The connection's opaque data is its watch, NULL once that was removed. */
static int bridge__watch_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
    struct bridge_watch *watch;

    (void) user;
    (void) in;
    (void) len;
    switch (reason) {
    case LWS_CALLBACK_RAW_RX_FILE:
        watch = lws_get_opaque_user_data(wsi);
        if (watch != NULL && watch->readable != NULL)
            watch->readable(watch->user);
        return lws_get_opaque_user_data(wsi) != NULL ? 0 : -1;
    case LWS_CALLBACK_RAW_WRITEABLE_FILE:
        watch = lws_get_opaque_user_data(wsi);
        if (watch == NULL || watch->writable == NULL)
            return watch != NULL ? 0 : -1;
        watch->is_writable = true;
        watch->writable(watch->user);
        /* It may be gone. */
        watch = lws_get_opaque_user_data(wsi);
        if (watch != NULL)
            watch->is_writable = false;
        return lws_get_opaque_user_data(wsi) != NULL ? 0 : -1;
    case LWS_CALLBACK_RAW_CLOSE_FILE:
        watch = lws_get_opaque_user_data(wsi);
        if (watch == NULL)
            return 0;
        lws_set_opaque_user_data(wsi, NULL);
        watch->wsi = NULL;
        /* It hung up: the owner reads the end, or the error, from its own descriptor. */
        if (!watch->b->loop->is_closing && watch->readable != NULL)
            watch->readable(watch->user);
        return 0;
    default:
        return 0;
    }
}

struct bridge_watch *bridge_watch_own(struct bridge *b, int fd, void (*readable)(void *user), void (*writable)(void *user),
                                      void *user)
{
    struct bridge_watch *watch = bridge_calloc(1, sizeof *watch);
    lws_adopt_desc_t descriptor = {0};

    if (watch == NULL) {
        (void) close(fd);
        return NULL;
    }
    watch->b = b;
    watch->readable = readable;
    watch->writable = writable;
    watch->user = user;
    descriptor.vh = b->vhost;
    descriptor.type = LWS_ADOPT_RAW_FILE_DESC;
    descriptor.fd.filefd = fd;
    descriptor.vh_prot_name = BRIDGE__WATCH_PROTOCOL;
    /* Closes the descriptor when it fails. */
    watch->wsi = lws_adopt_descriptor_vhost_via_info(&descriptor);
    if (watch->wsi == NULL) {
        bridge_free(watch);
        return NULL;
    }
    lws_set_opaque_user_data(watch->wsi, watch);
    return watch;
}

struct bridge_watch *bridge_watch_add(struct bridge *b, int fd, void (*readable)(void *user), void (*writable)(void *user),
                                      void *user)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

    return copy < 0 ? NULL : bridge_watch_own(b, copy, readable, writable, user);
}

void bridge_watch_want_write(struct bridge_watch *watch)
{
    if (watch->wsi == NULL)
        return;
    if (watch->is_writable)
        lws_sul_schedule(watch->b->lws, 0, &watch->again, bridge__watch_again, 1);
    else
        (void) lws_callback_on_writable(watch->wsi);
}

void bridge_watch_want_read(struct bridge_watch *watch, bool is_wanted)
{
    if (watch->wsi != NULL)
        (void) lws_rx_flow_control(watch->wsi, is_wanted);
}

void bridge_watch_remove(struct bridge_watch *watch)
{
    if (watch == NULL)
        return;
    lws_sul_cancel(&watch->again);
    if (watch->wsi != NULL) {
        /* In its own callback it may not be closed at once; at the next turn of the loop it is. */
        lws_set_opaque_user_data(watch->wsi, NULL);
        lws_set_timeout(watch->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
    }
    bridge_free(watch);
}

/* The wait ends; nothing more. */
static void bridge__limit_reached(lws_sorted_usec_list_t *sul)
{
    (void) sul;
}

void bridge_loop_hurry(struct bridge *b)
{
    if (b->loop != NULL && b->loop->is_stepping)
        lws_sul_schedule(b->lws, 0, &b->loop->limit, bridge__limit_reached, 1);
}

static void bridge__delay_expired(lws_sorted_usec_list_t *sul)
{
    struct bridge_delay *delay = lws_container_of(sul, struct bridge_delay, sul);

    bridge_loop_hurry(delay->b);
    delay->expired(delay->user);
}

void bridge_delay_start(struct bridge *b, struct bridge_delay *delay, int64_t delay_ms, void (*expired)(void *user), void *user)
{
    delay->b = b;
    delay->expired = expired;
    delay->user = user;
    lws_sul_schedule(b->lws, 0, &delay->sul, bridge__delay_expired, delay_ms * LWS_US_PER_MS);
}

void bridge_delay_cancel(struct bridge_delay *delay)
{
    if (delay->b != NULL)
        lws_sul_cancel(&delay->sul);
}

int64_t bridge_loop_due_ms(struct bridge *b)
{
    struct bridge_loop *loop = b->loop;
    int64_t now_ms = bridge_clock_boottime_us() / 1000;
    int64_t due_ms = INT64_MAX;

    /* Our own entry leads to the list, which is in order. */
    lws_sul_schedule(b->lws, 0, &loop->limit, bridge__limit_reached, LWS_US_PER_SEC);
    for (lws_dll2_t *at = loop->limit.list.owner->head; at != NULL && due_ms == INT64_MAX; at = at->next) {
        lws_sorted_usec_list_t *entry = lws_container_of(at, lws_sorted_usec_list_t, list);
        int64_t left_us = entry->us - lws_now_usecs();

        if (entry != &loop->limit)
            due_ms = now_ms + (left_us > 0 ? (left_us + 999) / 1000 : 0);
    }
    lws_sul_cancel(&loop->limit);
    return due_ms;
}

int bridge_loop_step(struct bridge *b, int64_t wait_ms)
{
    struct bridge_loop *loop = b->loop;
    int result;

    if (loop->is_stepping)
        return BRIDGE_E_STATE;
    loop->is_stepping = true;
    /* What the program around did meanwhile counts as a wake-up. Something has happened then: no reason to wait. */
    if (bridge_alarm_check(b))
        wait_ms = 0;
    if (b->failed == 0) {
        if (wait_ms > 0)
            lws_sul_schedule(b->lws, 0, &loop->limit, bridge__limit_reached, wait_ms * LWS_US_PER_MS);
        /* Its timeout means: negative for not at all, else until something happens. */
        result = lws_service(b->lws, wait_ms == 0 ? -1 : 0);
        lws_sul_cancel(&loop->limit);
        b->wake_ups++;
        if (result < 0)
            bridge_fail(b, BRIDGE_E_SYSTEM);
        else
            (void) bridge_alarm_check(b);
    }
    loop->is_stepping = false;
    return b->failed;
}

void bridge_loop_wake(struct bridge *b)
{
    lws_cancel_service(b->lws);
}

/* What libwebsockets finds wrong is told by the links' own events. */
static void bridge__discard_log(int level, const char *line)
{
    (void) level;
    (void) line;
}

/*
 * libwebsockets wakes every 30 s, to see whether the process that started it is still there and whether an interface came up
 * that a server could not listen on. We use neither, and an idle device would wake for nothing but that. It is an entry like
 * any other in its list of timers: the only one there, right after the context was made.
 */
static void bridge__stop_tick(struct bridge *b, struct bridge_loop *loop)
{
    lws_usec_t now_us = lws_now_usecs();
    lws_dll2_t *next;

    /* Our own entry leads to the list. */
    lws_sul_schedule(b->lws, 0, &loop->limit, bridge__limit_reached, LWS_US_PER_SEC);
    for (lws_dll2_t *at = loop->limit.list.owner->head; at != NULL; at = next) {
        lws_sorted_usec_list_t *entry = lws_container_of(at, lws_sorted_usec_list_t, list);

        next = at->next;
        if (entry != &loop->limit && entry->us > now_us + BRIDGE__TICK_US_MIN && entry->us <= now_us + BRIDGE__TICK_US)
            lws_sul_cancel(entry);
    }
    lws_sul_cancel(&loop->limit);
}

int bridge_loop_open(struct bridge *b)
{
    struct lws_context_creation_info info = {0};
    struct bridge_loop *loop = bridge_calloc(1, sizeof *loop);
    int count = 0;

    if (loop == NULL)
        return BRIDGE_E_NOMEM;
    b->loop = loop;
#if BRIDGE_HAS_WEBSOCKET
    loop->protocols[count++] = (struct lws_protocols) {.name = "bridge-websocket", .callback = bridge_websocket_callback};
#endif
#if BRIDGE_HAS_HTTP
    loop->protocols[count++] = (struct lws_protocols) {.name = "bridge-http", .callback = bridge_http_callback};
#endif
    loop->protocols[count] = (struct lws_protocols) {.name = BRIDGE__WATCH_PROTOCOL, .callback = bridge__watch_callback};

    lws_set_log_level(0, bridge__discard_log);
    /* Text messages, which only the daemon's app socket takes, are checked where they are read. */
    info.options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS | LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT | LWS_SERVER_OPTION_VALIDATE_UTF8;
    info.fd_limit_per_thread = BRIDGE_DESCRIPTORS_MAX;
    info.max_http_header_data2 = BRIDGE_HTTP_HEAD_BYTES_MAX;
    info.user = b;
    b->lws = lws_create_context(&info);
    if (b->lws == NULL)
        return BRIDGE_E_NOMEM;
    bridge__stop_tick(b, loop);
    info.options = 0;
    info.port = CONTEXT_PORT_NO_LISTEN;
    info.vhost_name = "bridge";
    info.protocols = loop->protocols;
    b->vhost = lws_create_vhost(b->lws, &info);
    return b->vhost != NULL ? 0 : BRIDGE_E_NOMEM;
}

void bridge_loop_close(struct bridge *b)
{
    if (b->loop == NULL)
        return;
    b->loop->is_closing = true;
    if (b->lws != NULL)
        lws_context_destroy(b->lws);
    b->lws = NULL;
    b->vhost = NULL;
    bridge_free(b->loop);
    b->loop = NULL;
}
