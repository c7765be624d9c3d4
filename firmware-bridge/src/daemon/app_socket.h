/* SPDX-License-Identifier: MIT */

/* app_socket: what app_socket.c (libwebsockets) and app_socket_natives.c (the script) share. */
#ifndef DAEMON_APP_SOCKET_H
#define DAEMON_APP_SOCKET_H

#include "daemon.h"

/* One message on its way out, with room before it for what libwebsockets writes there. */
struct daemon_frame {
    struct daemon_frame *next;
    size_t bytes;
    uint8_t room[LWS_PRE];
    uint8_t text[];
};

/* One connection, from the moment it was taken until libwebsockets forgets it. */
struct daemon_peer {
    struct lws_dll2 all;
    struct daemon_socket *socket;
    struct lws *wsi;
    int64_t id;
    /* From the close frame on. */
    struct bridge_delay patience;
    /* The script is being asked about its request, and may answer. */
    bool is_asking;
    bool is_accepted;
    /* A WebSocket. */
    bool is_open;
    /* Nothing it says counts any more. */
    bool is_closing;
    bool is_close_sent;
    int close_code;
    /* What of a message has come, at most LIMIT_APP_REQUEST_BYTES_MAX. */
    uint8_t *message;
    size_t message_bytes;
    /* What to answer a request with that is no upgrade. */
    struct daemon_frame *response;
    struct daemon_frame *first;
    struct daemon_frame *last;
    size_t queued_bytes;
    /* Of the frame libwebsockets has begun to write. */
    size_t in_flight_bytes;
};

struct daemon_socket {
    struct daemon *d;
    struct lws_vhost *vhost;
    struct lws_dll2_owner peers;
    int64_t last_id;
    bool is_stopping;
    bool is_closing;
};

/* A frame with room for `bytes`, or NULL; free with bridge_free. */
struct daemon_frame *daemon_frame_new(size_t bytes);
/* NULL for one that is gone. */
struct daemon_peer *daemon_peer_find(struct daemon_socket *s, int64_t id);
/* Takes `frame`. */
void daemon_peer_send(struct daemon_peer *peer, struct daemon_frame *frame);
/* Behind what is queued. */
void daemon_peer_close(struct daemon_peer *peer, int code);
/* In a later turn, without a word. */
void daemon_peer_terminate(struct daemon_peer *peer);
/* No more connections. */
void daemon_socket_stop(struct daemon_socket *s);
int daemon_socket_add_natives(struct daemon *d);

#endif
