/* SPDX-License-Identifier: MIT */

/*
 * What a broker sends: the bound on its packets holds wherever they are cut, and a link of libmosquitto's over a socket ends with one
 * event, having told no frame over the bound. The first byte says where the bytes are cut; with its highest bit CONNACK and SUBACK, as
 * they should be, come before them.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mqtt_pipe.h"
#include "peer.h"
#include "script_limits.h"
#include "fuzz_support.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#define SCRIPT                                                                                                                \
    "bridge.listen({"                                                                                                         \
    "  go(port) { bridge.openMqtt(1, `mqtt://127.0.0.1:${port}`, 'device', 't', 'secret'); },"                                \
    "  linkOpened(id) { say('opened'); bridge.send(id, new Uint8Array(3), 1); bridge.send(id, new Uint8Array(2), 0); },"      \
    "  linkMessage(id, frame) { if (frame.length > 16640) say('too long'); },"                                                \
    "  linkClosed(id, cause) { say('closed'); }, look() {}, timer() {}, alarm() {},"                                          \
    "});"

static const uint8_t GREETING[] = {0x20, 2, 0, 0, 0x90, 3, 0, 1, 1};

static void check_reader(const uint8_t *data, size_t bytes, size_t cut)
{
    struct bridge_mqtt_reader whole = {0};
    struct bridge_mqtt_reader parts = {0};
    const size_t first = cut < bytes ? cut : bytes;
    const bool takes = bridge_mqtt_reader_takes(&whole, data, bytes);
    const bool takes_parts =
        bridge_mqtt_reader_takes(&parts, data, first) && bridge_mqtt_reader_takes(&parts, data + first, bytes - first);

    CHECK(takes == takes_parts);
    CHECK(whole.left_bytes <= LIMIT_MQTT_PACKET_BYTES_MAX);
    if (takes)
        CHECK(whole.packets == parts.packets && whole.left_bytes == parts.left_bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static struct bridge *b;
    struct peer peer;

    if (bytes < 1)
        return 0;
    check_reader(data + 1, bytes - 1, data[0]);
    if (b == NULL)
        b = fuzz_bridge(SCRIPT, NULL);
    test_forget();
    peer_await(&peer, b);
    if (data[0] & 0x80)
        peer_write(&peer, GREETING, sizeof GREETING);
    peer_write(&peer, data + 1, bytes - 1);
    peer_hang_up(&peer, "closed");
    CHECK(strstr(test_said(), "too long") == NULL);
    return 0;
}
