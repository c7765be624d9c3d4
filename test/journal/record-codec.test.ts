// SPDX-License-Identifier: MIT
// Goal: every record type survives its bytes, secrets are bound to their record, and nothing malformed gets through.
// Method: one sample of each type; changed, swapped and foreign encodings; random bytes.
import { describe, expect, test } from "vitest";
import { GodwitError } from "../../src/errors.ts";
import { decodeRecord, encodeRecord } from "../../src/journal/record-codec.ts";
import type { JournalRecord } from "../../src/journal/records.ts";
import { keySealer, plainSealer } from "../../src/journal/seal.ts";
import { encodeCbor } from "../../src/wire/cbor.ts";
import { fc, numRuns } from "../properties.ts";
import {
  ascii,
  bytesOf,
  DEVICE_KEY,
  HISTORY,
  includesBytes,
  message,
  owner,
  seededFill,
  subscription,
} from "./support.ts";

const sealed = keySealer(DEVICE_KEY, seededFill(9));
const EMPTY = new Uint8Array(0);
const SAMPLES: readonly JournalRecord[] = [
  ...HISTORY,
  { type: "userAgentRemoved" },
  { type: "clean" },
  { type: "endOfCheckpoint" },
];

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    return error instanceof GodwitError ? error.code : `not a GodwitError: ${String(error)}`;
  }
  return "no error";
}

function decodeClear(value: unknown): unknown {
  return decodeRecord({ clear: encodeCbor(value), sealed: EMPTY }, plainSealer());
}

describe("round trip", () => {
  test("every type, sealed and not", () => {
    for (const record of SAMPLES) {
      expect(decodeRecord(encodeRecord(record, sealed), sealed)).toEqual(record);
      expect(decodeRecord(encodeRecord(record, plainSealer()), plainSealer())).toEqual(record);
    }
  });

  test("byte arrays of the result are copies", () => {
    const encoded = encodeRecord(message(1), plainSealer());
    const record = decodeRecord(encoded, plainSealer());
    encoded.clear.fill(0);
    expect(record).toEqual(message(1));
  });

  test("fractions of a millisecond are cut off", () => {
    const encoded = encodeRecord(message(1, { receivedEpochMs: 1000.75 }), plainSealer());
    expect(decodeRecord(encoded, plainSealer())).toEqual(message(1, { receivedEpochMs: 1000 }));
  });
});

describe("secrets", () => {
  test("none of them is in the bytes", () => {
    const { clear, sealed: sealedPart } = encodeRecord(subscription(1), sealed);
    const { privateKey, authSecret, waToken, endpoint } = subscription(1);
    for (const secret of [privateKey, authSecret, ascii(waToken ?? ""), ascii(endpoint ?? "")]) {
      expect(includesBytes(clear, secret)).toBe(false);
      expect(includesBytes(sealedPart, secret)).toBe(false);
    }
  });

  test("of one subscription do not open for another", () => {
    const one = encodeRecord(subscription(1), sealed);
    const two = encodeRecord(subscription(2), sealed);
    expect(codeOf(() => decodeRecord({ clear: one.clear, sealed: two.sealed }, sealed))).toBe(
      "ERR_JOURNAL_SEAL",
    );
  });

  test("do not open under another type", () => {
    const device = encodeRecord({ type: "device", deviceSecret: bytesOf(32, 1) }, sealed);
    const one = encodeRecord(subscription(1), sealed);
    expect(codeOf(() => decodeRecord({ clear: one.clear, sealed: device.sealed }, sealed))).toBe(
      "ERR_JOURNAL_SEAL",
    );
  });

  test("do not open when the owner beside them was changed", () => {
    const mine = encodeRecord(subscription(1), sealed);
    const theirs = encodeRecord(subscription(1, { owner: "https://other.example" }), sealed);
    expect(codeOf(() => decodeRecord({ clear: theirs.clear, sealed: mine.sealed }, sealed))).toBe(
      "ERR_JOURNAL_SEAL",
    );
  });

  test("are missed when cut off", () => {
    const { clear } = encodeRecord(subscription(1), sealed);
    expect(codeOf(() => decodeRecord({ clear, sealed: EMPTY }, sealed))).toBe("ERR_JOURNAL_SEAL");
    const plain = encodeRecord(subscription(1), plainSealer());
    expect(codeOf(() => decodeRecord({ clear: plain.clear, sealed: EMPTY }, plainSealer()))).toBe(
      "ERR_JOURNAL_RECORD",
    );
  });
});

describe("later releases", () => {
  test("an unknown type is skipped", () => {
    expect(decodeClear([200, 1, "anything"])).toBe(null);
  });

  test("an unknown version is skipped", () => {
    expect(decodeClear([18, 2, ["anything"]])).toBe(null);
  });

  test("a record of before a field came is read with what it meant then", () => {
    const [clear, sealed] = [encodeCbor([2, 1, bytesOf(16, 3), 7]), encodeCbor(["token", null])];
    expect(decodeRecord({ clear, sealed }, plainSealer())).toMatchObject({ uaToken: "token", service: "" });
  });

  test("fields behind the known ones are ignored", () => {
    expect(decodeClear([18, 1, 5, "more"])).toEqual({ type: "run", runId: 5 });
  });
});

describe("malformed records", () => {
  test.each([
    ["not an array", "text"],
    ["field missing", [18, 1]],
    ["text for a number", [18, 1, "5"]],
    ["negative number", [18, 1, -5]],
    ["enumeration beyond its end", [9, 1, "o", 3, true, false, false, null]],
    ["number for a boolean", [9, 1, "o", 1, 1, false, false, null]],
    ["false for a badge", [9, 1, "o", 1, true, false, false, false]],
    ["uaid of 15 bytes", [2, 1, new Uint8Array(15), 7]],
    ["ids not an array", [16, 1, 7, 5]],
    ["ids not numbers", [16, 1, 7, ["5"]]],
  ] as readonly (readonly [string, unknown])[])("%s", (_why, value) => {
    expect(codeOf(() => decodeClear(value))).toBe("ERR_JOURNAL_RECORD");
  });

  test("what could not be read back is not written", () => {
    const wrong: readonly JournalRecord[] = [
      subscription(1, { privateKey: new Uint8Array(31) }),
      subscription(-1),
      subscription(1, { expirationTime: Number.NaN }),
      owner("a", { badge: -1 }),
      owner("a", { permission: "maybe" as "prompt" }),
      { type: "handled", storeEpoch: 7, ids: [1.5] },
    ];
    for (const record of wrong) expect(codeOf(() => encodeRecord(record, sealed))).toBe("ERR_JOURNAL_RECORD");
  });

  test("random bytes give a record, null or a GodwitError", () => {
    const codes = ["no error", "ERR_JOURNAL_RECORD", "ERR_JOURNAL_SEAL"];
    codes.push("ERR_CBOR_MALFORMED", "ERR_CBOR_TOO_DEEP", "ERR_CBOR_TOO_MANY_ITEMS");
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.uint8Array({ maxLength: 40 }), (clear, secrets) => {
        expect(codes).toContain(codeOf(() => decodeRecord({ clear, sealed: secrets }, plainSealer())));
      }),
      { numRuns: numRuns(2000) },
    );
  });
});
