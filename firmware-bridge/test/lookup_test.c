/* SPDX-License-Identifier: MIT */

/*
 * Goal: names are looked up while the loop goes on, one that nobody wants any more is told to nobody, and there are never
 * more than a few. Method: the system's resolver, behind a gate of the test's own that a lookup of a name has to pass.
 */

#include <dirent.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bridge_limits.h"
#include "lookup.h"
#include "support.h"

#define SCRIPT "bridge.listen({ look() {} });"

/* Whoever holds it keeps every name waiting. */
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

/* In the place of the C library's, which it calls. */
int getaddrinfo(const char *restrict host, const char *restrict service, const struct addrinfo *restrict hints,
                struct addrinfo **restrict found)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    sigset_t blocked;

    *(void **) &real = dlsym(RTLD_NEXT, "getaddrinfo");
    if (!(hints->ai_flags & AI_NUMERICHOST)) {
        CHECK(pthread_sigmask(SIG_BLOCK, NULL, &blocked) == 0 && sigismember(&blocked, SIGTERM) == 1);
        (void) pthread_mutex_lock(&gate);
        (void) pthread_mutex_unlock(&gate);
    }
    return real(host, service, hints, found);
}

struct finder {
    int times;
    bool has_address;
    int port;
};

static void found(void *user, struct addrinfo *addresses)
{
    struct finder *finder = user;

    finder->times++;
    finder->has_address = addresses != NULL;
    if (addresses == NULL)
        return;
    /* The port stands at the same place in both families. */
    finder->port = ntohs(((struct sockaddr_in *) (void *) addresses->ai_addr)->sin_port);
    freeaddrinfo(addresses);
}

static void step_until_found(struct bridge *b, const struct finder *finder)
{
    while (finder->times == 0)
        CHECK_INT(bridge_loop_step(b, 30000), 0);
}

/* Until the threads of lookups nobody waits for have ended, too. */
static void wait_until_alone(void)
{
    const struct timespec moment = {.tv_nsec = 1000000};
    int threads = 0;

    while (threads != 1) {
        DIR *tasks = opendir("/proc/self/task");

        CHECK(tasks != NULL);
        threads = 0;
        for (const struct dirent *task = readdir(tasks); task != NULL; task = readdir(tasks))
            threads += task->d_name[0] != '.';
        (void) closedir(tasks);
        (void) nanosleep(&moment, NULL);
    }
}

static void an_address_needs_no_resolver(void)
{
    const char *const hosts[] = {"127.0.0.1", "::1"};
    struct bridge *b;

    CHECK_INT(test_create(&b, SCRIPT, NULL), 0);
    (void) pthread_mutex_lock(&gate);
    for (size_t i = 0; i < 2; i++) {
        struct finder finder = {0};

        CHECK(bridge_lookup_start(b, hosts[i], 8443, found, &finder) != NULL);
        CHECK_INT(finder.times, 0);
        step_until_found(b, &finder);
        CHECK(finder.has_address);
        CHECK_INT(finder.port, 8443);
    }
    (void) pthread_mutex_unlock(&gate);
    bridge_destroy(b);
}

static void the_loop_goes_on_while_a_name_is_looked_up(void)
{
    struct finder finder = {0};
    struct bridge *b;

    CHECK_INT(test_create(&b, SCRIPT, NULL), 0);
    (void) pthread_mutex_lock(&gate);
    CHECK(bridge_lookup_start(b, "localhost", 443, found, &finder) != NULL);
    CHECK_INT(bridge_loop_step(b, 0), 0);
    CHECK_INT(bridge_loop_step(b, 20), 0);
    CHECK_INT(finder.times, 0);
    (void) pthread_mutex_unlock(&gate);
    step_until_found(b, &finder);
    CHECK(finder.has_address);
    CHECK_INT(finder.port, 443);
    CHECK_INT(bridge_loop_step(b, 0), 0);
    CHECK_INT(finder.times, 1);
    bridge_destroy(b);
    wait_until_alone();
}

static void a_name_nobody_has_is_told(void)
{
    struct finder finder = {0};
    struct bridge *b;

    CHECK_INT(test_create(&b, SCRIPT, NULL), 0);
    /* No name at all: nobody is asked. */
    CHECK(bridge_lookup_start(b, "300.0.0.1..", 443, found, &finder) != NULL);
    step_until_found(b, &finder);
    CHECK(!finder.has_address);
    bridge_destroy(b);
    wait_until_alone();
}

static void what_is_cancelled_is_told_to_nobody(void)
{
    struct finder finder = {0};
    struct bridge *b;

    CHECK_INT(test_create(&b, SCRIPT, NULL), 0);
    (void) pthread_mutex_lock(&gate);
    bridge_lookup_cancel(bridge_lookup_start(b, "localhost", 443, found, &finder));
    bridge_lookup_cancel(bridge_lookup_start(b, "127.0.0.1", 443, found, &finder));
    bridge_lookup_cancel(NULL);
    CHECK_INT(bridge_loop_step(b, 0), 0);
    /* The thread outlives the bridge. */
    bridge_destroy(b);
    (void) pthread_mutex_unlock(&gate);
    wait_until_alone();
    CHECK_INT(finder.times, 0);
}

static void there_are_never_more_than_a_few(void)
{
    struct bridge_lookup *lookups[BRIDGE_LOOKUPS_MAX];
    struct finder finder = {0};
    struct bridge *b, *other;

    CHECK_INT(test_create(&b, SCRIPT, NULL), 0);
    (void) pthread_mutex_lock(&gate);
    for (size_t i = 0; i < BRIDGE_LOOKUPS_MAX; i++) {
        lookups[i] = bridge_lookup_start(b, "localhost", 443, found, &finder);
        CHECK(lookups[i] != NULL);
    }
    CHECK(bridge_lookup_start(b, "localhost", 443, found, &finder) == NULL);
    /* One nobody wants any more waits on. */
    bridge_lookup_cancel(lookups[0]);
    CHECK(bridge_lookup_start(b, "localhost", 443, found, &finder) == NULL);
    /* Another bridge has as many of its own. */
    CHECK_INT(test_create(&other, SCRIPT, NULL), 0);
    CHECK(!bridge_lookups_are_under_way(other));
    bridge_lookup_cancel(bridge_lookup_start(other, "localhost", 443, found, &finder));
    CHECK(bridge_lookups_are_under_way(other));
    bridge_destroy(other);
    (void) pthread_mutex_unlock(&gate);
    while (finder.times < BRIDGE_LOOKUPS_MAX - 1)
        CHECK_INT(bridge_loop_step(b, 30000), 0);
    wait_until_alone();
    CHECK(!bridge_lookups_are_under_way(b));
    (void) pthread_mutex_lock(&gate);
    CHECK(bridge_lookup_start(b, "localhost", 443, found, &finder) != NULL);
    CHECK(bridge_lookups_are_under_way(b));
    (void) pthread_mutex_unlock(&gate);
    while (finder.times < BRIDGE_LOOKUPS_MAX)
        CHECK_INT(bridge_loop_step(b, 30000), 0);
    wait_until_alone();
    CHECK(!bridge_lookups_are_under_way(b));
    bridge_destroy(b);
}

int main(void)
{
    RUN(an_address_needs_no_resolver);
    RUN(the_loop_goes_on_while_a_name_is_looked_up);
    RUN(a_name_nobody_has_is_told);
    RUN(what_is_cancelled_is_told_to_nobody);
    RUN(there_are_never_more_than_a_few);
    return 0;
}
