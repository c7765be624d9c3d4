// SPDX-License-Identifier: MIT
// Goal: a provider decrypts exactly what a strict RFC 8291 receiver decrypts, and refuses the rest with the listed code.
// Method: every vector of ece-vectors.json, as a function of the provider, so that each provider runs the same cases.
import { describe, expect, test } from "vitest";
import { base64urlDecode } from "../../src/webpush/base64url.ts";
import type { CryptoProvider, SubscriptionKeys } from "../../src/webpush/crypto.ts";
import { decrypt } from "../../src/webpush/decrypt.ts";
import { encrypt } from "../../src/webpush/encrypt.ts";
import { deriveContentKey, hkdfInfo } from "../../src/webpush/key-derivation.ts";
import { validateKeys } from "../../src/webpush/keys.ts";
import {
  codeOf,
  exampleBytes,
  exampleKeys,
  type HeaderCase,
  messageCase,
  rfc8291Keys,
  vectors,
} from "./support.ts";

/** All vector specs for `provider`. */
export function describeVectors(provider: CryptoProvider): void {
  describe(`ece vectors, ${provider.name}`, () => {
    messages(provider);
    contentEncodings(provider);
    workedExamples(provider);
    orderOfChecks(provider);
    configurations(provider);
  });
}

function messages(provider: CryptoProvider): void {
  test.each(vectors.cases.map((message) => [message.id, message] as const))("%s", (_id, message) => {
    const body = base64urlDecode(message.body);
    const before = body.slice();
    const run = () => decrypt(body, rfc8291Keys, { provider });
    if (message.expect === "decrypt") expect(run()).toEqual(base64urlDecode(message.plaintext ?? ""));
    else expect(codeOf(run)).toBe(`ERR_ECE_${message.error}`);
    expect(body).toEqual(before);
  });

  test("an empty body is a push without data", () => {
    expect(codeOf(() => decrypt(new Uint8Array(0), rfc8291Keys, { provider }))).toBe("ERR_ECE_NO_PAYLOAD");
  });

  test("a raised limit lets a longer body through", () => {
    const body = base64urlDecode(messageCase("neg-4097-body").body);
    expect(decrypt(body, rfc8291Keys, { provider, limitBytes: 4097 }).length).toBe(3994);
  });

  test("a body inside a larger buffer decrypts to a plain array", () => {
    const message = base64urlDecode(messageCase("pos-basic").body);
    const around = new Uint8Array(message.length + 10).fill(0xff);
    around.set(message, 3);
    const plaintext = decrypt(around.subarray(3, 3 + message.length), rfc8291Keys, { provider });
    expect(Object.getPrototypeOf(plaintext)).toBe(Uint8Array.prototype);
    expect(plaintext).toEqual(base64urlDecode("aGVsbG8"));
  });

  test("no secret is left in the scratch space", () => {
    decrypt(base64urlDecode(messageCase("pos-basic").body), rfc8291Keys, { provider });
    codeOf(() => decrypt(base64urlDecode(messageCase("neg-tag-zero").body), rfc8291Keys, { provider }));
    const { ecdhSecret, chain, cekBlock, nonceBlock } = provider.scratch;
    for (const secret of [ecdhSecret, chain, cekBlock, nonceBlock])
      expect(secret).toEqual(new Uint8Array(32));
  });
}

function contentEncodings(provider: CryptoProvider): void {
  const cases = vectors.header_cases.map((header) => [header.id, header] as const);

  test.each(cases)("%s", (_id, header) => {
    const run = () => decryptHeaderCase(header, provider, false);
    if (header.expect === "decrypt") expect(run()).toEqual(plaintextOf(header));
    else expect(codeOf(run)).toBe(`ERR_ECE_${header.error}`);
  });

  const legacy = cases.filter(([, header]) => header.expect_if_legacy_enabled !== undefined);
  test.each(legacy)("%s with aesgcm allowed", (_id, header) => {
    const run = () => decryptHeaderCase(header, provider, true);
    if (header.expect_if_legacy_enabled === "decrypt") expect(run()).toEqual(plaintextOf(header));
    else expect(codeOf(run)).toBe(`ERR_ECE_${header.expect_if_legacy_enabled?.replace("error:", "")}`);
  });

  const others = cases.filter(([, header]) => header.expect_if_legacy_enabled === undefined);
  test.each(others)("%s is unchanged by allowing aesgcm", (_id, header) => {
    const run = () => decryptHeaderCase(header, provider, true);
    if (header.expect === "decrypt") expect(run()).toEqual(plaintextOf(header));
    else expect(codeOf(run)).toBe(`ERR_ECE_${header.error}`);
  });
}

