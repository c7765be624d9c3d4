// SPDX-License-Identifier: MIT
/**
 * What the decryption benchmark does on every runtime: messages of the measured sizes, and the work on them as plain
 * functions. Pure, so that it also runs inside QuickJS; timing is the caller's.
 */
import { p256 } from "@noble/curves/nist.js";
import type { CryptoProvider, ImportedKeys, SubscriptionKeys } from "../src/webpush/crypto.ts";
import { decrypt } from "../src/webpush/decrypt.ts";
import { encrypt } from "../src/webpush/encrypt.ts";
import { generateKeys } from "../src/webpush/keys.ts";
import { createNobleProvider } from "../src/webpush/noble.ts";

/** Plaintext bytes by the name used in cases; 3993 is the most a 4096-byte body holds. */
export const PAYLOADS = { "64B": 64, "200B": 200, "512B": 512, "1KB": 1024, "3993B": 3993 } as const;
export type PayloadName = keyof typeof PAYLOADS;

/** One subscription and a message for it. The keys are fixed and worth nothing. */
export interface Workload {
  readonly keys: SubscriptionKeys;
  readonly senderPublicKey: Uint8Array;
  readonly body: Uint8Array;
  readonly plaintextBytes: number;
}

/** A message of `plaintextBytes` of JSON-like text. */
export function workload(plaintextBytes: number): Workload {
  const provider = createNobleProvider();
  const keys = generateKeys(countingFill(1), provider);
  const senderKeys = generateKeys(countingFill(77), provider);
  const plaintext = new Uint8Array(plaintextBytes).map((_, i) => 0x20 + (i % 0x5f));
  const body = encrypt(plaintext, keys, { provider, salt: keys.authSecret, senderKeys });
  return { keys, senderPublicKey: senderKeys.publicKey, body, plaintextBytes };
}

/** One whole decryption per call. */
export function decryption({ body, keys, plaintextBytes }: Workload, provider: CryptoProvider): () => void {
  return () => {
    if (decrypt(body, keys, { provider }).length !== plaintextBytes) throw new Error("wrong plaintext");
  };
}

/** One ECDH per call, nothing else, by noble's own one-call interface. */
export function bareEcdh({ keys, senderPublicKey }: Workload): () => void {
  return () => {
    p256.getSharedSecret(keys.privateKey, senderPublicKey, false);
  };
}

/** `provider` with the ECDH of this one workload worked out beforehand: what remains is everything but ECDH. */
export function withoutEcdh(work: Workload, provider: CryptoProvider): CryptoProvider {
  const secret = new Uint8Array(32);
  const real = provider.importKeys(work.keys);
  if (!real.agree(work.senderPublicKey, secret)) throw new Error("bad sender key");
  const own: ImportedKeys = {
    authHmac: real.authHmac,
    isPair: () => true,
    agree(_peerPublicKey, into) {
      into.set(secret);
      return true;
    },
  };
  return { ...provider, importKeys: () => own };
}

/** A provider that works nothing out and allocates nothing: every result was made beforehand. */
export function stubProvider(work: Workload): CryptoProvider {
  const provider = createNobleProvider();
  const padded = new Uint8Array(work.plaintextBytes + 1).fill(0x61);
  padded[work.plaintextBytes] = 2;
  const hmac = { mac() {} };
  const own: ImportedKeys = { authHmac: hmac, isPair: () => true, agree: () => true };
  return { ...provider, name: "stub", importKeys: () => own, hmac: () => hmac, gcmOpen: () => padded };
}

/** Bytes that count on from `start`: reproducible on every engine. */
function countingFill(start: number): (target: Uint8Array) => void {
  let next = start;
  return (target) => {
    for (let i = 0; i < target.length; i++) target[i] = next++ % 251;
  };
}
