/* SPDX-License-Identifier: MIT */

/*
 * Goal: UTF-8 in and out is what the WHATWG Encoding Standard says, malformed parts included; log lines stay lines. Method:
 * cases of Unicode 15 §3.9 (tables 3-8 to 3-11) and each of the 65 536 two-byte beginnings against a decoder written after the
 * standard's own steps.
 */

#include <string.h>

#include "support.h"

/* The standard's UTF-8 decoder (§8.1.1), one byte at a time as it is written there, and an encoder of code points. */
#define REFERENCE                                                                                                                \
    "const decode = (bytes) => { let out = '', cp = 0, needed = 0, seen = 0, low = 0x80, high = 0xbf;"                           \
    "  const start = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;"                                       \
    "  for (let i = start; i <= bytes.length; i++) { const byte = i < bytes.length ? bytes[i] : -1;"                             \
    "    if (byte < 0) { if (needed) out += '\\ufffd'; break; }"                                                                 \
    "    if (!needed) { if (byte < 0x80) out += String.fromCharCode(byte);"                                                      \
    "      else if (byte >= 0xc2 && byte <= 0xdf) { needed = 1; cp = byte & 0x1f; }"                                             \
    "      else if (byte >= 0xe0 && byte <= 0xef) { if (byte === 0xe0) low = 0xa0; if (byte === 0xed) high = 0x9f;"              \
    "        needed = 2; cp = byte & 0xf; }"                                                                                     \
    "      else if (byte >= 0xf0 && byte <= 0xf4) { if (byte === 0xf0) low = 0x90; if (byte === 0xf4) high = 0x8f;"              \
    "        needed = 3; cp = byte & 7; }"                                                                                       \
    "      else out += '\\ufffd'; continue; }"                                                                                   \
    "    if (byte < low || byte > high) { cp = needed = seen = 0; low = 0x80; high = 0xbf; out += '\\ufffd'; i--; continue; }"   \
    "    low = 0x80; high = 0xbf; cp = (cp << 6) | (byte & 0x3f);"                                                               \
    "    if (++seen === needed) { out += String.fromCodePoint(cp); cp = needed = seen = 0; } }"                                  \
    "  return out; };"                                                                                                           \
    "let wrong = 0; const check = (bytes) => { const got = bridge.utf8Decode(Uint8Array.from(bytes)), want = decode(bytes);"     \
    "  if (got !== want && wrong++ < 5) say(bytes + ': ' + escape(got) + ' not ' + escape(want)); };"

static void run(const char *script)
{
    const struct bridge_options options = {0};
    struct bridge *b;

    CHECK_INT(test_create(&b, script, &options), 0);
    bridge_destroy(b);
}

static void malformed_utf8_is_replaced_as_the_standard_says(void)
{
    run(REFERENCE
        "for (const bytes of [[0xc0, 0xaf, 0xe0, 0x80, 0xbf, 0xf0, 0x81, 0x82, 0x41], [0xed, 0xa0, 0x80, 0xed, 0xbf, 0xbf, 0xed, 0xaf, 0x41],"
        "  [0xf4, 0x91, 0x92, 0x93, 0xff, 0x41, 0x80, 0xbf, 0x42], [0xe1, 0x80, 0xe2, 0xf0, 0x91, 0x92, 0xf1, 0xbf, 0x41],"
        "  [0xef, 0xbb, 0xbf, 0x41], [0xef, 0xbb, 0xbf, 0xef, 0xbb, 0xbf], [0x41, 0xef, 0xbb, 0xbf], [0xef, 0xbb], [0xef], [], [0],"
        "  [0xf0, 0x9f, 0x98, 0x80], [0xf0, 0x9f, 0x98], [0xf4, 0x8f, 0xbf, 0xbf], [0xe2, 0x82, 0xac]]) check(bytes);"
        "for (let a = 0x70; a < 256; a++) for (let b = 0; b < 256; b++) check([a, b, 0x80, 0x41, a, b]);"
        "say(wrong); bridge.listen({});");
    CHECK_TEXT(test_said(), "0\n");
}

static void where_the_ascii_part_ends_makes_no_difference(void)
{
    run(REFERENCE
        "for (let length = 0; length < 40; length++) for (const end of [[], [0xe2, 0x82, 0xac], [0xe2, 0x82], [0xff], [0x80, 0x41]])"
        "  check([...Array(length).fill(0x61), ...end, ...Array(9).fill(0x62)]);"
        "say(wrong); bridge.listen({});");
    CHECK_TEXT(test_said(), "0\n");
}

