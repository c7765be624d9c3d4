/* SPDX-License-Identifier: MIT */

/* api_text: what a program hands in, checked before anything looks at it; and JSON for the script's options. */

#include <stdio.h>
#include <string.h>

#include "api_parts.h"

/* Length of the character that begins at `at`, which lies before a zero; 0 when it is none (RFC 3629 section 4). */
static size_t api__character(const uint8_t *at)
{
    uint8_t low = 0x80;
    uint8_t high = 0xbf;
    size_t bytes;

    if (at[0] < 0x80)
        return 1;
    if (at[0] < 0xc2)
        return 0;
    if (at[0] < 0xe0)
        bytes = 2;
    else if (at[0] < 0xf0)
        bytes = 3;
    else if (at[0] < 0xf5)
        bytes = 4;
    else
        return 0;
    /* Overlong forms, surrogates, beyond U+10FFFF. */
    if (at[0] == 0xe0)
        low = 0xa0;
    else if (at[0] == 0xed)
        high = 0x9f;
    else if (at[0] == 0xf0)
        low = 0x90;
    else if (at[0] == 0xf4)
        high = 0x8f;
    if (at[1] < low || at[1] > high)
        return 0;
    /* A zero is no continuation: this never reads past it. */
    for (size_t i = 2; i < bytes; i++)
        if (at[i] < 0x80 || at[i] > 0xbf)
            return 0;
    return bytes;
}

bool api_is_text(const char *text, size_t bytes_min, size_t bytes_max)
{
    size_t bytes;
    size_t at = 0;

    if (text == NULL)
        return false;
    bytes = strnlen(text, bytes_max + 1);
    if (bytes < bytes_min || bytes > bytes_max)
        return false;
    while (at < bytes) {
        size_t length = api__character((const uint8_t *) text + at);

        if (length == 0)
            return false;
        at += length;
    }
    return true;
}

bool api_is_text_or_null(const char *text, size_t bytes_max)
{
    return text == NULL || api_is_text(text, 0, bytes_max);
}

bool api_is_owner(const char *owner)
{
    return api_is_text(owner, 1, GODWIT_OWNER_BYTES_MAX);
}

bool api_is_flag(int value)
{
    return value == 0 || value == 1;
}

bool api_is_id(uint64_t value)
{
    return value > 0 && value <= GODWIT_NUMBER_MAX;
}

int api_take(void *into, size_t bytes, size_t bytes_min, const void *from)
{
    size_t given;

    memcpy(&given, from, sizeof given);
    if (given < bytes_min || given > API_STRUCT_BYTES_MAX)
        return GODWIT_E_VERSION;
    for (size_t i = bytes; i < given; i++)
        if (((const uint8_t *) from)[i] != 0)
            return GODWIT_E_VERSION;
    memset(into, 0, bytes);
    memcpy(into, from, given < bytes ? given : bytes);
    memcpy(into, &bytes, sizeof bytes);
    return GODWIT_OK;
}

int api_give(void *into, size_t bytes_min, const void *from, size_t bytes)
{
    size_t room;

    memcpy(&room, into, sizeof room);
    if (room < bytes_min || room > API_STRUCT_BYTES_MAX)
        return GODWIT_E_VERSION;
    memset(into, 0, room);
    memcpy(into, from, room < bytes ? room : bytes);
    memcpy(into, &room, sizeof room);
    return GODWIT_OK;
}

void api_copy_text(char *into, size_t bytes, const char *text)
{
    size_t length = strlen(text);

    if (length >= bytes) {
        length = bytes - 1;
        while (length > 0 && ((uint8_t) text[length] & 0xc0) == 0x80)
            length--;
    }
    memcpy(into, text, length);
    into[length] = '\0';
}

static void api__json_bytes(struct api_json *json, const char *text, size_t bytes)
{
    if (json->has_failed)
        return;
    if (json->room - json->bytes <= bytes) {
        size_t room = 2 * (json->bytes + bytes) + 256;
        char *moved = bridge_realloc(json->text, room);

        if (moved == NULL) {
            json->has_failed = true;
            return;
        }
        json->text = moved;
        json->room = room;
    }
    memcpy(json->text + json->bytes, text, bytes);
    json->bytes += bytes;
    json->text[json->bytes] = '\0';
}

void api_json_raw(struct api_json *json, const char *text)
{
    api__json_bytes(json, text, strlen(text));
}

void api_json_text(struct api_json *json, const char *text)
{
    const char *from = text;

    api__json_bytes(json, "\"", 1);
    for (const char *at = text; *at != '\0'; at++) {
        char escaped[8];

        if ((uint8_t) *at >= 0x20 && *at != '"' && *at != '\\')
            continue;
        api__json_bytes(json, from, (size_t) (at - from));
        (void) snprintf(escaped, sizeof escaped, "\\u%04x", (unsigned) (uint8_t) *at);
        api__json_bytes(json, escaped, 6);
        from = at + 1;
    }
    api_json_raw(json, from);
    api__json_bytes(json, "\"", 1);
}

void api_json_member(struct api_json *json, const char *name)
{
    if (json->needs_comma)
        api__json_bytes(json, ",", 1);
    json->needs_comma = true;
    api_json_text(json, name);
    api__json_bytes(json, ":", 1);
}

void api_json_member_text(struct api_json *json, const char *name, const char *text)
{
    if (text == NULL)
        return;
    api_json_member(json, name);
    api_json_text(json, text);
}

void api_json_member_number(struct api_json *json, const char *name, int64_t number)
{
    char digits[24];

    api_json_member(json, name);
    (void) snprintf(digits, sizeof digits, "%lld", (long long) number);
    api_json_raw(json, digits);
}

void api_json_member_flag(struct api_json *json, const char *name, bool flag)
{
    api_json_member(json, name);
    api_json_raw(json, flag ? "true" : "false");
}
