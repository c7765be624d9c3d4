/* SPDX-License-Identifier: MIT */

/*
 * peer: the other end of a connection the script dials, on loopback, in the same thread: it writes, and the bridge's loop is turned
 * until there is nothing left to do.
 */
#ifndef FUZZ_PEER_H
#define FUZZ_PEER_H

#include "bridge.h"

struct peer {
    struct bridge *b;
    int fd;
    /* What the bridge has said first: as much as there was, NUL-terminated. */
    char head[4096];
};

/* The port all connections of this process go to. */
int peer_port(void);
/* Emits `go` with a port, and waits until the script has dialled and said something. */
void peer_await(struct peer *peer, struct bridge *b);
/* In one piece; the loop takes what it takes. The bridge may have hung up. */
void peer_write(struct peer *peer, const void *bytes, size_t count);
/* Ends the connection, and turns the loop until the script has said `text`: once, and then nothing is left. */
void peer_hang_up(struct peer *peer, const char *text);

#endif
