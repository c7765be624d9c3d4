/* SPDX-License-Identifier: MIT */

/* text: UTF-8 as in the WHATWG Encoding Standard, §8.1 (TextDecoder, TextEncoder), which the engine lacks. */

#include <string.h>

#include "bridge.h"

/* U+FFFD. */
static const uint8_t BRIDGE__REPLACEMENT[3] = {0xef, 0xbf, 0xbd};
static const uint8_t BRIDGE__BYTE_ORDER_MARK[3] = {0xef, 0xbb, 0xbf};

/*
 * Length of the character that starts at `at`, or minus the length of the maximal subpart of an ill-formed one (Unicode 15
 * §3.9, table 3-7): what one U+FFFD stands for. `bytes` is at least 1.
 */
static int bridge__character(const uint8_t *at, size_t bytes)
{
    uint8_t low = 0x80;
    uint8_t high = 0xbf;
    size_t needs;

    if (at[0] < 0x80)
        return 1;
    if (at[0] >= 0xc2 && at[0] <= 0xdf) {
        needs = 2;
    } else if (at[0] >= 0xe0 && at[0] <= 0xef) {
        needs = 3;
        /* No overlong forms, no surrogates. */
        if (at[0] == 0xe0)
            low = 0xa0;
        if (at[0] == 0xed)
            high = 0x9f;
    } else if (at[0] >= 0xf0 && at[0] <= 0xf4) {
        needs = 4;
        /* No overlong forms, nothing beyond U+10FFFF. */
        if (at[0] == 0xf0)
            low = 0x90;
        if (at[0] == 0xf4)
            high = 0x8f;
    } else {
        return -1;
    }
    for (size_t i = 1; i < needs; i++) {
        if (i >= bytes || at[i] < low || at[i] > high)
            return -(int) i;
        low = 0x80;
        high = 0xbf;
    }
    return (int) needs;
}

/* Index of the first byte over 0x7f, or `bytes`. Eight at a time. */
static size_t bridge__ascii_prefix(const uint8_t *at, size_t bytes)
{
    size_t i = 0;

    for (; i + 8 <= bytes; i += 8) {
        uint64_t word;

        memcpy(&word, at + i, 8);
        if (word & UINT64_C(0x8080808080808080))
            break;
    }
    while (i < bytes && at[i] < 0x80)
        i++;
    return i;
}

/*
 * Bytes that `at` takes with each ill-formed part replaced. With `repaired` not NULL writes them there. `*is_well_formed` tells
 * whether there was none.
 */
static size_t bridge__repair(const uint8_t *at, size_t bytes, uint8_t *repaired, bool *is_well_formed)
{
    size_t length = 0;

    *is_well_formed = true;
    for (size_t i = 0; i < bytes;) {
        size_t plain = bridge__ascii_prefix(at + i, bytes - i);
        const uint8_t *from = at + i;
        size_t count = plain;
        int character;

        i += plain;
        if (plain == 0) {
            character = bridge__character(at + i, bytes - i);
            i += (size_t) (character > 0 ? character : -character);
            count = (size_t) character;
            if (character < 0) {
                *is_well_formed = false;
                from = BRIDGE__REPLACEMENT;
                count = sizeof BRIDGE__REPLACEMENT;
            }
        }
        if (repaired != NULL)
            memcpy(repaired + length, from, count);
        length += count;
    }
    return length;
}

/* utf8Decode(bytes: Uint8Array) -> string */
static JSValue bridge__utf8_decode(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    const uint8_t *bytes;
    uint8_t *repaired;
    size_t count;
    size_t length;
    bool is_well_formed;
    JSValue text;

    (void) this_val;
    (void) argc;
    if (bridge_arg_bytes(ctx, argv[0], &bytes, &count))
        return JS_EXCEPTION;
    if (count >= 3 && memcmp(bytes, BRIDGE__BYTE_ORDER_MARK, 3) == 0) {
        bytes += 3;
        count -= 3;
    }
    length = bridge__repair(bytes, count, NULL, &is_well_formed);
    if (is_well_formed)
        return JS_NewStringLen(ctx, (const char *) bytes, count);
    repaired = bridge_malloc(length);
    if (repaired == NULL)
        return bridge_throw_memory(ctx);
    (void) bridge__repair(bytes, count, repaired, &is_well_formed);
    text = JS_NewStringLen(ctx, (const char *) repaired, length);
    bridge_free(repaired);
    return text;
}

/*
 * utf8Encode(text: string) -> Uint8Array
 *
 * The engine writes a lone surrogate as three bytes, ED A0…BF xx, which well-formed text does not hold; U+FFFD takes as many.
 */
static JSValue bridge__utf8_encode(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    const char *text;
    uint8_t *bytes;
    size_t length;
    JSValue array;

    (void) this_val;
    (void) argc;
    if (!JS_IsString(argv[0]))
        return JS_ThrowTypeError(ctx, "utf8Encode: not a string");
    text = JS_ToCStringLen(ctx, &length, argv[0]);
    if (text == NULL)
        return JS_EXCEPTION;
    array = JS_NewUint8ArrayCopy(ctx, (const uint8_t *) text, length);
    JS_FreeCString(ctx, text);
    if (JS_IsException(array))
        return array;
    bytes = JS_GetUint8Array(ctx, &length, array);
    for (size_t i = 0; i + 3 <= length; i++) {
        uint8_t *found = memchr(bytes + i, 0xed, length - i - 2);

        if (found == NULL)
            break;
        if (found[1] >= 0xa0)
            memcpy(found, BRIDGE__REPLACEMENT, sizeof BRIDGE__REPLACEMENT);
        i = (size_t) (found - bytes) + 2;
    }
    return array;
}

int bridge_text_open(struct bridge *b)
{
    static const JSCFunctionListEntry functions[] = {
        JS_CFUNC_DEF("utf8Encode", 1, bridge__utf8_encode),
        JS_CFUNC_DEF("utf8Decode", 1, bridge__utf8_decode),
    };

    return bridge_add_functions(b, functions, 2);
}
