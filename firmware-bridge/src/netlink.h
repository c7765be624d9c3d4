/* SPDX-License-Identifier: MIT */

/* netlink: questions to the kernel, answered before the call returns. Internal. */
#ifndef BRIDGE_NETLINK_H
#define BRIDGE_NETLINK_H

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of one answer's part; the kernel makes dumps fit. */
#define BRIDGE_NETLINK_BYTES 32768

/* One socket for questions. Zeroed but for fd -1 while closed. */
struct bridge_netlink {
    int fd;
    int protocol;
    uint32_t sequence;
    uint8_t *buffer;
};

/* A question: header, the protocol's own part, attributes. */
struct bridge_netlink_question {
    struct nlmsghdr header;
    uint8_t body[112];
};

/* `protocol`: NETLINK_ROUTE, NETLINK_GENERIC. 0, or -1: no memory, or not allowed here. */
int bridge_netlink_open(struct bridge_netlink *netlink, int protocol);
void bridge_netlink_close(struct bridge_netlink *netlink);

/* Starts a question of `type` with the part `fixed`. NLM_F_DUMP in `flags` asks for all there are. */
void bridge_netlink_begin(struct bridge_netlink_question *question, uint16_t type, uint16_t flags, const void *fixed,
                          size_t bytes);
/* An attribute behind what is there; the caller knows that it fits. */
void bridge_netlink_add(struct bridge_netlink_question *question, uint16_t type, const void *data, size_t bytes);
/*
 * Asks, and calls `visit` with each message of the answer, borrowed. At most BRIDGE_NETLINK_MESSAGES_MAX of them are
 * looked at: 0 also then. -1 when the kernel refuses, or the answer has gaps.
 */
int bridge_netlink_ask(struct bridge_netlink *netlink, struct bridge_netlink_question *question,
                       void (*visit)(void *user, const struct nlmsghdr *message), void *user);

/* The message at *at, which is below `count`, of what was received; *at goes to the next. NULL for what is garbled. */
const struct nlmsghdr *bridge_netlink_next(const uint8_t *bytes, size_t count, size_t *at);
/* The attribute `type` behind the first `fixed_bytes` of the message's own part, or NULL. */
const struct rtattr *bridge_netlink_find(const struct nlmsghdr *message, size_t fixed_bytes, uint16_t type);
/* The same in `bytes` of attributes. */
const struct rtattr *bridge_netlink_find_in(const void *attributes, size_t bytes, uint16_t type);
size_t bridge_netlink_bytes_of(const struct rtattr *attribute);
/* A number of 32 bits, or `otherwise` where there is none. */
uint32_t bridge_netlink_u32(const struct rtattr *attribute, uint32_t otherwise);
/* True when the message holds `fixed_bytes` of its own part. */
bool bridge_netlink_has(const struct nlmsghdr *message, size_t fixed_bytes);

#endif
