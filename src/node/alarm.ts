// SPDX-License-Identifier: MIT
/** The host's clock and its one alarm on Node. */

import { uptime } from "node:os";
import type { Alarm, Instant } from "../agent/events.ts";

/** Longest delay setTimeout takes; longer alarms are set again on the way. */
export const TIMER_MS_MAX = 2 ** 31 - 1;

/** Monotonic time that goes on in suspend (CLOCK_BOOTTIME, by way of `os.uptime`), and the wall clock. */
export function readClock(epochTrusted: boolean): Instant {
  return { monotonicMs: Math.round(uptime() * 1000), epochMs: Date.now(), epochTrusted };
}

export class AlarmClock {
  readonly #fired: () => void;
  readonly #now: () => Instant;
  #timer: NodeJS.Timeout | null = null;
  #alarm: Alarm | null = null;

  constructor(now: () => Instant, fired: () => void) {
    this.#now = now;
    this.#fired = fired;
  }

  /** Aims at the end of the window: something else may wake the device before, and then nothing is left to do. */
  set(alarm: Alarm | null): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#alarm = alarm;
    this.#timer = alarm === null ? null : setTimeout(() => this.look(), this.#delayMs(alarm));
  }

  /**
   * Fires when the alarm is due, else aims anew. Called by its timer, and whenever something else has the device awake: the
   * system's timers do not count suspend, so after a resume they are late by the time it took.
   */
  look(): void {
    const alarm = this.#alarm;
    if (alarm === null) return;
    if (this.#now().monotonicMs < alarm.atMs) return this.set(alarm);
    this.set(null);
    this.#fired();
  }

  #delayMs(alarm: Alarm): number {
    const delayMs = alarm.atMs + alarm.windowMs - this.#now().monotonicMs;
    // The clock ticks in hundredths of a second; a timer that is early by one tick would only be set again.
    return Math.min(TIMER_MS_MAX, Math.max(1, delayMs + 10));
  }
}
