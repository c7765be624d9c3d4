// SPDX-License-Identifier: MIT
/**
 * Seals the secrets of a journal record under the device key: AES-256-GCM with a random nonce. Pure; where the key comes
 * from (TPM, TrustZone, keyring, a file) is the host's affair.
 */
import { gcm } from "@noble/ciphers/aes.js";
import { GodwitError } from "../errors.ts";

/** AES-256. */
export const DEVICE_KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Turns secrets into bytes that may lie on flash, and back. A host may bring its own, for instance inside a TPM. */
export interface Sealer {
  /** False when `seal` only copies: the device has no key. */
  readonly sealsSecrets: boolean;
  /** A new array holding `plaintext`, bound to `additionalData`. Borrows both. */
  seal(plaintext: Uint8Array, additionalData: Uint8Array): Uint8Array;
  /**
   * A new array holding what was sealed; the caller may clear it.
   *
   * @throws {GodwitError} ERR_JOURNAL_SEAL when the key, the data or the additional data differ
   */
  open(sealed: Uint8Array, additionalData: Uint8Array): Uint8Array;
}

/**
 * Seals as nonce (12) + ciphertext + tag (16). Keeps a copy of the key. Random nonces are safe for 2^32 records under one
 * key, which is more than the flash below them can take.
 *
 * @param deviceKey 32 bytes
 * @param randomFill fills its argument from a CSPRNG
 * @throws {GodwitError} ERR_CONFIG when the key is not 32 bytes long
 */
export function keySealer(deviceKey: Uint8Array, randomFill: (target: Uint8Array) => void): Sealer {
  if (deviceKey.length !== DEVICE_KEY_BYTES) {
    throw new GodwitError("ERR_CONFIG", `the device key must have ${DEVICE_KEY_BYTES} bytes`);
  }
  const key = Uint8Array.from(deviceKey);
  return {
    sealsSecrets: true,
    seal(plaintext, additionalData) {
      const sealed = new Uint8Array(NONCE_BYTES + plaintext.length + TAG_BYTES);
      const nonce = sealed.subarray(0, NONCE_BYTES);
      randomFill(nonce);
      sealed.set(gcm(key, nonce, additionalData).encrypt(plaintext), NONCE_BYTES);
      return sealed;
    },
    open(sealed, additionalData) {
      if (sealed.length < NONCE_BYTES + TAG_BYTES) throw unopened();
      try {
        const nonce = sealed.subarray(0, NONCE_BYTES);
        return gcm(key, nonce, additionalData).decrypt(sealed.subarray(NONCE_BYTES));
      } catch {
        throw unopened();
      }
    },
  };
}

/** For devices without a key: the journal then protects secrets by its file mode alone. */
export function plainSealer(): Sealer {
  return {
    sealsSecrets: false,
    seal: (plaintext) => plaintext.slice(),
    open: (sealed) => sealed.slice(),
  };
}

function unopened(): GodwitError {
  return new GodwitError("ERR_JOURNAL_SEAL", "sealed secrets do not open: another key, or altered bytes");
}
