/* SPDX-License-Identifier: MIT */

/*
 * mqtt: the MQTT links, on libmosquitto (3.1.1): clean session, keep-alive 0, no reconnecting of its own.
 *
 * libmosquitto speaks MQTT and nothing else: it has no thread, no timer (mosquitto_loop_misc has nothing to do without
 * a keep-alive) and no network, but a Unix socket whose other end lies here (mqtt_pipe.h). Everything happens when the
 * stream brings bytes, when it takes bytes again, and when the script says so. Decides nothing: the agent says when to
 * open, send and close.
 */

#include <pthread.h>
#include <string.h>

#include <mosquitto.h>

#include "mqtt_link.h"

/* ---- The library, once a process ---- */

static pthread_mutex_t bridge__library_mutex = PTHREAD_MUTEX_INITIALIZER;

/* Counted by libmosquitto itself, which does not lock. */
static int bridge__library_enter(struct bridge_mqtt *mqtt)
{
    if (mqtt->has_library)
        return 0;
    (void) pthread_mutex_lock(&bridge__library_mutex);
    mqtt->has_library = mosquitto_lib_init() == MOSQ_ERR_SUCCESS;
    (void) pthread_mutex_unlock(&bridge__library_mutex);
    return mqtt->has_library ? 0 : -1;
}

static void bridge__library_leave(struct bridge_mqtt *mqtt)
{
    if (!mqtt->has_library)
        return;
    (void) pthread_mutex_lock(&bridge__library_mutex);
    (void) mosquitto_lib_cleanup();
    (void) pthread_mutex_unlock(&bridge__library_mutex);
    mqtt->has_library = false;
}

/* ---- What the script asks for ---- */

static struct bridge_mqtt_link *bridge__link_of(const struct bridge *b, int64_t id)
{
    struct bridge_mqtt_link *link = b->mqtt != NULL ? b->mqtt->links : NULL;

    while (link != NULL && (link->is_forgotten || link->id != id))
        link = link->next;
    return link;
}

static void bridge__link_open(struct bridge *b, int64_t id, const struct bridge_url *url, const char *username,
                              const char *topic, const char *bearer)
{
    struct bridge_mqtt_link *link = NULL;

    if (bridge__library_enter(b->mqtt) == 0)
        link = bridge_mqtt_link_new(b, id, username, topic, bearer);
    if (link != NULL)
        bridge_mqtt_link_dial(link, url);
    else
        bridge_emit_link_closed(b, id, "local", -1, -1);
}

/* openMqtt(linkId, url, username, topic, bearer) -> undefined. Throws TypeError for what is no mqtt(s) URL. */
static JSValue bridge__open_mqtt(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct bridge *b = bridge_of(ctx);
    const char *texts[4] = {NULL, NULL, NULL, NULL};
    struct bridge_url url;
    JSValue result = JS_EXCEPTION;
    int64_t id;

    (void) this_val;
    (void) argc;
    if (bridge_arg_int64(ctx, argv[0], 0, INT64_MAX, &id))
        return JS_EXCEPTION;
    for (int i = 0; i < 4; i++) {
        texts[i] = JS_ToCString(ctx, argv[i + 1]);
        if (texts[i] == NULL)
            goto out;
    }
    if (!bridge_parse_url(texts[0], &url) || strncmp(url.scheme, "mqtt", 4) != 0) {
        JS_ThrowTypeError(ctx, "openMqtt: not an mqtt URL");
        goto out;
    }
    bridge__link_open(b, id, &url, texts[1], texts[2], texts[3]);
    result = JS_UNDEFINED;
out:
    for (int i = 0; i < 4; i++)
        JS_FreeCString(ctx, texts[i]);
    return result;
}

bool bridge_mqtt_send(struct bridge *b, int64_t link_id, const uint8_t *frame, size_t bytes, int qos)
{
    struct bridge_mqtt_link *link = bridge__link_of(b, link_id);

    if (link != NULL)
        bridge_mqtt_link_send(link, frame, bytes, qos);
    return link != NULL;
}

bool bridge_mqtt_close_link(struct bridge *b, int64_t link_id)
{
    struct bridge_mqtt_link *link = bridge__link_of(b, link_id);

    if (link != NULL)
        bridge_mqtt_link_close(link);
    return link != NULL;
}

int bridge_mqtt_open(struct bridge *b)
{
    static const JSCFunctionListEntry functions[] = {JS_CFUNC_DEF("openMqtt", 5, bridge__open_mqtt)};
    struct bridge_mqtt *mqtt = bridge_calloc(1, sizeof *mqtt);

    if (mqtt == NULL)
        return BRIDGE_E_NOMEM;
    mqtt->door.listener_fd = mqtt->door.inode_fd = -1;
    b->mqtt = mqtt;
    return bridge_add_functions(b, functions, 1);
}

void bridge_mqtt_close(struct bridge *b)
{
    struct bridge_mqtt *mqtt = b->mqtt;

    if (mqtt == NULL)
        return;
    /* What is left under way: the broker sends the last will in our place. */
    while (mqtt->links != NULL)
        bridge_mqtt_link_free(mqtt->links);
    bridge_mqtt_door_close(&mqtt->door);
    bridge__library_leave(mqtt);
    bridge_free(mqtt);
    b->mqtt = NULL;
}
