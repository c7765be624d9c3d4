/* SPDX-License-Identifier: MIT */

/*
 * network: changes of the network, without polling and without other programs. A netlink socket on the loop tells that
 * something changed; the state is read once, a little later, and told to the script when it differs from what was told
 * last. Nothing is heard between the first sign of a change and that reading: however many messages come, they cost two
 * wake-ups.
 */

#include <errno.h>
#include <linux/if_link.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bridge.h"
#include "network_facts.h"

/* linux/wireless.h: a scan ended, which changes nothing. */
#define BRIDGE__SIOCGIWSCAN 0x8B19

/* What was told last. */
enum bridge__told { BRIDGE__TOLD_NOTHING, BRIDGE__TOLD_NONE, BRIDGE__TOLD_UNKNOWN, BRIDGE__TOLD_NETWORK };

struct bridge_network {
    struct bridge *b;
    /* Where the kernel tells of changes; -1 before watchNetwork. */
    int fd;
    struct bridge_watch *watch;
    /* Until the state is read, or until the router's hardware address is asked for again. */
    struct bridge_delay delay;
    int64_t settle_ms;
    int64_t read_ms;
    int64_t neighbour_wait_ms;
    struct bridge_known_addresses known;
    /* The network read last; uplink.index 0 for none. */
    struct bridge_identity last;
    /* The one being read. */
    struct bridge_identity next;
    struct bridge_addresses addresses;
    enum bridge__told told;
    char told_label[LIMIT_NETWORK_LABEL_CHARS_MAX + 1];
    enum bridge_network_kind told_kind;
    /* Addresses that links may use: one of each family. */
    struct bridge_address in_use[2];
};

static int64_t bridge__now_ms(void)
{
    return bridge_clock_boottime_us() / 1000;
}

/* ---- Telling ---- */

static void bridge__emit_network(struct bridge_network *network, bool has_new_address)
{
    static const char *const kinds[] = {"unknown", "ethernet", "wifi", "cellular"};
    JSContext *ctx = network->b->ctx;
    const bool is_none = network->told == BRIDGE__TOLD_NONE;
    JSValue arguments[4] = {
        is_none ? JS_NULL : JS_NewString(ctx, network->told_label),
        JS_NewString(ctx, kinds[network->told_kind]),
        JS_NewBool(ctx, network->told_kind == BRIDGE_NETWORK_CELLULAR),
        JS_NewBool(ctx, has_new_address),
    };

    (void) bridge_emit(network->b, "network", 4, arguments);
}

static bool bridge__has_address(const struct bridge_addresses *addresses, const struct bridge_address *address)
{
    for (int i = 0; i < addresses->count; i++) {
        if (bridge_address_is(&addresses->of[i], address))
            return true;
    }
    return false;
}

/* The first address of a family, or none. */
static struct bridge_address bridge__first_of(const struct bridge_addresses *addresses, int family)
{
    for (int i = 0; i < addresses->count; i++) {
        if (addresses->of[i].family == family)
            return addresses->of[i];
    }
    return (struct bridge_address) {0};
}

/*
 * Which addresses links may use: of those before what is still there, else the first. True when one of those before is
 * gone. One more, or one that is about to go, changes nothing.
 */
static bool bridge__follow_addresses(struct bridge_network *network)
{
    static const int families[2] = {AF_INET, AF_INET6};
    bool is_gone = false;

    /* A link could not be had anew: the address that comes next is the news. */
    if (network->addresses.count == 0)
        return false;
    for (int i = 0; i < 2; i++) {
        struct bridge_address *address = &network->in_use[i];

        if (address->family != 0 && bridge__has_address(&network->addresses, address))
            continue;
        is_gone = is_gone || address->family != 0;
        *address = bridge__first_of(&network->addresses, families[i]);
    }
    return is_gone;
}

static void bridge__tell(struct bridge_network *network, enum bridge__told told, const char *label,
                         enum bridge_network_kind kind)
{
    network->told = told;
    network->told_kind = kind;
    /* Both have the same room. */
    memcpy(network->told_label, label, strlen(label) + 1);
    memset(network->in_use, 0, sizeof network->in_use);
    (void) bridge__follow_addresses(network);
    bridge__emit_network(network, false);
}

/* Compares what was read, network->last, with what was told. */
static void bridge__tell_change(struct bridge_network *network)
{
    char label[LIMIT_NETWORK_LABEL_CHARS_MAX + 1] = "";
    const enum bridge__told found = network->last.uplink.index == 0 ? BRIDGE__TOLD_NONE : BRIDGE__TOLD_NETWORK;

    if (found == BRIDGE__TOLD_NETWORK)
        bridge_network_label(&network->last, label);
    if (found != network->told || network->last.kind != network->told_kind || strcmp(label, network->told_label) != 0) {
        network->settle_ms = LIMIT_NETWORK_SETTLE_MS_MIN;
        bridge__tell(network, found, label, network->last.kind);
    } else if (bridge__follow_addresses(network)) {
        network->settle_ms = LIMIT_NETWORK_SETTLE_MS_MIN;
        bridge__emit_network(network, true);
    } else {
        network->settle_ms *= 2;
        if (network->settle_ms > LIMIT_NETWORK_SETTLE_MS_MAX)
            network->settle_ms = LIMIT_NETWORK_SETTLE_MS_MAX;
    }
}

