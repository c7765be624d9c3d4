/* SPDX-License-Identifier: MIT */

/* mqtt_link: one MQTT link, between the script, libmosquitto and a stream. Internal to mqtt.c and mqtt_link.c. */
#ifndef BRIDGE_MQTT_LINK_H
#define BRIDGE_MQTT_LINK_H

#include <mosquitto.h>

#include "bridge.h"
#include "mqtt_pipe.h"
#include "stream.h"

/* Bytes on their way from libmosquitto to the stream. */
#define BRIDGE_MQTT_OUT_BYTES 2048

struct bridge_mqtt {
    struct bridge_mqtt_link *links;
    struct bridge_mqtt_door door;
    bool has_library;
};

/* One frame on its way to the broker. */
struct bridge_mqtt_sent {
    struct bridge_mqtt_sent *next;
    int mid;
    size_t bytes;
};

struct bridge_mqtt_link {
    struct bridge_mqtt_link *next;
    struct bridge *b;
    int64_t id;
    /* The script has closed it, or was told that it is closed: it expects nothing any more. */
    bool is_forgotten;
    /* CONNECT was accepted. */
    bool is_connected;
    bool is_open;
    /* DISCONNECT was given to libmosquitto. */
    bool has_left;
    /* libmosquitto is on the stack: it is not to be destroyed, and what it found is handled when it returns. */
    bool is_in_library;
    /* A callback found that the link is to end; NULL for no. */
    const char *fault;
    int fault_status;
    struct bridge_stream *stream;
    struct mosquitto *client;
    /* The other end of libmosquitto's socket, or -1. */
    int pipe_fd;
    struct bridge_mqtt_reader reader;
    /* Packets begun when the network last took all there was. */
    uint64_t packets_answered;
    /* The time to open, or to close. */
    struct bridge_delay deadline;
    char *topic_up;
    char *topic_down;
    int subscribe_mid;
    struct bridge_mqtt_sent *sent;
    size_t queued_bytes;
    /* A QoS 0 frame is told as sent while it is being handed over. */
    int told_mid;
    uint8_t out[BRIDGE_MQTT_OUT_BYTES];
    size_t out_at;
    size_t out_bytes;
};

/* A link that has not dialled yet; NULL without memory, or for a topic or name that MQTT does not allow. */
struct bridge_mqtt_link *bridge_mqtt_link_new(struct bridge *b, int64_t id, const char *username, const char *topic,
                                              const char *bearer);
/* Dials; the link is one of b->mqtt's from now on. What comes of it is told by linkOpened or linkClosed. */
void bridge_mqtt_link_dial(struct bridge_mqtt_link *link, const struct bridge_url *url);
/* One frame; dropped before the broker has let us in. May free the link. */
void bridge_mqtt_link_send(struct bridge_mqtt_link *link, const uint8_t *frame, size_t bytes, int qos);
/* Forgets the link, and says goodbye where somebody listens. May free it. */
void bridge_mqtt_link_close(struct bridge_mqtt_link *link);
/* At once and without a word. Not from within libmosquitto. */
void bridge_mqtt_link_free(struct bridge_mqtt_link *link);

#endif
