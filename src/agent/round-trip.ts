// SPDX-License-Identifier: MIT
/** Round trips of the main link, smoothed, and how long an answer may take. Pure. */

import { PONG_EXTRA_MS, PONG_TIMEOUT_MS_MIN } from "../limits.ts";

/** Weight of a new round trip in the smoothed one. */
const WEIGHT = 0.125;

export class RoundTrip {
  /** ms; 0 before the first. */
  smoothedMs = 0;
  #dialedMs = 0;
  #isGuess = true;

  /** An unanswered ping is a verdict after this. */
  get verdictMs(): number {
    return Math.max(PONG_TIMEOUT_MS_MIN, 4 * this.smoothedMs + PONG_EXTRA_MS);
  }

  handleDialed(monotonicMs: number): void {
    this.#dialedMs = monotonicMs;
  }

  /** A handshake is several round trips: an upper bound until the first ping of the link tells better. */
  handleOpened(monotonicMs: number): void {
    this.smoothedMs = monotonicMs - this.#dialedMs;
    this.#isGuess = true;
  }

  handlePong(tookMs: number): void {
    this.smoothedMs = this.#isGuess ? tookMs : this.smoothedMs + (tookMs - this.smoothedMs) * WEIGHT;
    this.#isGuess = false;
  }
}
