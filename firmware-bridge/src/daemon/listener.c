/* SPDX-License-Identifier: MIT */

/* listener: the Unix socket and the ports of loopback that connections of the app socket come in at. What they say is app_socket.c's. */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon.h"
#include "daemon_limits.h"

/* The Unix socket, 127.0.0.1, ::1. */
#define DAEMON__LISTENERS_MAX 3

struct daemon__listener {
    struct daemon_listeners *all;
    int fd;
    bool is_loopback;
    struct bridge_watch *watch;
    struct bridge_delay rest;
};

struct daemon_listeners {
    struct daemon *d;
    struct daemon__listener at[DAEMON__LISTENERS_MAX];
    int count;
    /* Given up for a moment to take, and close, a connection there is no descriptor for; else it would be offered for ever. */
    int reserve_fd;
};

static int daemon__open_reserve(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Takes one connection and drops it. 0, or -1 when that did not work either. */
static int daemon__turn_away(struct daemon_listeners *l, int listen_fd)
{
    int fd;

    if (l->reserve_fd >= 0)
        close(l->reserve_fd);
    fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0)
        close(fd);
    l->reserve_fd = daemon__open_reserve();
    return fd >= 0 ? 0 : -1;
}

static void daemon__rested(void *user)
{
    const struct daemon__listener *listener = user;

    bridge_watch_want_read(listener->watch, true);
}

/* What cannot be taken would be offered again at once, and without end. */
static void daemon__rest(struct daemon__listener *listener)
{
    bridge_watch_want_read(listener->watch, false);
    bridge_delay_start(listener->all->d->b, &listener->rest, DAEMON_ACCEPT_REST_MS, daemon__rested, listener);
}

static void daemon__handle_readable(void *user)
{
    struct daemon__listener *listener = user;
    struct daemon_listeners *l = listener->all;

    /* Not until there are no more: somebody who connects without end would keep the loop from everybody else. */
    for (int taken = 0; taken < DAEMON_ACCEPTS_PER_TURN_MAX; taken++) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd >= 0) {
            daemon_socket_take(l->d, fd, listener->is_loopback);
        } else if (errno == EMFILE || errno == ENFILE) {
            if (daemon__turn_away(l, listener->fd) != 0)
                daemon__rest(listener);
            return;
        } else if (errno == EAGAIN) {
            return;
        } else if (errno == ENOMEM || errno == ENOBUFS) {
            daemon__rest(listener);
            return;
        }
        /* Else this connection is gone: there may be another one. */
    }
}

/* Takes `fd`, also on failure. 0, or an errno. */
static int daemon__add(struct daemon_listeners *l, int fd, bool is_loopback)
{
    struct daemon__listener *listener = &l->at[l->count];
    int error = 0;

    if (l->count == DAEMON__LISTENERS_MAX) {
        error = EMFILE;
        goto out;
    }
    if (listen(fd, SOMAXCONN) != 0) {
        error = errno;
        goto out;
    }
    *listener = (struct daemon__listener){.all = l, .fd = fd, .is_loopback = is_loopback};
    listener->watch = bridge_watch_add(l->d->b, fd, daemon__handle_readable, NULL, listener);
    if (listener->watch == NULL) {
        error = ENOMEM;
        goto out;
    }
    l->count++;
    return 0;
out:
    close(fd);
    return error;
}

/* 0, or an errno. */
static int daemon__listen_unix(struct daemon_listeners *l, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    mode_t mask;
    int error = 0;
    int fd;

    if (strlen(path) >= sizeof address.sun_path)
        return ENAMETOOLONG;
    strcpy(address.sun_path, path);
    if (unlink(path) != 0 && errno != ENOENT)
        return errno;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return errno;
    /* The directory may be open to others: the socket is not, not even for a moment. */
    mask = umask(0177);
    if (bind(fd, (const struct sockaddr *) &address, sizeof address) != 0)
        error = errno;
    umask(mask);
    if (error != 0) {
        close(fd);
        return error;
    }
    return daemon__add(l, fd, false);
}

