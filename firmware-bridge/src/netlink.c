/* SPDX-License-Identifier: MIT */

/* netlink: questions to the kernel (rtnetlink, generic netlink), answered before the call returns. */

#include "netlink.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "bridge.h"
#include "bridge_limits.h"

int bridge_netlink_open(struct bridge_netlink *netlink, int protocol)
{
    /* Answers are made within the system call that asks for them; this is only so that nothing can hang. */
    const struct timeval patience = {.tv_sec = 1};

    memset(netlink, 0, sizeof *netlink);
    netlink->protocol = protocol;
    netlink->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
    if (netlink->fd < 0)
        return -1;
    netlink->buffer = bridge_malloc(BRIDGE_NETLINK_BYTES);
    if (netlink->buffer == NULL || setsockopt(netlink->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0) {
        bridge_netlink_close(netlink);
        return -1;
    }
    return 0;
}

void bridge_netlink_close(struct bridge_netlink *netlink)
{
    if (netlink->fd >= 0)
        (void) close(netlink->fd);
    bridge_free(netlink->buffer);
    netlink->fd = -1;
    netlink->buffer = NULL;
}

void bridge_netlink_begin(struct bridge_netlink_question *question, uint16_t type, uint16_t flags, const void *fixed,
                          size_t bytes)
{
    memset(question, 0, sizeof *question);
    question->header.nlmsg_type = type;
    /* What is no dump ends with an acknowledgement. */
    question->header.nlmsg_flags = (uint16_t) (NLM_F_REQUEST | flags | ((flags & NLM_F_DUMP) != 0 ? 0 : NLM_F_ACK));
    memcpy(question->body, fixed, bytes);
    question->header.nlmsg_len = (uint32_t) NLMSG_LENGTH(bytes);
}

void bridge_netlink_add(struct bridge_netlink_question *question, uint16_t type, const void *data, size_t bytes)
{
    const size_t at = NLMSG_ALIGN(question->header.nlmsg_len) - sizeof question->header;
    const struct rtattr attribute = {.rta_type = type, .rta_len = (unsigned short) RTA_LENGTH(bytes)};

    memcpy(question->body + at, &attribute, sizeof attribute);
    memcpy(question->body + at + sizeof attribute, data, bytes);
    question->header.nlmsg_len = (uint32_t) (sizeof question->header + at + RTA_ALIGN(attribute.rta_len));
}

/* What one message means: 1 for the end, -1 for a failure, 0 for one that was visited or is none of ours. */
static int bridge__netlink_take(const struct bridge_netlink *netlink, const struct nlmsghdr *message,
                                void (*visit)(void *user, const struct nlmsghdr *message), void *user)
{
    if (message->nlmsg_seq != netlink->sequence)
        return 0;
    if (message->nlmsg_flags & NLM_F_DUMP_INTR)
        return -1;
    if (message->nlmsg_type == NLMSG_DONE)
        return 1;
    if (message->nlmsg_type == NLMSG_ERROR) {
        const struct nlmsgerr *error = NLMSG_DATA(message);

        return bridge_netlink_has(message, sizeof *error) && error->error == 0 ? 1 : -1;
    }
    if (message->nlmsg_type >= NLMSG_MIN_TYPE)
        visit(user, message);
    return 0;
}

int bridge_netlink_ask(struct bridge_netlink *netlink, struct bridge_netlink_question *question,
                       void (*visit)(void *user, const struct nlmsghdr *message), void *user)
{
    const struct sockaddr_nl to = {.nl_family = AF_NETLINK};
    int messages = 0;

    question->header.nlmsg_seq = ++netlink->sequence;
    if (sendto(netlink->fd, question, question->header.nlmsg_len, 0, (const struct sockaddr *) &to, sizeof to) < 0)
        return -1;
    for (;;) {
        struct sockaddr_nl from = {0};
        socklen_t from_bytes = sizeof from;
        ssize_t bytes = recvfrom(netlink->fd, netlink->buffer, BRIDGE_NETLINK_BYTES, MSG_TRUNC,
                                 (struct sockaddr *) &from, &from_bytes);

        if (bytes < 0 && errno == EINTR)
            continue;
        if (bytes < 0 || (size_t) bytes > BRIDGE_NETLINK_BYTES)
            return -1;
        /* Only the kernel is believed. */
        if (from.nl_pid != 0)
            continue;
        for (size_t at = 0; at < (size_t) bytes;) {
            const struct nlmsghdr *message = bridge_netlink_next(netlink->buffer, (size_t) bytes, &at);
            int result = message != NULL ? bridge__netlink_take(netlink, message, visit, user) : -1;

            if (result != 0)
                return result > 0 ? 0 : -1;
            if (++messages == BRIDGE_NETLINK_MESSAGES_MAX) {
                /* A socket answers nothing else until its dump was read. */
                bridge_netlink_close(netlink);
                return bridge_netlink_open(netlink, netlink->protocol);
            }
        }
    }
}

const struct nlmsghdr *bridge_netlink_next(const uint8_t *bytes, size_t count, size_t *at)
{
    const struct nlmsghdr *message = (const struct nlmsghdr *) (const void *) (bytes + *at);

    if (count - *at < sizeof *message || message->nlmsg_len < sizeof *message || message->nlmsg_len > count - *at)
        return NULL;
    *at += NLMSG_ALIGN(message->nlmsg_len);
    return message;
}

bool bridge_netlink_has(const struct nlmsghdr *message, size_t fixed_bytes)
{
    return message->nlmsg_len >= NLMSG_LENGTH(fixed_bytes);
}

const struct rtattr *bridge_netlink_find_in(const void *attributes, size_t bytes, uint16_t type)
{
    size_t at = 0;

    /* The last one's padding may lie behind the end. */
    while (at < bytes && bytes - at >= sizeof(struct rtattr)) {
        const struct rtattr *attribute = (const struct rtattr *) (const void *) ((const uint8_t *) attributes + at);

        if (attribute->rta_len < sizeof *attribute || attribute->rta_len > bytes - at)
            return NULL;
        if ((attribute->rta_type & NLA_TYPE_MASK) == type)
            return attribute;
        at += RTA_ALIGN(attribute->rta_len);
    }
    return NULL;
}

const struct rtattr *bridge_netlink_find(const struct nlmsghdr *message, size_t fixed_bytes, uint16_t type)
{
    const size_t offset = NLMSG_LENGTH(NLMSG_ALIGN(fixed_bytes));

    if (message->nlmsg_len <= offset)
        return NULL;
    return bridge_netlink_find_in((const uint8_t *) message + offset, message->nlmsg_len - offset, type);
}

size_t bridge_netlink_bytes_of(const struct rtattr *attribute)
{
    return RTA_PAYLOAD(attribute);
}

uint32_t bridge_netlink_u32(const struct rtattr *attribute, uint32_t otherwise)
{
    uint32_t number = otherwise;

    if (attribute != NULL && bridge_netlink_bytes_of(attribute) >= sizeof number)
        memcpy(&number, RTA_DATA(attribute), sizeof number);
    return number;
}
