// SPDX-License-Identifier: MIT
// Goal: a host's cryptography gives what other libraries give, and refuses what is none. Method: node:crypto and noble beside it, and
// every vector of message encryption.

import { createECDH, createHash, createHmac, createPublicKey, randomBytes, verify } from "node:crypto";
import { describe, expect, test } from "vitest";
import { base64urlDecode, base64urlEncode } from "../../src/webpush/base64url.ts";
import { generateKeyPair } from "../../src/webpush/keys.ts";
import { nobleSigningProvider } from "../../src/webpush/noble-signing.ts";
import { exampleKeys, rfc8291Keys, seededFill, vectors } from "../webpush/support.ts";
import type { Stage } from "./stage.ts";

export function describeCryptography(stage: Stage): void {
  const bytes = (count: number) => new Uint8Array(randomBytes(count));

  describe("cryptography", () => {
    test("hashes as another library", async () => {
      for (const length of [0, 1, 55, 56, 63, 64, 65, 5000]) {
        const data = bytes(length);
        const digest = createHash("sha256").update(data).digest();
        expect(await stage.host.operations.sha256(data)).toEqual(new Uint8Array(digest));
        const key = bytes(length % 200);
        const mac = createHmac("sha256", key).update(data).digest();
        expect(await stage.host.operations.hmac(key, data)).toEqual(new Uint8Array(mac));
      }
    });

    test("seals and opens as noble, with keys of 16 and 32 bytes, with and without associated data", async () => {
      for (const keyBytes of [16, 32]) {
        for (const associated of [undefined, bytes(0), bytes(20)]) {
          const [key, nonce, plaintext] = [bytes(keyBytes), bytes(12), bytes(100)];
          const sealed = nobleSigningProvider.gcmSeal(key, nonce, plaintext, associated);
          const more = associated === undefined ? [] : ([associated] as const);
          expect(await stage.host.operations.gcmSeal(key, nonce, plaintext, ...more)).toEqual(sealed);
          expect(await stage.host.operations.gcmOpen(key, nonce, sealed, ...more)).toEqual(plaintext);
          sealed[3] = (sealed[3] ?? 0) ^ 1;
          expect(await stage.host.operations.gcmOpen(key, nonce, sealed, ...more)).toBe(null);
          expect(await stage.host.operations.gcmOpen(key, nonce, sealed.subarray(0, 15), ...more)).toBe(null);
        }
      }
    });

    test.each([0, 15, 17, 24])("a key of %i bytes is a mistake of ours", async (keyBytes) => {
      await expect(stage.host.operations.gcmSeal(bytes(keyBytes), bytes(12), bytes(1))).rejects.toThrow(
        "AES key",
      );
      await expect(stage.host.operations.gcmOpen(bytes(16), bytes(keyBytes), bytes(20))).rejects.toThrow(
        "GCM nonce",
      );
    });

    test("agrees with another library, and refuses points that are none", async () => {
      for (let i = 0; i < 5; i++) {
        const [own, peer] = [createECDH("prime256v1"), createECDH("prime256v1")];
        own.generateKeys();
        const peerKey = new Uint8Array(peer.generateKeys());
        const keys = {
          privateKey: Uint8Array.from(Buffer.concat([Buffer.alloc(32), own.getPrivateKey()]).subarray(-32)),
          publicKey: new Uint8Array(own.getPublicKey()),
          authSecret: bytes(16),
        };
        const secret = new Uint8Array(own.computeSecret(peerKey));
        expect(await stage.host.operations.agree(`key ${i}`, keys, peerKey)).toEqual(secret);
        expect(await stage.host.operations.publicKeyOf(keys.privateKey)).toEqual(keys.publicKey);
        expect(await stage.host.operations.isPair(keys)).toBe(true);
        expect(await stage.host.operations.isPair({ ...keys, publicKey: peerKey })).toBe(false);
        for (const bad of notPoints(peerKey)) {
          expect(await stage.host.operations.agree(`key ${i}`, keys, bad)).toBe(null);
          expect(await stage.host.operations.isPublicKey(bad)).toBe(false);
        }
        expect(await stage.host.operations.isPublicKey(peerKey)).toBe(true);
      }
    });

    test("scalars that are none have no public key and are no key", async () => {
      const order = Buffer.from("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", "hex");
      for (const privateKey of [new Uint8Array(32), new Uint8Array(order), new Uint8Array(32).fill(0xff)]) {
        expect(await stage.host.operations.publicKeyOf(privateKey)).toBe(null);
        const keys = { ...exampleKeys("rfc8291-appendix-a"), privateKey };
        await expect(stage.host.operations.isPair(keys)).rejects.toMatchObject({
          code: "ERR_ECE_BAD_SUBSCRIPTION_KEYS",
        });
      }
    });

    test.each(vectors.cases.map((message) => [message.id, message] as const))(
      "message %s",
      async (_id, message) => {
        const answer = stage.host.operations.decrypt(base64urlDecode(message.body), rfc8291Keys);
        if (message.expect === "decrypt")
          expect(await answer).toEqual(base64urlDecode(message.plaintext ?? ""));
        else await expect(answer).rejects.toMatchObject({ code: `ERR_ECE_${message.error}` });
      },
    );

    test("signs so that another library says yes, and only with keys that belong together", async () => {
      const keys = generateKeyPair(seededFill(5), nobleSigningProvider);
      const data = bytes(300);
      const signature = await stage.host.operations.sign(keys, data);
      expect(signature.length).toBe(64);
      const [x, y] = [
        base64urlEncode(keys.publicKey.subarray(1, 33)),
        base64urlEncode(keys.publicKey.subarray(33)),
      ];
      const key = createPublicKey({ key: { kty: "EC", crv: "P-256", x, y }, format: "jwk" });
      expect(verify("sha256", data, { key, dsaEncoding: "ieee-p1363" }, signature)).toBe(true);
      const other = generateKeyPair(seededFill(6), nobleSigningProvider);
      await expect(
        stage.host.operations.sign({ ...keys, publicKey: other.publicKey }, data),
      ).rejects.toMatchObject({ code: "ERR_ECE_BAD_SUBSCRIPTION_KEYS" });
    });
  });
}

/** Everything near an uncompressed point that a library might take for one. */
function notPoints(point: Uint8Array): Uint8Array[] {
  const with0 = (prefix: number) => point.with(0, prefix);
  const compressed = Uint8Array.of(2 + ((point[64] ?? 0) & 1), ...point.subarray(1, 33));
  const hybrid = with0(6 + ((point[64] ?? 0) & 1));
  const offCurve = point.with(64, (point[64] ?? 0) ^ 1);
  const tooLarge = point.slice().fill(0xff, 1, 33);
  return [
    compressed,
    hybrid,
    with0(0),
    with0(5),
    offCurve,
    tooLarge,
    point.subarray(0, 64),
    Uint8Array.of(0),
  ];
}
