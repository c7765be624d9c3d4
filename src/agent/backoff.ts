// SPDX-License-Identifier: MIT
/**
 * Reconnect delays: one immediate try, then a place within the service's spread, then full jitter up to
 * a cap, reset only by a link that proved stable. Pure; the random numbers are handed in.
 */

import { BACKOFF_BASE_MS, BACKOFF_CAP_MS, LINK_STABLE_MS } from "../limits.ts";

/** A number in [0, 1). Need not be cryptographic. */
export type Jitter = () => number;

/** Less than two: an outage is over sooner than its doubled length. */
const GROWTH = 1.5;
/** Round trips the first ceiling has at least: where packets are slow, tries are dear. */
const BASE_RTTS = 12;

export class Backoff {
  readonly #jitter: Jitter;
  /** Failed tries since the last stable link. */
  #failures = 0;
  #openedAtMs: number | null = null;
  #spreadMs = 0;
  /** The service itself went away, and everybody lost it. Otherwise it is this device's network. */
  #isServiceLoss = false;

  constructor(jitter: Jitter) {
    this.#jitter = jitter;
  }

  /** The link is registered; from here its stability counts. `spreadMs`: over this long a fleet is to come back. */
  handleOpened(monotonicMs: number, spreadMs = 0): void {
    this.#openedAtMs = monotonicMs;
    this.#spreadMs = spreadMs;
  }

  /**
   * A link ended or could not be had. Returns ms until the next try.
   *
   * @param retryAfterS what the service asked for, or null; obeyed as a lower bound, with jitter behind it so that
   *   devices told the same number do not come back together
   * @param rttMs round trip on this network, 0 for unknown
   */
  handleLost(monotonicMs: number, retryAfterS: number | null, rttMs = 0): number {
    const wasStable = this.#openedAtMs !== null && monotonicMs - this.#openedAtMs >= LINK_STABLE_MS;
    if (this.#openedAtMs !== null) this.#isServiceLoss = true;
    this.#openedAtMs = null;
    if (wasStable) this.#failures = 0;
    const failures = this.#failures++;
    if (retryAfterS !== null && retryAfterS > 0) {
      return Math.floor((1 + this.#jitter()) * retryAfterS * 1000);
    }
    // A link that had been good is worth one immediate try: most losses are one dropped flow.
    if (failures === 0 && wasStable) return 0;
    return Math.floor(this.#jitter() * this.#ceilingMs(failures, rttMs));
  }

  /** A new network makes old failures meaningless. */
  handleNetworkChanged(): void {
    this.#failures = 0;
    this.#openedAtMs = null;
    this.#isServiceLoss = false;
  }

  #ceilingMs(failures: number, rttMs: number): number {
    const ownMs = Math.max(BACKOFF_BASE_MS, rttMs * BASE_RTTS) * GROWTH ** failures;
    // Where a whole fleet comes back, each failed round gets twice the room too, so that no second has too many.
    const spreadMs = this.#isServiceLoss ? this.#spreadMs * 2 ** Math.max(0, failures - 1) : 0;
    return Math.min(BACKOFF_CAP_MS, Math.max(ownMs, spreadMs));
  }
}