static void a_view_into_a_larger_buffer_is_read_where_it_lies(void)
{
    run("const whole = Uint8Array.of(120, 120, 65, 66, 121); say(bridge.utf8Decode(whole.subarray(2, 4)));"
        "say(bridge.utf8Decode(new Uint8Array(0)) === ''); bridge.listen({});");
    CHECK_TEXT(test_said(), "AB\ntrue\n");
}

static void lone_surrogates_are_written_as_u_fffd(void)
{
    run("for (const text of ['', 'a\\0b', '\\xe9', '\\u20ac', '\\u{1f600}', '\\ud800', 'a\\udfffb', '\\ud800\\ud800\\udc00', '\\udc00\\ud800',"
        "  '\\ud7ff\\ue000', '\\ufeff'])"
        "  say(Array.from(bridge.utf8Encode(text), (byte) => byte.toString(16).padStart(2, '0')).join(''));"
        "bridge.listen({});");
    CHECK_TEXT(test_said(), "\n610062\nc3a9\ne282ac\nf09f9880\nefbfbd\n61efbfbd62\nefbfbdf0908080\nefbfbdefbfbd\ned9fbfee8080\nefbbbf\n");
}

static void every_code_point_comes_back(void)
{
    run("let wrong = 0; const length = 1024; for (let first = 0; first < 0x110000; first += length) {"
        "  if (first >= 0xd800 && first < 0xe000) continue;"
        "  const text = 'x' + String.fromCodePoint(...Array.from({ length }, (_, i) => first + i));"
        "  if (bridge.utf8Decode(bridge.utf8Encode(text)) !== text) wrong++; }"
        "say(wrong); bridge.listen({});");
    CHECK_TEXT(test_said(), "0\n");
}

static void other_values_are_refused(void)
{
    run("for (const bad of [undefined, null, 'text', [65], new Uint16Array(1), new Uint8ClampedArray(1), new ArrayBuffer(1), {}])"
        "  try { bridge.utf8Decode(bad); say('taken'); } catch (e) { if (e.name !== 'TypeError') say(e.name); }"
        "for (const bad of [undefined, null, 5, {}, new Uint8Array(1)])"
        "  try { bridge.utf8Encode(bad); say('taken'); } catch (e) { if (e.name !== 'TypeError') say(e.name); }"
        "say('done'); bridge.listen({});");
    CHECK_TEXT(test_said(), "done\n");
}

static void random_bytes_fill_all_of_the_target_and_nothing_else(void)
{
    run("const buffer = new Uint8Array(300); bridge.randomFill(buffer.subarray(10, 290));"
        "say(buffer.slice(0, 10).every((byte) => byte === 0) && buffer.slice(290).every((byte) => byte === 0));"
        "say(new Set(buffer.slice(10, 290)).size > 128); bridge.randomFill(new Uint8Array(0));"
        "const more = new Uint8Array(280); bridge.randomFill(more); say(more.join() !== buffer.slice(10, 290).join());"
        "bridge.listen({});");
    CHECK_TEXT(test_said(), "true\ntrue\ntrue\n");
}

static void a_log_line_stays_one_line_of_bounded_length(void)
{
    run("bridge.log(6, 'a\\nb\\r\\tc\\x1b[31md\\x7f\\x85e\\u2028f\\u20ac'); bridge.log(3, '\\u20ac'.repeat(2000)); bridge.log(7, '%s%n');"
        "for (const bad of [2, 8, -1, 1.5, '3', NaN]) try { bridge.log(bad, 'x'); say('taken'); } catch (e) { if (!/Error$/.test(e.name)) say(e.name); }"
        "bridge.listen({});");
    CHECK(strncmp(test_logged(), "<6> a b  c [31md   e   f\xe2\x82\xac\n<3> \xe2\x82\xac", 33) == 0);
    CHECK(strstr(test_logged(), "\n<7> %s%n\n") != NULL);
    /* 1023 bytes hold 341 of them. */
    CHECK_INT((int64_t) strcspn(strstr(test_logged(), "<3>"), "\n"), 4 + 341 * 3);
    CHECK_TEXT(test_said(), "");
}

int main(void)
{
    RUN(malformed_utf8_is_replaced_as_the_standard_says);
    RUN(where_the_ascii_part_ends_makes_no_difference);
    RUN(a_view_into_a_larger_buffer_is_read_where_it_lies);
    RUN(lone_surrogates_are_written_as_u_fffd);
    RUN(every_code_point_comes_back);
    RUN(other_values_are_refused);
    RUN(random_bytes_fill_all_of_the_target_and_nothing_else);
    RUN(a_log_line_stays_one_line_of_bounded_length);
    return 0;
}
