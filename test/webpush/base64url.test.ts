// SPDX-License-Identifier: MIT
// Goal: one text per array and one array per text, whichever codec the engine has. Method: RFC 4648 vectors, a list of
// careless spellings, and properties that hold the table codec against the one in use.
import { describe, expect, test } from "vitest";
import { utf8Encode } from "../../src/bytes.ts";
import {
  base64urlDecode,
  base64urlDecodeLenient,
  base64urlDecodePortable,
  base64urlEncode,
  base64urlEncodePortable,
} from "../../src/webpush/base64url.ts";
import { fc, numRuns } from "../properties.ts";
import { codeOf } from "./support.ts";

describe("base64url", () => {
  test.each([
    ["", ""],
    ["f", "Zg"],
    ["fo", "Zm8"],
    ["foo", "Zm9v"],
    ["foob", "Zm9vYg"],
    ["fooba", "Zm9vYmE"],
    ["foobar", "Zm9vYmFy"],
  ])("RFC 4648 section 10: '%s'", (text, encoded) => {
    expect(base64urlEncode(utf8Encode(text))).toBe(encoded);
    expect(base64urlDecode(encoded)).toEqual(utf8Encode(text));
  });

  test("uses the URL alphabet", () => {
    expect(base64urlEncode(Uint8Array.of(0xfb, 0xff, 0xbf))).toBe("-_-_");
    expect(base64urlDecode("-_-_")).toEqual(Uint8Array.of(0xfb, 0xff, 0xbf));
  });

  test.each([
    "A",
    "AAAAA",
    "Zg=",
    "Zg==",
    "Zm8=",
    "Zh",
    "Zm9",
    "+/+/",
    "Zm 9v",
    " Zg",
    "Zg ",
    "Zg\n",
    "Z\u0000g",
    "Zé",
  ])("refuses '%s'", (text) => {
    expect(codeOf(() => base64urlDecode(text))).toBe("ERR_BASE64URL");
  });

  test("the lenient form takes the standard alphabet and padding, nothing more", () => {
    expect(base64urlDecodeLenient("+/+/")).toEqual(Uint8Array.of(0xfb, 0xff, 0xbf));
    expect(base64urlDecodeLenient("Zg==")).toEqual(utf8Encode("f"));
    expect(base64urlDecodeLenient("Zm8=")).toEqual(utf8Encode("fo"));
    for (const text of ["Zg===", "Z=g", "Zg ==", "A"]) {
      expect(codeOf(() => base64urlDecodeLenient(text))).toBe("ERR_BASE64URL");
    }
  });

  test("decoding undoes encoding, and both codecs agree", () => {
    const property = fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const text = base64urlEncode(bytes);
      expect(base64urlEncodePortable(bytes)).toBe(text);
      expect(base64urlDecode(text)).toEqual(bytes);
      expect(base64urlDecodePortable(text)).toEqual(bytes);
    });
    fc.assert(property, { numRuns: numRuns(500) });
  });

  test("any text is refused with the code or is the one encoding of its bytes", () => {
    const alphabet = fc.constantFrom(..."ABCDwxyz0189-_+/= \n");
    const property = fc.property(fc.string({ unit: alphabet, maxLength: 12 }), (text) => {
      let bytes: Uint8Array;
      try {
        bytes = base64urlDecode(text);
      } catch {
        expect(codeOf(() => base64urlDecode(text))).toBe("ERR_BASE64URL");
        return;
      }
      expect(base64urlEncode(bytes)).toBe(text);
    });
    fc.assert(property, { numRuns: numRuns(2000) });
  });
});
