// SPDX-License-Identifier: MIT
/**
 * Recognises a message the push service sends again as if it were new (RFC 8291 has no protection against that): the last
 * ones of each subscription that were dealt with are remembered, in memory only. Pure.
 */

import { NumberWindow } from "../journal/number-window.ts";
import { REPLAYS_REMEMBERED_MAX } from "../limits.ts";

const TAG_BYTES = 16;

export class Replays {
  /** By subscription id, fingerprints. */
  readonly #seen = new Map<number, NumberWindow>();

  /** True when this very ciphertext (borrowed) was dealt with. */
  has(subscriptionId: number, body: Uint8Array | null): boolean {
    return body !== null && this.#seen.get(subscriptionId)?.has(fingerprint(body)) === true;
  }

  /** A message whose body (borrowed) decrypted was dealt with. One without body is like any other. */
  add(subscriptionId: number, body: Uint8Array | null): void {
    if (body === null) return;
    const seen = this.#seen.get(subscriptionId) ?? new NumberWindow(REPLAYS_REMEMBERED_MAX);
    this.#seen.set(subscriptionId, seen);
    seen.add(fingerprint(body));
  }

  forget(subscriptionId: number): void {
    this.#seen.delete(subscriptionId);
  }
}

/**
 * 53 bits of the authentication tag: nobody without the keys can change it and still have the message decrypted. What is
 * shorter than a tag has none: NaN, which is in no window.
 */
function fingerprint(body: Uint8Array): number {
  if (body.length < TAG_BYTES) return Number.NaN;
  const tag = new DataView(body.buffer, body.byteOffset + body.length - TAG_BYTES);
  return tag.getUint32(0) * 2 ** 21 + (tag.getUint32(4) >>> 11);
}
