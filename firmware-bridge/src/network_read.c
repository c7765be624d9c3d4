/* SPDX-License-Identifier: MIT */

/*
 * network_read: the way out and its addresses, as rtnetlink tells. Chooses as src/node/network-facts.ts does, so that a
 * device keeps what it learned of its networks when it changes the runtime.
 */

#include "network_facts.h"

#include <linux/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* Every network namespace has it first. */
#define BRIDGE__LOOPBACK_INDEX 1
/* linux/if.h, which cannot stand beside net/if.h. */
#define BRIDGE__IFF_LOWER_UP 0x10000U

bool bridge_address_is(const struct bridge_address *one, const struct bridge_address *other)
{
    return one->family == other->family && memcmp(one->bytes, other->bytes, sizeof one->bytes) == 0;
}

struct bridge_address bridge_address_of(int family, const void *bytes, size_t count)
{
    struct bridge_address address = {0};

    if ((family == AF_INET && count == 4) || (family == AF_INET6 && count == 16)) {
        address.family = family;
        memcpy(address.bytes, bytes, count);
    }
    return address;
}

/* ---- Routes ---- */

struct bridge__route {
    int index;
    uint32_t metric;
    struct bridge_address gateway;
};

/* The router in a route's attributes, or of one of its hops; IPv4 may have one of IPv6 (RFC 5549). */
static struct bridge_address bridge__gateway_in(const void *attributes, size_t bytes, int family)
{
    const struct rtattr *gateway = bridge_netlink_find_in(attributes, bytes, RTA_GATEWAY);
    const struct rtattr *via = bridge_netlink_find_in(attributes, bytes, RTA_VIA);

    if (gateway != NULL)
        return bridge_address_of(family, RTA_DATA(gateway), bridge_netlink_bytes_of(gateway));
    if (via != NULL && bridge_netlink_bytes_of(via) > sizeof(struct rtvia)) {
        const struct rtvia *hop = RTA_DATA(via);

        return bridge_address_of(hop->rtvia_family, hop->rtvia_addr, bridge_netlink_bytes_of(via) - sizeof *hop);
    }
    return (struct bridge_address) {0};
}

static bool bridge__is_usable(int index, unsigned int flags)
{
    return index > 0 && index != BRIDGE__LOOPBACK_INDEX && (flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN)) == 0;
}

/* The first hop of several that works. False for none. */
static bool bridge__first_hop(const struct rtattr *multipath, int family, struct bridge__route *found)
{
    const size_t bytes = bridge_netlink_bytes_of(multipath);
    const uint8_t *hops = RTA_DATA(multipath);
    size_t at = 0;

    while (bytes - at >= sizeof(struct rtnexthop)) {
        const struct rtnexthop *hop = (const struct rtnexthop *) (const void *) (hops + at);

        if (hop->rtnh_len < sizeof *hop || hop->rtnh_len > bytes - at)
            return false;
        if (bridge__is_usable(hop->rtnh_ifindex, hop->rtnh_flags)) {
            found->index = hop->rtnh_ifindex;
            found->gateway = bridge__gateway_in(hop + 1, hop->rtnh_len - sizeof *hop, family);
            return true;
        }
        at += (size_t) RTNH_ALIGN(hop->rtnh_len);
        if (at > bytes)
            return false;
    }
    return false;
}

bool bridge_network_is_default_route(const struct nlmsghdr *message)
{
    const struct rtmsg *route = NLMSG_DATA(message);

    if (!bridge_netlink_has(message, sizeof *route) || route->rtm_dst_len != 0 || (route->rtm_flags & RTM_F_CLONED))
        return false;
    return bridge_netlink_u32(bridge_netlink_find(message, sizeof *route, RTA_TABLE), route->rtm_table) ==
           RT_TABLE_MAIN;
}

/* Keeps the best so far: of two alike the first. */
static void bridge__visit_route(void *user, const struct nlmsghdr *message)
{
    struct bridge__route *best = user;
    const struct rtmsg *route = NLMSG_DATA(message);
    struct bridge__route found = {0};
    const struct rtattr *multipath;

    if (message->nlmsg_type != RTM_NEWROUTE || !bridge_network_is_default_route(message) ||
        route->rtm_type != RTN_UNICAST)
        return;
    found.metric = bridge_netlink_u32(bridge_netlink_find(message, sizeof *route, RTA_PRIORITY), 0);
    multipath = bridge_netlink_find(message, sizeof *route, RTA_MULTIPATH);
    if (multipath == NULL || !bridge__first_hop(multipath, route->rtm_family, &found)) {
        found.index = (int) bridge_netlink_u32(bridge_netlink_find(message, sizeof *route, RTA_OIF), 0);
        if (!bridge__is_usable(found.index, route->rtm_flags))
            return;
        found.gateway = bridge__gateway_in((const uint8_t *) route + NLMSG_ALIGN(sizeof *route),
                                           message->nlmsg_len - NLMSG_LENGTH(NLMSG_ALIGN(sizeof *route)),
                                           route->rtm_family);
    }
    if (best->index == 0 || found.metric < best->metric)
        *best = found;
}

