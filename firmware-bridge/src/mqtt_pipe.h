/* SPDX-License-Identifier: MIT */

/* mqtt_pipe: what stands between libmosquitto and a stream. Internal to mqtt.c. */
#ifndef BRIDGE_MQTT_PIPE_H
#define BRIDGE_MQTT_PIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mosquitto;

/* Where libmosquitto connects to: a listening Unix socket without a name. Both -1 while it is not made. */
struct bridge_mqtt_door {
    int listener_fd;
    /* Of the socket's inode: its path in /proc is what libmosquitto is given. */
    int inode_fd;
};

/*
 * Has `client` connect to `door`, which is made below `directory` (NULL: /tmp) with the first call. A descriptor of the
 * caller's, or -1.
 */
int bridge_mqtt_door_enter(struct bridge_mqtt_door *door, const char *directory, struct mosquitto *client);
void bridge_mqtt_door_close(struct bridge_mqtt_door *door);

/* Where in the broker's packets we are. Zeroed before the first byte. */
struct bridge_mqtt_reader {
    /* Bytes of the packet still to come; 0 before its first byte. */
    uint32_t left_bytes;
    /* Of its length: what was read so far, and how many bytes more there may be; 0 before its first byte. */
    uint32_t length;
    int length_bytes;
    bool is_in_length;
    /* Packets begun. */
    uint64_t packets;
};

/*
 * True when libmosquitto may read these bytes. It has no bound for what it receives by MQTT 3.1.1: it would gather
 * 256 MB for one packet (2.2.3), and keep messages of QoS 2, which nobody subscribed to, for as long as it pleases the
 * broker.
 */
bool bridge_mqtt_reader_takes(struct bridge_mqtt_reader *reader, const uint8_t *bytes, size_t count);

#endif
