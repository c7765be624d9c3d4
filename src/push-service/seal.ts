// SPDX-License-Identifier: MIT
/**
 * Seals small records so that only this service can make or read them: XChaCha20-Poly1305 under a key ring, as base64url
 * text; and numbers in a series, which costs a twentieth. Knows nothing of what is sealed; `tokens.ts` has the layouts.
 */

import { type Cipher, createCipheriv, createDecipheriv, type Decipher, timingSafeEqual } from "node:crypto";
import { xchacha20poly1305 } from "@noble/ciphers/chacha.js";
import { hkdf } from "@noble/hashes/hkdf.js";
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesEqual, concatBytes, hexEncode, utf8Encode } from "../bytes.ts";
import { GodwitError } from "../errors.ts";
import { SEALED_CHARS_MAX, SEALS_REMEMBERED_MAX } from "../limits.ts";
import { base64urlDecode, base64urlEncode } from "../webpush/base64url.ts";

export const KEY_ID_BYTES = 4;
export const SEALING_KEY_BYTES = 32;
const NONCE_BYTES = 24;
const TAG_BYTES = 16;
/** Of a number in a series: one block of AES, half of it the check. */
const BLOCK_BYTES = 16;
const CHECK_BYTES = 8;
const NUMBER_CHARS = 22;
/** Between the name of a series and the number. */
const NUMBER_MARK = ".";

/** One sealing key. */
export interface SealingKey {
  /** 4 bytes, in the clear in front of everything it sealed. */
  readonly id: Uint8Array;
  /** 32 bytes, secret. */
  readonly secret: Uint8Array;
}

/**
 * `current` seals; all of them open. `older` may hold one that is to become current, so that every process of a fleet opens what it
 * seals before one seals with it. A key leaves the ring only when nothing it sealed may be valid any more.
 */
export interface Keyring {
  readonly current: SealingKey;
  readonly older: readonly SealingKey[];
}

/** What a sealed text is for; one kind never opens as another. */
export type SealKind = "uaToken" | "endpoint" | "message";

export const SEAL_KINDS: readonly SealKind[] = ["uaToken", "endpoint", "message"];

/** Told of each text that opened under a key which does not seal now; `keyId`: 8 hex digits. */
export type OlderKeyUsed = (keyId: string, kind: SealKind) => void;

interface DerivedKey {
  readonly id: Uint8Array;
  readonly encryption: Uint8Array;
  readonly nonce: Uint8Array;
  /** AES-256 block by block: they keep no state from one to the next. */
  readonly encryptBlock: Cipher;
  readonly decryptBlock: Decipher;
}

/**
 * Numbers sealed under one name: {@link Sealer.series}. A number is enciphered as one block together with 8 bytes that belong to the
 * name: whoever has no key learns nothing from a block, and one that he makes up holds them with a chance of 2^-64.
 */
export class Series {
  readonly #name: string;
  readonly #check: Uint8Array;
  readonly #cipher: Cipher;

  /** @param check 8 bytes that no other name has */
  constructor(name: string, check: Uint8Array, cipher: Cipher) {
    this.#name = name;
    this.#check = check;
    this.#cipher = cipher;
  }

  /** The sealed name, a dot, and 22 characters; `number`: an integer below 2^53. */
  seal(number: number): string {
    const block = Buffer.allocUnsafe(BLOCK_BYTES);
    block.set(this.#check);
    block.writeUInt32BE(Math.floor(number / 2 ** 32), CHECK_BYTES);
    block.writeUInt32BE(number >>> 0, CHECK_BYTES + 4);
    return `${this.#name}${NUMBER_MARK}${this.#cipher.update(block).toString("base64url")}`;
  }
}

/**
 * Seals and opens under one key ring.
 *
 * The nonce is not drawn but computed, as in SIV: HMAC of kind and plaintext under a key of its own. So the same record
 * gives the same text (registering again finds the same endpoint), and two records never share a nonce.
 */
export class Sealer {
  #current: DerivedKey;
  #keys: readonly DerivedKey[];
  /** What was opened last, by kind and text: a sender comes back to the same endpoint. The oldest first. */
  readonly #opened = new Map<string, { readonly key: DerivedKey; readonly value: unknown }>();
  readonly #olderKeyUsed: OlderKeyUsed;

  constructor(keyring: Keyring, olderKeyUsed: OlderKeyUsed = () => {}) {
    this.#olderKeyUsed = olderKeyUsed;
    this.#current = derive(keyring.current);
    this.#keys = [this.#current, ...keyring.older.map(derive)];
  }

  /** Seals and opens under `keyring` from now on: what a key that is not in it sealed is void. */
  use(keyring: Keyring): void {
    this.#current = derive(keyring.current);
    this.#keys = [this.#current, ...keyring.older.map(derive)];
    this.#opened.clear();
  }

  /** Ids of the keys that open and do not seal, 8 hex digits each. */
  get olderKeyIds(): string[] {
    return this.#keys.filter((key) => key !== this.#current).map(({ id }) => hexEncode(id));
  }

