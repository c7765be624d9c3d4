/* SPDX-License-Identifier: MIT */

/* network_facts: what names a network: its router in the kernel's table, its interface in /sys/class/net. */

#include "network_facts.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Where a datagram goes that is only to make the kernel ask for the router's hardware address: "discard" (RFC 863). */
#define BRIDGE__DISCARD_PORT 9

static void bridge__visit_neighbour(void *user, const struct nlmsghdr *message)
{
    struct bridge_identity *identity = user;
    const struct ndmsg *neighbour = NLMSG_DATA(message);
    const struct rtattr *destination;
    const struct rtattr *mac;
    struct bridge_address address;

    if (message->nlmsg_type != RTM_NEWNEIGH || !bridge_netlink_has(message, sizeof *neighbour) ||
        neighbour->ndm_ifindex != identity->uplink.index || (neighbour->ndm_state & ~NUD_NOARP) == 0)
        return;
    destination = bridge_netlink_find(message, sizeof *neighbour, NDA_DST);
    mac = bridge_netlink_find(message, sizeof *neighbour, NDA_LLADDR);
    if (destination == NULL || mac == NULL || bridge_netlink_bytes_of(mac) < 6 ||
        bridge_netlink_bytes_of(mac) > BRIDGE_MAC_BYTES_MAX)
        return;
    address = bridge_address_of(neighbour->ndm_family, RTA_DATA(destination), bridge_netlink_bytes_of(destination));
    if (!bridge_address_is(&address, &identity->uplink.gateway))
        return;
    identity->mac_bytes = bridge_netlink_bytes_of(mac);
    memcpy(identity->mac, RTA_DATA(mac), identity->mac_bytes);
}

void bridge_network_read_mac(struct bridge_netlink *netlink, struct bridge_identity *identity)
{
    const struct ndmsg all = {.ndm_family = (unsigned char) identity->uplink.gateway.family};
    const uint32_t index = (uint32_t) identity->uplink.index;
    struct bridge_netlink_question question;

    bridge_netlink_begin(&question, RTM_GETNEIGH, NLM_F_DUMP, &all, sizeof all);
    /* For kernels that heed it. */
    bridge_netlink_add(&question, NDA_IFINDEX, &index, sizeof index);
    (void) bridge_netlink_ask(netlink, &question, bridge__visit_neighbour, identity);
}

void bridge_network_nudge(const struct bridge_uplink *uplink)
{
    struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6, .sin6_port = htons(BRIDGE__DISCARD_PORT)};
    struct sockaddr_in ipv4 = {.sin_family = AF_INET, .sin_port = htons(BRIDGE__DISCARD_PORT)};
    const bool is_ipv6 = uplink->gateway.family == AF_INET6;
    int fd = socket(uplink->gateway.family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return;
    memcpy(&ipv6.sin6_addr, uplink->gateway.bytes, sizeof ipv6.sin6_addr);
    memcpy(&ipv4.sin_addr, uplink->gateway.bytes, sizeof ipv4.sin_addr);
    /* An address good on one link only has to say on which. */
    if (IN6_IS_ADDR_LINKLOCAL(&ipv6.sin6_addr))
        ipv6.sin6_scope_id = (uint32_t) uplink->index;
    (void) sendto(fd, "", 0, MSG_NOSIGNAL, is_ipv6 ? (const struct sockaddr *) &ipv6 : (const struct sockaddr *) &ipv4,
                  is_ipv6 ? sizeof ipv6 : sizeof ipv4);
    (void) close(fd);
}

/* A name that is no path, no option, and nothing that a terminal would obey. */
static bool bridge__is_plain_name(const char *device)
{
    if (!isalnum((unsigned char) device[0]) && device[0] != '_')
        return false;
    for (const char *at = device; *at != '\0'; at++) {
        if (*at == '/' || isspace((unsigned char) *at))
            return false;
    }
    return true;
}

