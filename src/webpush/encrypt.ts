// SPDX-License-Identifier: MIT
/**
 * Encrypts one push message as an application server would (RFC 8291, RFC 8188): one `aes128gcm` record. Serves tests,
 * the demo and `godwit send`; a user agent only decrypts.
 */
import { GodwitError } from "../errors.ts";
import { MESSAGE_BODY_BYTES_MAX } from "../limits.ts";
import { HEADER_BYTES, LAST_RECORD_DELIMITER, SALT_BYTES, writeAes128GcmHeader } from "./content-coding.ts";
import {
  type CryptoProvider,
  GCM_TAG_BYTES,
  type KeyPair,
  type RandomFill,
  type SubscriptionKeys,
} from "./crypto.ts";
import { deriveContentKey } from "./key-derivation.ts";
import { checkKeyLengths, generateKeyPair } from "./keys.ts";
import { nobleProvider } from "./noble.ts";

const RECORD_BYTES_DEFAULT = 4096;

/** What an application server knows of a subscription. */
export type RecipientKeys = Pick<SubscriptionKeys, "publicKey" | "authSecret">;

export interface EncryptOptions {
  /** Default {@link nobleProvider}. */
  readonly provider?: CryptoProvider;
  /** Source of the salt and the sender's key pair, each message's own. Required unless both are given. */
  readonly randomFill?: RandomFill;
  /** 16 bytes, for reproducing test vectors: a salt used twice with one sender key breaks the encryption. */
  readonly salt?: Uint8Array;
  /** For reproducing test vectors, as `salt`. */
  readonly senderKeys?: KeyPair;
  /** Zero octets after the delimiter, hiding the plaintext's length. Default 0. */
  readonly paddingBytes?: number;
  /** Largest body made, bytes. Default {@link MESSAGE_BODY_BYTES_MAX}. */
  readonly limitBytes?: number;
}

/**
 * The body of one push message in a new array: 86-byte header, then plaintext, delimiter, padding and tag in one record.
 *
 * @throws {GodwitError} ERR_OPTION neither randomness nor both salt and sender keys given
 * @throws {GodwitError} ERR_ECE_PLAINTEXT_TOO_LARGE the body would exceed `limitBytes` (3993 bytes of plaintext in 4096)
 * @throws {GodwitError} ERR_ECE_BAD_SUBSCRIPTION_KEYS a key or the auth secret has the wrong length
 * @throws {GodwitError} ERR_ECE_INVALID_PUBLIC_KEY the recipient's key is no point on P-256
 */
export function encrypt(
  plaintext: Uint8Array,
  recipient: RecipientKeys,
  options: EncryptOptions,
): Uint8Array {
  const { provider = nobleProvider, paddingBytes = 0, limitBytes = MESSAGE_BODY_BYTES_MAX } = options;
  const paddedBytes = plaintext.length + 1 + paddingBytes;
  const recordBytes = paddedBytes + GCM_TAG_BYTES;
  if (HEADER_BYTES + recordBytes > limitBytes) {
    const text = `${HEADER_BYTES + recordBytes} bytes of body, limit ${limitBytes}`;
    throw new GodwitError("ERR_ECE_PLAINTEXT_TOO_LARGE", text);
  }
  const { salt, sender } = messageSecrets(recipient, options, provider);
  const padded = new Uint8Array(paddedBytes);
  padded.set(plaintext);
  padded[plaintext.length] = LAST_RECORD_DELIMITER;
  const sealed = seal(padded, salt, sender, recipient.publicKey, provider);
  const body = new Uint8Array(HEADER_BYTES + sealed.length);
  // RFC 8291 §4: larger than the record, so that it is recognised as the last one.
  writeAes128GcmHeader(body, salt, Math.max(RECORD_BYTES_DEFAULT, recordBytes + 1), sender.publicKey);
  body.set(sealed, HEADER_BYTES);
  return body;
}

/** Salt, and the sender's pair with the recipient's auth secret: the sender's half of a {@link SubscriptionKeys}. */
function messageSecrets(recipient: RecipientKeys, options: EncryptOptions, provider: CryptoProvider) {
  const { randomFill, senderKeys } = options;
  let { salt } = options;
  if (randomFill === undefined && (salt === undefined || senderKeys === undefined)) {
    throw new GodwitError("ERR_OPTION", "give randomFill, or both salt and senderKeys");
  }
  const fill: RandomFill = randomFill ?? (() => {});
  if (salt === undefined) {
    salt = new Uint8Array(SALT_BYTES);
    fill(salt);
  }
  const pair = senderKeys ?? generateKeyPair(fill, provider);
  const sender = { ...pair, authSecret: recipient.authSecret };
  checkKeyLengths(sender);
  if (salt.length !== SALT_BYTES) throw new GodwitError("ERR_OPTION", `the salt must be ${SALT_BYTES} bytes`);
  return { salt, sender };
}

function seal(
  padded: Uint8Array,
  salt: Uint8Array,
  sender: SubscriptionKeys,
  uaPublicKey: Uint8Array,
  provider: CryptoProvider,
): Uint8Array {
  const { scratch } = provider;
  const own = provider.importKeys(sender);
  try {
    if (!own.agree(uaPublicKey, scratch.ecdhSecret)) {
      throw new GodwitError("ERR_ECE_INVALID_PUBLIC_KEY", "the recipient's key is not a point on P-256");
    }
    deriveContentKey(provider, own.authHmac, uaPublicKey, sender.publicKey, salt);
    return provider.gcmSeal(scratch.cek, scratch.nonce, padded);
  } finally {
    provider.scratch.wipe();
  }
}
