/* SPDX-License-Identifier: MIT */

/*
 * mqtt_pipe: how libmosquitto is fed. It can only dial by itself, so it dials a Unix socket of ours (port 0, from
 * libmosquitto 2 on); what it writes there goes over a stream, what the stream brings is checked and goes back. No
 * other process gets in: the socket has no name any more when it is used, and who connects is asked for.
 */

#include "mqtt_pipe.h"

#include <fcntl.h>
#include <mosquitto.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "script_limits.h"

#define BRIDGE__BACKLOG 4
/* Bytes of an MQTT remaining length, at most. */
#define BRIDGE__LENGTH_BYTES_MAX 4
/* Of a packet's first byte (MQTT 3.1.1 §2.2): PUBLISH with QoS 2 or the reserved 3. */
#define BRIDGE__PUBLISH 3
#define BRIDGE__QOS_OVER_1 0x04

/* A path by way of /proc, which is short wherever the thing itself lies. */
static void bridge__path_of(char *path, size_t room, int fd, const char *name)
{
    (void) snprintf(path, room, "/proc/self/fd/%d%s", fd, name);
}

void bridge_mqtt_door_close(struct bridge_mqtt_door *door)
{
    if (door->listener_fd >= 0)
        (void) close(door->listener_fd);
    if (door->inode_fd >= 0)
        (void) close(door->inode_fd);
    door->listener_fd = door->inode_fd = -1;
}

/* 0, or -1: the directory is not writable, or there is no /proc. */
static int bridge__door_make(struct bridge_mqtt_door *door, const char *directory)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int directory_fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    char name[32];
    int result = -1;

    if (directory_fd < 0)
        return -1;
    (void) snprintf(name, sizeof name, "/.mqtt-%ld", (long) getpid());
    bridge__path_of(address.sun_path, sizeof address.sun_path, directory_fd, name);
    door->listener_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (door->listener_fd < 0)
        goto out;
    /* One that a power cut left behind. */
    (void) unlinkat(directory_fd, name + 1, 0);
    if (bind(door->listener_fd, (const struct sockaddr *) &address, sizeof address) < 0)
        goto out;
    door->inode_fd = openat(directory_fd, name + 1, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    (void) unlinkat(directory_fd, name + 1, 0);
    if (door->inode_fd >= 0 && listen(door->listener_fd, BRIDGE__BACKLOG) == 0)
        result = 0;
out:
    (void) close(directory_fd);
    if (result != 0)
        bridge_mqtt_door_close(door);
    return result;
}

/* The next who came in and is this process, or -1. */
static int bridge__door_accept(const struct bridge_mqtt_door *door)
{
    for (;;) {
        struct ucred peer = {0};
        socklen_t bytes = sizeof peer;
        int fd = accept4(door->listener_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd < 0 || (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) == 0 && peer.pid == getpid()))
            return fd;
        (void) close(fd);
    }
}

int bridge_mqtt_door_enter(struct bridge_mqtt_door *door, const char *directory, struct mosquitto *client)
{
    char path[64];
    int fd;

    if (door->listener_fd < 0 && bridge__door_make(door, directory != NULL ? directory : P_tmpdir))
        return -1;
    bridge__path_of(path, sizeof path, door->inode_fd, "");
    /* Never waits: a Unix socket is connected at once or not at all. Keep-alive 0: the agent has its own. */
    fd = mosquitto_connect_async(client, path, 0, 0) == MOSQ_ERR_SUCCESS ? bridge__door_accept(door) : -1;
    /* It may stand in front of the door nevertheless, and the next to come would be taken for it. */
    if (fd < 0)
        bridge_mqtt_door_close(door);
    /* For programs started later. */
    if (fd >= 0)
        (void) fcntl(mosquitto_socket(client), F_SETFD, FD_CLOEXEC);
    return fd;
}

bool bridge_mqtt_reader_takes(struct bridge_mqtt_reader *reader, const uint8_t *bytes, size_t count)
{
    size_t at = 0;

    while (at < count) {
        if (reader->left_bytes > 0) {
            size_t now = count - at < reader->left_bytes ? count - at : reader->left_bytes;

            reader->left_bytes -= (uint32_t) now;
            at += now;
        } else if (!reader->is_in_length) {
            const unsigned int first = bytes[at++];

            if (first >> 4 == BRIDGE__PUBLISH && (first & BRIDGE__QOS_OVER_1) != 0)
                return false;
            reader->packets++;
            reader->is_in_length = true;
            reader->length = 0;
            reader->length_bytes = 0;
        } else {
            const uint32_t byte = bytes[at++];

            reader->length |= (byte & 0x7f) << (7 * reader->length_bytes++);
            if (reader->length > LIMIT_MQTT_PACKET_BYTES_MAX)
                return false;
            if (byte < 0x80) {
                reader->left_bytes = reader->length;
                reader->is_in_length = false;
            } else if (reader->length_bytes == BRIDGE__LENGTH_BYTES_MAX) {
                return false;
            }
        }
    }
    return true;
}
