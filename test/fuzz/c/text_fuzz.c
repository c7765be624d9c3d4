/* SPDX-License-Identifier: MIT */

/*
 * UTF-8 in and out of the script: what bytes decode to is what the engine-independent decoder below makes of them, byte by byte as the
 * WHATWG Encoding Standard has it (8.1.1), and encodes to the same well-formed bytes.
 */

#include <stdlib.h>
#include <string.h>

#include "fuzz_support.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#define SCRIPT "bridge.listen({ check(bytes, take) { take(bridge.utf8Encode(bridge.utf8Decode(bytes))); }, look() {} });"

static uint8_t *got;
static size_t got_bytes;

static JSValue take(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    const uint8_t *bytes;

    (void) this_val;
    (void) argc;
    CHECK(bridge_arg_bytes(ctx, argv[0], &bytes, &got_bytes) == 0);
    got = malloc(got_bytes + 1);
    CHECK(got != NULL);
    memcpy(got, bytes, got_bytes);
    return JS_UNDEFINED;
}

/* Appends one code point, U+FFFD for -1. */
static size_t put(uint8_t *to, int32_t point)
{
    const uint32_t value = point < 0 ? 0xfffd : (uint32_t) point;

    if (value < 0x80) {
        to[0] = (uint8_t) value;
        return 1;
    }
    if (value < 0x800) {
        to[0] = (uint8_t) (0xc0 | (value >> 6));
        to[1] = (uint8_t) (0x80 | (value & 0x3f));
        return 2;
    }
    if (value < 0x10000) {
        to[0] = (uint8_t) (0xe0 | (value >> 12));
        to[1] = (uint8_t) (0x80 | ((value >> 6) & 0x3f));
        to[2] = (uint8_t) (0x80 | (value & 0x3f));
        return 3;
    }
    to[0] = (uint8_t) (0xf0 | (value >> 18));
    to[1] = (uint8_t) (0x80 | ((value >> 12) & 0x3f));
    to[2] = (uint8_t) (0x80 | ((value >> 6) & 0x3f));
    to[3] = (uint8_t) (0x80 | (value & 0x3f));
    return 4;
}

/* The standard's decoder. `to` has room for three times the input. */
static size_t decode(const uint8_t *data, size_t bytes, uint8_t *to)
{
    uint32_t point = 0;
    int needed = 0;
    uint8_t low = 0x80;
    uint8_t high = 0xbf;
    size_t length = 0;
    size_t i = bytes >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;

    while (i < bytes) {
        const uint8_t byte = data[i];

        if (needed == 0) {
            i++;
            if (byte < 0x80)
                length += put(to + length, byte);
            else if (byte >= 0xc2 && byte <= 0xf4) {
                needed = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
                point = byte & (0x3fU >> needed);
                low = byte == 0xe0 ? 0xa0 : byte == 0xf0 ? 0x90 : 0x80;
                high = byte == 0xed ? 0x9f : byte == 0xf4 ? 0x8f : 0xbf;
            } else
                length += put(to + length, -1);
        } else if (byte < low || byte > high) {
            /* Looked at again, as the beginning of something. */
            needed = 0;
            length += put(to + length, -1);
        } else {
            i++;
            low = 0x80;
            high = 0xbf;
            point = (point << 6) | (byte & 0x3f);
            if (--needed == 0)
                length += put(to + length, (int32_t) point);
        }
    }
    return needed > 0 ? length + put(to + length, -1) : length;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static struct bridge *b;
    uint8_t *expected = malloc(3 * bytes + 4);
    size_t expected_bytes;
    JSValue arguments[2];

    CHECK(expected != NULL);
    if (b == NULL)
        b = fuzz_bridge(SCRIPT, NULL);
    arguments[0] = JS_NewUint8ArrayCopy(b->ctx, bytes > 0 ? data : (const uint8_t *) "", bytes);
    arguments[1] = JS_NewCFunction(b->ctx, take, "take", 1);
    CHECK_INT(bridge_emit(b, "check", 2, arguments), 0);
    expected_bytes = decode(data, bytes, expected);
    CHECK_INT((int64_t) got_bytes, (int64_t) expected_bytes);
    CHECK(memcmp(got, expected, got_bytes) == 0);
    free(got);
    free(expected);
    return 0;
}
