// SPDX-License-Identifier: MIT
/**
 * Reconnect delays: one immediate try, then full jitter up to a cap, reset only by a link that proved stable. Pure; the
 * random numbers are handed in.
 */

import { BACKOFF_BASE_MS, BACKOFF_CAP_MS, LINK_STABLE_MS } from "../limits.ts";

/** A number in [0, 1). Need not be cryptographic. */
export type Jitter = () => number;

export class Backoff {
  readonly #jitter: Jitter;
  /** Failed tries since the last stable link. */
  #failures = 0;
  #openedAtMs: number | null = null;

  constructor(jitter: Jitter) {
    this.#jitter = jitter;
  }

  /** The link is registered; from here its stability counts. */
  handleOpened(monotonicMs: number): void {
    this.#openedAtMs = monotonicMs;
  }

  /**
   * A link ended or could not be had. Returns ms until the next try.
   *
   * @param retryAfterS what the service asked for, or null; obeyed as a lower bound, with jitter behind it so that
   *   devices told the same number do not come back together
   */
  handleLost(monotonicMs: number, retryAfterS: number | null): number {
    const wasStable = this.#openedAtMs !== null && monotonicMs - this.#openedAtMs >= LINK_STABLE_MS;
    this.#openedAtMs = null;
    if (wasStable) this.#failures = 0;
    const failures = this.#failures++;
    if (retryAfterS !== null && retryAfterS > 0) {
      return retryAfterS * 1000 + Math.floor(this.#jitter() * Math.max(BACKOFF_BASE_MS, retryAfterS * 1000));
    }
    // A link that had been good is worth one immediate try: most losses are one dropped flow.
    if (failures === 0 && wasStable) return 0;
    // 2^20 s is far over the cap; the bound keeps the power finite.
    const ceilingMs = Math.min(BACKOFF_CAP_MS, BACKOFF_BASE_MS * 2 ** Math.min(failures, 20));
    return Math.floor(this.#jitter() * ceilingMs);
  }

  /** A new network makes old failures meaningless. */
  handleNetworkChanged(): void {
    this.#failures = 0;
  }
}