static int bridge__read_route(struct bridge_netlink *netlink, unsigned char family, struct bridge__route *best)
{
    const struct rtmsg all = {.rtm_family = family};
    struct bridge_netlink_question question;

    memset(best, 0, sizeof *best);
    bridge_netlink_begin(&question, RTM_GETROUTE, NLM_F_DUMP, &all, sizeof all);
    return bridge_netlink_ask(netlink, &question, bridge__visit_route, best);
}

/* ---- Interfaces ---- */

/* Interfaces that a network without a default route may be on, as the kernel lists them. */
struct bridge__candidates {
    int indexes[BRIDGE_NETWORK_LINKS_MAX];
    bool has_address[BRIDGE_NETWORK_LINKS_MAX];
    int count;
};

static void bridge__visit_link(void *user, const struct nlmsghdr *message)
{
    struct bridge_uplink *uplink = user;
    const struct ifinfomsg *link = NLMSG_DATA(message);
    const struct rtattr *name;

    if (message->nlmsg_type != RTM_NEWLINK || !bridge_netlink_has(message, sizeof *link) ||
        link->ifi_index != uplink->index)
        return;
    name = bridge_netlink_find(message, sizeof *link, IFLA_IFNAME);
    if (name == NULL)
        return;
    (void) snprintf(uplink->device, sizeof uplink->device, "%.*s", (int) bridge_netlink_bytes_of(name),
                    (const char *) RTA_DATA(name));
    uplink->is_ethernet_like = link->ifi_type == ARPHRD_ETHER;
}

/* Name and form of the interface uplink->index. -1 when it is gone. */
static int bridge__read_link(struct bridge_netlink *netlink, struct bridge_uplink *uplink)
{
    const struct ifinfomsg one = {.ifi_index = uplink->index};
    const uint32_t briefly = RTEXT_FILTER_SKIP_STATS;
    struct bridge_netlink_question question;

    bridge_netlink_begin(&question, RTM_GETLINK, 0, &one, sizeof one);
    bridge_netlink_add(&question, IFLA_EXT_MASK, &briefly, sizeof briefly);
    if (bridge_netlink_ask(netlink, &question, bridge__visit_link, uplink))
        return -1;
    return uplink->device[0] != '\0' ? 0 : -1;
}

static void bridge__visit_candidate(void *user, const struct nlmsghdr *message)
{
    struct bridge__candidates *candidates = user;
    const struct ifinfomsg *link = NLMSG_DATA(message);

    if (message->nlmsg_type != RTM_NEWLINK || !bridge_netlink_has(message, sizeof *link) ||
        candidates->count == BRIDGE_NETWORK_LINKS_MAX || link->ifi_type == ARPHRD_LOOPBACK)
        return;
    if ((link->ifi_flags & IFF_UP) != 0 && (link->ifi_flags & BRIDGE__IFF_LOWER_UP) != 0)
        candidates->indexes[candidates->count++] = link->ifi_index;
}

static int bridge__read_candidates(struct bridge_netlink *netlink, struct bridge__candidates *candidates)
{
    const struct ifinfomsg all = {0};
    const uint32_t briefly = RTEXT_FILTER_SKIP_STATS;
    struct bridge_netlink_question question;

    memset(candidates, 0, sizeof *candidates);
    bridge_netlink_begin(&question, RTM_GETLINK, NLM_F_DUMP, &all, sizeof all);
    bridge_netlink_add(&question, IFLA_EXT_MASK, &briefly, sizeof briefly);
    return bridge_netlink_ask(netlink, &question, bridge__visit_candidate, candidates);
}

/* ---- Addresses ---- */

/* What one pass over all addresses finds. */
struct bridge__address_pass {
    /* Of the interface `index`, 0 for none: staying, temporary, leaving. */
    int index;
    struct bridge_addresses found[3];
    struct bridge_known_addresses *known;
    struct bridge__candidates *candidates;
};

static uint32_t bridge__address_flags(const struct nlmsghdr *message)
{
    const struct ifaddrmsg *address = NLMSG_DATA(message);

    return bridge_netlink_u32(bridge_netlink_find(message, sizeof *address, IFA_FLAGS), address->ifa_flags);
}

/* The interface's own end, where that differs from the other. */
static struct bridge_address bridge__own_address(const struct nlmsghdr *message)
{
    const struct ifaddrmsg *address = NLMSG_DATA(message);
    const struct rtattr *own = bridge_netlink_find(message, sizeof *address, IFA_LOCAL);

    if (own == NULL)
        own = bridge_netlink_find(message, sizeof *address, IFA_ADDRESS);
    if (own == NULL)
        return (struct bridge_address) {0};
    return bridge_address_of(address->ifa_family, RTA_DATA(own), bridge_netlink_bytes_of(own));
}

