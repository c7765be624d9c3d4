// SPDX-License-Identifier: MIT
/**
 * Recognises a message the push service sends again as if it were new (RFC 8291 has no protection against that): the last
 * ones of each subscription that were dealt with are remembered, in memory only. Pure.
 */

import { REPLAYS_REMEMBERED_MAX } from "../limits.ts";

/** Salt and authentication tag: what nobody without the keys can change and still have it decrypted. */
const SALT_BYTES = 16;
const TAG_BYTES = 16;

export class Replays {
  readonly #seen = new Map<number, Set<string>>();

  /** True when this very ciphertext (borrowed) was dealt with. */
  has(subscriptionId: number, body: Uint8Array | null): boolean {
    return body !== null && this.#seen.get(subscriptionId)?.has(fingerprint(body)) === true;
  }

  /** A message whose body (borrowed) decrypted was dealt with. One without body is like any other. */
  add(subscriptionId: number, body: Uint8Array | null): void {
    if (body === null) return;
    const seen = this.#seen.get(subscriptionId) ?? new Set();
    this.#seen.set(subscriptionId, seen);
    seen.add(fingerprint(body));
    for (const oldest of seen) {
      if (seen.size <= REPLAYS_REMEMBERED_MAX) break;
      seen.delete(oldest);
    }
  }

  forget(subscriptionId: number): void {
    this.#seen.delete(subscriptionId);
  }
}

function fingerprint(body: Uint8Array): string {
  return String.fromCharCode(...body.subarray(0, SALT_BYTES), ...body.subarray(-TAG_BYTES));
}
