// SPDX-License-Identifier: MIT
// Goal: whatever is encrypted decrypts to itself, and whatever is damaged is refused with a listed code. Method: properties
// over messages, paddings and mutations from a seeded byte source; limits at their edges.
import { describe, expect, test } from "vitest";
import { decrypt } from "../../src/webpush/decrypt.ts";
import { encrypt } from "../../src/webpush/encrypt.ts";
import { generateKeys } from "../../src/webpush/keys.ts";
import { createNobleProvider } from "../../src/webpush/noble.ts";
import { fc, numRuns } from "../properties.ts";
import { codeOf, seededFill } from "./support.ts";

const provider = createNobleProvider();
const keys = generateKeys(seededFill(1), provider);
const senderKeys = generateKeys(seededFill(2), provider);

describe("encrypt and decrypt", () => {
  test("round trip with padding", () => {
    const plaintexts = fc.uint8Array({ maxLength: 600 });
    const property = fc.property(plaintexts, fc.nat(300), fc.integer(), (plaintext, paddingBytes, seed) => {
      const body = encrypt(plaintext, keys, { provider, randomFill: seededFill(seed), paddingBytes });
      expect(body.length).toBe(plaintext.length + paddingBytes + 103);
      expect(decrypt(body, keys, { provider })).toEqual(plaintext);
    });
    fc.assert(property, { numRuns: numRuns(60) });
  });

  test("a damaged body is refused with a listed code", () => {
    const body = encrypt(new Uint8Array(40).fill(0x61), keys, {
      provider,
      salt: new Uint8Array(16),
      senderKeys,
    });
    const damage = fc.record({
      at: fc.nat(body.length - 1),
      xor: fc.integer({ min: 1, max: 255 }),
      cut: fc.nat(60),
    });
    const property = fc.property(damage, ({ at, xor, cut }) => {
      const damaged = body.slice(0, body.length - (cut > 30 ? cut - 30 : 0));
      damaged[at] = (damaged[at] ?? 0) ^ xor;
      // The record size is authenticated by nothing: any that holds the record is as good.
      const isIntact = damaged.length === body.length && at >= 16 && at < 20;
      if (isIntact) expect(decrypt(damaged, keys, { provider }).length).toBe(40);
      else expect(codeOf(() => decrypt(damaged, keys, { provider }))).toMatch(/^ERR_ECE_/);
    });
    fc.assert(property, { numRuns: numRuns(150) });
  });

  test("random bytes and headers never raise anything but a listed code", () => {
    const headers = fc.option(
      fc.string({ unit: fc.constantFrom(...'saltdhkeyrs=;," 0Ab_-'), maxLength: 60 }),
    );
    const codings = fc.constantFrom(undefined, null, "", "aes128gcm", "aesgcm", " AesGcm ", "gzip");
    const bodies = fc.uint8Array({ maxLength: 200 });
    const property = fc.property(
      bodies,
      codings,
      headers,
      headers,
      (body, contentEncoding, encryption, cryptoKey) => {
        const options = { provider, contentEncoding, encryption, cryptoKey, allowAesgcm: true };
        expect(codeOf(() => decrypt(body, keys, options))).toMatch(/^ERR_ECE_/);
      },
    );
    fc.assert(property, { numRuns: numRuns(300) });
  });

  test("4096 bytes of body hold 3993 of plaintext, and not one more", () => {
    const options = { provider, salt: new Uint8Array(16), senderKeys };
    const body = encrypt(new Uint8Array(3993), keys, options);
    expect(body.length).toBe(4096);
    expect(decrypt(body, keys, { provider }).length).toBe(3993);
    expect(codeOf(() => encrypt(new Uint8Array(3994), keys, options))).toBe("ERR_ECE_PLAINTEXT_TOO_LARGE");
    const padded = { ...options, paddingBytes: 1 };
    expect(codeOf(() => encrypt(new Uint8Array(3993), keys, padded))).toBe("ERR_ECE_PLAINTEXT_TOO_LARGE");
  });

  test("above the usual limit the record size still exceeds the record", () => {
    const options = { provider, salt: new Uint8Array(16), senderKeys, limitBytes: 10_000 };
    const body = encrypt(new Uint8Array(9000), keys, options);
    expect(new DataView(body.buffer).getUint32(16)).toBe(9000 + 17 + 1);
    expect(decrypt(body, keys, { provider, limitBytes: 10_000 }).length).toBe(9000);
  });

  test("misuse has a code", () => {
    const salt = new Uint8Array(16);
    const plaintext = new Uint8Array(1);
    expect(codeOf(() => encrypt(plaintext, keys, { provider }))).toBe("ERR_OPTION");
    expect(codeOf(() => encrypt(plaintext, keys, { provider, salt }))).toBe("ERR_OPTION");
    expect(codeOf(() => encrypt(plaintext, keys, { provider, salt: salt.subarray(1), senderKeys }))).toBe(
      "ERR_OPTION",
    );
    const badAuth = { ...keys, authSecret: salt.subarray(1) };
    expect(codeOf(() => encrypt(plaintext, badAuth, { provider, salt, senderKeys }))).toBe(
      "ERR_ECE_BAD_SUBSCRIPTION_KEYS",
    );
    const badPoint = { ...keys, publicKey: new Uint8Array(65) };
    expect(codeOf(() => encrypt(plaintext, badPoint, { provider, salt, senderKeys }))).toBe(
      "ERR_ECE_INVALID_PUBLIC_KEY",
    );
  });
});
