/* SPDX-License-Identifier: MIT */

/*
 * URLs the bridge dials, Retry-After and bearer tokens, as texts of any bytes: what is taken is split so that it reads the same when
 * it is put together again, and holds nothing that could end a line of a request.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "support.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void check_line(const char *text)
{
    for (; *text != '\0'; text++)
        CHECK(*text > ' ' && *text <= '~');
}

static void check_url(const char *text)
{
    struct bridge_url url;
    struct bridge_url again;
    char whole[sizeof url + 16];

    if (!bridge_parse_url(text, &url))
        return;
    CHECK(url.host[0] != '\0' && url.path[0] == '/' && url.port >= 1 && url.port <= 65535);
    check_line(url.authority);
    check_line(url.path);
    (void) snprintf(whole, sizeof whole, "%s://%s%s", url.scheme, url.authority, url.path);
    CHECK(bridge_parse_url(whole, &again));
    CHECK(memcmp(&url, &again, sizeof url) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    char *text = malloc(bytes + 1);
    int64_t after_s = bridge_parse_retry_after((const char *) data, bytes);

    CHECK(after_s >= -1 && after_s <= LIMIT_RETRY_AFTER_S_MAX);
    CHECK(text != NULL);
    memcpy(text, data, bytes);
    text[bytes] = '\0';
    check_url(text);
    if (bridge_is_token68(text, LIMIT_UA_TOKEN_CHARS_MAX)) {
        CHECK(text[0] != '\0' && strlen(text) <= LIMIT_UA_TOKEN_CHARS_MAX);
        check_line(text);
    }
    free(text);
    return 0;
}
