// SPDX-License-Identifier: MIT
/**
 * Decrypts one push message as a strict receiver (RFC 8291, RFC 8188). What the plaintext means is not decided here, and
 * no header can change what is done with it beyond refusing it.
 */
import { GodwitError } from "../errors.ts";
import { MESSAGE_BODY_BYTES_MAX } from "../limits.ts";
import { decryptAesgcm } from "./aesgcm.ts";
import { checkSingleRecord, parseAes128Gcm, unpadLastRecord } from "./content-coding.ts";
import type { CryptoProvider, ImportedKeys, SubscriptionKeys } from "./crypto.ts";
import { deriveContentKey } from "./key-derivation.ts";
import { authFailed, checkKeyLengths } from "./keys.ts";
import { nobleProvider } from "./noble.ts";

export interface DecryptOptions {
  /** Default {@link nobleProvider}. */
  readonly provider?: CryptoProvider;
  /** Largest body taken, bytes. Default {@link MESSAGE_BODY_BYTES_MAX}. */
  readonly limitBytes?: number;
  /**
   * The Content-Encoding the message came with, null when it came without one. Leave out where the wire dialect carries
   * nothing but `aes128gcm`.
   */
  readonly contentEncoding?: string | null | undefined;
  /** The `Encryption` header, for `aesgcm` only. */
  readonly encryption?: string | null | undefined;
  /** The `Crypto-Key` header, for `aesgcm` only. */
  readonly cryptoKey?: string | null | undefined;
  /** Take the legacy `aesgcm` coding too. Default false. */
  readonly allowAesgcm?: boolean;
}

/**
 * The plaintext of one push message, in a new array owned by the caller (up to 3993 bytes in a 4096-byte body).
 *
 * Keeps the imported form of `keys` in the provider, so pass the same object for the same subscription. Besides the
 * plaintext it allocates a few views. Checks are made in this order, each with its own code:
 *
 * @param body the message as received, borrowed and unchanged
 * @throws {GodwitError} ERR_ECE_BAD_SUBSCRIPTION_KEYS wrong lengths or private key; also instead of ERR_ECE_AUTH_FAILED
 *   when the two halves of our own key pair do not belong together
 * @throws {GodwitError} ERR_ECE_NO_PAYLOAD empty body: a push without data
 * @throws {GodwitError} ERR_ECE_UNSUPPORTED_ENCODING not exactly one acceptable content coding (RFC 8291 §4)
 * @throws {GodwitError} ERR_ECE_TOO_LARGE, ERR_ECE_TRUNCATED_HEADER, ERR_ECE_BAD_RECORD_SIZE, ERR_ECE_BAD_KEYID_LENGTH,
 *   ERR_ECE_TRUNCATED_RECORD as in `parseAes128Gcm`
 * @throws {GodwitError} ERR_ECE_INVALID_PUBLIC_KEY the sender's key is no point on P-256 (RFC 8291 §7)
 * @throws {GodwitError} ERR_ECE_MULTIPLE_RECORDS more than one record (RFC 8291 §4)
 * @throws {GodwitError} ERR_ECE_AUTH_FAILED the tag does not match
 * @throws {GodwitError} ERR_ECE_BAD_PADDING no last-record delimiter
 * @throws {GodwitError} ERR_ECE_BAD_ENCRYPTION_HEADER, ERR_ECE_BAD_SALT, ERR_ECE_BAD_CRYPTO_KEY_HEADER `aesgcm` only
 */
export function decrypt(body: Uint8Array, keys: SubscriptionKeys, options: DecryptOptions = {}): Uint8Array {
  const { provider = nobleProvider, limitBytes = MESSAGE_BODY_BYTES_MAX } = options;
  checkKeyLengths(keys);
  if (body.length === 0) throw new GodwitError("ERR_ECE_NO_PAYLOAD", "the message has no payload");
  const coding = contentCoding(options);
  const own = provider.importKeys(keys);
  try {
    if (coding === "aesgcm") return decryptAesgcm(body, keys, own, provider, limitBytes, options);
    return decryptAes128Gcm(body, keys, own, provider, limitBytes);
  } finally {
    provider.scratch.wipe();
  }
}

function decryptAes128Gcm(
  body: Uint8Array,
  keys: SubscriptionKeys,
  own: ImportedKeys,
  provider: CryptoProvider,
  limitBytes: number,
): Uint8Array {
  const { scratch } = provider;
  const { salt, recordBytes, senderPublicKey, sealed } = parseAes128Gcm(body, limitBytes);
  if (!own.agree(senderPublicKey, scratch.ecdhSecret)) {
    throw new GodwitError("ERR_ECE_INVALID_PUBLIC_KEY", "the sender's key is not a point on P-256");
  }
  checkSingleRecord(sealed.length, recordBytes);
  deriveContentKey(provider, own.authHmac, keys.publicKey, senderPublicKey, salt);
  const padded = provider.gcmOpen(scratch.cek, scratch.nonce, sealed);
  if (padded === null) throw authFailed(own);
  return unpadLastRecord(padded);
}

function contentCoding({ contentEncoding, allowAesgcm }: DecryptOptions): "aes128gcm" | "aesgcm" {
  if (contentEncoding === undefined) return "aes128gcm";
  // RFC 9110 §8.4.1: codings are case-insensitive. Anything but one exact name is refused (RFC 8291 §4).
  const coding = contentEncoding?.trim().toLowerCase();
  if (coding === "aes128gcm") return coding;
  if (coding === "aesgcm" && allowAesgcm === true) return coding;
  throw new GodwitError("ERR_ECE_UNSUPPORTED_ENCODING", "not exactly one acceptable content coding");
}