/* Listens at `*port` of one address of loopback, and puts there which one it is. 0, or an errno. */
static int daemon__listen_at(struct daemon_listeners *l, int family, uint16_t *port)
{
    struct sockaddr_in address4 = {.sin_family = AF_INET, .sin_port = htons(*port)};
    struct sockaddr_in6 address6 = {.sin6_family = AF_INET6, .sin6_port = htons(*port), .sin6_addr = in6addr_loopback};
    struct sockaddr *address = family == AF_INET ? (struct sockaddr *) &address4 : (struct sockaddr *) &address6;
    socklen_t bytes = family == AF_INET ? sizeof address4 : sizeof address6;
    const int on = 1;
    int error;
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return errno;
    address4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        (family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0) ||
        bind(fd, address, bytes) != 0 || getsockname(fd, address, &bytes) != 0) {
        error = errno;
        close(fd);
        return error;
    }
    *port = ntohs(family == AF_INET ? address4.sin_port : address6.sin6_port);
    return daemon__add(l, fd, true);
}

/* An Error with `code` and `address`, thrown. */
static JSValue daemon__throw_listen(JSContext *ctx, int error, const char *address)
{
    JSValue thrown;

    bridge_throw_errno(ctx, error, "listen");
    thrown = JS_GetException(ctx);
    if (JS_IsObject(thrown) && JS_SetPropertyStr(ctx, thrown, "address", JS_NewString(ctx, address)) < 0) {
        JS_FreeValue(ctx, thrown);
        return JS_EXCEPTION;
    }
    return JS_Throw(ctx, thrown);
}

/* listenUnix(path) -> undefined */
static JSValue daemon__js_listen_unix(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    const char *path = JS_ToCString(ctx, argv[0]);
    JSValue result = JS_UNDEFINED;
    int error;

    (void) this_val;
    (void) argc;
    if (path == NULL)
        return JS_EXCEPTION;
    error = daemon__listen_unix(daemon_of(ctx)->listeners, path);
    if (error != 0)
        result = daemon__throw_listen(ctx, error, path);
    JS_FreeCString(ctx, path);
    return result;
}

/* listenLoopback(port) -> port */
static JSValue daemon__js_listen_loopback(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct daemon_listeners *l = daemon_of(ctx)->listeners;
    int64_t wanted;
    uint16_t port;
    int error;

    (void) this_val;
    (void) argc;
    if (bridge_arg_int64(ctx, argv[0], 0, UINT16_MAX, &wanted))
        return JS_EXCEPTION;
    port = (uint16_t) wanted;
    error = daemon__listen_at(l, AF_INET, &port);
    if (error != 0)
        return daemon__throw_listen(ctx, error, "127.0.0.1");
    error = daemon__listen_at(l, AF_INET6, &port);
    /* Somebody else at that port of ::1 would get what is meant for us under the name of localhost. */
    if (error != 0 && error != EAFNOSUPPORT && error != EADDRNOTAVAIL)
        return daemon__throw_listen(ctx, error, "::1");
    return JS_NewInt32(ctx, port);
}

int daemon_listeners_open(struct daemon *d)
{
    static const JSCFunctionListEntry functions[] = {
        JS_CFUNC_DEF("listenUnix", 1, daemon__js_listen_unix),
        JS_CFUNC_DEF("listenLoopback", 1, daemon__js_listen_loopback),
    };
    struct daemon_listeners *l = bridge_calloc(1, sizeof *l);

    if (l == NULL)
        return BRIDGE_E_NOMEM;
    l->d = d;
    l->reserve_fd = daemon__open_reserve();
    d->listeners = l;
    if (l->reserve_fd < 0)
        return BRIDGE_E_SYSTEM;
    return daemon_add_functions(d, functions, sizeof functions / sizeof functions[0]);
}

void daemon_listeners_stop(struct daemon *d)
{
    struct daemon_listeners *l = d->listeners;

    while (l != NULL && l->count > 0) {
        struct daemon__listener *listener = &l->at[--l->count];

        bridge_delay_cancel(&listener->rest);
        bridge_watch_remove(listener->watch);
        close(listener->fd);
    }
}

void daemon_listeners_close(struct daemon *d)
{
    daemon_listeners_stop(d);
    if (d->listeners != NULL && d->listeners->reserve_fd >= 0)
        close(d->listeners->reserve_fd);
    bridge_free(d->listeners);
    d->listeners = NULL;
}