  /** base64url of key id (4 bytes), nonce (24), ciphertext (as long as `plaintext`), tag (16). */
  seal(kind: SealKind, plaintext: Uint8Array): string {
    const { id, encryption } = this.#current;
    const nonce = syntheticNonce(this.#current, kind, plaintext);
    const sealed = xchacha20poly1305(encryption, nonce, utf8Encode(kind)).encrypt(plaintext);
    return base64urlEncode(concatBytes(id, nonce, sealed));
  }

  /** Numbers under `name`, sealed by the key that is current now. */
  series(kind: SealKind, name: Uint8Array): Series {
    const key = this.#current;
    return new Series(this.seal(kind, name), checkOf(syntheticNonce(key, kind, name)), key.encryptBlock);
  }

  /**
   * The plaintext of `text`.
   *
   * @throws {GodwitError} ERR_SEAL_MALFORMED not base64url, too short or too long
   * @throws {GodwitError} ERR_SEAL_FOREIGN no key of this ring sealed it
   * @throws {GodwitError} ERR_SEAL_FORGED the key is known but did not seal this, or sealed another kind
   */
  open(kind: SealKind, text: string): Uint8Array {
    const sealed = decode(text);
    return this.#unseal(kind, this.#keyOf(sealed), sealed);
  }

  /**
   * What `parse` makes of the plaintext of `text`, for texts that come again: most often the same object as long as the ring stays, not
   * to be changed.
   *
   * @throws {GodwitError} as {@link open}, and what `parse` throws
   */
  recall<T>(kind: SealKind, text: string, parse: (plaintext: Uint8Array) => T): T {
    const name = `${kind} ${text}`;
    const known = this.#opened.get(name);
    if (known !== undefined) {
      this.#noteUse(kind, known.key);
      return known.value as T;
    }
    const sealed = decode(text);
    const key = this.#keyOf(sealed);
    const value = parse(this.#unseal(kind, key, sealed));
    this.#opened.set(name, { key, value });
    for (const oldest of this.#opened.keys()) {
      if (this.#opened.size <= SEALS_REMEMBERED_MAX) break;
      this.#opened.delete(oldest);
    }
    return value;
  }

  /**
   * Name and number of what a {@link Series} sealed.
   *
   * @throws {GodwitError} as {@link open}
   */
  openNumber(kind: SealKind, text: string): { readonly name: Uint8Array; readonly number: number } {
    const at = text.length - NUMBER_CHARS;
    if (text[at - 1] !== NUMBER_MARK) throw new GodwitError("ERR_SEAL_MALFORMED", "no number");
    const sealed = decode(text.slice(0, at - 1));
    const key = this.#keyOf(sealed);
    const name = this.#unseal(kind, key, sealed);
    const block = key.decryptBlock.update(base64urlOf(text.slice(at)));
    if (!timingSafeEqual(block.subarray(0, CHECK_BYTES), checkOf(sealed.subarray(KEY_ID_BYTES)))) {
      throw new GodwitError("ERR_SEAL_FORGED", "the number belongs to another name");
    }
    const number = block.readUInt32BE(CHECK_BYTES) * 2 ** 32 + block.readUInt32BE(CHECK_BYTES + 4);
    return { name, number };
  }

  #unseal(kind: SealKind, key: DerivedKey, bytes: Uint8Array): Uint8Array {
    const nonce = bytes.subarray(KEY_ID_BYTES, KEY_ID_BYTES + NONCE_BYTES);
    let plaintext: Uint8Array;
    try {
      plaintext = xchacha20poly1305(key.encryption, nonce, utf8Encode(kind)).decrypt(
        bytes.subarray(KEY_ID_BYTES + NONCE_BYTES),
      );
    } catch {
      throw new GodwitError("ERR_SEAL_FORGED", "the seal is broken");
    }
    this.#noteUse(kind, key);
    return plaintext;
  }

  #noteUse(kind: SealKind, key: DerivedKey): void {
    if (key !== this.#current) this.#olderKeyUsed(hexEncode(key.id), kind);
  }

  #keyOf(bytes: Uint8Array): DerivedKey {
    const key = this.#keys.find(({ id }) => bytesEqual(id, bytes.subarray(0, KEY_ID_BYTES)));
    if (key === undefined) throw new GodwitError("ERR_SEAL_FOREIGN", "sealed by another key");
    return key;
  }
}

/** What blocks of a series hold besides the number: the nonce is a MAC of the name. */
function checkOf(nonce: Uint8Array): Uint8Array {
  return nonce.slice(0, CHECK_BYTES);
}

function decode(text: string): Uint8Array {
  // Before anything is made of it: breaking the seal of a long one takes as long.
  if (text.length > SEALED_CHARS_MAX) throw new GodwitError("ERR_SEAL_MALFORMED", "too long");
  const bytes = base64urlOf(text);
  if (bytes.length < KEY_ID_BYTES + NONCE_BYTES + TAG_BYTES) {
    throw new GodwitError("ERR_SEAL_MALFORMED", "too short");
  }
  return bytes;
}

function base64urlOf(text: string): Uint8Array {
  try {
    return base64urlDecode(text);
  } catch {
    throw new GodwitError("ERR_SEAL_MALFORMED", "not base64url");
  }
}

function derive({ id, secret }: SealingKey): DerivedKey {
  const okm = hkdf(sha256, secret, undefined, utf8Encode("godwit push service seal v1"), 96);
  const blockKey = okm.subarray(64);
  return {
    id,
    encryption: okm.subarray(0, 32),
    nonce: okm.subarray(32, 64),
    encryptBlock: createCipheriv("aes-256-ecb", blockKey, null).setAutoPadding(false),
    decryptBlock: createDecipheriv("aes-256-ecb", blockKey, null).setAutoPadding(false),
  };
}

/** Length before content: no other pair of kind and plaintext gives the same input. */
function syntheticNonce(key: DerivedKey, kind: SealKind, plaintext: Uint8Array): Uint8Array {
  const label = utf8Encode(kind);
  return hmac(sha256, key.nonce, concatBytes(Uint8Array.of(label.length), label, plaintext)).slice(
    0,
    NONCE_BYTES,
  );
}
