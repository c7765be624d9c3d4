// SPDX-License-Identifier: MIT
/**
 * The hard bound on wake-ups of our own making: a bucket of tokens, each of which comes back an hour after it was spent,
 * so that no hour whatever holds more. Pure.
 */

import { WAKE_UPS_PER_HOUR_MAX } from "../limits.ts";

const HOUR_MS = 3_600_000;

export class WakeBudget {
  /** When the tokens that are out were spent, oldest first. */
  readonly #spentMs: number[] = [];

  /** Monotonic ms from which a wake-up may be made; minus infinity when there is a token now. */
  get freeAtMs(): number {
    const oldestMs = this.#spentMs[this.#spentMs.length - WAKE_UPS_PER_HOUR_MAX];
    return oldestMs === undefined ? Number.NEGATIVE_INFINITY : oldestMs + HOUR_MS;
  }

  /** True, and a token spent, when there is one. */
  take(monotonicMs: number): boolean {
    if (monotonicMs < this.freeAtMs) return false;
    this.#spentMs.push(monotonicMs);
    if (this.#spentMs.length > WAKE_UPS_PER_HOUR_MAX) this.#spentMs.shift();
    return true;
  }
}
