// SPDX-License-Identifier: MIT
// Goal: the node:crypto provider is indistinguishable from the portable one and speaks with programs we did not write.
// Method: the shared suites on it, properties that run both providers on the same message, http_ece and web-push as peers.
import { createECDH, type ECDH } from "node:crypto";
import ece from "http_ece";
import { describe, expect, test } from "vitest";
import webPush from "web-push";
import { nodeProvider } from "../../src/node/crypto.ts";
import { base64urlEncode } from "../../src/webpush/base64url.ts";
import { decrypt } from "../../src/webpush/decrypt.ts";
import { encrypt } from "../../src/webpush/encrypt.ts";
import { generateKeys } from "../../src/webpush/keys.ts";
import { nobleSigningProvider } from "../../src/webpush/noble-signing.ts";
import { signVapid, verifyVapid } from "../../src/webpush/vapid.ts";
import { fc, numRuns } from "../properties.ts";
import { describeProvider } from "../webpush/provider-suite.ts";
import { codeOf, seededFill } from "../webpush/support.ts";
import { describeVapid } from "../webpush/vapid-suite.ts";
import { describeVectors } from "../webpush/vector-suite.ts";

describeVectors(nodeProvider);
describeProvider(nodeProvider);
describeVapid(nodeProvider);

const keys = generateKeys(seededFill(21), nodeProvider);
const senderKeys = generateKeys(seededFill(22), nodeProvider);

describe("both providers agree", () => {
  test("on good messages", () => {
    const property = fc.property(
      fc.uint8Array({ maxLength: 400 }),
      fc.nat(50),
      fc.integer(),
      (plaintext, pad, seed) => {
        const options = { randomFill: seededFill(seed), paddingBytes: pad };
        const body = encrypt(plaintext, keys, { ...options, provider: nodeProvider });
        const again = { randomFill: seededFill(seed), paddingBytes: pad, provider: nobleSigningProvider };
        expect(encrypt(plaintext, keys, again)).toEqual(body);
        expect(decrypt(body, keys, { provider: nodeProvider })).toEqual(plaintext);
        expect(decrypt(body, keys, { provider: nobleSigningProvider })).toEqual(plaintext);
      },
    );
    fc.assert(property, { numRuns: numRuns(50) });
  });

  test("on damaged messages", () => {
    const body = encrypt(new Uint8Array(30), keys, {
      salt: new Uint8Array(16),
      senderKeys,
      provider: nodeProvider,
    });
    const outcome = (bytes: Uint8Array, provider: typeof nodeProvider) => {
      try {
        return decrypt(bytes, keys, { provider }).length;
      } catch {
        return codeOf(() => decrypt(bytes, keys, { provider }));
      }
    };
    const property = fc.property(fc.nat(body.length - 1), fc.nat(255), fc.nat(40), (at, xor, cut) => {
      const damaged = body.slice(0, cut > 20 ? body.length - cut + 20 : body.length);
      damaged[at] = (damaged[at] ?? 0) ^ xor;
      expect(outcome(damaged, nodeProvider)).toBe(outcome(damaged, nobleSigningProvider));
    });
    fc.assert(property, { numRuns: numRuns(150) });
  });

  test("on signatures, sealed records, hashes and keys", () => {
    const property = fc.property(fc.uint8Array({ maxLength: 200 }), fc.integer(), (data, seed) => {
      const pair = generateKeys(seededFill(seed), nobleSigningProvider);
      expect(generateKeys(seededFill(seed), nodeProvider)).toEqual(pair);
      expect(nodeProvider.verify(pair.publicKey, data, nobleSigningProvider.sign(pair, data))).toBe(true);
      expect(nobleSigningProvider.verify(pair.publicKey, data, nodeProvider.sign(pair, data))).toBe(true);
      expect(nodeProvider.sha256(data)).toEqual(nobleSigningProvider.sha256(data));
      const nonce = pair.authSecret.subarray(0, 12);
      const sealed = nodeProvider.gcmSeal(pair.privateKey, nonce, data, pair.authSecret);
      expect(nobleSigningProvider.gcmSeal(pair.privateKey, nonce, data, pair.authSecret)).toEqual(sealed);
      expect(nobleSigningProvider.gcmOpen(pair.privateKey, nonce, sealed, pair.authSecret)).toEqual(data);
      expect(nodeProvider.gcmOpen(pair.privateKey, nonce, sealed, pair.authSecret)).toEqual(data);
    });
    fc.assert(property, { numRuns: numRuns(30) });
  });

  test("no Buffer leaves the provider", () => {
    const results = [
      nodeProvider.sha256(new Uint8Array(1)),
      nodeProvider.sign(keys, new Uint8Array(1)),
      nodeProvider.publicKeyOf(keys.privateKey),
      nodeProvider.gcmSeal(keys.authSecret, new Uint8Array(12), new Uint8Array(5)),
      nodeProvider.gcmOpen(
        keys.authSecret,
        new Uint8Array(12),
        nodeProvider.gcmSeal(keys.authSecret, new Uint8Array(12), new Uint8Array(5)),
      ),
    ];
    for (const result of results) expect(Object.getPrototypeOf(result)).toBe(Uint8Array.prototype);
  });
});

