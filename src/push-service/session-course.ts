// SPDX-License-Identifier: MIT
/** Where a session stands, what it wants done, in order, and its one alarm: the same in every dialect. Pure; part of the sessions. */

import { type Phase, phaseAfter, type SessionEffect, type Transition } from "./session-events.ts";

export class SessionCourse<Down> {
  readonly #effects: SessionEffect<Down>[] = [];
  #phase: Phase = "opening";
  #alarmMs: number | null = null;

  get phase(): Phase {
    return this.#phase;
  }

  send(message: Down): void {
    this.#effects.push({ type: "send", message });
  }

  want(effect: SessionEffect<Down>): void {
    this.#effects.push(effect);
  }

  /** The next effect in order, or undefined. */
  poll(): SessionEffect<Down> | undefined {
    const effect = this.#effects.shift();
    // Else the array would keep its room for 17, as long as the link is there.
    if (this.#effects.length === 0) this.#effects.length = 0;
    return effect;
  }

  /** True when the phase changed. A session that ends takes its alarm with it. */
  go(transition: Transition): boolean {
    const next = phaseAfter(this.#phase, transition);
    if (next === null) return false;
    this.#phase = next;
    if (next === "closed" && this.#alarmMs !== null) {
      this.#alarmMs = null;
      // In front of the close, which stays the last effect.
      this.#effects.unshift({ type: "setAlarm", atMs: null });
    }
    return true;
  }

  /** Moves the alarm only to an earlier time: one that fires too early is set again, which is cheaper than every time. */
  arm(atMs: number): void {
    if (this.#alarmMs !== null && this.#alarmMs <= atMs) return;
    this.#alarmMs = atMs;
    this.#effects.push({ type: "setAlarm", atMs });
  }

  /** The alarm fired. */
  alarmed(): void {
    this.#alarmMs = null;
  }
}
