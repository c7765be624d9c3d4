/* SPDX-License-Identifier: MIT */

/*
 * lookup: see lookup.h.
 *
 * getaddrinfo() waits for name servers, with three that do not answer and a `search` list for a minute, and whoever
 * waits with it is deaf to apps, signals and the watchdog. So it has a thread for as long as it takes; nothing else of
 * the bridge is touched there. It cannot be called off: one that nobody wants any more ends by itself, also behind the
 * bridge's end.
 */

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "bridge_limits.h"
#include "lookup.h"

/* A bridge and its threads; the last of them frees it. */
struct bridge_lookups {
    _Atomic int owners;
};

/* What thread and loop share; the last of both frees it. */
struct bridge__work {
    struct bridge_lookups *lookups;
    _Atomic int owners;
    /* What is found is the loop's from then on. */
    _Atomic bool is_done;
    struct addrinfo *addresses;
    /* Readable when it is done. */
    int told_fd;
    char port[8];
    char host[];
};

struct bridge_lookup {
    /* Of a name, NULL for an address: then `delay` tells. */
    struct bridge__work *work;
    struct bridge_watch *watch;
    struct bridge_delay delay;
    struct addrinfo *addresses;
    void (*found)(void *user, struct addrinfo *addresses);
    void *user;
};

static struct addrinfo *bridge__ask(const char *host, const char *port, int flags)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags | AI_NUMERICSERV};
    struct addrinfo *addresses = NULL;

    return getaddrinfo(host, port, &hints, &addresses) == 0 ? addresses : NULL;
}

static void bridge__lookups_leave(struct bridge_lookups *lookups)
{
    if (atomic_fetch_sub(&lookups->owners, 1) == 1)
        free(lookups);
}

static void bridge__work_leave(struct bridge__work *work)
{
    if (atomic_fetch_sub(&work->owners, 1) > 1)
        return;
    if (work->addresses != NULL)
        freeaddrinfo(work->addresses);
    (void) close(work->told_fd);
    free(work);
}

static void *bridge__work_thread(void *user)
{
    struct bridge__work *work = user;
    struct bridge_lookups *lookups = work->lookups;

    work->addresses = bridge__ask(work->host, work->port, AI_ADDRCONFIG);
    atomic_store(&work->is_done, true);
    (void) eventfd_write(work->told_fd, 1);
    bridge__work_leave(work);
    bridge__lookups_leave(lookups);
    return NULL;
}

/* Owned by both, or NULL. Not from memory.c: the thread may free it when tests have counted what the bridge left. */
static struct bridge__work *bridge__work_new(struct bridge *b, const char *host, const char *port)
{
    const size_t host_bytes = strlen(host) + 1;
    struct bridge__work *work;

    if (b->lookups == NULL && (b->lookups = calloc(1, sizeof *b->lookups)) != NULL)
        b->lookups->owners = 1;
    if (b->lookups == NULL)
        return NULL;
    work = calloc(1, sizeof *work + host_bytes);
    if (work == NULL)
        return NULL;
    work->lookups = b->lookups;
    work->told_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (work->told_fd < 0) {
        free(work);
        return NULL;
    }
    work->owners = 2;
    memcpy(work->host, host, host_bytes);
    (void) snprintf(work->port, sizeof work->port, "%s", port);
    return work;
}

/* False when no thread can be started. Its signals are the program's other threads'. */
static bool bridge__work_start(struct bridge__work *work)
{
    struct bridge_lookups *lookups = work->lookups;
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, before;
    int error;

    /* The bridge is one of the owners. */
    if (atomic_load(&lookups->owners) > BRIDGE_LOOKUPS_MAX || pthread_attr_init(&attributes) != 0)
        return false;
    atomic_fetch_add(&lookups->owners, 1);
    (void) pthread_attr_setstacksize(&attributes, BRIDGE_LOOKUP_STACK_BYTES);
    (void) pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    (void) pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&thread, &attributes, bridge__work_thread, work);
    (void) pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void) pthread_attr_destroy(&attributes);
    if (error != 0)
        bridge__lookups_leave(lookups);
    return error == 0;
}

static void bridge__lookup_told(void *user)
{
    struct bridge_lookup *lookup = user;
    struct addrinfo *addresses = lookup->addresses;
    void (*found)(void *user, struct addrinfo *addresses) = lookup->found;
    void *const finder = lookup->user;

    lookup->addresses = NULL;
    if (lookup->work != NULL) {
        if (!atomic_load(&lookup->work->is_done))
            return;
        addresses = lookup->work->addresses;
        lookup->work->addresses = NULL;
    }
    bridge_lookup_cancel(lookup);
    found(finder, addresses);
}

struct bridge_lookup *bridge_lookup_start(struct bridge *b, const char *host, int port,
                                          void (*found)(void *user, struct addrinfo *addresses), void *user)
{
    struct bridge_lookup *lookup = bridge_calloc(1, sizeof *lookup);
    char service[8];

    if (lookup == NULL)
        return NULL;
    lookup->found = found;
    lookup->user = user;
    (void) snprintf(service, sizeof service, "%u", (unsigned int) port & 0xffffU);
    lookup->addresses = bridge__ask(host, service, AI_NUMERICHOST);
    if (lookup->addresses != NULL) {
        bridge_delay_start(b, &lookup->delay, 0, bridge__lookup_told, lookup);
        return lookup;
    }
    lookup->work = bridge__work_new(b, host, service);
    if (lookup->work != NULL)
        lookup->watch = bridge_watch_add(b, lookup->work->told_fd, bridge__lookup_told, NULL, lookup);
    if (lookup->watch == NULL || !bridge__work_start(lookup->work)) {
        /* No thread has it. */
        if (lookup->work != NULL)
            bridge__work_leave(lookup->work);
        bridge_lookup_cancel(lookup);
        return NULL;
    }
    return lookup;
}

void bridge_lookup_cancel(struct bridge_lookup *lookup)
{
    if (lookup == NULL)
        return;
    bridge_delay_cancel(&lookup->delay);
    bridge_watch_remove(lookup->watch);
    if (lookup->addresses != NULL)
        freeaddrinfo(lookup->addresses);
    if (lookup->work != NULL)
        bridge__work_leave(lookup->work);
    bridge_free(lookup);
}

bool bridge_lookups_are_under_way(const struct bridge *b)
{
    return b->lookups != NULL && atomic_load(&b->lookups->owners) > 1;
}

void bridge_lookups_close(struct bridge *b)
{
    if (b->lookups != NULL)
        bridge__lookups_leave(b->lookups);
    b->lookups = NULL;
}
