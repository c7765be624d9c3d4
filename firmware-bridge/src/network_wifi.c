/* SPDX-License-Identifier: MIT */

/* network_wifi: the name of the Wi-Fi, from nl80211, or from the wireless extensions where a driver has only those. */

#include <linux/genetlink.h>
#include <linux/nl80211.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "network_facts.h"

/* linux/wireless.h needs headers that cannot stand beside net/if.h: the one request, and its form. */
#define BRIDGE__SIOCGIWESSID 0x8B1B
#define BRIDGE__SSID_BYTES_MAX 32

struct bridge__wireless_request {
    char device[IF_NAMESIZE];
    union {
        struct {
            void *pointer;
            uint16_t length;
            uint16_t flags;
        } essid;
        uint8_t whole[16];
    } data;
};

struct bridge__ssid {
    uint8_t bytes[BRIDGE__SSID_BYTES_MAX];
    size_t count;
};

static void bridge__visit_family(void *user, const struct nlmsghdr *message)
{
    const struct rtattr *id = bridge_netlink_find(message, sizeof(struct genlmsghdr), CTRL_ATTR_FAMILY_ID);

    if (id != NULL && bridge_netlink_bytes_of(id) >= sizeof(uint16_t))
        memcpy(user, RTA_DATA(id), sizeof(uint16_t));
}

static void bridge__visit_interface(void *user, const struct nlmsghdr *message)
{
    const struct rtattr *name = bridge_netlink_find(message, sizeof(struct genlmsghdr), NL80211_ATTR_SSID);
    struct bridge__ssid *ssid = user;

    if (name == NULL || bridge_netlink_bytes_of(name) > sizeof ssid->bytes)
        return;
    ssid->count = bridge_netlink_bytes_of(name);
    memcpy(ssid->bytes, RTA_DATA(name), ssid->count);
}

/* Leaves `ssid` empty where there is no nl80211, or no network. */
static void bridge__ask_nl80211(const struct bridge_uplink *uplink, struct bridge__ssid *ssid)
{
    const struct genlmsghdr which = {.cmd = CTRL_CMD_GETFAMILY, .version = 1};
    const struct genlmsghdr get = {.cmd = NL80211_CMD_GET_INTERFACE};
    const uint32_t index = (uint32_t) uplink->index;
    struct bridge_netlink netlink;
    struct bridge_netlink_question question;
    uint16_t family = 0;

    if (bridge_netlink_open(&netlink, NETLINK_GENERIC))
        return;
    bridge_netlink_begin(&question, GENL_ID_CTRL, 0, &which, sizeof which);
    bridge_netlink_add(&question, CTRL_ATTR_FAMILY_NAME, NL80211_GENL_NAME, sizeof NL80211_GENL_NAME);
    if (bridge_netlink_ask(&netlink, &question, bridge__visit_family, &family) == 0 && family != 0) {
        bridge_netlink_begin(&question, family, 0, &get, sizeof get);
        bridge_netlink_add(&question, NL80211_ATTR_IFINDEX, &index, sizeof index);
        (void) bridge_netlink_ask(&netlink, &question, bridge__visit_interface, ssid);
    }
    bridge_netlink_close(&netlink);
}

static void bridge__ask_wireless(const struct bridge_uplink *uplink, struct bridge__ssid *ssid)
{
    struct bridge__wireless_request request = {.data.essid = {ssid->bytes, sizeof ssid->bytes, 0}};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return;
    memcpy(request.device, uplink->device, sizeof request.device);
    if (ioctl(fd, BRIDGE__SIOCGIWESSID, &request) == 0 && request.data.essid.flags != 0 &&
        request.data.essid.length <= sizeof ssid->bytes)
        ssid->count = request.data.essid.length;
    (void) close(fd);
}

void bridge_network_write_ssid(const uint8_t *ssid, size_t count, char text[BRIDGE_SSID_CHARS_MAX + 1])
{
    size_t at = 0;

    for (size_t i = 0; i < count; i++) {
        const unsigned char byte = ssid[i];
        const bool is_inner_space = byte == ' ' && i > 0 && i + 1 < count;

        if (is_inner_space || (byte > ' ' && byte <= '~' && byte != '\\'))
            text[at++] = (char) byte;
        else
            at += (size_t) snprintf(text + at, 5, "\\x%02x", byte);
    }
    text[at] = '\0';
}

void bridge_network_read_ssid(const struct bridge_uplink *uplink, char text[BRIDGE_SSID_CHARS_MAX + 1])
{
    struct bridge__ssid ssid = {0};

    bridge__ask_nl80211(uplink, &ssid);
    if (ssid.count == 0)
        bridge__ask_wireless(uplink, &ssid);
    bridge_network_write_ssid(ssid.bytes, ssid.count, text);
}
