/* SPDX-License-Identifier: MIT */

/*
 * proxy: the HTTP proxy the environment names for TLS connections (https_proxy, no_proxy and their kin), as on Node.
 *
 * libwebsockets knows one proxy for each vhost, so connections through it have a vhost of their own. It speaks plain
 * HTTP to the proxy, sends the host's name in CONNECT, and wants the answer in one piece. Plain ws and http, which are
 * for loopback only, go directly. The environment is that of the first connection.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "client.h"

#define TUNNEL_VHOST "bridge-tunnel"

/* lws composes CONNECT in 256 bytes, the name twice in it. */
#define TUNNEL_HOST_CHARS_MAX 80

static const struct lws_protocols PROTOCOLS[] = {
    {.name = BRIDGE_PROTOCOL_WEBSOCKET, .callback = bridge_websocket_callback},
    {.name = BRIDGE_PROTOCOL_HTTP, .callback = bridge_http_callback},
    {0},
};

/* The first variable that is set and not empty, borrowed, or NULL. */
static const char *proxy__variable(const char *const names[])
{
    const char *value = NULL;

    for (; *names && !(value && *value); names++)
        value = secure_getenv(*names);
    return value && *value ? value : NULL;
}

/* One entry of no_proxy, `chars` long: host or .suffix or *suffix, with or without a port. */
static bool proxy__is_exempt(const char *entry, size_t chars, const struct bridge_url *url)
{
    const char *colon = memchr(entry, ':', chars);
    size_t host_chars = strlen(url->host);
    const char *suffix;

    if (colon) {
        if (atoi(colon + 1) != url->port)
            return false;
        chars = (size_t) (colon - entry);
    }
    if (chars > 0 && entry[0] != '.' && entry[0] != '*')
        return chars == host_chars && !strncasecmp(entry, url->host, chars);
    suffix = chars > 0 && entry[0] == '*' ? entry + 1 : entry;
    chars -= (size_t) (suffix - entry);
    return chars <= host_chars && !strncasecmp(suffix, url->host + host_chars - chars, chars);
}

/* Whether no_proxy has the host. Entries stand between commas or blanks. */
static bool proxy__is_direct(const struct bridge_url *url)
{
    static const char *const NAMES[] = {"no_proxy", "NO_PROXY", NULL};
    const char *entry = proxy__variable(NAMES);
    size_t chars;

    for (; entry && *entry; entry += chars) {
        entry += strspn(entry, ", \t");
        chars = strcspn(entry, ", \t");
        if (chars > 0 && proxy__is_exempt(entry, chars, url))
            return true;
    }
    return false;
}

/* "user:password@host:port" of a proxy's URL into `address`; false for one lws cannot use. */
static bool proxy__address(const char *text, char *address, size_t bytes)
{
    struct bridge_url url;
    const char *rest, *at;
    char credentials[64] = "";
    char direct[sizeof(url.authority) + 16];
    size_t chars = 0;

    rest = strncasecmp(text, "http://", 7) ? text : text + 7;
    if (strstr(rest, "://"))
        return false;
    at = strrchr(rest, '@');
    for (; at && rest < at && chars < sizeof(credentials) - 2; rest++) {
        unsigned int byte;

        if (*rest == '%' && sscanf(rest + 1, "%2x", &byte) == 1 && byte > 0) {
            credentials[chars++] = (char) byte;
            rest += 2;
        } else {
            credentials[chars++] = *rest;
        }
    }
    if (at) {
        if (rest != at)
            return false;
        credentials[chars++] = '@';
        rest = at + 1;
    }
    if (snprintf(direct, sizeof(direct), "http://%s", rest) >= (int) sizeof(direct) || !bridge_parse_url(direct, &url))
        return false;
    return snprintf(address, bytes, strchr(url.host, ':') ? "%s[%s]:%d" : "%s%s:%d", credentials, url.host, url.port) <
           (int) bytes;
}

/* The vhost of tunnels, made the first time. */
static struct lws_vhost *proxy__vhost(struct bridge *b, const char *proxy)
{
    struct lws_vhost *vhost = lws_get_vhost_by_name(b->lws, TUNNEL_VHOST);
    struct lws_context_creation_info info;
    char address[384];

    if (vhost || !proxy__address(proxy, address, sizeof(address)))
        return vhost;
    memset(&info, 0, sizeof(info));
    info.port = CONTEXT_PORT_NO_LISTEN;
    info.vhost_name = TUNNEL_VHOST;
    info.protocols = PROTOCOLS;
    info.http_proxy_address = address;
    return lws_create_vhost(b->lws, &info);
}

struct lws_vhost *bridge_proxy_vhost(struct bridge *b, const struct bridge_url *url, bool *is_tunnel)
{
    static const char *const NAMES[] = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", NULL};
    const char *proxy = url->is_tls ? proxy__variable(NAMES) : NULL;

    *is_tunnel = proxy && !proxy__is_direct(url);
    if (*is_tunnel)
        return strlen(url->host) > TUNNEL_HOST_CHARS_MAX || strchr(url->host, ':') ? NULL : proxy__vhost(b, proxy);
    /* lws takes http_proxy for every connection of a vhost that names none; this is none. */
    lws_set_proxy(b->vhost, ":0");
    return b->vhost;
}
