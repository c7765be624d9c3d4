// SPDX-License-Identifier: MIT
// Goal: a provider keeps the contract of SigningProvider beyond what messages use. Method: published vectors for the
// primitives and the edges of every range, as a function of the provider.
import { p256 } from "@noble/curves/nist.js";
import { describe, expect, test } from "vitest";
import { hexDecode, hexEncode, utf8Encode } from "../../src/bytes.ts";
import type { SigningProvider } from "../../src/webpush/crypto.ts";
import { generateKeyPair, generateKeys } from "../../src/webpush/keys.ts";
import { codeOf, rfc8291Keys, seededFill } from "./support.ts";

const { p: FIELD, n: ORDER } = p256.Point.CURVE();

/** All contract specs for `provider`. */
export function describeProvider(provider: SigningProvider): void {
  describe(`crypto provider, ${provider.name}`, () => {
    hashes(provider);
    ciphers(provider);
    points(provider);
    scalars(provider);
    signatures(provider);
  });
}

function hashes(provider: SigningProvider): void {
  test("SHA-256 of abc (FIPS 180-4)", () => {
    const digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    expect(provider.sha256(utf8Encode("abc"))).toEqual(hex(digest));
  });

  test("HMAC-SHA-256 (RFC 4231 case 2), twice with one key and in place", () => {
    const key = provider.hmac(utf8Encode("Jefe"));
    const expected = hex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    const into = new Uint8Array(32);
    for (let i = 0; i < 2; i++) {
      key.mac(utf8Encode("what do ya want for nothing?"), into);
      expect(into).toEqual(expected);
    }
    const chained = into.slice();
    key.mac(chained, into);
    key.mac(chained, chained);
    expect(chained).toEqual(into);
  });
}

function ciphers(provider: SigningProvider): void {
  const nonce = new Uint8Array(12);

  // McGrew and Viega, "The Galois/Counter Mode of Operation", test cases 1, 2, 13 and 14.
  test.each([
    [16, "", "58e2fccefa7e3061367f1d57a4e7455a"],
    [16, "00".repeat(16), "0388dace60b6a392f328c2b971b2fe78ab6e47d42cec13bdf53a67b21257bddf"],
    [32, "", "530f8afbc74536b9a963b4f1c4cb738b"],
    [32, "00".repeat(16), "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"],
  ])("AES-GCM with a key of %i zero bytes and plaintext '%s'", (keyBytes, plaintext, sealed) => {
    const key = new Uint8Array(keyBytes);
    expect(hexEncode(provider.gcmSeal(key, nonce, hex(plaintext)))).toBe(sealed);
    expect(provider.gcmOpen(key, nonce, hex(sealed))).toEqual(hex(plaintext));
  });

  test.each([16, 32])("AES-GCM with %i key bytes binds the associated data", (keyBytes) => {
    const key = new Uint8Array(keyBytes).fill(7);
    const [associated, plaintext] = [utf8Encode("record 5"), utf8Encode("secret")];
    const sealed = provider.gcmSeal(key, nonce, plaintext, associated);
    expect(sealed.length).toBe(plaintext.length + 16);
    expect(provider.gcmOpen(key, nonce, sealed, associated)).toEqual(plaintext);
    expect(provider.gcmOpen(key, nonce, sealed, utf8Encode("record 6"))).toBe(null);
    expect(provider.gcmOpen(key, nonce, sealed)).toBe(null);
    sealed[0] = (sealed[0] ?? 0) ^ 1;
    expect(provider.gcmOpen(key, nonce, sealed, associated)).toBe(null);
    expect(provider.gcmOpen(key, nonce, sealed.subarray(0, 15), associated)).toBe(null);
  });

  test("wrong key and nonce lengths are misuse, not a bad tag", () => {
    const sealed = new Uint8Array(20);
    expect(() => provider.gcmOpen(new Uint8Array(24), nonce, sealed)).toThrow(RangeError);
    expect(() => provider.gcmOpen(new Uint8Array(16), new Uint8Array(16), sealed)).toThrow(RangeError);
    expect(() => provider.gcmSeal(new Uint8Array(15), nonce, sealed)).toThrow(RangeError);
  });
}

function points(provider: SigningProvider): void {
  const good = rfc8291Keys.publicKey;
  const small = smallPoint();
  const bad = [
    ["compressed", Uint8Array.of(2 + ((good[64] ?? 0) & 1), ...good.subarray(1, 33))],
    ["hybrid", Uint8Array.of(6 + ((good[64] ?? 0) & 1), ...good.subarray(1))],
    ["identity", Uint8Array.of(0)],
    ["identity padded", new Uint8Array(65)],
    ["off the curve", good.map((octet, i) => (i === 64 ? octet ^ 1 : octet))],
    ["x of p or more", pointBytes(small.x + FIELD, small.y)],
    ["too long", Uint8Array.of(...good, 0)],
    ["empty", new Uint8Array(0)],
  ] as const;

  test.each(bad)("not a public key: %s", (_what, point) => {
    const into = new Uint8Array(32);
    expect(provider.isPublicKey(point)).toBe(false);
    expect(provider.importKeys(rfc8291Keys).agree(point, into)).toBe(false);
    expect(provider.verify(point, good, new Uint8Array(64).fill(1))).toBe(false);
  });

  test("the same small point in range is a public key", () => {
    expect(provider.isPublicKey(pointBytes(small.x, small.y))).toBe(true);
    expect(provider.isPublicKey(good)).toBe(true);
  });
}

