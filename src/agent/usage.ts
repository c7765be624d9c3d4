// SPDX-License-Identifier: MIT
/** When each subscription was last of use, and which are not any more ("unused registrations expire"). Pure. */

import type { SubscriptionRecord } from "../journal/index.ts";
import { UNUSED_CHECK_MS, UNUSED_MS_MAX, USE_NOTED_MS } from "../limits.ts";
import type { Clock } from "./clock.ts";
import type { Instant } from "./events.ts";
import type { Registry } from "./registry.ts";

export class Usage {
  readonly #registry: Registry;
  readonly #clock: Clock;
  /** Uses of this run that are not in the state yet, ms since 1970 by local id. */
  readonly #used = new Map<number, number>();
  #checkAtMs: number | null = null;

  constructor(registry: Registry, clock: Clock) {
    this.#registry = registry;
    this.#clock = clock;
  }

  /** A message came for it, or its app asked for it. */
  touch({ id, usedEpochMs }: SubscriptionRecord): void {
    const { isTrusted, epochMs } = this.#clock;
    // What is noted may be of a clock that was ahead.
    if (isTrusted && Math.abs(epochMs - usedEpochMs) >= USE_NOTED_MS) this.#used.set(id, epochMs);
  }

  handleAttached(owner: string): void {
    for (const subscription of this.#registry.ofOwner(owner)) this.touch(subscription);
  }

  /** Records for a write that is being made anyway. One that is being registered again is left to that. */
  takeRiders(): SubscriptionRecord[] {
    const records: SubscriptionRecord[] = [];
    for (const [id, usedEpochMs] of this.#used) {
      const subscription = this.#registry.byId(id);
      if (subscription !== null && subscription.channel !== null)
        records.push({ ...subscription, usedEpochMs });
    }
    this.#used.clear();
    return records;
  }

  /** Those nobody used for {@link UNUSED_MS_MAX}; looked for now and then, on occasions there are anyway. */
  findUnused({ monotonicMs }: Instant): SubscriptionRecord[] {
    this.#checkAtMs ??= monotonicMs + UNUSED_CHECK_MS;
    if (!this.#clock.isTrusted || monotonicMs < this.#checkAtMs) return [];
    this.#checkAtMs = monotonicMs + UNUSED_CHECK_MS;
    return [...this.#registry.subscriptions()].filter((subscription) => {
      const { id, owner, usedEpochMs } = subscription;
      // Nothing can come for it, or nothing is known of it: its time begins now.
      if (usedEpochMs === 0 || this.#registry.isPaused(owner)) this.touch(subscription);
      return this.#clock.epochMs - (this.#used.get(id) ?? usedEpochMs) > UNUSED_MS_MAX;
    });
  }
}