describe("http_ece", () => {
  const receiver = importEcdh(keys.privateKey);
  const sender = importEcdh(senderKeys.privateKey);

  test.each(["noble", "node"])("reads what we encrypt, %s", (name) => {
    const provider = name === "node" ? nodeProvider : nobleSigningProvider;
    for (const paddingBytes of [0, 1, 300]) {
      const plaintext = Buffer.from("to a library we did not write");
      const body = encrypt(plaintext, keys, { provider, randomFill: seededFill(9), paddingBytes });
      const parameters = {
        version: "aes128gcm",
        privateKey: receiver,
        authSecret: Buffer.from(keys.authSecret),
      } as const;
      expect(ece.decrypt(Buffer.from(body), parameters)).toEqual(plaintext);
    }
  });

  test.each(["noble", "node"])("is read by us, %s", (name) => {
    const provider = name === "node" ? nodeProvider : nobleSigningProvider;
    const property = fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(100), (plaintext, pad) => {
      const body = ece.encrypt(Buffer.from(plaintext), {
        version: "aes128gcm",
        privateKey: sender,
        dh: Buffer.from(keys.publicKey),
        authSecret: Buffer.from(keys.authSecret),
        pad,
      });
      expect(decrypt(body, keys, { provider })).toEqual(plaintext);
    });
    fc.assert(property, { numRuns: numRuns(20) });
  });

  test("aesgcm is read by us when allowed", () => {
    const salt = new Uint8Array(16).fill(3);
    const body = ece.encrypt(Buffer.from("legacy"), {
      version: "aesgcm",
      privateKey: sender,
      dh: Buffer.from(keys.publicKey),
      authSecret: Buffer.from(keys.authSecret),
      salt: Buffer.from(salt),
      pad: 7,
    });
    const plaintext = decrypt(body, keys, {
      provider: nodeProvider,
      allowAesgcm: true,
      contentEncoding: "aesgcm",
      encryption: `salt=${base64urlEncode(salt)}`,
      cryptoKey: `dh=${base64urlEncode(senderKeys.publicKey)}`,
    });
    expect(plaintext).toEqual(Uint8Array.from(Buffer.from("legacy")));
  });
});

describe("web-push", () => {
  const publicKey = base64urlEncode(keys.publicKey);
  const privateKey = base64urlEncode(keys.privateKey);
  const audience = "https://push.example.net";

  test("its requests decrypt and its VAPID header verifies", () => {
    const ua = generateKeys(seededFill(31), nodeProvider);
    const subscription = {
      endpoint: `${audience}/p/1`,
      keys: { p256dh: base64urlEncode(ua.publicKey), auth: base64urlEncode(ua.authSecret) },
    };
    const vapidDetails = { subject: "mailto:dev@example.net", publicKey, privateKey };
    const request = webPush.generateRequestDetails(subscription, "hello", { vapidDetails });
    const plaintext = decrypt(request.body ?? new Uint8Array(0), ua, {
      provider: nodeProvider,
      contentEncoding: String(request.headers["Content-Encoding"]),
    });
    expect(Buffer.from(plaintext).toString()).toBe("hello");
    const claims = verifyVapid({
      authorization: String(request.headers.Authorization),
      audience,
      nowS: Date.now() / 1000,
      expectedKey: keys.publicKey,
      provider: nodeProvider,
    });
    expect(claims.sub).toBe("mailto:dev@example.net");
  });

  test.each(["noble", "node"])("a header signed by %s verifies on the other provider", (name) => {
    const [provider, other] =
      name === "node" ? [nodeProvider, nobleSigningProvider] : [nobleSigningProvider, nodeProvider];
    const authorization = signVapid({ keys, audience, expiresS: 1_700_000_000, provider });
    expect(verifyVapid({ authorization, audience, nowS: 1_699_999_000, provider: other }).aud).toBe(audience);
  });
});

function importEcdh(privateKey: Uint8Array): ECDH {
  const ecdh = createECDH("prime256v1");
  ecdh.setPrivateKey(privateKey);
  return ecdh;
}
