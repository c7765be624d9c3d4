// SPDX-License-Identifier: MIT
/**
 * The badge of each owner (W3C Badging): what the handler set wins over what the message declared, and one that changes
 * too often is written when it may be again, with its last value. Pure.
 */

import type { AppBadge } from "../declarative/index.ts";
import type { JournalState } from "../journal/index.ts";
import { BADGE_REFILL_MS, BADGE_WINDOW_MS, BADGES_BURST_MAX } from "../limits.ts";
import { earlier } from "./deadlines.ts";
import type { Alarm, Emit, Instant } from "./events.ts";
import type { Persistence } from "./persistence.ts";
import { Rates } from "./rates.ts";
import type { Registry } from "./registry.ts";

export interface BadgesOptions {
  readonly state: JournalState;
  readonly registry: Registry;
  readonly persistence: Persistence;
  readonly emit: Emit;
}

export class Badges {
  readonly #options: BadgesOptions;
  readonly #rates = new Rates(() => BADGES_BURST_MAX, BADGE_REFILL_MS);
  /** What is to be set as soon as it may be. */
  readonly #waiting = new Map<string, AppBadge>();

  constructor(options: BadgesOptions) {
    this.#options = options;
  }

  /** Tells the host what was set before the restart. */
  restore(): void {
    for (const { owner, badge } of this.#options.state.owners.values())
      if (badge !== null) this.#options.emit({ type: "setBadge", owner, badge });
  }

  /** Null leaves the badge alone. */
  apply(owner: string, badge: AppBadge | null, now: Instant): void {
    if (badge === null) return;
    this.#waiting.delete(owner);
    if (this.#rates.take(owner, now.monotonicMs)) this.#set(owner, badge);
    else this.#waiting.set(owner, badge);
  }

  /** What was to be set for an owner whose data goes is not. */
  forget(owner: string): void {
    this.#waiting.delete(owner);
  }

  handleAlarm(now: Instant): void {
    for (const [owner, badge] of this.#waiting)
      if (now.monotonicMs >= this.#rates.nextAtMs(owner)) this.apply(owner, badge, now);
  }

  nextDeadline(): Alarm | null {
    let next: Alarm | null = null;
    for (const owner of this.#waiting.keys())
      next = earlier(next, { atMs: this.#rates.nextAtMs(owner), windowMs: BADGE_WINDOW_MS });
    return next;
  }

  /** Nothing waits longer than the run. */
  handleShutdown(): void {
    for (const [owner, badge] of this.#waiting) this.#set(owner, badge);
    this.#waiting.clear();
  }

  #set(owner: string, badge: AppBadge): void {
    const { registry, persistence, emit } = this.#options;
    const stored = badge === false || badge === 0 ? null : badge;
    const known = registry.owner(owner);
    // One that is the same already costs no write.
    if (known.badge !== stored) persistence.note({ ...known, badge: stored });
    emit({ type: "setBadge", owner, badge });
  }
}
