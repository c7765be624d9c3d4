/* SPDX-License-Identifier: MIT */

/*
 * Goal: the loop wakes for what happens and for nothing else; foreign descriptors stay their owners'. Method: pipes and socket
 * pairs stand for foreign descriptors; what the kernel counts (context switches, descriptors) is compared before and after.
 */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support.h"

#define SCRIPT "bridge.listen({ alarm() {}, timer() { say('timer'); }, look() {} });"

struct counter {
    struct bridge *b;
    struct bridge_watch *watch;
    int fd;
    int reads;
    int writes;
    /* Writes that are wished for while one is told. */
    int more_writes;
    bool removes_itself;
    bool has_ended;
};

static void readable(void *user)
{
    struct counter *counter = user;
    char bytes[16];
    ssize_t count = read(counter->fd, bytes, sizeof bytes);

    counter->reads++;
    if (count <= 0)
        counter->has_ended = true;
    if (counter->removes_itself) {
        bridge_watch_remove(counter->watch);
        counter->watch = NULL;
    }
}

static void writable(void *user)
{
    struct counter *counter = user;

    counter->writes++;
    if (counter->more_writes-- > 0)
        bridge_watch_want_write(counter->watch);
}

static int64_t now_ms(void)
{
    return bridge_clock_boottime_us() / 1000;
}

static void a_foreign_descriptor_is_told_of_and_stays_its_owners(void)
{
    struct counter counter = {0};
    struct bridge *b;
    int pair[2];

    CHECK_INT(test_create(&b, SCRIPT, NULL), 0);
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    counter.fd = pair[0];
    counter.watch = bridge_watch_add(b, pair[0], readable, writable, &counter);
    CHECK(counter.watch != NULL);
    CHECK_INT(write(pair[1], "x", 1), 1);
    while (counter.reads == 0)
        CHECK_INT(bridge_loop_step(b, -1), 0);
    CHECK_INT(counter.reads, 1);
    CHECK_INT(counter.writes, 0);

    bridge_watch_want_write(counter.watch);
    while (counter.writes == 0)
        CHECK_INT(bridge_loop_step(b, -1), 0);
    CHECK_INT(bridge_loop_step(b, 0), 0);
    CHECK_INT(counter.writes, 1);

    counter.more_writes = 2;
    bridge_watch_want_write(counter.watch);
    while (counter.writes < 4)
        CHECK_INT(bridge_loop_step(b, -1), 0);
    CHECK_INT(bridge_loop_step(b, 0), 0);
    CHECK_INT(counter.writes, 4);

    bridge_watch_remove(counter.watch);
    CHECK_INT(bridge_loop_step(b, 0), 0);
    CHECK_INT(write(pair[1], "y", 1), 1);
    CHECK_INT(bridge_loop_step(b, 0), 0);
    CHECK_INT(counter.reads, 1);
    /* Still open, and with the byte in it. */
    CHECK_INT(fcntl(pair[0], F_GETFD) >= 0, 1);
    readable(&counter);
    CHECK(!counter.has_ended);
    bridge_destroy(b);
    CHECK_INT(fcntl(pair[0], F_GETFD) >= 0, 1);
    (void) close(pair[0]);
    (void) close(pair[1]);
}

static void a_watch_may_remove_itself_in_its_callback(void)
{
    struct counter counter = {.removes_itself = true};
    struct bridge *b;
    int pair[2];

    CHECK_INT(test_create(&b, SCRIPT, NULL), 0);
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    counter.fd = pair[0];
    counter.watch = bridge_watch_add(b, pair[0], readable, NULL, &counter);
    CHECK_INT(write(pair[1], "x", 1), 1);
    while (counter.watch != NULL)
        CHECK_INT(bridge_loop_step(b, -1), 0);
    CHECK_INT(write(pair[1], "y", 1), 1);
    CHECK_INT(bridge_loop_step(b, 0), 0);
    CHECK_INT(bridge_loop_step(b, 0), 0);
    CHECK_INT(counter.reads, 1);
    bridge_destroy(b);
    (void) close(pair[0]);
    (void) close(pair[1]);
}

static void the_end_of_a_descriptor_is_told(void)
{
    struct counter counter = {.removes_itself = true};
    struct bridge *b;
    int pair[2];

    CHECK_INT(test_create(&b, SCRIPT, NULL), 0);
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    counter.fd = pair[0];
    counter.watch = bridge_watch_add(b, pair[0], readable, NULL, &counter);
    (void) close(pair[1]);
    while (!counter.has_ended)
        CHECK_INT(bridge_loop_step(b, -1), 0);
    CHECK_INT(bridge_loop_step(b, 0), 0);
    CHECK_INT(counter.reads, 1);
    bridge_destroy(b);
    (void) close(pair[0]);
}

static void nothing_is_left_open(void)
{
    struct counter counter = {0};
    struct bridge *b;
    int pair[2];
    int before;
    int after;

    CHECK_INT(test_create(&b, SCRIPT, NULL), 0);
    bridge_destroy(b);
    before = dup(0);
    (void) close(before);
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    CHECK_INT(test_create(&b, SCRIPT, NULL), 0);
    counter.fd = pair[0];
    /* Removed late by its owner: only its memory is left then. */
    counter.watch = bridge_watch_add(b, pair[0], readable, NULL, &counter);
    CHECK(counter.watch != NULL);
    bridge_destroy(b);
    bridge_watch_remove(counter.watch);
    (void) close(pair[0]);
    (void) close(pair[1]);
    after = dup(0);
    (void) close(after);
    CHECK_INT(after, before);
}