/* The state cannot be read. No network is believed only as long as somebody would tell of its return. */
static void bridge__tell_fault(struct bridge_network *network)
{
    if (network->told == BRIDGE__TOLD_NOTHING || network->told == BRIDGE__TOLD_NONE)
        bridge__tell(network, BRIDGE__TOLD_UNKNOWN, "", BRIDGE_NETWORK_UNKNOWN);
}

/* ---- Reading ---- */

static void bridge__read_state(void *user);
static void bridge__changed(void *user);

/* Hears the kernel again. */
static void bridge__listen_on(struct bridge_network *network)
{
    network->read_ms = bridge__now_ms();
    if (network->watch == NULL && network->fd >= 0)
        network->watch = bridge_watch_add(network->b, network->fd, bridge__changed, NULL, network);
    if (network->watch == NULL) {
        /* No memory or no descriptor. */
        bridge__tell_fault(network);
        bridge_delay_start(network->b, &network->delay, LIMIT_NETWORK_SETTLE_MS_MAX, bridge__read_state, network);
    }
}

static void bridge__read_done(struct bridge_network *network)
{
    network->last = network->next;
    bridge__tell_change(network);
    bridge__listen_on(network);
}

static bool bridge__is_same_uplink(const struct bridge_identity *one, const struct bridge_identity *other)
{
    return one->uplink.index != 0 && strcmp(one->uplink.device, other->uplink.device) == 0 &&
           bridge_address_is(&one->uplink.gateway, &other->uplink.gateway);
}

/*
 * Looks for the router's hardware address, and again a little later: right after a network came up nobody has talked to
 * the router yet. One that did not answer at first goes on being called by its address: another label costs the link.
 */
static void bridge__read_mac(void *user)
{
    struct bridge_network *network = user;
    const struct bridge_identity *last = &network->last;
    const bool is_same = bridge__is_same_uplink(last, &network->next) && last->ssid[0] == '\0';
    struct bridge_netlink netlink;

    if (is_same && last->mac_bytes == 0) {
        bridge__read_done(network);
        return;
    }
    if (bridge_netlink_open(&netlink, NETLINK_ROUTE) == 0) {
        bridge_network_read_mac(&netlink, &network->next);
        bridge_netlink_close(&netlink);
    }
    if (network->next.mac_bytes == 0 && network->neighbour_wait_ms <= LIMIT_NETWORK_NEIGHBOUR_WAIT_MS_MAX) {
        bridge_network_nudge(&network->next.uplink);
        bridge_delay_start(network->b, &network->delay, network->neighbour_wait_ms, bridge__read_mac, network);
        network->neighbour_wait_ms *= 2;
        return;
    }
    if (network->next.mac_bytes == 0 && is_same) {
        network->next.mac_bytes = last->mac_bytes;
        memcpy(network->next.mac, last->mac, sizeof last->mac);
    }
    bridge__read_done(network);
}

/* What names the network that network->next.uplink leads to. */
static void bridge__identify(struct bridge_network *network)
{
    struct bridge_identity *next = &network->next;
    const struct bridge_identity *last = &network->last;

    next->kind = bridge_network_kind_of(&next->uplink);
    if (next->kind == BRIDGE_NETWORK_WIFI) {
        bridge_network_read_ssid(&next->uplink, next->ssid);
        /* A driver that says nothing this time does not make it another network. */
        if (next->ssid[0] == '\0' && bridge__is_same_uplink(last, next) && last->kind == next->kind)
            memcpy(next->ssid, last->ssid, sizeof next->ssid);
    }
    if (next->kind == BRIDGE_NETWORK_CELLULAR || next->kind == BRIDGE_NETWORK_UNKNOWN || next->ssid[0] != '\0' ||
        next->uplink.gateway.family == 0 || !next->uplink.is_ethernet_like) {
        bridge__read_done(network);
        return;
    }
    network->neighbour_wait_ms = LIMIT_NETWORK_NEIGHBOUR_WAIT_MS_MIN;
    bridge__read_mac(network);
}

/* What came so far says no more than that something changed. */
static void bridge__drop_messages(const struct bridge_network *network)
{
    uint8_t first;

    for (int i = 0; i < BRIDGE_NETLINK_EVENTS_MAX; i++) {
        if (recv(network->fd, &first, sizeof first, MSG_DONTWAIT) < 0 && errno != EINTR && errno != ENOBUFS)
            return;
    }
}

