/* SPDX-License-Identifier: MIT */

/*
 * headers: what goes into and comes out of HTTP besides the body (RFC 9110 section 5): nothing that could end a line
 * early.
 */

#include <string.h>

#include "client.h"

/* tchar of RFC 9110 section 5.6.2. */
static const char TOKEN_CHARS[] =
    "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

static bool headers__is_name(const char *text)
{
    size_t chars = strlen(text);

    return chars > 0 && strspn(text, TOKEN_CHARS) == chars;
}

static bool headers__is_value(const char *text)
{
    for (; *text; text++)
        if (*text < ' ' || *text > '~')
            return false;
    return true;
}

char **bridge_headers_take(JSContext *ctx, JSValueConst array)
{
    char **texts = bridge_arg_texts(ctx, array, BRIDGE_HEADERS_MAX * 2);
    size_t i;

    if (!texts)
        return NULL;
    for (i = 0; texts[i]; i += 2) {
        if (!texts[i + 1] || !headers__is_name(texts[i]) || !headers__is_value(texts[i + 1])) {
            bridge_free_texts(texts);
            JS_ThrowTypeError(ctx, "a header is none");
            return NULL;
        }
    }
    return texts;
}

bool bridge_header_write(const char *name, const char *value, unsigned char **at, const unsigned char *end)
{
    size_t name_bytes = strlen(name);
    size_t value_bytes = strlen(value);

    if ((size_t) (end - *at) < name_bytes + value_bytes + 4)
        return false;
    memcpy(*at, name, name_bytes);
    memcpy(*at + name_bytes, ": ", 2);
    memcpy(*at + name_bytes + 2, value, value_bytes);
    memcpy(*at + name_bytes + 2 + value_bytes, "\r\n", 2);
    *at += name_bytes + value_bytes + 4;
    return true;
}

bool bridge_headers_write(char *const *headers, unsigned char **at, const unsigned char *end)
{
    size_t i;

    for (i = 0; headers[i]; i += 2)
        if (!bridge_header_write(headers[i], headers[i + 1], at, end))
            return false;
    return true;
}

bool bridge_is_token68(const char *text, size_t chars_max)
{
    size_t chars = 0;

    for (; text[chars]; chars++)
        if (chars == chars_max || text[chars] <= ' ' || text[chars] > '~')
            return false;
    return chars > 0;
}

/* 1 to 9 digits, as on Node; the HTTP-date form is not worth a trusted clock. */
int64_t bridge_parse_retry_after(const char *text, size_t bytes)
{
    int64_t seconds = 0;
    size_t i;

    if (bytes < 1 || bytes > 9)
        return -1;
    for (i = 0; i < bytes; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -1;
        seconds = seconds * 10 + (text[i] - '0');
    }
    return seconds < LIMIT_RETRY_AFTER_S_MAX ? seconds : LIMIT_RETRY_AFTER_S_MAX;
}

int64_t bridge_answer_retry_after(struct lws *wsi)
{
    char text[16];
    int bytes = lws_hdr_copy(wsi, text, sizeof(text), WSI_TOKEN_HTTP_RETRY_AFTER);

    return bytes > 0 ? bridge_parse_retry_after(text, (size_t) bytes) : -1;
}
