// SPDX-License-Identifier: MIT
/**
 * The hard bound on wake-ups of our own making: a bucket of tokens, each of which comes back an hour after it was spent,
 * so that no hour whatever holds more. The last of them are handed out one at a time, spread over what is left until the
 * next comes back, so that a bad ten minutes does not buy fifty of silence. Pure.
 */

import {
  WAKE_UPS_PER_HOUR_MAX,
  WAKE_UPS_SPACING_MS_MIN,
  WAKE_UPS_SPARE_MIN,
  WAKE_UPS_UNSPACED_LEFT_MIN,
} from "../limits.ts";

const HOUR_MS = 3_600_000;

export class WakeBudget {
  /** When the tokens that are out were spent, oldest first. */
  #spentMs: number[] = [];
  #freeAtMs = Number.NEGATIVE_INFINITY;

  /** Monotonic ms from which a wake-up may be made; in the past when there is a token now. */
  get freeAtMs(): number {
    return this.#freeAtMs;
  }

  /** True, and a token spent, when there is one. */
  take(monotonicMs: number): boolean {
    if (monotonicMs < this.#freeAtMs) return false;
    const spentMs = this.#outAt(monotonicMs);
    this.#spentMs = spentMs;
    spentMs.push(monotonicMs);
    const left = WAKE_UPS_PER_HOUR_MAX - spentMs.length;
    // With none left this is until the oldest comes back.
    const spacingMs = Math.ceil(((spentMs[0] ?? monotonicMs) + HOUR_MS - monotonicMs) / (left + 1));
    // A link held by regular pings has few left too, and one back soon.
    if (left === 0 || (left < WAKE_UPS_UNSPACED_LEFT_MIN && spacingMs > WAKE_UPS_SPACING_MS_MIN))
      this.#freeAtMs = monotonicMs + spacingMs;
    return true;
  }

  /**
   * True when one spent then, and one every `intervalMs` after it, would leave {@link WAKE_UPS_SPARE_MIN} at any time. None
   * of the latter would then have to wait.
   *
   * @param lastMs the last of those before it
   */
  canSpare(atMs: number, intervalMs: number, lastMs = atMs): boolean {
    const spentMs = this.#outAt(atMs);
    for (let ms = lastMs + intervalMs; ms < atMs; ms += intervalMs) spentMs.push(ms);
    spentMs.push(atMs);
    return spentMs.every((ms, i) => {
      const laterUntilItIsBack = Math.floor((ms + HOUR_MS - atMs) / intervalMs);
      return spentMs.length - i + laterUntilItIsBack <= WAKE_UPS_PER_HOUR_MAX - WAKE_UPS_SPARE_MIN;
    });
  }

  #outAt(atMs: number): number[] {
    return this.#spentMs.filter((ms) => ms + HOUR_MS > atMs);
  }
}
