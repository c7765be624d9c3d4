// SPDX-License-Identifier: MIT
/**
 * The native {@link CryptoProvider} of firmware-bridge, on OpenSSL or mbedTLS. Same results as noble, tens of times faster; what
 * has to be random inside the library (ECDSA nonces) comes from the library.
 */

import { bytesEqual } from "../bytes.ts";
import { GodwitError } from "../errors.ts";
import {
  type CryptoProvider,
  checkGcmLengths,
  type HmacKey,
  type ImportedKeys,
  isUncompressedPoint,
  type KeyPair,
  Scratch,
  type SigningProvider,
  type SubscriptionKeys,
} from "../webpush/crypto.ts";
import type { BridgeCrypto, BridgePrivateKey } from "./bridge.d.ts";

/** Without `verify`, which a device has no use for. */
export type DeviceProvider = CryptoProvider & Pick<SigningProvider, "sign">;

/** A provider with scratch space and an import cache of its own. */
export function createBridgeProvider(native: BridgeCrypto): DeviceProvider {
  const imported = new WeakMap<SubscriptionKeys, ImportedKeys>();
  const signers = new WeakSet<KeyPair>();
  return {
    name: native.name,
    scratch: new Scratch(),
    importKeys(keys) {
      let own = imported.get(keys);
      if (own === undefined) {
        own = new BridgeKeys(native, keys);
        imported.set(keys, own);
      }
      return own;
    },
    hmac: (key) => new BridgeHmac(native, key),
    sha256: (data) => native.sha256(data),
    gcmOpen(key, nonce, sealed, associated) {
      checkGcmLengths(key, nonce);
      return native.gcmOpen(key, nonce, sealed, associated ?? null);
    },
    gcmSeal(key, nonce, plaintext, associated) {
      checkGcmLengths(key, nonce);
      return native.gcmSeal(key, nonce, plaintext, associated ?? null);
    },
    publicKeyOf: (privateKey) => native.publicKeyOf(privateKey),
    isPublicKey: (publicKey) => isUncompressedPoint(publicKey) && native.isPublicKey(publicKey),
    sign(keys, data) {
      const isPair = signers.has(keys) || belongTogether(native, keys);
      const signature = isPair ? native.sign(keys.privateKey, data) : null;
      if (signature === null) throw new GodwitError("ERR_ECE_BAD_SUBSCRIPTION_KEYS", "not a P-256 key pair");
      signers.add(keys);
      return signature;
    },
  };
}

/** Keying takes a microsecond: nothing is worth keeping on the other side of the bridge. */
class BridgeHmac implements HmacKey {
  readonly #native: BridgeCrypto;
  readonly #key: Uint8Array;

  constructor(native: BridgeCrypto, key: Uint8Array) {
    this.#native = native;
    this.#key = key;
  }

  mac(data: Uint8Array, into: Uint8Array): void {
    this.#native.hmac(this.#key, data, into);
  }
}

class BridgeKeys implements ImportedKeys {
  readonly authHmac: HmacKey;
  readonly #native: BridgeCrypto;
  readonly #keys: KeyPair;
  readonly #private: BridgePrivateKey;
  #isPair: boolean | undefined;

  constructor(native: BridgeCrypto, keys: SubscriptionKeys) {
    const { privateKey, publicKey, authSecret } = keys;
    const imported = native.importPrivate(privateKey);
    if (imported === null) throw new GodwitError("ERR_ECE_BAD_SUBSCRIPTION_KEYS", "private key out of range");
    this.#native = native;
    this.#keys = { privateKey, publicKey };
    this.#private = imported;
    this.authHmac = new BridgeHmac(native, authSecret);
  }

  isPair(): boolean {
    this.#isPair ??= belongTogether(this.#native, this.#keys);
    return this.#isPair;
  }

  agree(peerPublicKey: Uint8Array, into: Uint8Array): boolean {
    // Libraries would also take hybrid and compressed points.
    return isUncompressedPoint(peerPublicKey) && this.#private.agree(peerPublicKey, into);
  }
}

function belongTogether(native: BridgeCrypto, { privateKey, publicKey }: KeyPair): boolean {
  const own = native.publicKeyOf(privateKey);
  return own !== null && bytesEqual(own, publicKey);
}