static void bridge__read_state(void *user)
{
    struct bridge_network *network = user;
    struct bridge_netlink netlink;
    int result = -1;

    bridge__drop_messages(network);
    memset(&network->next, 0, sizeof network->next);
    if (bridge_netlink_open(&netlink, NETLINK_ROUTE) == 0) {
        result = bridge_network_read(&netlink, &network->next.uplink, &network->addresses, &network->known);
        bridge_netlink_close(&netlink);
    }
    if (result != 0) {
        bridge__tell_fault(network);
        bridge__listen_on(network);
    } else if (network->next.uplink.index == 0) {
        bridge__read_done(network);
    } else {
        bridge__identify(network);
    }
}

/* ---- Changes ---- */

/* A message of the kernel that may mean another network. */
static bool bridge__is_news(const struct bridge_network *network, const struct nlmsghdr *message)
{
    const struct rtattr *event;
    uint16_t number[2];

    switch (message->nlmsg_type) {
    case RTM_NEWADDR:
        return !bridge_network_is_renewal(message, &network->known);
    case RTM_NEWROUTE:
    case RTM_DELROUTE:
        return bridge_network_is_default_route(message);
    case RTM_NEWLINK:
        event = bridge_netlink_has(message, sizeof(struct ifinfomsg))
                    ? bridge_netlink_find(message, sizeof(struct ifinfomsg), IFLA_WIRELESS)
                    : NULL;
        if (event == NULL || bridge_netlink_bytes_of(event) < sizeof number)
            return true;
        memcpy(number, RTA_DATA(event), sizeof number);
        return number[1] != BRIDGE__SIOCGIWSCAN;
    default:
        return true;
    }
}

/* Reads until there is nothing more, or something that counts. */
static bool bridge__hear(const struct bridge_network *network)
{
    uint8_t bytes[4096] __attribute__((aligned(NLMSG_ALIGNTO)));

    for (int i = 0; i < BRIDGE_NETLINK_EVENTS_MAX; i++) {
        struct sockaddr_nl from = {0};
        socklen_t from_bytes = sizeof from;
        ssize_t count = recvfrom(network->fd, bytes, sizeof bytes, MSG_DONTWAIT | MSG_TRUNC, (struct sockaddr *) &from,
                                 &from_bytes);

        if (count < 0 && errno == EINTR)
            continue;
        /* ENOBUFS: messages were lost, whatever they said. */
        if (count < 0)
            return errno != EAGAIN;
        if (from.nl_pid != 0)
            continue;
        if ((size_t) count > sizeof bytes)
            return true;
        for (size_t at = 0; at < (size_t) count;) {
            const struct nlmsghdr *message = bridge_netlink_next(bytes, (size_t) count, &at);

            if (message == NULL || bridge__is_news(network, message))
                return true;
        }
    }
    return true;
}

/* The kernel tells something. */
static void bridge__changed(void *user)
{
    struct bridge_network *network = user;
    struct bridge *b = network->b;

    if (bridge__hear(network)) {
        /* A change comes as many messages. While nothing but noise comes, it is read later and later, up to a bound. */
        if (bridge__now_ms() - network->read_ms > 2 * LIMIT_NETWORK_SETTLE_MS_MAX)
            network->settle_ms = LIMIT_NETWORK_SETTLE_MS_MIN;
        bridge_watch_remove(network->watch);
        network->watch = NULL;
        bridge_delay_start(b, &network->delay, network->settle_ms, bridge__read_state, network);
    }
    /* A resume shows itself in nothing else. */
    (void) bridge_emit(b, "look", 0, NULL);
}

/* 0, or -1: the system does not allow it. */
static int bridge__listen(struct bridge_network *network)
{
    const struct sockaddr_nl groups = {
        .nl_family = AF_NETLINK,
        .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE,
    };

    network->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    return network->fd >= 0 ? bind(network->fd, (const struct sockaddr *) &groups, sizeof groups) : -1;
}

/* watchNetwork() -> boolean */
static JSValue bridge__watch_network(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct bridge_network *network = bridge_of(ctx)->network;

    (void) this_val;
    (void) argc;
    (void) argv;
    if (network->fd >= 0)
        return JS_ThrowTypeError(ctx, "watchNetwork: once");
    if (bridge__listen(network)) {
        if (network->fd >= 0)
            (void) close(network->fd);
        network->fd = -1;
        return JS_FALSE;
    }
    bridge__read_state(network);
    return JS_TRUE;
}

int bridge_network_open(struct bridge *b)
{
    static const JSCFunctionListEntry functions[] = {JS_CFUNC_DEF("watchNetwork", 0, bridge__watch_network)};
    struct bridge_network *network = bridge_calloc(1, sizeof *network);

    if (network == NULL)
        return BRIDGE_E_NOMEM;
    network->b = b;
    network->fd = -1;
    network->settle_ms = LIMIT_NETWORK_SETTLE_MS_MIN;
    b->network = network;
    return bridge_add_functions(b, functions, 1);
}

void bridge_network_close(struct bridge *b)
{
    struct bridge_network *network = b->network;

    if (network == NULL)
        return;
    bridge_delay_cancel(&network->delay);
    bridge_watch_remove(network->watch);
    if (network->fd >= 0)
        (void) close(network->fd);
    bridge_free(network);
    b->network = NULL;
}