/* True when /sys/class/net/<device>/<file> is there; up to `room` - 1 bytes of it go to `text`, which may be NULL. */
static bool bridge__read_sys(const char *device, const char *file, char *text, size_t room)
{
    char path[64 + IF_NAMESIZE];
    FILE *stream;

    (void) snprintf(path, sizeof path, "/sys/class/net/%s/%s", device, file);
    if (text == NULL)
        return access(path, F_OK) == 0;
    stream = fopen(path, "re");
    text[stream != NULL ? fread(text, 1, room - 1, stream) : 0] = '\0';
    if (stream != NULL)
        (void) fclose(stream);
    return stream != NULL;
}

enum bridge_network_kind bridge_network_kind_of(const struct bridge_uplink *uplink)
{
    static const char *const cellular[] = {"wwan", "ppp", "rmnet", "ccmni"};
    char uevent[512];
    char *type = uevent;

    if (!bridge__is_plain_name(uplink->device))
        return BRIDGE_NETWORK_UNKNOWN;
    (void) bridge__read_sys(uplink->device, "uevent", uevent, sizeof uevent);
    while (type != NULL && strncmp(type, "DEVTYPE=", 8) != 0) {
        type = strchr(type, '\n');
        type = type != NULL ? type + 1 : NULL;
    }
    if (type != NULL)
        type[strcspn(type, "\n")] = '\0';
    if (type != NULL && strcmp(type, "DEVTYPE=wwan") == 0)
        return BRIDGE_NETWORK_CELLULAR;
    for (size_t i = 0; i < sizeof cellular / sizeof cellular[0]; i++) {
        if (strncmp(uplink->device, cellular[i], strlen(cellular[i])) == 0)
            return BRIDGE_NETWORK_CELLULAR;
    }
    if ((type != NULL && strcmp(type, "DEVTYPE=wlan") == 0) || bridge__read_sys(uplink->device, "wireless", NULL, 0) ||
        bridge__read_sys(uplink->device, "phy80211", NULL, 0))
        return BRIDGE_NETWORK_WIFI;
    return uplink->is_ethernet_like ? BRIDGE_NETWORK_ETHERNET : BRIDGE_NETWORK_UNKNOWN;
}

/* The router's hardware address, else its address, else "". */
static void bridge__write_router(const struct bridge_identity *identity, char *text, size_t room)
{
    const struct bridge_address *gateway = &identity->uplink.gateway;
    size_t at = 0;

    text[0] = '\0';
    for (size_t i = 0; i < identity->mac_bytes; i++)
        at += (size_t) snprintf(text + at, room - at, "%s%02x", i > 0 ? ":" : "", identity->mac[i]);
    if (identity->mac_bytes == 0 && gateway->family != 0)
        (void) inet_ntop(gateway->family, gateway->bytes, text, (socklen_t) room);
}

void bridge_network_label(const struct bridge_identity *identity, char label[LIMIT_NETWORK_LABEL_CHARS_MAX + 1])
{
    static const char *const kinds[] = {"unknown", "ethernet", "wifi", "cellular"};
    const char *kind = kinds[identity->kind];
    const char *device = identity->uplink.device;
    const size_t room = LIMIT_NETWORK_LABEL_CHARS_MAX + 1;
    char router[BRIDGE_MAC_BYTES_MAX * 3 + 1];

    bridge__write_router(identity, router, sizeof router);
    if (identity->kind == BRIDGE_NETWORK_CELLULAR)
        (void) snprintf(label, room, "cellular:%s", device);
    else if (identity->kind == BRIDGE_NETWORK_WIFI && identity->ssid[0] != '\0')
        (void) snprintf(label, room, "wifi:%.*s", LIMIT_NETWORK_LABEL_CHARS_MAX - 5, identity->ssid);
    else if (identity->kind == BRIDGE_NETWORK_WIFI && router[0] != '\0')
        (void) snprintf(label, room, "wifi@%s", router);
    else
        (void) snprintf(label, room, "%s:%s%s%s", kind, device, router[0] != '\0' ? "@" : "", router);
    /* A name is whatever somebody typed; it ends up on the administrator's terminal. */
    for (char *at = label; *at != '\0'; at++) {
        if (*at < ' ' || *at > '~')
            *at = '?';
    }
}
