// SPDX-License-Identifier: MIT
/** When each subscription was last of use, and which are not any more ("unused registrations expire"). Pure. */

import type { SubscriptionRecord } from "../journal/index.ts";
import { UNUSED_CHECK_MS, UNUSED_MS_MAX, USE_NOTED_MS } from "../limits.ts";
import type { Clock } from "./clock.ts";
import type { Instant } from "./events.ts";
import type { Registry } from "./registry.ts";

export interface UsageOptions {
  readonly registry: Registry;
  readonly clock: Clock;
  readonly isAttached: (owner: string) => boolean;
}

export class Usage {
  readonly #options: UsageOptions;
  /** Uses of this run that are not in the state yet, monotonic ms by local id: what day it was may be told later. */
  readonly #used = new Map<number, number>();
  #checkAtMs: number | null = null;

  constructor(options: UsageOptions) {
    this.#options = options;
  }

  /** A message came for it, or its app asked for it. */
  touch({ id }: SubscriptionRecord): void {
    this.#used.set(id, this.#options.clock.monotonicMs);
  }

  handleAttached(owner: string): void {
    for (const subscription of this.#options.registry.ofOwner(owner)) this.touch(subscription);
  }

  /** Records for a write that is being made anyway. One that is being registered again has its turn when it is. */
  takeRiders(): SubscriptionRecord[] {
    const { registry, clock } = this.#options;
    if (!clock.isConfirmed) return [];
    const records: SubscriptionRecord[] = [];
    for (const [id, usedMs] of this.#used) {
      const subscription = registry.byId(id);
      if (subscription?.channel === null) continue;
      this.#used.delete(id);
      if (subscription === null) continue;
      const usedEpochMs = clock.stamp(usedMs);
      // What is noted may be of a clock that was ahead.
      if (Math.abs(usedEpochMs - subscription.usedEpochMs) >= USE_NOTED_MS)
        records.push({ ...subscription, usedEpochMs });
    }
    return records;
  }

  /** Those nobody used for {@link UNUSED_MS_MAX}; looked for now and then, on occasions there are anyway. */
  findUnused({ monotonicMs }: Instant): SubscriptionRecord[] {
    const { registry, clock, isAttached } = this.#options;
    this.#checkAtMs ??= monotonicMs + UNUSED_CHECK_MS;
    if (!clock.isConfirmed || monotonicMs < this.#checkAtMs) return [];
    this.#checkAtMs = monotonicMs + UNUSED_CHECK_MS;
    return [...registry.subscriptions()].filter((subscription) => {
      const { id, owner, usedEpochMs } = subscription;
      const isKnown = usedEpochMs > 0 && usedEpochMs < clock.epochMs + USE_NOTED_MS;
      // Its app is there, or nothing can come for it, or nothing is known of it: its time begins now.
      if (!isKnown || registry.isPaused(owner) || isAttached(owner)) this.touch(subscription);
      return !this.#used.has(id) && clock.epochMs - usedEpochMs > UNUSED_MS_MAX;
    });
  }
}