function scalars(provider: SigningProvider): void {
  test.each([
    ["0", 0n, false],
    ["1", 1n, true],
    ["n - 1", ORDER - 1n, true],
    ["n", ORDER, false],
    ["2^256 - 1", (1n << 256n) - 1n, false],
  ] as const)("scalar %s", (_what, scalar, isValid) => {
    expect(provider.publicKeyOf(scalarBytes(scalar)) !== null).toBe(isValid);
  });

  test("generated keys pair up, are of fixed length and follow the random source", () => {
    const keys = generateKeys(seededFill(5), provider);
    expect([keys.privateKey.length, keys.publicKey.length, keys.authSecret.length]).toEqual([32, 65, 16]);
    expect(provider.importKeys(keys).isPair()).toBe(true);
    expect(generateKeys(seededFill(5), provider)).toEqual(keys);
    expect(generateKeys(seededFill(7), provider).publicKey).not.toEqual(keys.publicKey);
  });

  test("a scalar out of range is drawn again, a stuck source is an error", () => {
    let calls = 0;
    const fill = (target: Uint8Array) => target.fill(calls++ === 0 ? 0xff : 1);
    expect(generateKeyPair(fill, provider).privateKey[0]).toBe(1);
    expect(codeOf(() => generateKeyPair((target) => target.fill(0), provider))).toBe(
      "ERR_ECE_BAD_SUBSCRIPTION_KEYS",
    );
  });

  test("importing one keys object twice gives the kept import", () => {
    expect(provider.importKeys(rfc8291Keys)).toBe(provider.importKeys(rfc8291Keys));
    expect(provider.importKeys({ ...rfc8291Keys })).not.toBe(provider.importKeys(rfc8291Keys));
  });
}

function signatures(provider: SigningProvider): void {
  const data = utf8Encode("signed text");

  test("signs and verifies, and only that", () => {
    const keys = generateKeyPair(seededFill(11), provider);
    const signature = provider.sign(keys, data);
    expect(signature.length).toBe(64);
    expect(provider.verify(keys.publicKey, data, signature)).toBe(true);
    expect(provider.verify(keys.publicKey, utf8Encode("signed texT"), signature)).toBe(false);
    expect(provider.verify(rfc8291Keys.publicKey, data, signature)).toBe(false);
    expect(provider.verify(keys.publicKey, data, signature.subarray(1))).toBe(false);
    expect(provider.verify(keys.publicKey, data, new Uint8Array(64))).toBe(false);
  });

  test.each([
    ["scalar 0", { privateKey: new Uint8Array(32), publicKey: rfc8291Keys.publicKey }],
    [
      "another's public key",
      { ...generateKeyPair(seededFill(12), provider), publicKey: rfc8291Keys.publicKey },
    ],
  ])("signs with no broken pair: %s", (_what, broken) => {
    expect(codeOf(() => provider.sign(broken, data))).toBe("ERR_ECE_BAD_SUBSCRIPTION_KEYS");
  });

  test("either s is good, as ES256 asks for no normalising", () => {
    const keys = generateKeyPair(seededFill(13), provider);
    const signature = provider.sign(keys, data);
    const s = BigInt(`0x${hexEncode(signature.subarray(32))}`);
    const other = Uint8Array.of(...signature.subarray(0, 32), ...scalarBytes(ORDER - s));
    expect(provider.verify(keys.publicKey, data, other)).toBe(true);
  });
}

/** The point with the smallest x that has one: small enough that x + p still fits 32 bytes. */
function smallPoint(): { x: bigint; y: bigint } {
  for (let x = 1n; ; x++) {
    try {
      return p256.Point.fromHex(`02${x.toString(16).padStart(64, "0")}`).toAffine();
    } catch {
      // No point has this x.
    }
  }
}

function pointBytes(x: bigint, y: bigint): Uint8Array {
  return Uint8Array.of(4, ...scalarBytes(x), ...scalarBytes(y));
}

function scalarBytes(scalar: bigint): Uint8Array {
  return hex(scalar.toString(16).padStart(64, "0"));
}

function hex(text: string): Uint8Array {
  const bytes = hexDecode(text);
  if (bytes === null) throw new Error(`not hex: ${text}`);
  return bytes;
}
