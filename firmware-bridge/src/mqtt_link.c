/* SPDX-License-Identifier: MIT */

/*
 * mqtt_link: one MQTT link: what libmosquitto writes goes to the stream, what the stream brings is checked and goes to
 * libmosquitto, and what that finds out goes to the script. libmosquitto is on the stack while the script hears of
 * something, so what ends the link then is noted, and done when it has returned.
 */

#include "mqtt_link.h"

#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bridge_limits.h"
#include "script_limits.h"

/* What mqtts uses beside other things on one port is told in TLS there. */
#define BRIDGE__ALPN_PORT 443
#define BRIDGE__ALPN "mqtt"
/* QoS that a SUBACK grants, at most (MQTT 3.1.1, 3.9.3); 0x80 is a refusal. */
#define BRIDGE__GRANTED_QOS_MAX 2

/* ---- Ends ---- */

void bridge_mqtt_link_free(struct bridge_mqtt_link *link)
{
    struct bridge_mqtt_link **at = &link->b->mqtt->links;

    while (*at != NULL && *at != link)
        at = &(*at)->next;
    if (*at != NULL)
        *at = link->next;
    bridge_delay_cancel(&link->deadline);
    bridge_stream_close(link->stream);
    if (link->client != NULL)
        mosquitto_destroy(link->client);
    if (link->pipe_fd >= 0)
        (void) close(link->pipe_fd);
    while (link->sent != NULL) {
        struct bridge_mqtt_sent *sent = link->sent;

        link->sent = sent->next;
        bridge_free(sent);
    }
    bridge_free(link->topic_up);
    bridge_free(link->topic_down);
    bridge_free(link);
}

/* Frees the link, then tells the script unless it has forgotten it. Not from within libmosquitto. */
static void bridge__link_end(struct bridge_mqtt_link *link, const char *cause, int http_status)
{
    struct bridge *b = link->b;
    const int64_t id = link->id;
    const bool is_forgotten = link->is_forgotten;

    bridge_mqtt_link_free(link);
    if (!is_forgotten)
        bridge_emit_link_closed(b, id, cause, http_status, -1);
}

/* From within libmosquitto: the link ends when that has returned. The first fault counts. */
static void bridge__link_fault(struct bridge_mqtt_link *link, const char *cause, int http_status)
{
    if (link->fault != NULL)
        return;
    link->fault = cause;
    link->fault_status = http_status;
}

/* What libmosquitto's answer means to the link. */
static void bridge__link_check(struct bridge_mqtt_link *link, int result)
{
    if (result == MOSQ_ERR_NOMEM)
        bridge__link_fault(link, "local", -1);
    else if (result != MOSQ_ERR_SUCCESS && !link->has_left)
        bridge__link_fault(link, "protocol", -1);
}

/* ---- Between libmosquitto and the network ---- */

/* The rest of what libmosquitto could not write. */
static void bridge__library_write(struct bridge_mqtt_link *link)
{
    link->is_in_library = true;
    bridge__link_check(link, mosquitto_loop_write(link->client, 1));
    link->is_in_library = false;
}

/* Hands over what libmosquitto wrote, as far as the network takes it. False when the link has ended. */
static bool bridge__link_flush(struct bridge_mqtt_link *link)
{
    while (link->fault == NULL) {
        ssize_t count;

        if (link->out_at < link->out_bytes) {
            link->out_at += bridge_stream_write(link->stream, link->out + link->out_at, link->out_bytes - link->out_at);
            if (link->out_at < link->out_bytes)
                return true;
        }
        count = recv(link->pipe_fd, link->out, sizeof link->out, MSG_DONTWAIT);
        link->out_at = 0;
        link->out_bytes = count > 0 ? (size_t) count : 0;
        if (count < 0 && mosquitto_want_write(link->client)) {
            bridge__library_write(link);
        } else if (count < 0) {
            link->packets_answered = link->reader.packets;
            /* What went through here last may have been the CONNECT with its password. */
            explicit_bzero(link->out, sizeof link->out);
            return true;
        } else if (count == 0) {
            /* It has written its DISCONNECT and left. */
            bridge__link_end(link, "closed", -1);
            return false;
        }
    }
    bridge__link_end(link, link->fault, link->fault_status);
    return false;
}

/* Says goodbye as soon as everything sent was taken. False when the link has ended. */
static bool bridge__link_progress(struct bridge_mqtt_link *link)
{
    if (link->is_forgotten && !link->has_left && link->sent == NULL && link->fault == NULL) {
        link->has_left = true;
        link->is_in_library = true;
        (void) mosquitto_disconnect(link->client);
        link->is_in_library = false;
    }
    return bridge__link_flush(link);
}

