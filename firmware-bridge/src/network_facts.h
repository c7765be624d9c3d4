/* SPDX-License-Identifier: MIT */

/* network_facts: which network the device is on, as the kernel tells. Internal to network.c. */
#ifndef BRIDGE_NETWORK_FACTS_H
#define BRIDGE_NETWORK_FACTS_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge_limits.h"
#include "netlink.h"
#include "script_limits.h"

/* Hardware addresses are 6 bytes on Ethernet and Wi-Fi, 20 on InfiniBand. */
#define BRIDGE_MAC_BYTES_MAX 20
/* A Wi-Fi's name is 32 bytes, each written with at most four characters. */
#define BRIDGE_SSID_CHARS_MAX (32 * 4)

/* family AF_INET, AF_INET6, or 0 for none; the rest of `bytes` is zero. */
struct bridge_address {
    int family;
    uint8_t bytes[16];
};

/* The way out: an interface, and the router behind it where there is one. index 0: there is no network. */
struct bridge_uplink {
    int index;
    char device[IF_NAMESIZE];
    struct bridge_address gateway;
    /* Hardware addresses of Ethernet's form, which Wi-Fi has too. */
    bool is_ethernet_like;
};

/* Addresses of one interface that are good beyond its own link: those to stay first, those being given up last. */
struct bridge_addresses {
    struct bridge_address of[BRIDGE_NETWORK_ADDRESSES_MAX];
    int count;
};

/* Addresses the kernel told of, so that their renewal is no news. */
struct bridge_known_addresses {
    uint64_t hashes[LIMIT_NETWORK_LINES_REMEMBERED_MAX];
    int count;
};

enum bridge_network_kind {
    BRIDGE_NETWORK_UNKNOWN,
    BRIDGE_NETWORK_ETHERNET,
    BRIDGE_NETWORK_WIFI,
    BRIDGE_NETWORK_CELLULAR,
};

/* What names a network. */
struct bridge_identity {
    struct bridge_uplink uplink;
    enum bridge_network_kind kind;
    uint8_t mac[BRIDGE_MAC_BYTES_MAX];
    size_t mac_bytes;
    /* As `iw` writes it; "" for none. */
    char ssid[BRIDGE_SSID_CHARS_MAX + 1];
};

/* Of `family` for bytes of its length, else none. */
struct bridge_address bridge_address_of(int family, const void *bytes, size_t count);
bool bridge_address_is(const struct bridge_address *one, const struct bridge_address *other);
/* ---- network_read.c ---- */

/*
 * The default route of the lowest metric, IPv4 first, else an interface with an address that is good beyond its own
 * link; the addresses of that interface, and all known. 0, or -1: the kernel does not say.
 */
int bridge_network_read(struct bridge_netlink *netlink, struct bridge_uplink *uplink,
                        struct bridge_addresses *addresses, struct bridge_known_addresses *known);
/* Whether a message about a route means one of the main table to everywhere. */
bool bridge_network_is_default_route(const struct nlmsghdr *message);
/* Whether a message about an address, RTM_NEWADDR, only renews what is known. */
bool bridge_network_is_renewal(const struct nlmsghdr *message, const struct bridge_known_addresses *known);

/* ---- network_facts.c, network_wifi.c ---- */

/* The router's hardware address into identity->mac; mac_bytes stays as it is when it is not known. */
void bridge_network_read_mac(struct bridge_netlink *netlink, struct bridge_identity *identity);
/* One empty datagram to the router, so that the kernel asks for its hardware address. */
void bridge_network_nudge(const struct bridge_uplink *uplink);
/* From /sys/class/net. */
enum bridge_network_kind bridge_network_kind_of(const struct bridge_uplink *uplink);
/* A Wi-Fi's name of at most 32 bytes, as iw writes it, whose output the Node host reads. */
void bridge_network_write_ssid(const uint8_t *ssid, size_t count, char text[BRIDGE_SSID_CHARS_MAX + 1]);
/* The name of the Wi-Fi that `uplink` is on, or "". */
void bridge_network_read_ssid(const struct bridge_uplink *uplink, char ssid[BRIDGE_SSID_CHARS_MAX + 1]);
/* The same whenever the device is on the same network, as far as can be told. */
void bridge_network_label(const struct bridge_identity *identity, char label[LIMIT_NETWORK_LABEL_CHARS_MAX + 1]);

#endif
