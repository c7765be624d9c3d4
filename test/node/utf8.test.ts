// SPDX-License-Identifier: MIT
// Goal: the portable UTF-8 decoder is the platform's. Method: Node's TextDecoder on arbitrary bytes around the chunk size of
// the portable one.

import { expect, test } from "vitest";
import { utf8DecodePortable } from "../../src/bytes.ts";
import { fc } from "../properties.ts";

test("the portable decoder equals the engine's", () => {
  const decoder = new TextDecoder();
  const lead = fc.constantFrom(0xc2, 0xe0, 0xe2, 0xed, 0xef, 0xf0, 0xf4, 0x80, 0x9f, 0xa0, 0xbb, 0xbf, 0x41);
  const anyBytes = fc
    .array(fc.oneof(lead, fc.nat(255)), { maxLength: 40 })
    .map((bytes) => Uint8Array.from(bytes));
  fc.assert(
    fc.property(anyBytes, fc.constantFrom(0, 508, 510, 511), (bytes, ascii) => {
      const padded = new Uint8Array(ascii + bytes.length).fill(0x20);
      padded.set(bytes, ascii);
      expect(utf8DecodePortable(padded)).toBe(decoder.decode(padded));
    }),
    { numRuns: 5000 },
  );
});
