// SPDX-License-Identifier: MIT
/**
 * The portable {@link CryptoProvider} on the noble libraries: pure JavaScript, the same on every engine, and the reference
 * the native providers are tested against.
 */
import { gcm } from "@noble/ciphers/aes.js";
import { type _HMAC, hmac } from "@noble/hashes/hmac.js";
import { type _SHA256, sha256 } from "@noble/hashes/sha2.js";
import { bytesEqual } from "../bytes.ts";
import { GodwitError } from "../errors.ts";
import {
  type CryptoProvider,
  checkGcmLengths,
  type HmacKey,
  type ImportedKeys,
  isUncompressedPoint,
  Scratch,
  type SubscriptionKeys,
} from "./crypto.ts";
import { Point, scalarOf } from "./p256.ts";

/** A provider with scratch space and an import cache of its own. One per thread of execution is enough. */
export function createNobleProvider(): CryptoProvider {
  const imported = new WeakMap<SubscriptionKeys, ImportedKeys>();
  return {
    name: "noble",
    scratch: new Scratch(),
    importKeys(keys) {
      let own = imported.get(keys);
      if (own === undefined) {
        own = new NobleKeys(keys);
        imported.set(keys, own);
      }
      return own;
    },
    hmac: (key) => new NobleHmac(key),
    sha256: (data) => sha256(data),
    gcmOpen,
    gcmSeal,
    publicKeyOf,
    isPublicKey: (publicKey) => pointOf(publicKey) !== null,
  };
}

/** The provider to use where there is no better one; the default of `godwit/webpush`. */
export const nobleProvider: CryptoProvider = /* @__PURE__ */ createNobleProvider();

class NobleHmac implements HmacKey {
  readonly #keyed: _HMAC<_SHA256>;
  /** Overwritten from `#keyed` at each use: absorbing the key costs two of the four blocks of a short HMAC. */
  readonly #work: _HMAC<_SHA256>;

  constructor(key: Uint8Array) {
    this.#keyed = hmac.create(sha256, key);
    this.#work = this.#keyed.clone();
  }

  mac(data: Uint8Array, into: Uint8Array): void {
    this.#keyed._cloneInto(this.#work).update(data).digestInto(into);
  }
}

class NobleKeys implements ImportedKeys {
  readonly authHmac: HmacKey;
  readonly #scalar: bigint;
  readonly #publicKey: Uint8Array;
  #isPair: boolean | undefined;

  constructor(keys: SubscriptionKeys) {
    const scalar = scalarOf(keys.privateKey);
    if (scalar === null) throw new GodwitError("ERR_ECE_BAD_SUBSCRIPTION_KEYS", "private key out of range");
    this.#scalar = scalar;
    this.#publicKey = keys.publicKey;
    this.authHmac = new NobleHmac(keys.authSecret);
  }

  isPair(): boolean {
    this.#isPair ??= bytesEqual(Point.BASE.multiply(this.#scalar).toBytes(false), this.#publicKey);
    return this.#isPair;
  }

  agree(peerPublicKey: Uint8Array, into: Uint8Array): boolean {
    const peer = pointOf(peerPublicKey);
    if (peer === null) return false;
    // The group has prime order, so a point on the curve times a scalar in [1, n - 1] is never the identity.
    into.set(Point.Fp.toBytes(peer.multiply(this.#scalar).toAffine().x));
    return true;
  }
}

function gcmOpen(key: Uint8Array, nonce: Uint8Array, sealed: Uint8Array, associated?: Uint8Array) {
  checkGcmLengths(key, nonce);
  try {
    return gcm(key, nonce, associated).decrypt(sealed);
  } catch {
    return null;
  }
}

function gcmSeal(key: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array, associated?: Uint8Array) {
  checkGcmLengths(key, nonce);
  return gcm(key, nonce, associated).encrypt(plaintext);
}

function publicKeyOf(privateKey: Uint8Array): Uint8Array | null {
  const scalar = scalarOf(privateKey);
  return scalar === null ? null : Point.BASE.multiply(scalar).toBytes(false);
}

function pointOf(publicKey: Uint8Array) {
  if (!isUncompressedPoint(publicKey)) return null;
  try {
    // Refuses coordinates not below p and points off the curve.
    return Point.fromBytes(publicKey);
  } catch {
    return null;
  }
}
