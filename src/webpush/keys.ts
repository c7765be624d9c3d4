// SPDX-License-Identifier: MIT
/**
 * Makes and checks the keys of a push subscription (RFC 8291 §3.1, §3.2). Does not store or seal them.
 */
import { GodwitError } from "../errors.ts";
import {
  AUTH_SECRET_BYTES,
  type CryptoProvider,
  type ImportedKeys,
  type KeyPair,
  PRIVATE_KEY_BYTES,
  PUBLIC_KEY_BYTES,
  type RandomFill,
  type SubscriptionKeys,
} from "./crypto.ts";
import { nobleProvider } from "./noble.ts";

/** One random scalar in 2^32 is refused; this many in a row means `randomFill` is broken. */
const SCALAR_ATTEMPTS_MAX = 8;

/**
 * New keys for one push subscription: a P-256 pair (32 and 65 bytes) and a 16-byte auth secret, all from `randomFill`.
 *
 * @throws {GodwitError} ERR_ECE_BAD_SUBSCRIPTION_KEYS when `randomFill` gives no usable scalar
 */
export function generateKeys(
  randomFill: RandomFill,
  provider: CryptoProvider = nobleProvider,
): SubscriptionKeys {
  const pair = generateKeyPair(randomFill, provider);
  const authSecret = new Uint8Array(AUTH_SECRET_BYTES);
  randomFill(authSecret);
  return { ...pair, authSecret };
}

/**
 * A new P-256 key pair. The scalar is drawn by rejection (FIPS 186-5 A.2.2), so it is uniform.
 *
 * @throws {GodwitError} ERR_ECE_BAD_SUBSCRIPTION_KEYS when `randomFill` gives no usable scalar
 */
export function generateKeyPair(randomFill: RandomFill, provider: CryptoProvider = nobleProvider): KeyPair {
  const privateKey = new Uint8Array(PRIVATE_KEY_BYTES);
  for (let attempt = 0; attempt < SCALAR_ATTEMPTS_MAX; attempt++) {
    randomFill(privateKey);
    const publicKey = provider.publicKeyOf(privateKey);
    if (publicKey !== null) return { privateKey, publicKey };
  }
  throw badKeys("the random source gives no usable scalar");
}

/**
 * Checks keys as they are loaded: lengths, a private key in range, and that the public key belongs to it. Otherwise every
 * message would fail as ERR_ECE_AUTH_FAILED. Lengths are fixed: a scalar whose leading zero was trimmed is refused.
 *
 * @throws {GodwitError} ERR_ECE_BAD_SUBSCRIPTION_KEYS
 */
export function validateKeys(keys: SubscriptionKeys, provider: CryptoProvider = nobleProvider): void {
  checkKeyLengths(keys);
  if (!provider.importKeys(keys).isPair()) throw badKeys("public and private key do not match");
}

/**
 * Checks the three lengths only: 32, 65 and 16 bytes.
 *
 * @throws {GodwitError} ERR_ECE_BAD_SUBSCRIPTION_KEYS
 */
export function checkKeyLengths(keys: SubscriptionKeys): void {
  const { privateKey, publicKey, authSecret } = keys;
  if (privateKey.length !== PRIVATE_KEY_BYTES) throw badKeys(`private key of ${privateKey.length} bytes`);
  if (publicKey.length !== PUBLIC_KEY_BYTES) throw badKeys(`public key of ${publicKey.length} bytes`);
  if (authSecret.length !== AUTH_SECRET_BYTES) throw badKeys(`auth secret of ${authSecret.length} bytes`);
}

/** ERR_ECE_AUTH_FAILED, or ERR_ECE_BAD_SUBSCRIPTION_KEYS when it is our own key pair that does not fit together. */
export function authFailed(own: ImportedKeys): GodwitError {
  // Without this, keys that were stored wrongly would blame every sender for ever. Worked out once per subscription.
  if (!own.isPair()) return badKeys("public and private key do not match");
  return new GodwitError("ERR_ECE_AUTH_FAILED", "the authentication tag does not match");
}

function badKeys(message: string): GodwitError {
  return new GodwitError("ERR_ECE_BAD_SUBSCRIPTION_KEYS", message);
}
