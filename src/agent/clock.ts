// SPDX-License-Identifier: MIT
/**
 * The best wall clock there is: the device's when it is trusted, else the service's, else a guess that expires nothing
 * ("A wrong clock loses nothing"). Pure.
 */

import { CLOCKS_APART_MS_MAX } from "../limits.ts";
import type { Instant } from "./events.ts";

export class Clock {
  #now: Instant = { monotonicMs: 0, epochMs: 0, epochTrusted: false };
  /** Service time minus monotonic time, once it was told. */
  #serviceOffsetMs: number | null = null;

  /** Call at the beginning of every event. */
  handleNow(now: Instant): void {
    this.#now = now;
  }

  /** @param epochMs 0: it does not say */
  handleServiceTime(epochMs: number): void {
    if (epochMs > 0) this.#serviceOffsetMs = epochMs - this.#now.monotonicMs;
  }

  /** True when expiry may be judged. */
  get isTrusted(): boolean {
    return this.#now.epochTrusted || this.#serviceOffsetMs !== null;
  }

  /** The service says the same, to a day: enough to end something for good by it. */
  get isConfirmed(): boolean {
    const { monotonicMs, epochMs, epochTrusted } = this.#now;
    if (this.#serviceOffsetMs === null) return false;
    return !epochTrusted || Math.abs(epochMs - monotonicMs - this.#serviceOffsetMs) < CLOCKS_APART_MS_MAX;
  }

  /** The wall clock of a moment of this run, 0 when that is not known for sure. */
  stamp(monotonicMs: number): number {
    return this.isConfirmed ? this.epochMs - this.#now.monotonicMs + monotonicMs : 0;
  }

  /** Of the event at hand. */
  get now(): Instant {
    return this.#now;
  }

  get monotonicMs(): number {
    return this.#now.monotonicMs;
  }

  /** Whole ms since 1970, as well as it is known. */
  get epochMs(): number {
    if (this.#now.epochTrusted || this.#serviceOffsetMs === null)
      return Math.max(0, Math.floor(this.#now.epochMs));
    return Math.max(0, Math.floor(this.#now.monotonicMs + this.#serviceOffsetMs));
  }
}
