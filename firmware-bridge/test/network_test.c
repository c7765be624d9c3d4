/* SPDX-License-Identifier: MIT */

/*
 * Goal: networks are named in one way, whatever the kernel sends ends no program, and neither does the want of memory
 * or of the right to ask. Method: the functions themselves with made-up facts and bytes; a process that may not use
 * netlink. Changes of real networks: test/firmware/network.test.ts.
 */

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "memory_faults.h"
#include "network_facts.h"
#include "support.h"

static const char SCRIPT[] =
    "bridge.listen({ network(label) { say('told ' + label); }, look() {},"
    " watch() { say('' + bridge.watchNetwork()); } });";

static void a_wifi_is_called_as_iw_does(void)
{
    static const struct {
        const char *ssid;
        const char *text;
    } cases[] = {
        {"Home", "Home"},
        {"two words", "two words"},
        {" edges ", "\\x20edges\\x20"},
        {"Caf\xc3\xa9", "Caf\\xc3\\xa9"},
        {"back\\slash", "back\\x5cslash"},
        {"\x1b[31m", "\\x1b[31m"},
        {"", ""},
    };
    char text[BRIDGE_SSID_CHARS_MAX + 1];
    uint8_t longest[32];

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bridge_network_write_ssid((const uint8_t *) cases[i].ssid, strlen(cases[i].ssid), text);
        CHECK_TEXT(text, cases[i].text);
    }
    memset(longest, 0xff, sizeof longest);
    bridge_network_write_ssid(longest, sizeof longest, text);
    CHECK_INT((int64_t) strlen(text), BRIDGE_SSID_CHARS_MAX);
}

static void labels_name_what_is_known(void)
{
    struct bridge_identity wifi = {.kind = BRIDGE_NETWORK_WIFI, .uplink.device = "wlan0", .ssid = "Home"};
    struct bridge_identity modem = {.kind = BRIDGE_NETWORK_CELLULAR, .uplink.device = "wwan0"};
    const uint8_t router[4] = {192, 0, 2, 1};
    char label[LIMIT_NETWORK_LABEL_CHARS_MAX + 1];

    bridge_network_label(&modem, label);
    CHECK_TEXT(label, "cellular:wwan0");
    bridge_network_label(&wifi, label);
    CHECK_TEXT(label, "wifi:Home");
    memset(wifi.ssid, 'x', BRIDGE_SSID_CHARS_MAX);
    bridge_network_label(&wifi, label);
    CHECK_INT((int64_t) strlen(label), LIMIT_NETWORK_LABEL_CHARS_MAX);
    wifi.ssid[0] = '\0';
    bridge_network_label(&wifi, label);
    CHECK_TEXT(label, "wifi:wlan0");
    wifi.uplink.gateway = bridge_address_of(AF_INET, router, sizeof router);
    bridge_network_label(&wifi, label);
    CHECK_TEXT(label, "wifi@192.0.2.1");
    wifi.mac_bytes = 6;
    memcpy(wifi.mac, "\x02\x00\x00\xab\xcd\xef", 6);
    bridge_network_label(&wifi, label);
    CHECK_TEXT(label, "wifi@02:00:00:ab:cd:ef");
    wifi.kind = BRIDGE_NETWORK_UNKNOWN;
    memcpy(wifi.uplink.device, "a\x1b""b", 4);
    bridge_network_label(&wifi, label);
    CHECK_TEXT(label, "unknown:a?b@02:00:00:ab:cd:ef");
}

static void garbled_messages_are_read_to_their_end_only(void)
{
    /* On the heap, so that a sanitizer sees a read behind the end. */
    uint8_t *bytes = malloc(64);
    const struct bridge_known_addresses known = {.count = 0};
    unsigned int seed = 1;

    CHECK(bytes != NULL);
    for (int round = 0; round < 200000; round++) {
        const size_t count = 4 + (size_t) (rand_r(&seed) % 61);
        struct nlmsghdr *header = (struct nlmsghdr *) (void *) bytes;
        size_t at = 0;

        for (size_t i = 0; i < count; i++)
            bytes[i] = (uint8_t) rand_r(&seed);
        if (count >= sizeof *header) {
            header->nlmsg_len = (uint32_t) (rand_r(&seed) % 70);
            header->nlmsg_type = (uint16_t) (round % 2 == 0 ? RTM_NEWADDR : RTM_NEWROUTE);
        }
        while (at < count) {
            const struct nlmsghdr *message = bridge_netlink_next(bytes, count, &at);

            if (message == NULL)
                break;
            CHECK((size_t) ((const uint8_t *) message - bytes) + message->nlmsg_len <= count);
            (void) bridge_network_is_default_route(message);
            (void) bridge_network_is_renewal(message, &known);
        }
        (void) bridge_netlink_find_in(bytes, count, (uint16_t) (round % 8));
    }
    free(bytes);
}

/* From here on this process may not have netlink sockets. */
static void forbid_netlink(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_NETLINK, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAFNOSUPPORT),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof filter / sizeof filter[0], .filter = filter};

    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

static void a_system_that_forbids_netlink_is_told_of(void)
{
    pid_t child = fork();
    int status = 0;

    CHECK(child >= 0);
    if (child == 0) {
        struct bridge *b;

        forbid_netlink();
        CHECK_INT(test_create(&b, SCRIPT, NULL), 0);
        CHECK_INT(bridge_emit(b, "watch", 0, NULL), 0);
        CHECK_TEXT(test_said(), "false\n");
        bridge_destroy(b);
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void without_memory_it_fails_or_goes_on(void)
{
    bool was_hit = true;

    for (uint64_t nth = 1; was_hit; nth++) {
        struct bridge *b;
        size_t blocks;

        test_forget();
        blocks = bridge_memory_blocks();
        CHECK_INT(test_create(&b, SCRIPT, NULL), 0);
        bridge_memory_faults_set(nth, false);
        (void) bridge_emit(b, "watch", 0, NULL);
        was_hit = bridge_memory_faults_hit();
        bridge_memory_faults_set(0, false);
        CHECK(b->failed == 0 || b->failed == BRIDGE_E_NOMEM);
        if (!was_hit)
            test_step_until_said(b, "told ");
        bridge_destroy(b);
        CHECK_INT((int64_t) bridge_memory_blocks(), (int64_t) blocks);
    }
}

int main(void)
{
    RUN(a_wifi_is_called_as_iw_does);
    RUN(labels_name_what_is_known);
    RUN(garbled_messages_are_read_to_their_end_only);
    RUN(a_system_that_forbids_netlink_is_told_of);
    RUN(without_memory_it_fails_or_goes_on);
    return 0;
}
