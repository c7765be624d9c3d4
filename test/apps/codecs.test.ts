// SPDX-License-Identifier: MIT
// Goal: the platform's base64url and ours read and write the same. Method: random bytes, and texts that are none.

import { expect, test } from "vitest";
import { base64urlDecode, base64urlEncode } from "../../src/apps/codecs.ts";
import * as ours from "../../src/webpush/base64url.ts";
import { fc } from "../properties.ts";

test("bytes survive, in the same text as ours", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 5_000 }), (bytes) => {
      const text = base64urlEncode(bytes);
      expect(text).toBe(ours.base64urlEncode(bytes));
      expect(base64urlDecode(text)).toEqual(bytes);
    }),
  );
});

test.each(["A", "AA==", "A A", "AA\n", "+A", "/A", "*A", "Ä", "AAAAA"])("%j is none", (text) => {
  expect(() => base64urlDecode(text)).toThrow();
});
