// SPDX-License-Identifier: MIT
/**
 * What Godwit needs from a cryptography library: one small synchronous interface with two kinds of implementation, noble
 * (runs everywhere, the reference) and native (node:crypto, a bridge's TLS library). Decides nothing about messages.
 */

/** Fills `target` from a cryptographically secure source, or throws. Handed in by the host; nothing here has another. */
export type RandomFill = (target: Uint8Array) => void;

/** A P-256 key pair. */
export interface KeyPair {
  /** 32 bytes, big-endian scalar in [1, n - 1], never shortened. */
  readonly privateKey: Uint8Array;
  /** 65 bytes: 0x04, x, y (SEC 1 §2.3.3, uncompressed). */
  readonly publicKey: Uint8Array;
}

/** The receiver's secrets of one push subscription (RFC 8291 §3.1, §3.2). Its bytes must not change once used. */
export interface SubscriptionKeys extends KeyPair {
  /** 16 bytes. */
  readonly authSecret: Uint8Array;
}

/** HMAC-SHA-256 with its key already absorbed. */
export interface HmacKey {
  /** Writes the 32-byte code of `data` to the start of `into`; `into` may be `data`. */
  mac(data: Uint8Array, into: Uint8Array): void;
}

/** A subscription's keys in the library's own form. */
export interface ImportedKeys {
  /** Keyed with the auth secret. */
  readonly authHmac: HmacKey;
  /** True when the public key belongs to the private key. Worked out once, then remembered. */
  isPair(): boolean;
  /**
   * ECDH (SEC 1 §3.3.1): writes the 32-byte x coordinate, leading zeros kept, to `into`. False, and `into` unspecified,
   * when `peerPublicKey` (65 bytes) is not an uncompressed point on P-256 with coordinates below p.
   */
  agree(peerPublicKey: Uint8Array, into: Uint8Array): boolean;
}

/**
 * A cryptography library. Everything is synchronous; arguments are borrowed for the call only, except where said.
 * Wrong lengths of keys and nonces are the caller's mistake and throw a RangeError.
 */
export interface CryptoProvider {
  /** `noble`, `node`, …: for reports and tests. */
  readonly name: string;
  /** Reused by the key derivation, so that a message costs no allocation for intermediate keys. */
  readonly scratch: Scratch;

  /**
   * The imported form of `keys`, made at the first call with this very object and kept as long as the object lives.
   *
   * @throws {GodwitError} ERR_ECE_BAD_SUBSCRIPTION_KEYS when the private key is 0 or not below the group order
   */
  importKeys(keys: SubscriptionKeys): ImportedKeys;
  /** HMAC-SHA-256 (RFC 2104) keyed with `key`, which stays borrowed as long as the result is used. */
  hmac(key: Uint8Array): HmacKey;
  /** SHA-256 of `data`, a new array of 32 bytes. */
  sha256(data: Uint8Array): Uint8Array;

  /**
   * AES-GCM decryption (NIST SP 800-38D): the plaintext in a new array owned by the caller, or null when the tag does
   * not match. `key` 16 or 32 bytes, `nonce` 12, `sealed` ciphertext then 16-byte tag.
   */
  gcmOpen(key: Uint8Array, nonce: Uint8Array, sealed: Uint8Array, associated?: Uint8Array): Uint8Array | null;
  /** AES-GCM encryption, a new array: ciphertext then 16-byte tag. Never use a nonce twice with one key. */
  gcmSeal(key: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array, associated?: Uint8Array): Uint8Array;

  /** Public key (65 bytes, new array) of a 32-byte scalar, or null when that is 0 or not below the group order. */
  publicKeyOf(privateKey: Uint8Array): Uint8Array | null;
  /** True when `publicKey` is 65 bytes and an uncompressed point on P-256. */
  isPublicKey(publicKey: Uint8Array): boolean;
}

/**
 * Signatures, which only application servers and push services make and check. Apart from the rest, so that a device's
 * bundle carries none.
 */
