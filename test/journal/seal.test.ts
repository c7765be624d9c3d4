// SPDX-License-Identifier: MIT
// Goal: secrets open only with the same key and for the same record. Method: change each input in turn.
import { describe, expect, test } from "vitest";
import { GodwitError } from "../../src/errors.ts";
import { keySealer, plainSealer } from "../../src/journal/seal.ts";
import { ascii, bytesOf, DEVICE_KEY, seededFill } from "./support.ts";

const AAD = ascii("record 1");
const SECRET = ascii("a secret of some length");

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    return error instanceof GodwitError ? error.code : "not a GodwitError";
  }
  return "no error";
}

describe("keySealer", () => {
  const sealer = keySealer(DEVICE_KEY, seededFill(3));

  test("opens what it sealed, into a new array", () => {
    const sealed = sealer.seal(SECRET, AAD);
    expect(sealed.length).toBe(12 + SECRET.length + 16);
    expect(sealer.open(sealed, AAD)).toEqual(SECRET);
  });

  test("never seals twice alike", () => {
    expect(sealer.seal(SECRET, AAD)).not.toEqual(sealer.seal(SECRET, AAD));
  });

  test("keeps its own copy of the key", () => {
    const key = DEVICE_KEY.slice();
    const copying = keySealer(key, seededFill(4));
    const sealed = copying.seal(SECRET, AAD);
    key.fill(0);
    expect(copying.open(sealed, AAD)).toEqual(SECRET);
  });

  test("refuses another key, another record and every changed byte", () => {
    const sealed = sealer.seal(SECRET, AAD);
    const other = keySealer(bytesOf(32, 0x41), seededFill(5));
    expect(codeOf(() => other.open(sealed, AAD))).toBe("ERR_JOURNAL_SEAL");
    expect(codeOf(() => sealer.open(sealed, ascii("record 2")))).toBe("ERR_JOURNAL_SEAL");
    for (let at = 0; at < sealed.length; at++) {
      const changed = sealed.slice();
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(codeOf(() => sealer.open(changed, AAD))).toBe("ERR_JOURNAL_SEAL");
    }
  });

  test("refuses every truncation", () => {
    const sealed = sealer.seal(SECRET, AAD);
    for (let end = 0; end < sealed.length; end++) {
      expect(codeOf(() => sealer.open(sealed.subarray(0, end), AAD))).toBe("ERR_JOURNAL_SEAL");
    }
  });

  test("wants 32 bytes of key", () => {
    expect(codeOf(() => keySealer(new Uint8Array(16), seededFill(1)))).toBe("ERR_CONFIG");
  });
});

describe("plainSealer", () => {
  test("copies", () => {
    const sealer = plainSealer();
    const sealed = sealer.seal(SECRET, AAD);
    expect(sealed).toEqual(SECRET);
    expect(sealed).not.toBe(SECRET);
    expect(sealer.sealsSecrets).toBe(false);
  });
});
