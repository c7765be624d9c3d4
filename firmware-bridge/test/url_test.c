/* SPDX-License-Identifier: MIT */

/*
 * Goal: a URL is split as it will be dialled, and nothing that could end a line of the request, or would not fit it,
 * is taken; Retry-After counts as delta-seconds only. Method: tables.
 */

#include <stdio.h>
#include <string.h>

#include "client.h"
#include "support.h"

static void urls_are_split(void)
{
    static const struct {
        const char *text;
        /* scheme TLS host authority port path */
        const char *split;
    } CASES[] = {
        {"wss://push.example/v1", "wss 1 push.example push.example 443 /v1"},
        {"ws://localhost:8080", "ws 0 localhost localhost:8080 8080 /"},
        {"https://push.example:443/a?b=c", "https 1 push.example push.example 443 /a?b=c"},
        {"http://127.0.0.1:80?x", "http 0 127.0.0.1 127.0.0.1 80 /?x"},
        {"mqtts://broker.example", "mqtts 1 broker.example broker.example 8883 /"},
        {"mqtt://broker.example:65535/", "mqtt 0 broker.example broker.example:65535 65535 /"},
        {"wss://[::1]/", "wss 1 ::1 [::1] 443 /"},
        {"wss://[2001:db8::1]:8443/v1", "wss 1 2001:db8::1 [2001:db8::1]:8443 8443 /v1"},
        {"wss://xn--gr-zka.example/", "wss 1 xn--gr-zka.example xn--gr-zka.example 443 /"},
    };
    char split[sizeof(struct bridge_url) + 64];
    struct bridge_url url;

    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        CHECK(bridge_parse_url(CASES[i].text, &url));
        (void) snprintf(split, sizeof(split), "%s %d %s %s %d %s", url.scheme, url.is_tls, url.host, url.authority,
                        url.port, url.path);
        CHECK_TEXT(split, CASES[i].split);
    }
}

static void what_is_no_url_of_ours_is_refused(void)
{
    static const char *const CASES[] = {
        "",
        "wss",
        "wss:",
        "wss:/push.example",
        "wss://",
        "wss:///",
        "WSS://push.example/",
        "ftp://push.example/",
        "wsss://push.example/",
        "wss://:443/",
        "wss://push.example:/",
        "wss://push.example:0/",
        "wss://push.example:65536/",
        "wss://push.example:99999999999/",
        "wss://push.example:-1/",
        "wss://push.example:4x/",
        "wss://user@push.example/",
        "wss://user:password@push.example/",
        "wss://push example/",
        "wss://push.example\\/",
        "wss://gr\xc3\xbcn.example/",
        "wss://push.example/a b",
        "wss://push.example/a\r\nHost: other",
        "wss://push.example/\x7f",
        "wss://push.example/gr\xc3\xbcn",
        "wss://push.example/#here",
        "wss://push.example#here",
        "wss://[::1/",
        "wss://[]/",
        "wss://[",
        "wss://]/",
        "wss://[::1]x/",
        "wss://[::1]:/",
        "wss://[::g]/",
        "wss://[fe80::1%25eth0]/",
    };
    struct bridge_url url;

    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++)
        if (bridge_parse_url(CASES[i], &url))
            CHECK_TEXT(CASES[i], "refused");
}

/* "wss://" host "/" path, of `host_chars` and `path_chars`. */
static bool is_taken(size_t host_chars, size_t path_chars)
{
    static char text[8192];
    struct bridge_url url;

    strcpy(text, "wss://");
    memset(text + 6, 'h', host_chars);
    memset(text + 6 + host_chars, '/', 1);
    memset(text + 7 + host_chars, 'p', path_chars);
    text[7 + host_chars + path_chars] = '\0';
    return bridge_parse_url(text, &url);
}

static void what_does_not_fit_a_request_is_refused(void)
{
    CHECK(is_taken(BRIDGE_AUTHORITY_CHARS_MAX, BRIDGE_PATH_CHARS_MAX - 1));
    CHECK(!is_taken(BRIDGE_AUTHORITY_CHARS_MAX + 1, 0));
    CHECK(!is_taken(1, BRIDGE_PATH_CHARS_MAX));
    CHECK(!is_taken(300, 0));
    CHECK(!is_taken(1, 8000));
}

static void retry_after_is_delta_seconds(void)
{
    static const struct {
        const char *text;
        int64_t seconds;
    } CASES[] = {
        {"0", 0},
        {"120", 120},
        {"00000120", 120},
        {"86400", 86400},
        {"86401", LIMIT_RETRY_AFTER_S_MAX},
        {"999999999", LIMIT_RETRY_AFTER_S_MAX},
        {"1000000000", -1},
        {"", -1},
        {" 1", -1},
        {"1 ", -1},
        {"-1", -1},
        {"+1", -1},
        {"1.5", -1},
        {"1e3", -1},
        {"Wed, 21 Oct 2026 07:28:00 GMT", -1},
    };

    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++)
        CHECK_INT(bridge_parse_retry_after(CASES[i].text, strlen(CASES[i].text)), CASES[i].seconds);
}

int main(void)
{
    RUN(urls_are_split);
    RUN(what_is_no_url_of_ours_is_refused);
    RUN(what_does_not_fit_a_request_is_refused);
    RUN(retry_after_is_delta_seconds);
    return 0;
}