/* FNV-1a over all that a renewal leaves as it is. */
static uint64_t bridge__address_hash(const struct nlmsghdr *message)
{
    const struct ifaddrmsg *address = NLMSG_DATA(message);
    const struct bridge_address own = bridge__own_address(message);
    const uint32_t facts[5] = {address->ifa_index, address->ifa_prefixlen, address->ifa_scope,
                               bridge__address_flags(message), (uint32_t) own.family};
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < sizeof facts + sizeof own.bytes; i++) {
        hash ^= i < sizeof facts ? ((const uint8_t *) facts)[i] : own.bytes[i - sizeof facts];
        hash *= UINT64_C(0x100000001b3);
    }
    return hash;
}

bool bridge_network_is_renewal(const struct nlmsghdr *message, const struct bridge_known_addresses *known)
{
    uint64_t hash;

    if (message->nlmsg_type != RTM_NEWADDR || !bridge_netlink_has(message, sizeof(struct ifaddrmsg)))
        return false;
    hash = bridge__address_hash(message);
    for (int i = 0; i < known->count; i++) {
        if (known->hashes[i] == hash)
            return true;
    }
    return false;
}

static void bridge__visit_address(void *user, const struct nlmsghdr *message)
{
    struct bridge__address_pass *pass = user;
    const struct ifaddrmsg *address = NLMSG_DATA(message);
    struct bridge_addresses *list;
    struct bridge_address own;
    uint32_t flags;

    if (message->nlmsg_type != RTM_NEWADDR || !bridge_netlink_has(message, sizeof *address))
        return;
    if (pass->known->count < (int) (sizeof pass->known->hashes / sizeof pass->known->hashes[0]))
        pass->known->hashes[pass->known->count++] = bridge__address_hash(message);
    flags = bridge__address_flags(message);
    own = bridge__own_address(message);
    /* One that is still being tried out is told anew when it is good. */
    if (own.family == 0 || address->ifa_scope != RT_SCOPE_UNIVERSE || (flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED)))
        return;
    for (int i = 0; i < pass->candidates->count; i++)
        pass->candidates->has_address[i] |= pass->candidates->indexes[i] == (int) address->ifa_index;
    if (pass->index == 0 || (int) address->ifa_index != pass->index)
        return;
    if (flags & IFA_F_DEPRECATED)
        list = &pass->found[2];
    else
        list = &pass->found[own.family == AF_INET6 && (flags & IFA_F_TEMPORARY) ? 1 : 0];
    if (list->count < BRIDGE_NETWORK_ADDRESSES_MAX)
        list->of[list->count++] = own;
}

static int bridge__read_addresses(struct bridge_netlink *netlink, struct bridge__address_pass *pass)
{
    const struct ifaddrmsg all = {0};
    struct bridge_netlink_question question;

    pass->known->count = 0;
    memset(pass->found, 0, sizeof pass->found);
    bridge_netlink_begin(&question, RTM_GETADDR, NLM_F_DUMP, &all, sizeof all);
    return bridge_netlink_ask(netlink, &question, bridge__visit_address, pass);
}

/* One list, those that are to stay first. */
static void bridge__join_addresses(const struct bridge__address_pass *pass, struct bridge_addresses *addresses)
{
    addresses->count = 0;
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < pass->found[i].count && addresses->count < BRIDGE_NETWORK_ADDRESSES_MAX; j++)
            addresses->of[addresses->count++] = pass->found[i].of[j];
    }
}

/* ---- What it comes to ---- */

int bridge_network_read(struct bridge_netlink *netlink, struct bridge_uplink *uplink,
                        struct bridge_addresses *addresses, struct bridge_known_addresses *known)
{
    struct bridge__candidates candidates = {0};
    struct bridge__address_pass pass = {.known = known, .candidates = &candidates};
    struct bridge__route best;

    memset(uplink, 0, sizeof *uplink);
    addresses->count = 0;
    if (bridge__read_route(netlink, AF_INET, &best))
        return -1;
    /* A kernel without IPv6 answers with an error, or with the routes of IPv4. */
    if (best.index == 0 && bridge__read_route(netlink, AF_INET6, &best))
        memset(&best, 0, sizeof best);
    if (best.index == 0 && bridge__read_candidates(netlink, &candidates))
        return -1;
    pass.index = best.index;
    if (bridge__read_addresses(netlink, &pass))
        return -1;
    for (int i = 0; pass.index == 0 && i < candidates.count; i++) {
        if (candidates.has_address[i])
            pass.index = candidates.indexes[i];
    }
    if (pass.index == 0)
        return 0;
    if (best.index == 0 && bridge__read_addresses(netlink, &pass))
        return -1;
    uplink->index = pass.index;
    uplink->gateway = best.gateway;
    bridge__join_addresses(&pass, addresses);
    return bridge__read_link(netlink, uplink);
}
