// SPDX-License-Identifier: MIT
// Goal: the firmware's own cryptography is indistinguishable from the portable one. Method: inside the firmware's engine, over the real
// bridge.crypto: every vector, the suites of the other providers, and both providers on the same random messages.

import { describe, expect, test } from "vitest";
import { hexEncode } from "../../src/bytes.ts";
import type { BridgeCrypto } from "../../src/quickjs/bridge.d.ts";
import { createBridgeProvider } from "../../src/quickjs/provider.ts";
import type { CryptoProvider } from "../../src/webpush/crypto.ts";
import { decrypt } from "../../src/webpush/decrypt.ts";
import { encrypt } from "../../src/webpush/encrypt.ts";
import { generateKeyPair, generateKeys } from "../../src/webpush/keys.ts";
import { nobleSigningProvider as noble } from "../../src/webpush/noble-signing.ts";
import { fc, numRuns } from "../properties.ts";
import { describeProvider } from "../webpush/provider-suite.ts";
import { seededFill } from "../webpush/support.ts";
import { describeVectors } from "../webpush/vector-suite.ts";

declare const bridge: { readonly crypto: BridgeCrypto };

const native = createBridgeProvider(bridge.crypto);

// A device has no use for verify().
describeProvider({ ...native, verify: noble.verify });
describeVectors(native);

describe(`${native.name} and noble agree`, () => {
  const keys = generateKeys(seededFill(21), noble);
  const senderKeys = generateKeyPair(seededFill(22), noble);

  test("on good messages", () => {
    const property = fc.property(
      fc.uint8Array({ maxLength: 400 }),
      fc.nat(50),
      fc.integer(),
      (plaintext, paddingBytes, seed) => {
        const bodies = [native, noble].map((provider) =>
          encrypt(plaintext, keys, { provider, paddingBytes, randomFill: seededFill(seed) }),
        );
        const [body = plaintext, again] = bodies;
        expect(again).toEqual(body);
        expect(decrypt(body, keys, { provider: native })).toEqual(plaintext);
      },
    );
    fc.assert(property, { numRuns: numRuns(500) });
  });

  test("on damaged messages", () => {
    const body = encrypt(new Uint8Array(30), keys, { salt: new Uint8Array(16), senderKeys, provider: noble });
    // Damage that nothing authenticates, such as another record size, leaves the message as it was.
    const outcome = (bytes: Uint8Array, provider: CryptoProvider) => {
      try {
        return hexEncode(decrypt(bytes, keys, { provider }));
      } catch (error) {
        return (error as { readonly code?: string }).code;
      }
    };
    const property = fc.property(fc.nat(body.length - 1), fc.integer({ min: 1, max: 255 }), (at, xor) => {
      const damaged = body.slice();
      damaged[at] = (damaged[at] ?? 0) ^ xor;
      expect(outcome(damaged, native)).toBe(outcome(damaged, noble));
    });
    fc.assert(property, { numRuns: numRuns(500) });
  });

  test("on scalars, points and shared secrets, leading zeros and all", () => {
    const property = fc.property(
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      fc.nat(31),
      (scalar, zeros) => {
        scalar.fill(0, 0, zeros);
        const publicKey = noble.publicKeyOf(scalar);
        expect(native.publicKeyOf(scalar)).toEqual(publicKey);
        if (publicKey === null) return;
        const own = { privateKey: scalar, publicKey, authSecret: new Uint8Array(16) };
        const secrets = [native, noble].map((provider) => {
          const into = new Uint8Array(32);
          expect(provider.importKeys({ ...own }).agree(senderKeys.publicKey, into)).toBe(true);
          return into;
        });
        expect(secrets[0]).toEqual(secrets[1]);
      },
    );
    fc.assert(property, { numRuns: numRuns(500) });
  });

  test("on signatures, sealed records and hashes", () => {
    const property = fc.property(fc.uint8Array({ maxLength: 200 }), fc.integer(), (data, seed) => {
      const pair = generateKeys(seededFill(seed), noble);
      expect(noble.verify(pair.publicKey, data, native.sign(pair, data))).toBe(true);
      expect(native.sha256(data)).toEqual(noble.sha256(data));
      const nonce = pair.authSecret.subarray(0, 12);
      const sealed = native.gcmSeal(pair.privateKey, nonce, data, pair.authSecret);
      expect(noble.gcmSeal(pair.privateKey, nonce, data, pair.authSecret)).toEqual(sealed);
      expect(native.gcmOpen(pair.privateKey, nonce, sealed, pair.authSecret)).toEqual(data);
    });
    fc.assert(property, { numRuns: numRuns(300) });
  });
});
