// SPDX-License-Identifier: MIT
/** How late the host's alarms come: a suspended device has them at its next tick only, and nobody tells when that is. Pure. */

import { ALARM_LATE_MS_MAX } from "../limits.ts";

/** An alarm this late is on time, and after so many of these in a row half of the lateness is forgotten. */
export const ON_TIME_MS = 1_000;
const ON_TIME = 3;

export class Lateness {
  /** Twice the worst seen: between two ticks any alarm may fall. */
  expectedMs = 0;
  #onTime = 0;
  /** The latest time the host was asked to wake us at. */
  #askedMs = Number.POSITIVE_INFINITY;

  handleAsked(latestMs: number): void {
    this.#askedMs = latestMs;
  }

  /**
   * What the alarm was for is being done: late, on time, or early because something else woke us, which says nothing. True
   * when it is later than could be expected.
   */
  handleWoken(monotonicMs: number): boolean {
    const lateMs = monotonicMs - this.#askedMs;
    const isUnexpected = lateMs > Math.max(this.expectedMs, ON_TIME_MS);
    // Longer than that the device was off, which no earlier alarm would have changed.
    if (lateMs > ALARM_LATE_MS_MAX) return isUnexpected;
    if (lateMs > ON_TIME_MS) {
      this.expectedMs = Math.max(this.expectedMs, 2 * lateMs);
      this.#onTime = 0;
    } else if (lateMs >= 0 && ++this.#onTime >= ON_TIME) {
      this.expectedMs /= 2;
      this.#onTime = 0;
    }
    return isUnexpected;
  }
}