function decryptHeaderCase(header: HeaderCase, provider: CryptoProvider, allowAesgcm: boolean): Uint8Array {
  const { body, body_ref, body_text = "" } = header;
  const text = body ?? (body_ref === undefined ? undefined : messageCase(body_ref).body);
  // Without either there is an ASCII text.
  const bytes =
    text === undefined ? Uint8Array.from(body_text, (c) => c.charCodeAt(0)) : base64urlDecode(text);
  return decrypt(bytes, exampleKeys(header.keys ?? "rfc8291-appendix-a"), {
    provider,
    allowAesgcm,
    contentEncoding: header.content_encoding,
    encryption: header.headers.Encryption,
    cryptoKey: header.headers["Crypto-Key"],
  });
}

function plaintextOf(header: HeaderCase): Uint8Array {
  return base64urlDecode(header.plaintext ?? messageCase(header.body_ref ?? "").plaintext ?? "");
}

function workedExamples(provider: CryptoProvider): void {
  const id = "rfc8291-appendix-a";
  const senderKeys = { privateKey: exampleBytes(id, "as_private"), publicKey: exampleBytes(id, "as_public") };

  test("RFC 8291 appendix A: ECDH secret, content key and nonce", () => {
    const { scratch } = provider;
    const own = provider.importKeys(rfc8291Keys);
    expect(own.agree(senderKeys.publicKey, scratch.ecdhSecret)).toBe(true);
    expect(scratch.ecdhSecret).toEqual(exampleBytes(id, "ecdh_secret"));
    const salt = exampleBytes(id, "salt");
    deriveContentKey(provider, own.authHmac, rfc8291Keys.publicKey, senderKeys.publicKey, salt);
    expect(scratch.cek).toEqual(exampleBytes(id, "cek"));
    expect(scratch.nonce).toEqual(exampleBytes(id, "nonce"));
    expect(scratch.chain).toEqual(exampleBytes(id, "prk"));
    expect(scratch.keyInfo.subarray(0, -1)).toEqual(exampleBytes(id, "key_info"));
    scratch.wipe();
  });

  test("RFC 8291 appendix A: decrypts, and encrypting gives the same octets", () => {
    const body = exampleBytes(id, "body");
    const plaintext = exampleBytes(id, "plaintext");
    expect(decrypt(body, rfc8291Keys, { provider })).toEqual(plaintext);
    const salt = exampleBytes(id, "salt");
    expect(encrypt(plaintext, rfc8291Keys, { provider, salt, senderKeys })).toEqual(body);
  });

  test("RFC 8188 section 3.1: content key, nonce and record from an explicit key", () => {
    const { cek, nonce } = explicitKeys(provider, "rfc8188-3.1", "nonce");
    const sealed = exampleBytes("rfc8188-3.1", "body").subarray(21);
    expect(provider.gcmOpen(cek, nonce, sealed)).toEqual(exampleBytes("rfc8188-3.1", "padded_plaintext"));
  });

  test("RFC 8188 section 3.2: two records are valid there and refused here", () => {
    explicitKeys(provider, "rfc8188-3.2", "nonce_base");
    const body = exampleBytes("rfc8188-3.2", "body");
    expect(codeOf(() => decrypt(body, rfc8291Keys, { provider }))).toBe("ERR_ECE_BAD_KEYID_LENGTH");
  });

  test("WebKit's aesgcm message", () => {
    const keys = exampleKeys("webkit-aesgcm");
    const plaintext = decrypt(base64urlDecode("o_u4yvcXI1nap-zyIOBbWXdLqj1qHG2cX-KVhAdBQj1GVAt7lQ"), keys, {
      provider,
      allowAesgcm: true,
      contentEncoding: "AESGCM",
      encryption: `salt=${vectors.vectors["webkit-aesgcm"]?.salt}`,
      cryptoKey: `dh=${vectors.vectors["webkit-aesgcm"]?.as_public}`,
    });
    expect(plaintext).toEqual(exampleBytes("webkit-aesgcm", "plaintext"));
  });
}

