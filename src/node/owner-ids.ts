// SPDX-License-Identifier: MIT
/**
 * Numbers as one owner sees them. The agent counts subscriptions, notifications and deliveries over all owners, the push service
 * messages: from gaps between its own an app could tell that others subscribe, show and get something. So each owner is given
 * others in their place, the same ones for as long as the key is. No lookup: a Feistel network (Luby and Rackoff, 1988) of four
 * rounds of HMAC-SHA-256, which can be gone through backwards.
 */

import { createHmac } from "node:crypto";

export type IdKind = "subscription" | "notification" | "delivery";

/** Two halves of 24 bits: far more than there ever are, and exact in a double. */
const HALF = 2 ** 24;
const HALF_BYTES = 3;
const ROUNDS = [0, 1, 2, 3];

export class OwnerIds {
  readonly #key: string;

  /** @param key a secret, and another one for each owner */
  constructor(key: string) {
    this.#key = key;
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
    return this.#hmac(`message\0${messageId}`).subarray(0, 16).toString("base64url");
  }

  #mix(kind: IdKind, round: number, half: number): number {
    return this.#hmac(`${kind}\0${round}\0${half}`).readUIntBE(0, HALF_BYTES);
  }

  #hmac(text: string): Buffer {
    return createHmac("sha256", this.#key).update(text).digest();
  }
}
