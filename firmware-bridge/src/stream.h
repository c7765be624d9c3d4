/* SPDX-License-Identifier: MIT */

/* stream: one TCP connection to a server, with TLS where its URL says so, on the loop. Internal. */
#ifndef BRIDGE_STREAM_H
#define BRIDGE_STREAM_H

#include "bridge.h"

struct bridge_stream;

/* Called from the loop only, never from within a function of this module. Each may close the stream. */
struct bridge_stream_events {
    /* TCP and TLS are up. */
    void (*opened)(void *user);
    /* `bytes` are borrowed for the call; `count` is at least 1. */
    void (*received)(void *user, const uint8_t *bytes, size_t count);
    /* After a write that took less than all of it: there is room again. */
    void (*writable)(void *user);
    /* The last event: why it ended, one of the script's causes. The stream is still to be closed. */
    void (*ended)(void *user, const char *cause);
};

/*
 * Looks the host up and dials its addresses one after the other. `alpn`: one protocol's name or NULL. `events`, `user`
 * and `alpn` are borrowed until the stream is closed. NULL without memory.
 */
struct bridge_stream *bridge_stream_open(struct bridge *b, const struct bridge_url *url, const char *alpn,
                                         const struct bridge_stream_events *events, void *user);
/* Bytes taken: fewer than `count` when the network takes no more now. */
size_t bridge_stream_write(struct bridge_stream *stream, const uint8_t *bytes, size_t count);
/* Says goodbye in TLS where it can at once. NULL is allowed; no event comes any more. */
void bridge_stream_close(struct bridge_stream *stream);

/* ---- stream_tls.c ---- */

/*
 * An OpenSSL SSL that is to greet `host` over the connected socket `fd`, which stays the caller's: certificates and
 * sessions as tls.c has them. `alpn`: one protocol's name or NULL. Freed with SSL_free. NULL without memory.
 */
void *bridge_stream_tls_new(struct bridge *b, const char *host, const char *alpn, int fd);

#endif
