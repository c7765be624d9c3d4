// SPDX-License-Identifier: MIT
/** The portable provider with ES256 signatures, on the noble libraries. No part of a device's bundle. */
import { ecdsa } from "@noble/curves/abstract/weierstrass.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesEqual } from "../bytes.ts";
import { GodwitError } from "../errors.ts";
import { isUncompressedPoint, type KeyPair, SIGNATURE_BYTES, type SigningProvider } from "./crypto.ts";
import { createNobleProvider } from "./noble.ts";
import { Point } from "./p256.ts";

/** ES256 signers, node:crypto among them, do not normalise s, so any s is taken. */
const OPTIONS = { prehash: true, lowS: false } as const;

/** A provider of its own, with scratch space and caches; see {@link createNobleProvider}. */
export function createNobleSigningProvider(): SigningProvider {
  const provider = createNobleProvider();
  const p256 = ecdsa(Point, sha256);
  const checked = new WeakSet<KeyPair>();
  return {
    ...provider,
    sign(keys, data) {
      if (!checked.has(keys)) {
        const publicKey = provider.publicKeyOf(keys.privateKey);
        if (publicKey === null || !bytesEqual(publicKey, keys.publicKey)) {
          throw new GodwitError("ERR_ECE_BAD_SUBSCRIPTION_KEYS", "not a P-256 key pair");
        }
        checked.add(keys);
      }
      return p256.sign(data, keys.privateKey, OPTIONS);
    },
    verify(publicKey, data, signature) {
      if (signature.length !== SIGNATURE_BYTES || !isUncompressedPoint(publicKey)) return false;
      try {
        return p256.verify(signature, data, publicKey, OPTIONS);
      } catch {
        return false;
      }
    },
  };
}

/** The signer to use where there is no better one. */
export const nobleSigningProvider: SigningProvider = /* @__PURE__ */ createNobleSigningProvider();
