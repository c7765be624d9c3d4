// SPDX-License-Identifier: MIT
/**
 * Numbers as one owner sees them. The agent counts subscriptions, notifications and deliveries over all owners, the push service
 * messages: from gaps between its own an app could tell that others subscribe, show and get something. So each owner is given
 * others in their place, the same ones for as long as the key is. No lookup: a Feistel network (Luby and Rackoff, 1988) of four
 * rounds of HMAC-SHA-256, which can be gone through backwards.
 */

import { utf8Encode } from "../bytes.ts";
import { base64urlEncode } from "../webpush/base64url.ts";
import { type CryptoProvider, type HmacKey, SHA256_BYTES } from "../webpush/crypto.ts";

export type IdKind = "subscription" | "notification" | "delivery";

/** Two halves of 24 bits: far more than there ever are, and exact in a double. */
const HALF = 2 ** 24;
const MESSAGE_NAME_BYTES = 16;
const ROUNDS = [0, 1, 2, 3];

export class OwnerIds {
  readonly #key: HmacKey;

  /** @param key a secret, and another one for each owner */
  constructor(key: string, provider: CryptoProvider) {
    this.#key = provider.hmac(utf8Encode(key));
  }

  /** @param id from 1 to 2^48-1 */
  hide(kind: IdKind, id: number): number {
    let [left, right] = [Math.floor(id / HALF), id % HALF];
    for (const round of ROUNDS) [left, right] = [right, left ^ this.#mix(kind, round, right)];
    return left * HALF + right;
  }

  /** The number that {@link hide} made this of; 0, which nothing has, for one that it never makes. */
  reveal(kind: IdKind, hidden: number): number {
    if (hidden >= HALF * HALF) return 0;
    let [left, right] = [Math.floor(hidden / HALF), hidden % HALF];
    for (const round of [...ROUNDS].reverse()) [left, right] = [right ^ this.#mix(kind, round, left), left];
    return left * HALF + right;
  }

  /** A name for a message, the same in every delivery. */
  hideMessage(messageId: string): string {
    return base64urlEncode(this.#hmac(`message\0${messageId}`).subarray(0, MESSAGE_NAME_BYTES));
  }

  /** From 0 to 2^24-1. */
  #mix(kind: IdKind, round: number, half: number): number {
    const [high = 0, middle = 0, low = 0] = this.#hmac(`${kind}\0${round}\0${half}`);
    return (high << 16) | (middle << 8) | low;
  }

  #hmac(text: string): Uint8Array {
    const code = new Uint8Array(SHA256_BYTES);
    this.#key.mac(utf8Encode(text), code);
    return code;
  }
}
