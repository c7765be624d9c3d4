/* SPDX-License-Identifier: MIT */

/*
 * Messages of netlink in any number, and names of networks: nothing is read outside of them, and the name is one line of printable ASCII
 * within its bound.
 */

#include <stdlib.h>
#include <string.h>

#include "network_facts.h"
#include "support.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void check_messages(const uint8_t *data, size_t bytes)
{
    /* As received: in a buffer of its own, aligned, and no longer than it is. */
    uint8_t *buffer = malloc(bytes > 0 ? bytes : 1);
    struct bridge_known_addresses known = {0};

    CHECK(buffer != NULL);
    memcpy(buffer, data, bytes);
    for (size_t at = 0; at < bytes;) {
        const struct nlmsghdr *message = bridge_netlink_next(buffer, bytes, &at);

        if (message == NULL)
            break;
        (void) bridge_network_is_default_route(message);
        (void) bridge_network_is_renewal(message, &known);
        for (uint16_t type = 0; type < 32; type++) {
            const struct rtattr *found = bridge_netlink_find(message, sizeof(struct rtmsg), type);

            if (found != NULL)
                (void) bridge_netlink_find_in(RTA_DATA(found), bridge_netlink_bytes_of(found), type);
            (void) bridge_netlink_u32(found, 0);
        }
    }
    free(buffer);
}

static void check_label(const uint8_t *data, size_t bytes)
{
    struct bridge_identity identity = {.kind = BRIDGE_NETWORK_WIFI};
    char label[LIMIT_NETWORK_LABEL_CHARS_MAX + 1];
    const size_t ssid_bytes = bytes < 32 ? bytes : 32;

    bridge_network_write_ssid(data, ssid_bytes, identity.ssid);
    if (bytes > 64) {
        identity.kind = (enum bridge_network_kind) (data[32] & 3);
        memcpy(identity.uplink.device, data + 33, IF_NAMESIZE - 1);
        identity.mac_bytes = data[49] % (BRIDGE_MAC_BYTES_MAX + 1);
        memcpy(identity.mac, data + 44, identity.mac_bytes);
        identity.uplink.gateway = bridge_address_of(data[50] & 1 ? AF_INET : AF_INET6, data + 33, data[50] & 1 ? 4 : 16);
    }
    bridge_network_label(&identity, label);
    CHECK(strlen(label) > 0);
    for (const char *at = label; *at != '\0'; at++)
        CHECK(*at >= ' ' && *at <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    check_messages(data, bytes);
    check_label(data, bytes);
    return 0;
}
