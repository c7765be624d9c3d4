// SPDX-License-Identifier: MIT
// Goal: our CBOR is everybody's CBOR. Method: random values of the profile go through cbor-x in both directions.

import { Encoder } from "cbor-x";
import { expect, test } from "vitest";
import { decodeCbor, encodeCbor } from "../../src/wire/cbor.ts";
import { fc } from "../properties.ts";

const peer = new Encoder({ useRecords: false, variableMapSize: true, tagUint8Array: false });
const limits = { depthMax: 16, itemsMax: 100_000 };

/** 32-bit integers: cbor-x writes wider numbers as doubles, which the profile has no use for. */
const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small" },
    fc.constant(null),
    fc.boolean(),
    fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff }),
    fc.string({ unit: "grapheme" }).filter((text) => !text.startsWith("\ufeff")),
    fc.uint8Array(),
    fc.array(tie("value"), { maxLength: 5 }),
  ),
}));

/** cbor-x answers with Buffers on Node; same bytes, other class. */
function plain(decoded: unknown): unknown {
  if (decoded instanceof Uint8Array) return Uint8Array.from(decoded);
  return Array.isArray(decoded) ? decoded.map(plain) : decoded;
}

test("cbor-x reads what we write", () => {
  fc.assert(
    fc.property(value, (item) => {
      expect(plain(peer.decode(encodeCbor(item)))).toEqual(item);
    }),
    { numRuns: 1000 },
  );
});

test("we read what cbor-x writes", () => {
  fc.assert(
    fc.property(value, (item) => {
      expect(decodeCbor(new Uint8Array(peer.encode(item)), limits)).toEqual(item);
    }),
    { numRuns: 1000 },
  );
});