/* libmosquitto reads all there is. */
static void bridge__library_read(struct bridge_mqtt_link *link)
{
    int left = 0;
    int before = 0;

    while (link->fault == NULL && mosquitto_socket(link->client) >= 0 &&
           ioctl(mosquitto_socket(link->client), FIONREAD, &left) == 0 && left > 0 && left != before) {
        before = left;
        link->is_in_library = true;
        bridge__link_check(link, mosquitto_loop_read(link->client, 1));
        link->is_in_library = false;
    }
}

static void bridge__stream_received(void *user, const uint8_t *bytes, size_t count)
{
    struct bridge_mqtt_link *link = user;

    if (!bridge_mqtt_reader_takes(&link->reader, bytes, count))
        bridge__link_fault(link, "protocol", -1);
    /* Every packet may ask for an answer, which waits in memory while the broker does not read. */
    else if (link->reader.packets - link->packets_answered > BRIDGE_MQTT_UNANSWERED_MAX)
        bridge__link_fault(link, "overflow", -1);
    while (count > 0 && link->fault == NULL && mosquitto_socket(link->client) >= 0) {
        ssize_t sent = send(link->pipe_fd, bytes, count, MSG_DONTWAIT | MSG_NOSIGNAL);

        /* It has just read everything, so there is room. */
        if (sent <= 0)
            bridge__link_fault(link, "local", -1);
        else {
            bytes += sent;
            count -= (size_t) sent;
            bridge__library_read(link);
        }
    }
    (void) bridge__link_progress(link);
}

static void bridge__stream_writable(void *user)
{
    (void) bridge__link_progress(user);
}

static void bridge__stream_ended(void *user, const char *cause)
{
    bridge__link_end(user, cause, -1);
}

static void bridge__stream_opened(void *user)
{
    struct bridge_mqtt_link *link = user;

    link->pipe_fd = bridge_mqtt_door_enter(&link->b->mqtt->door, link->b->state_directory, link->client);
    if (link->pipe_fd < 0) {
        bridge_log(link->b, 4, "mqtt: no socket can be made in the state directory");
        bridge__link_end(link, "local", -1);
        return;
    }
    (void) bridge__link_flush(link);
}

static const struct bridge_stream_events BRIDGE__STREAM_EVENTS = {
    .opened = bridge__stream_opened,
    .received = bridge__stream_received,
    .writable = bridge__stream_writable,
    .ended = bridge__stream_ended,
};

static void bridge__link_late(void *user)
{
    bridge__link_end(user, "unreachable", -1);
}

/* ---- What libmosquitto calls ---- */

/* What a refused CONNECT (MQTT 3.1.1 §3.2.2.3) counts as. */
static int bridge__status_of_connack(int code)
{
    switch (code) {
    case 3:
        return 503;
    case 4:
    case 5:
        return 401;
    default:
        return 403;
    }
}

static void bridge__on_connect(struct mosquitto *client, void *user, int code)
{
    struct bridge_mqtt_link *link = user;

    /* A second CONNACK is a broker's mistake. */
    if (link->is_connected) {
        bridge__link_fault(link, "protocol", -1);
        return;
    }
    if (code != 0) {
        bridge__link_fault(link, "refused", bridge__status_of_connack(code));
        return;
    }
    link->is_connected = true;
    if (!link->is_forgotten)
        bridge__link_check(link, mosquitto_subscribe(client, &link->subscribe_mid, link->topic_down, 1));
}

static void bridge__on_subscribe(struct mosquitto *client, void *user, int mid, int count, const int *granted)
{
    struct bridge_mqtt_link *link = user;
    JSValue id;

    (void) client;
    if (link->is_forgotten || link->is_open || mid != link->subscribe_mid)
        return;
    if (count != 1 || granted[0] > BRIDGE__GRANTED_QOS_MAX) {
        bridge__link_fault(link, "refused", 403);
        return;
    }
    link->is_open = true;
    bridge_delay_cancel(&link->deadline);
    id = JS_NewInt64(link->b->ctx, link->id);
    (void) bridge_emit(link->b, "linkOpened", 1, &id);
}

static void bridge__on_message(struct mosquitto *client, void *user, const struct mosquitto_message *message)
{
    static const uint8_t none[1];
    struct bridge_mqtt_link *link = user;
    JSValue arguments[2];

    (void) client;
    if (link->is_forgotten || link->fault != NULL || strcmp(message->topic, link->topic_down) != 0)
        return;
    arguments[0] = JS_NewInt64(link->b->ctx, link->id);
    arguments[1] = JS_NewUint8ArrayCopy(link->b->ctx, message->payloadlen > 0 ? message->payload : none,
                                        (size_t) message->payloadlen);
    (void) bridge_emit(link->b, "linkMessage", 2, arguments);
}

