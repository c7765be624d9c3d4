/* SPDX-License-Identifier: MIT */

/* bridge: puts the modules together, in an order in which each finds what it uses, and takes them apart in reverse. */

#include <string.h>

#include "bridge.h"

/* Those without `close` hold nothing. */
static const struct {
    int (*open)(struct bridge *b);
    void (*close)(struct bridge *b);
} BRIDGE__MODULES[] = {
    {bridge_log_open, NULL},
    {bridge_clock_open, NULL},
    {bridge_random_open, NULL},
    {bridge_text_open, NULL},
    /* Before the loop, whose connections use its sessions until they are closed. */
#if BRIDGE_HAS_TLS
    {bridge_tls_open, bridge_tls_close},
#endif
    {bridge_loop_open, bridge_loop_close},
    {bridge_alarm_open, bridge_alarm_close},
#if BRIDGE_HAS_WEBSOCKET
    {bridge_websockets_open, bridge_websockets_close},
#endif
#if BRIDGE_HAS_HTTP
    {bridge_http_open, bridge_http_close},
#endif
#if BRIDGE_HAS_MQTT
    {bridge_mqtt_open, bridge_mqtt_close},
#endif
#if BRIDGE_HAS_NETWORK
    {bridge_network_open, bridge_network_close},
#endif
#if BRIDGE_HAS_STORAGE
    {bridge_storage_open, bridge_storage_close},
#endif
#if BRIDGE_HAS_CRYPTO
    {bridge_crypto_open, bridge_crypto_close},
#endif
};

#define BRIDGE__MODULES_COUNT (sizeof BRIDGE__MODULES / sizeof BRIDGE__MODULES[0])

/* *copy of `text`, or NULL for NULL. 0 or BRIDGE_E_NOMEM. */
static int bridge__copy(char **copy, const char *text)
{
    *copy = text != NULL ? bridge_strdup(text) : NULL;
    return text != NULL && *copy == NULL ? BRIDGE_E_NOMEM : 0;
}

/* What the script reads of the options. 0 or BRIDGE_E_NOMEM. */
static int bridge__add_options(struct bridge *b, const struct bridge_options *options)
{
    const uint8_t *key = options->device_key;
    const char *json = options->options_json != NULL ? options->options_json : "{}";

    if (bridge_set_member(b, "options", JS_NewString(b->ctx, json)))
        return BRIDGE_E_NOMEM;
    return bridge_set_member(b, "deviceKey", key != NULL ? JS_NewUint8ArrayCopy(b->ctx, key, 32) : JS_NULL);
}

int bridge_create(struct bridge **out, const struct bridge_options *options)
{
    struct bridge *b = bridge_calloc(1, sizeof *b);
    int error = 0;

    *out = NULL;
    if (b == NULL)
        return BRIDGE_E_NOMEM;
    b->epoch_floor_ms = options->epoch_floor_ms;
    b->epoch_trusted = options->epoch_trusted;
    b->state_quota_bytes = options->state_quota_bytes;
    b->log = options->log;
    b->user = options->user;
    if (bridge__copy(&b->ca_file, options->ca_file) || bridge__copy(&b->ca_pem, options->ca_pem) ||
        bridge__copy(&b->state_directory, options->state_directory))
        error = BRIDGE_E_NOMEM;
    if (!error)
        error = bridge_engine_open(b, options->heap_bytes_max);
    if (!error)
        error = bridge__add_options(b, options);
    for (size_t i = 0; !error && i < BRIDGE__MODULES_COUNT; i++) {
        error = BRIDGE__MODULES[i].open(b);
        b->modules_open = i + 1;
    }
    if (!error && options->extend != NULL) {
        b->retract = options->retract;
        b->extend_user = options->extend_user;
        error = options->extend(b, options->extend_user);
    }
    if (!error)
        error = bridge_engine_run(b, options->script);
    if (error) {
        bridge_destroy(b);
        return error;
    }
    *out = b;
    return 0;
}

void bridge_destroy(struct bridge *b)
{
    if (b == NULL)
        return;
    bridge_engine_stop(b);
    if (b->retract != NULL)
        b->retract(b, b->extend_user);
    /* The module whose open failed is closed too. */
    while (b->modules_open > 0) {
        b->modules_open--;
        if (BRIDGE__MODULES[b->modules_open].close != NULL)
            BRIDGE__MODULES[b->modules_open].close(b);
    }
    bridge_lookups_close(b);
    bridge_engine_close(b);
    bridge_free(b->ca_file);
    bridge_free(b->ca_pem);
    bridge_free(b->state_directory);
    bridge_free(b);
}