static void expired(void *user)
{
    ++*(int *) user;
}

static void delays_come_once_in_order_and_not_after_being_cancelled(void)
{
    struct bridge_delay first = {0};
    struct bridge_delay second = {0};
    struct bridge_delay never = {0};
    int first_times = 0;
    int second_times = 0;
    int never_times = 0;
    int64_t start_ms = now_ms();
    struct bridge *b;

    CHECK_INT(test_create(&b, SCRIPT, NULL), 0);
    bridge_delay_cancel(&never);
    bridge_delay_start(b, &second, 60, expired, &second_times);
    bridge_delay_start(b, &first, 20, expired, &first_times);
    bridge_delay_start(b, &never, 40, expired, &never_times);
    while (first_times == 0)
        CHECK_INT(bridge_loop_step(b, -1), 0);
    CHECK(now_ms() - start_ms >= 19);
    CHECK_INT(second_times, 0);
    bridge_delay_cancel(&never);
    while (second_times == 0)
        CHECK_INT(bridge_loop_step(b, -1), 0);
    CHECK(now_ms() - start_ms >= 59);
    CHECK_INT(first_times, 1);
    CHECK_INT(never_times, 0);
    bridge_destroy(b);
}

static void a_step_waits_no_longer_than_it_may(void)
{
    int64_t start_ms = now_ms();
    struct bridge *b;

    CHECK_INT(test_create(&b, SCRIPT, NULL), 0);
    CHECK_INT(bridge_loop_step(b, 0), 0);
    /* The first step takes in what was queued for it while it was made. */
    CHECK_INT(bridge_loop_step(b, 0), 0);
    start_ms = now_ms();
    CHECK_INT(bridge_loop_step(b, 0), 0);
    CHECK(now_ms() - start_ms < 1000);
    start_ms = now_ms();
    CHECK_INT(bridge_loop_step(b, 50), 0);
    CHECK(now_ms() - start_ms >= 49);
    bridge_destroy(b);
}

static void *wake(void *user)
{
    bridge_loop_wake(user);
    return NULL;
}

static void another_thread_ends_the_wait(void)
{
    struct bridge *b;
    pthread_t thread;

    CHECK_INT(test_create(&b, SCRIPT, NULL), 0);
    CHECK_INT(bridge_loop_step(b, 0), 0);
    CHECK_INT(bridge_loop_step(b, 0), 0);
    CHECK_INT(pthread_create(&thread, NULL, wake, b), 0);
    /* Without it this would never return. */
    CHECK_INT(bridge_loop_step(b, -1), 0);
    CHECK_INT(pthread_join(thread, NULL), 0);
    bridge_destroy(b);
}

static void step_again(void *user)
{
    struct counter *counter = user;

    readable(user);
    CHECK_INT(bridge_loop_step(counter->b, 0), BRIDGE_E_STATE);
}

static void a_step_within_a_step_is_refused(void)
{
    struct counter counter = {0};
    int pair[2];

    CHECK_INT(test_create(&counter.b, SCRIPT, NULL), 0);
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    counter.fd = pair[0];
    counter.watch = bridge_watch_add(counter.b, pair[0], step_again, NULL, &counter);
    CHECK_INT(write(pair[1], "x", 1), 1);
    while (counter.reads == 0)
        CHECK_INT(bridge_loop_step(counter.b, -1), 0);
    bridge_watch_remove(counter.watch);
    bridge_destroy(counter.b);
    (void) close(pair[0]);
    (void) close(pair[1]);
}

static void never(lws_sorted_usec_list_t *sul)
{
    (void) sul;
}

/* The list of libwebsockets' timers is where its tick would be: with it, this is 30 s. */
static void nothing_is_planned_while_nothing_is_wanted(void)
{
    lws_sorted_usec_list_t probe = {0};
    struct bridge *b;

    CHECK_INT(test_create(&b, SCRIPT, NULL), 0);
    CHECK_INT(bridge_loop_step(b, 0), 0);
    CHECK_INT(bridge_loop_step(b, 0), 0);
    lws_sul_schedule(b->lws, 0, &probe, never, LWS_US_PER_SEC);
    CHECK_INT(probe.list.owner->count, 1);
    lws_sul_cancel(&probe);
    CHECK_INT(bridge_alarm_deadline_ms(b), INT64_MAX);
    bridge_destroy(b);
}

int main(void)
{
    RUN(a_foreign_descriptor_is_told_of_and_stays_its_owners);
    RUN(a_watch_may_remove_itself_in_its_callback);
    RUN(the_end_of_a_descriptor_is_told);
    RUN(nothing_is_left_open);
    RUN(delays_come_once_in_order_and_not_after_being_cancelled);
    RUN(a_step_waits_no_longer_than_it_may);
    RUN(another_thread_ends_the_wait);
    RUN(a_step_within_a_step_is_refused);
    RUN(nothing_is_planned_while_nothing_is_wanted);
    return 0;
}
