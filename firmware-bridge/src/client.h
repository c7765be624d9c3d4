/* SPDX-License-Identifier: MIT */

/* What websocket.c and http.c share: one connection to a server through libwebsockets, and why it ended. Internal. */
#ifndef BRIDGE_CLIENT_H
#define BRIDGE_CLIENT_H

#include "bridge.h"
#include "bridge_limits.h"
#include "lookup.h"
#include "script_limits.h"

/* Names of the client vhosts' lws protocols. */
#define BRIDGE_PROTOCOL_WEBSOCKET "bridge-websocket"
#define BRIDGE_PROTOCOL_HTTP "bridge-http"

/* ---- tls.c ---- */

/* One connection as TLS sees it. Lies in its owner's memory; tls.c knows it between expect and forget. */
struct bridge_tls_peer {
    struct bridge_tls_peer *next;
    struct lws *wsi;
    /* Name or address the certificate has to be for; borrowed. */
    const char *host;
    int port;
    /* A fatal alert was sent or received: whatever else is seen, TLS ended the connection. */
    bool has_failed;
    /* The other side ended it without one. */
    bool has_ended;
};

/* Lets `vhost` dial TLS; may be called again. 0 or a BRIDGE_E. */
int bridge_tls_attach(struct bridge *b, struct lws_vhost *vhost);
void bridge_tls_expect(struct bridge *b, struct bridge_tls_peer *peer);
/* Also one that is not expected. */
void bridge_tls_forget(struct bridge *b, struct bridge_tls_peer *peer);

/* ---- trust.c ---- */

struct bridge_trust;

/* Copies nothing: both live as long as it. NULL when memory is short. */
struct bridge_trust *bridge_trust_new(const char *ca_file, const char *ca_pem);
void bridge_trust_free(struct bridge_trust *trust);
/*
 * The X509_STORE of now, borrowed: made anew when its files changed, which `*has_changed` tells. Where they cannot be
 * read, the one before, and at first one that trusts nobody.
 */
void *bridge_trust_store(struct bridge_trust *trust, bool *has_changed);
/*
 * How many certificates are trusted, of `ca_file` (not those of ca_pem) or the system's; `*path`, borrowed, is where they
 * are. 0 where none can be read.
 */
int bridge_trust_count(const char *ca_file, const char **path);
/* Whether a PEM text begins with a certificate that can be read. */
bool bridge_trust_is_certificate(const char *pem, size_t bytes);
/* Trusts nobody. */
void *bridge_trust_nobody(struct bridge_trust *trust);

/* ---- dial.c ---- */

enum bridge_dial_phase {
    BRIDGE_DIAL_CONNECTING,
    /* TCP is connected; TLS and HTTP are under way. */
    BRIDGE_DIAL_OPENING,
    BRIDGE_DIAL_OPEN,
};

/*
 * One connection, dialled at each address of its host in turn. The first member of its owner, whose pointer is thus what
 * callbacks of lws get as `user`; zeroed before it starts.
 */
struct bridge_dial {
    struct bridge *b;
    struct bridge_tls_peer peer;
    struct bridge_url url;
    enum bridge_dial_phase phase;
    /* lws is being asked for a connection. One that fails at once it ends, with callbacks, before it answers. */
    bool is_asking;
    /* HTTP method, or NULL for a WebSocket; its subprotocol. Borrowed. */
    const char *method;
    const char *subprotocol;
    /* Nothing is left to dial. Called by the loop, once, and never again after bridge_dial_end. */
    void (*failed)(struct bridge_dial *dial, const char *cause);
    struct bridge_delay delay;
    char addresses[BRIDGE_DIAL_ADDRESSES_MAX][BRIDGE_ADDRESS_CHARS_MAX];
    int address_count;
    int next_address;
    /* While the host's addresses are looked up. */
    struct bridge_lookup *lookup;
    bool has_looked_up;
    /* Of the first address that failed. */
    const char *cause;
    /*
     * The socket that is being connected, once more, since lws takes its error and closes it before it tells; 0 for
     * none.
     */
    int twin_fd;
};

/* Looks the host up and dials. Answered by callbacks of lws or by `failed`. */
void bridge_dial_start(struct bridge_dial *dial);
/* LWS_CALLBACK_WSI_CREATE: TCP is connected. */
void bridge_dial_connected(struct bridge_dial *dial, struct lws *wsi);
/*
 * LWS_CALLBACK_CLIENT_CONNECTION_ERROR and the closed ones: why, a constant. NULL when the next address is dialled
 * instead. The dial has no wsi any more.
 */
const char *bridge_dial_ended(struct bridge_dial *dial, const char *text, size_t bytes);
/* LWS_CALLBACK_WSI_DESTROY: lws has told nothing of its end before. */
void bridge_dial_lost(struct bridge_dial *dial);
/*
 * Lets go of the wsi, which then has no user any more and is closed by the loop, and of the rest. Also of one not
 * started.
 */
void bridge_dial_end(struct bridge_dial *dial);
/* The same, but the wsi goes on: lws ends it by itself. */
void bridge_dial_release(struct bridge_dial *dial);

/* ---- headers.c ---- */

/* Owned by the caller; NULL with an exception pending for what HTTP does not allow. Free with bridge_free_texts. */
char **bridge_headers_take(JSContext *ctx, JSValueConst array);
/* Into the request lws is writing: false when it does not fit. */
bool bridge_headers_write(char *const *headers, unsigned char **at, const unsigned char *end);
bool bridge_header_write(const char *name, const char *value, unsigned char **at, const unsigned char *end);
/* Printable ASCII without spaces; not empty. */
bool bridge_is_token68(const char *text, size_t chars_max);
/* Of the answer at hand; -1 for none. */
int64_t bridge_answer_retry_after(struct lws *wsi);

/* ---- proxy.c ---- */

/*
 * The vhost that dials `url`: the client vhost, or, with `*is_tunnel`, the one that tunnels through the proxy the
 * environment names for it. NULL when that is none lws can use, or memory is short.
 */
struct lws_vhost *bridge_proxy_vhost(struct bridge *b, const struct bridge_url *url, bool *is_tunnel);

#endif