/* A frame was sent (QoS 0) or taken (QoS 1). */
static void bridge__on_publish(struct mosquitto *client, void *user, int mid)
{
    struct bridge_mqtt_link *link = user;

    (void) client;
    link->told_mid = mid;
    for (struct bridge_mqtt_sent **at = &link->sent; *at != NULL; at = &(*at)->next) {
        struct bridge_mqtt_sent *sent = *at;

        if (sent->mid != mid)
            continue;
        link->queued_bytes -= sent->bytes;
        *at = sent->next;
        bridge_free(sent);
        return;
    }
}

/* ---- mqtt_link.h ---- */

struct bridge_mqtt_link *bridge_mqtt_link_new(struct bridge *b, int64_t id, const char *username, const char *topic,
                                              const char *bearer)
{
    struct bridge_mqtt_link *link = bridge_calloc(1, sizeof *link);
    size_t topic_bytes = strlen(topic);

    if (link == NULL)
        return NULL;
    link->b = b;
    link->id = id;
    link->pipe_fd = -1;
    link->topic_up = bridge_malloc(topic_bytes + sizeof "/up");
    link->topic_down = bridge_malloc(topic_bytes + sizeof "/down");
    if (link->topic_up == NULL || link->topic_down == NULL)
        goto failed;
    (void) stpcpy(stpcpy(link->topic_up, topic), "/up");
    (void) stpcpy(stpcpy(link->topic_down, topic), "/down");
    link->client = mosquitto_new(username, true, link);
    if (link->client == NULL || mosquitto_username_pw_set(link->client, username, bearer) != MOSQ_ERR_SUCCESS ||
        mosquitto_will_set(link->client, link->topic_up, 0, NULL, 1, false) != MOSQ_ERR_SUCCESS)
        goto failed;
    mosquitto_connect_callback_set(link->client, bridge__on_connect);
    mosquitto_subscribe_callback_set(link->client, bridge__on_subscribe);
    mosquitto_message_callback_set(link->client, bridge__on_message);
    mosquitto_publish_callback_set(link->client, bridge__on_publish);
    return link;
failed:
    bridge_mqtt_link_free(link);
    return NULL;
}

/* One frame, counted until it is on its way. */
static void bridge__link_publish(struct bridge_mqtt_link *link, const uint8_t *frame, size_t bytes, int qos)
{
    struct bridge_mqtt_sent *sent = bridge_malloc(sizeof *sent);
    int result;

    if (sent == NULL) {
        bridge__link_fault(link, "local", -1);
        return;
    }
    link->told_mid = 0;
    result = mosquitto_publish(link->client, &sent->mid, link->topic_up, (int) bytes, frame, qos, false);
    if (result != MOSQ_ERR_SUCCESS || link->told_mid == sent->mid) {
        bridge_free(sent);
        bridge__link_check(link, result);
        return;
    }
    sent->bytes = bytes;
    sent->next = link->sent;
    link->sent = sent;
    link->queued_bytes += bytes;
}

void bridge_mqtt_link_dial(struct bridge_mqtt_link *link, const struct bridge_url *url)
{
    struct bridge *b = link->b;
    const char *alpn = url->is_tls && url->port == BRIDGE__ALPN_PORT ? BRIDGE__ALPN : NULL;

    link->next = b->mqtt->links;
    b->mqtt->links = link;
    link->stream = bridge_stream_open(b, url, alpn, &BRIDGE__STREAM_EVENTS, link);
    if (link->stream == NULL)
        bridge__link_end(link, "local", -1);
    else
        bridge_delay_start(b, &link->deadline, LIMIT_OPEN_TIMEOUT_MS, bridge__link_late, link);
}

void bridge_mqtt_link_send(struct bridge_mqtt_link *link, const uint8_t *frame, size_t bytes, int qos)
{
    if (!link->is_connected || link->fault != NULL)
        return;
    if (bytes > LIMIT_LINK_QUEUED_BYTES_MAX || link->queued_bytes + bytes > LIMIT_LINK_QUEUED_BYTES_MAX)
        bridge__link_fault(link, "overflow", -1);
    else
        bridge__link_publish(link, frame, bytes, qos);
    if (!link->is_in_library)
        (void) bridge__link_flush(link);
}

void bridge_mqtt_link_close(struct bridge_mqtt_link *link)
{
    link->is_forgotten = true;
    if (!link->is_connected) {
        if (link->is_in_library)
            bridge__link_fault(link, "closed", -1);
        else
            bridge_mqtt_link_free(link);
        return;
    }
    /* A DISCONNECT takes the last will back, so its message is sent in its place. */
    bridge__link_publish(link, NULL, 0, 0);
    bridge_delay_start(link->b, &link->deadline, LIMIT_MQTT_CLOSE_MS, bridge__link_late, link);
    if (!link->is_in_library)
        (void) bridge__link_progress(link);
}