export interface SigningProvider extends CryptoProvider {
  /**
   * ECDSA over SHA-256 (ES256, RFC 7518 §3.4): r then s, a new array of 64 bytes. The import of `keys` is kept.
   *
   * @throws {GodwitError} ERR_ECE_BAD_SUBSCRIPTION_KEYS when the halves of `keys` do not belong together
   */
  sign(keys: KeyPair, data: Uint8Array): Uint8Array;
  /** True when `signature` (64 bytes, r then s, any s) is good. False for anything malformed, the key included. */
  verify(publicKey: Uint8Array, data: Uint8Array, signature: Uint8Array): boolean;
}

export const PRIVATE_KEY_BYTES = 32;
export const PUBLIC_KEY_BYTES = 65;
export const AUTH_SECRET_BYTES = 16;
export const SIGNATURE_BYTES = 64;
export const SHA256_BYTES = 32;
/** AES-GCM nonce and tag. */
export const GCM_NONCE_BYTES = 12;
export const GCM_TAG_BYTES = 16;
/** First byte of an uncompressed point (SEC 1 §2.3.3). */
export const POINT_UNCOMPRESSED = 0x04;

/** ASCII "WebPush: info" and a zero octet (RFC 8291 §3.3). */
const KEY_INFO_PREFIX = /* @__PURE__ */ Uint8Array.of(
  87,
  101,
  98,
  80,
  117,
  115,
  104,
  58,
  32,
  105,
  110,
  102,
  111,
  0,
);

/**
 * Space for the intermediate keys of one message (RFC 8291 §3.4), owned by a provider and overwritten by each message.
 * All secret parts lie in one piece so that {@link wipe} is one write.
 */
export class Scratch {
  /** 32 bytes. */
  readonly ecdhSecret: Uint8Array;
  /** 32 bytes; `prkKey`, then `ikm`, then `prk` of RFC 8291 §3.4. */
  readonly chain: Uint8Array;
  /** 32 bytes, of which {@link cek} is the first half. */
  readonly cekBlock: Uint8Array;
  /** 16 bytes. */
  readonly cek: Uint8Array;
  /** 32 bytes, of which {@link nonce} is the beginning. */
  readonly nonceBlock: Uint8Array;
  /** 12 bytes. */
  readonly nonce: Uint8Array;
  /** 145 bytes, public: `"WebPush: info" 00 || ua_public (at 14) || as_public (at 79) || 01`. */
  readonly keyInfo: Uint8Array;
  readonly #secrets: Uint8Array;

  constructor() {
    this.#secrets = new Uint8Array(4 * SHA256_BYTES);
    this.ecdhSecret = this.#secrets.subarray(0, 32);
    this.chain = this.#secrets.subarray(32, 64);
    this.cekBlock = this.#secrets.subarray(64, 96);
    this.cek = this.cekBlock.subarray(0, 16);
    this.nonceBlock = this.#secrets.subarray(96, 128);
    this.nonce = this.nonceBlock.subarray(0, GCM_NONCE_BYTES);
    this.keyInfo = new Uint8Array(KEY_INFO_PREFIX.length + 2 * PUBLIC_KEY_BYTES + 1);
    this.keyInfo.set(KEY_INFO_PREFIX);
    // RFC 5869 §2.3: the one-octet counter of the first and only block.
    this.keyInfo[this.keyInfo.length - 1] = 1;
  }

  /** Zeroes every secret. */
  wipe(): void {
    this.#secrets.fill(0);
  }
}

/** True when `bytes` has the length and first octet of an uncompressed point; says nothing about the curve. */
export function isUncompressedPoint(bytes: Uint8Array): boolean {
  return bytes.length === PUBLIC_KEY_BYTES && bytes[0] === POINT_UNCOMPRESSED;
}

/** @throws {RangeError} when `key` is not 16 or 32 bytes or `nonce` not 12, before a library could call it a bad tag */
export function checkGcmLengths(key: Uint8Array, nonce: Uint8Array): void {
  if (key.length !== 16 && key.length !== 32) throw new RangeError(`AES key of ${key.length} bytes`);
  if (nonce.length !== GCM_NONCE_BYTES) throw new RangeError(`GCM nonce of ${nonce.length} bytes`);
}
