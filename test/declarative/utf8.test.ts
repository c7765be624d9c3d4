// Goal: UTF-8 is decoded the WHATWG way with and without the engine's TextDecoder.
// Method: known malformed sequences with the number of U+FFFD each must give, and properties.

import { describe, expect, test } from "vitest";
import { utf8Decode, utf8DecodePortable, utf8Encode, utf8EncodePortable } from "../../src/bytes.ts";
import { fc, numRuns } from "../properties.ts";

const R = "\ufffd";

describe("decoding", () => {
  test.each([
    [[], ""],
    [[0x41], "A"],
    [[0xef, 0xbb, 0xbf, 0x41], "A"],
    [[0xef, 0xbb, 0xbf, 0xef, 0xbb, 0xbf], "\ufeff"],
    [[0xef, 0xbb], R],
    [[0xc3, 0xa4], "\u00e4"],
    [[0xf0, 0x9f, 0x98, 0x80], "\ud83d\ude00"],
    [[0xc0, 0x80], R + R],
    [[0xe0, 0x80, 0x80], R + R + R],
    [[0xed, 0xa0, 0x80], R + R + R],
    [[0xf4, 0x90, 0x80, 0x80], R + R + R + R],
    [[0xf5, 0x80], R + R],
    [[0xe2, 0x82], R],
    [[0xe2, 0x82, 0x41], `${R}A`],
    [[0xf0, 0x9f, 0x98, 0xc3, 0xa4], `${R}\u00e4`],
    [[0x80, 0x41, 0xff], `${R}A${R}`],
    [[0xf0, 0x80, 0x80, 0x41], `${R}${R}${R}A`],
  ])("%j", (bytes, text) => {
    expect(utf8DecodePortable(Uint8Array.from(bytes))).toBe(text);
    expect(utf8Decode(Uint8Array.from(bytes))).toBe(text);
  });

  test("sequences may lie across the chunks of the portable decoder", () => {
    for (const length of [509, 510, 511, 512, 513, 1023]) {
      const text = `${"a".repeat(length)}\ud83d\ude00\u20ac${"\u00e4b".repeat(300)}`;
      expect(utf8DecodePortable(utf8EncodePortable(text))).toBe(text);
    }
  });
});

describe("properties", () => {
  test("encoding and decoding give the text back, lone surrogates apart", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 1200 }), (text) => {
        expect(utf8DecodePortable(utf8EncodePortable(`.${text}`))).toBe(`.${text}`);
        expect(utf8EncodePortable(text)).toEqual(utf8Encode(text));
      }),
      { numRuns: numRuns(500) },
    );
  });
});