/** Content key and nonce of an RFC 8188 example, checked against it. */
function explicitKeys(provider: CryptoProvider, id: string, nonceName: string) {
  const prk = new Uint8Array(32);
  const [cek, nonce] = [new Uint8Array(32), new Uint8Array(32)];
  provider.hmac(exampleBytes(id, "salt")).mac(exampleBytes(id, "key"), prk);
  expect(prk).toEqual(exampleBytes(id, "prk"));
  provider.hmac(prk).mac(hkdfInfo("Content-Encoding: aes128gcm"), cek);
  provider.hmac(prk).mac(hkdfInfo("Content-Encoding: nonce"), nonce);
  expect(cek.subarray(0, 16)).toEqual(exampleBytes(id, "cek"));
  expect(nonce.subarray(0, 12)).toEqual(exampleBytes(id, nonceName));
  return { cek: cek.subarray(0, 16), nonce: nonce.subarray(0, 12) };
}

/** A body with two faults reports the one that is checked first. */
function orderOfChecks(provider: CryptoProvider): void {
  const good = base64urlDecode(messageCase("pos-basic").body);
  const mutated = (...changes: readonly (readonly [at: number, value: number])[]) => {
    const body = good.slice();
    for (const [at, value] of changes) body[at] = value;
    return body;
  };
  const tinyRecord = [18, 0] as const;
  const records18 = [19, 18] as const;
  const hybrid = [21, 6] as const;
  const badTag = [107, 0] as const;
  const rows = [
    ["too large before header", new Uint8Array(4097), "ERR_ECE_TOO_LARGE"],
    ["short header before record size", new Uint8Array(20), "ERR_ECE_TRUNCATED_HEADER"],
    ["record size before key id", mutated(tinyRecord, [19, 17], [20, 0]), "ERR_ECE_BAD_RECORD_SIZE"],
    ["key id length before missing key", mutated([20, 64]).subarray(0, 40), "ERR_ECE_BAD_KEYID_LENGTH"],
    ["missing key before record", good.subarray(0, 85), "ERR_ECE_TRUNCATED_HEADER"],
    ["record before point", mutated(hybrid).subarray(0, 102), "ERR_ECE_TRUNCATED_RECORD"],
    ["point before record count", mutated(tinyRecord, records18, hybrid), "ERR_ECE_INVALID_PUBLIC_KEY"],
    ["record count before tag", mutated(tinyRecord, records18, badTag), "ERR_ECE_MULTIPLE_RECORDS"],
  ] as const;

  test.each(rows)("order: %s", (_what, body, code) => {
    expect(codeOf(() => decrypt(body, rfc8291Keys, { provider }))).toBe(code);
  });
}

function configurations(provider: CryptoProvider): void {
  const keys = rfc8291Keys;
  const broken: Readonly<Record<string, SubscriptionKeys>> = {
    "cfg-auth-15": { ...keys, authSecret: keys.authSecret.subarray(1) },
    "cfg-auth-17": { ...keys, authSecret: new Uint8Array(17) },
    "cfg-private-31": { ...keys, privateKey: keys.privateKey.subarray(1) },
    "cfg-key-mismatch": { ...keys, publicKey: exampleBytes("rfc8291-appendix-a", "as_public") },
  };

  test.each(vectors.configuration_cases.map(({ id }) => id))("%s", (id) => {
    const body = base64urlDecode(messageCase("pos-basic").body);
    const bad = broken[id] ?? rfc8291Keys;
    expect(codeOf(() => validateKeys(bad, provider))).toBe("ERR_ECE_BAD_SUBSCRIPTION_KEYS");
    expect(codeOf(() => decrypt(body, bad, { provider }))).toBe("ERR_ECE_BAD_SUBSCRIPTION_KEYS");
  });

  test.each([0, 0xff])("a private key of octets %i is out of range", (octet) => {
    const bad = { ...keys, privateKey: new Uint8Array(32).fill(octet) };
    expect(codeOf(() => validateKeys(bad, provider))).toBe("ERR_ECE_BAD_SUBSCRIPTION_KEYS");
  });

  test("good keys pass", () => {
    expect(validateKeys(keys, provider)).toBe(undefined);
  });
}
