// SPDX-License-Identifier: MIT
/**
 * Seals small records so that only this service can make or read them: XChaCha20-Poly1305 under a key ring, as base64url
 * text. Knows nothing of what is sealed; `tokens.ts` has the layouts. Pure.
 */

import { xchacha20poly1305 } from "@noble/ciphers/chacha.js";
import { hkdf } from "@noble/hashes/hkdf.js";
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesEqual, concatBytes, utf8Encode } from "../bytes.ts";
import { GodwitError } from "../errors.ts";
import { SEALED_CHARS_MAX, SEALS_REMEMBERED_MAX } from "../limits.ts";
import { base64urlDecode, base64urlEncode } from "../webpush/base64url.ts";

export const KEY_ID_BYTES = 4;
export const SEALING_KEY_BYTES = 32;
const NONCE_BYTES = 24;
const TAG_BYTES = 16;

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

interface DerivedKey {
  readonly id: Uint8Array;
  readonly encryption: Uint8Array;
  readonly nonce: Uint8Array;
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
  /** Plaintexts of what was opened last, by kind and text: a sender comes back to the same endpoint. The oldest first. */
  readonly #opened = new Map<string, Uint8Array>();

  constructor(keyring: Keyring) {
    this.#current = derive(keyring.current);
    this.#keys = [this.#current, ...keyring.older.map(derive)];
  }

  /** Seals and opens under `keyring` from now on: what a key that is not in it sealed is void. */
  use(keyring: Keyring): void {
    this.#current = derive(keyring.current);
    this.#keys = [this.#current, ...keyring.older.map(derive)];
    this.#opened.clear();
  }

  /** base64url of key id (4 bytes), nonce (24), ciphertext (as long as `plaintext`), tag (16). */
  seal(kind: SealKind, plaintext: Uint8Array): string {
    const { id, encryption } = this.#current;
    const nonce = syntheticNonce(this.#current, kind, plaintext);
    const sealed = xchacha20poly1305(encryption, nonce, utf8Encode(kind)).encrypt(plaintext);
    return base64urlEncode(concatBytes(id, nonce, sealed));
  }

  /**
   * The plaintext of `text`, a new array.
   *
   * @throws {GodwitError} ERR_SEAL_MALFORMED not base64url, too short or too long
   * @throws {GodwitError} ERR_SEAL_FOREIGN no key of this ring sealed it
   * @throws {GodwitError} ERR_SEAL_FORGED the key is known but did not seal this, or sealed another kind
   */
  open(kind: SealKind, text: string): Uint8Array {
    const name = `${kind} ${text}`;
    const known = this.#opened.get(name);
    if (known !== undefined) return known.slice();
    const plaintext = this.#unseal(kind, text);
    this.#opened.set(name, plaintext);
    for (const oldest of this.#opened.keys()) {
      if (this.#opened.size <= SEALS_REMEMBERED_MAX) break;
      this.#opened.delete(oldest);
    }
    return plaintext.slice();
  }

  #unseal(kind: SealKind, text: string): Uint8Array {
    const bytes = decode(text);
    const key = this.#keys.find(({ id }) => bytesEqual(id, bytes.subarray(0, KEY_ID_BYTES)));
    if (key === undefined) throw new GodwitError("ERR_SEAL_FOREIGN", "sealed by another key");
    const nonce = bytes.subarray(KEY_ID_BYTES, KEY_ID_BYTES + NONCE_BYTES);
    try {
      return xchacha20poly1305(key.encryption, nonce, utf8Encode(kind)).decrypt(
        bytes.subarray(KEY_ID_BYTES + NONCE_BYTES),
      );
    } catch {
      throw new GodwitError("ERR_SEAL_FORGED", "the seal is broken");
    }
  }
}

function decode(text: string): Uint8Array {
  // Before anything is made of it: breaking the seal of a long one takes as long.
  if (text.length > SEALED_CHARS_MAX) throw new GodwitError("ERR_SEAL_MALFORMED", "too long");
  let bytes: Uint8Array;
  try {
    bytes = base64urlDecode(text);
  } catch {
    throw new GodwitError("ERR_SEAL_MALFORMED", "not base64url");
  }
  if (bytes.length < KEY_ID_BYTES + NONCE_BYTES + TAG_BYTES) {
    throw new GodwitError("ERR_SEAL_MALFORMED", "too short");
  }
  return bytes;
}

function derive({ id, secret }: SealingKey): DerivedKey {
  const okm = hkdf(sha256, secret, undefined, utf8Encode("godwit push service seal v1"), 64);
  return { id, encryption: okm.subarray(0, 32), nonce: okm.subarray(32) };
}

/** Length before content: no other pair of kind and plaintext gives the same input. */
function syntheticNonce(key: DerivedKey, kind: SealKind, plaintext: Uint8Array): Uint8Array {
  const label = utf8Encode(kind);
  return hmac(sha256, key.nonce, concatBytes(Uint8Array.of(label.length), label, plaintext)).slice(
    0,
    NONCE_BYTES,
  );
}
