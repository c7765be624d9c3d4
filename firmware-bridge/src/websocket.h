/* SPDX-License-Identifier: MIT */

/* websocket: what websocket.c (libwebsockets) and websocket_natives.c (the script) share. */
#ifndef BRIDGE_WEBSOCKET_H
#define BRIDGE_WEBSOCKET_H

#include "client.h"

struct bridge_frame {
    struct bridge_frame *next;
    enum lws_write_protocol kind;
    size_t bytes;
    /* Behind LWS_PRE bytes that lws writes its header into. */
    uint8_t buffer[];
};

struct bridge_link {
    /* First: what lws knows a connection by. */
    struct bridge_dial dial;
    struct bridge_link *next;
    struct bridge *b;
    int64_t id;
    /* While opening: the whole time it may take. While closing: how long what is queued may take. */
    struct bridge_delay limit;
    bool is_open;
    /* The agent has forgotten it; its queue is written, then it is closed politely. */
    bool is_closing;
    /* Messages are text, which lws checks for UTF-8. */
    bool is_text;
    /* NULL once it is open; without a bearer there is no authorization. */
    char *subprotocol;
    char *authorization;
    char **headers;
    struct bridge_frame *first;
    struct bridge_frame *last;
    size_t queued_bytes;
    /* Fragments of the message that is being received. */
    uint8_t *message;
    size_t message_bytes;
    size_t message_bytes_allocated;
};

struct bridge_websockets {
    struct bridge_link *links;
    int count;
};

/* The one with this id that the agent has not forgotten, or NULL. */
struct bridge_link *bridge_link_find(struct bridge *b, int64_t id);
/* Dials one that is filled: `b`, `id`, URL, and what it opens with. The loop's from here on. */
void bridge_link_start(struct bridge_link *link);
/* Queues one frame, or closes the link when that is too much. False when memory is short. */
bool bridge_link_queue(struct bridge_link *link, enum lws_write_protocol kind, const uint8_t *bytes, size_t count);
/* The agent forgets it. What is queued is written first. */
void bridge_link_leave(struct bridge_link *link);
/* Also of one half made. Its wsi, if it has one yet, is closed by the loop. */
void bridge_link_free(struct bridge_link *link);

/* websocket_natives.c: puts them on the script's `bridge`. 0 or a BRIDGE_E. */
int bridge_websocket_natives_add(struct bridge *b);

#endif
