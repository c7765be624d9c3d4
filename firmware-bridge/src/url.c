/* SPDX-License-Identifier: MIT */

/*
 * url: the few URLs the bridge dials, split. They come from the script, which has parsed them by the URL Standard
 * already: what is not in its normal form is refused here, not repaired.
 */

#include <string.h>

#include "client.h"

struct scheme {
    const char *name;
    bool is_tls;
    int port;
};

static const struct scheme SCHEMES[] = {
    {"wss", true, 443}, {"ws", false, 80},       {"https", true, 443},
    {"http", false, 80}, {"mqtts", true, 8883}, {"mqtt", false, 1883},
};

/* Sets scheme, TLS and default port; returns what follows "://", or NULL. */
static const char *url__scheme(const char *text, struct bridge_url *url)
{
    size_t i;

    for (i = 0; i < sizeof(SCHEMES) / sizeof(SCHEMES[0]); i++) {
        size_t chars = strlen(SCHEMES[i].name);

        if (strncmp(text, SCHEMES[i].name, chars) || strncmp(text + chars, "://", 3))
            continue;
        memcpy(url->scheme, SCHEMES[i].name, chars + 1);
        url->is_tls = SCHEMES[i].is_tls;
        url->port = SCHEMES[i].port;
        return text + chars + 3;
    }
    return NULL;
}

/* Host up to `end`; brackets around an IPv6 address are checked and left out. */
static bool url__host(const char *from, const char *end, struct bridge_url *url)
{
    const char *allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
    size_t chars;

    if (from < end && *from == '[') {
        if (end[-1] != ']')
            return false;
        allowed = "0123456789abcdefABCDEF:.";
        from++;
        end--;
    }
    chars = (size_t) (end - from);
    if (chars == 0 || chars >= sizeof(url->host) || strspn(from, allowed) < chars)
        return false;
    memcpy(url->host, from, chars);
    url->host[chars] = '\0';
    return true;
}

/* Digits up to `end`, 1 to 65535. */
static bool url__port(const char *from, const char *end, struct bridge_url *url)
{
    int port = 0;

    if (from == end || end - from > 5)
        return false;
    for (; from < end; from++) {
        if (*from < '0' || *from > '9')
            return false;
        port = port * 10 + (*from - '0');
    }
    url->port = port;
    return port >= 1 && port <= 65535;
}

bool bridge_parse_url(const char *text, struct bridge_url *url)
{
    const char *authority, *end, *colon, *path;
    int default_port;
    size_t chars;

    memset(url, 0, sizeof(*url));
    authority = url__scheme(text, url);
    if (!authority)
        return false;
    default_port = url->port;

    end = authority + strcspn(authority, "/?#");
    colon = memchr(authority, *authority == '[' ? ']' : ':', (size_t) (end - authority));
    if (colon && *colon == ']')
        colon = colon + 1 < end ? colon + 1 : NULL;
    if (colon && (*colon != ':' || !url__port(colon + 1, end, url)))
        return false;
    if (!url__host(authority, colon ? colon : end, url))
        return false;

    /* A port that is the scheme's own is not named in Host. */
    if (colon && url->port == default_port)
        end = colon;
    chars = (size_t) (end - authority);
    if (chars > BRIDGE_AUTHORITY_CHARS_MAX)
        return false;
    memcpy(url->authority, authority, chars);

    path = authority + strcspn(authority, "/?#");
    if (strchr(path, '#'))
        return false;
    chars = strlen(path);
    if (chars > BRIDGE_PATH_CHARS_MAX)
        return false;
    /* Printable ASCII only: nothing that could end the request's first line. */
    for (end = path; *end; end++)
        if (*end <= ' ' || *end > '~')
            return false;
    if (*path != '/')
        url->path[0] = '/';
    memcpy(url->path + (*path != '/'), path, chars + 1);
    return true;
}
