// SPDX-License-Identifier: MIT
// Goal: the checksum is CRC32C and nothing else. Method: the vectors of RFC 3720 B.4 and the usual check value.
import { describe, expect, test } from "vitest";
import { crc32c } from "../../src/journal/crc32c.ts";
import { ascii, bytesOf } from "./support.ts";

const VECTORS: readonly (readonly [string, Uint8Array, number])[] = [
  ["nothing", new Uint8Array(0), 0],
  ["123456789", ascii("123456789"), 0xe3069283],
  ["32 zeros", new Uint8Array(32), 0x8a9136aa],
  ["32 ones", new Uint8Array(32).fill(0xff), 0x62a8ab43],
  ["32 rising", bytesOf(32, 0), 0x46dd794e],
  ["32 falling", bytesOf(32, 0).reverse(), 0x113fdb5c],
];

describe("crc32c", () => {
  test.each(VECTORS)("%s", (_name, bytes, expected) => {
    expect(crc32c(bytes)).toBe(expected);
  });

  test("goes on over several arrays, and over part of one", () => {
    const bytes = ascii("xx123456789yy");
    expect(crc32c(bytes, 2, 11)).toBe(0xe3069283);
    expect(crc32c(bytes, 6, 11, crc32c(bytes, 2, 6))).toBe(0xe3069283);
  });
});
