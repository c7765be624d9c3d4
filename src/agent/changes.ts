// SPDX-License-Identifier: MIT
/**
 * Tells apps that a subscription changed or ended without their doing, when they come if they are away now. One that has a
 * new endpoint is started for it: nothing would come to the old one that could start it. Pure.
 */

import type { Emit, Instant, SubscriptionView } from "./events.ts";
import type { Persistence } from "./persistence.ts";
import { type Registry, viewOf } from "./registry.ts";

export interface ChangesOptions {
  readonly registry: Registry;
  readonly persistence: Persistence;
  readonly emit: Emit;
  readonly isAttached: (owner: string) => boolean;
  readonly requestStart: (owner: string, now: Instant) => void;
}

export class Changes {
  readonly #options: ChangesOptions;

  constructor(options: ChangesOptions) {
    this.#options = options;
  }

  tell(
    owner: string,
    oldSubscription: SubscriptionView | null,
    newSubscription: SubscriptionView | null,
    now: Instant,
  ): void {
    this.#options.emit({ type: "subscriptionChange", owner, oldSubscription, newSubscription });
    this.expect(owner);
    if (newSubscription !== null) this.startApps(now);
  }

  /** Starts those that are away and have something new to be told, unless a person paused them. */
  startApps(now: Instant): void {
    const { registry, isAttached, requestStart } = this.#options;
    for (const owner of registry.owners()) {
      const { owesChange, hasHandler } = registry.owner(owner);
      if (owesChange && hasHandler && !isAttached(owner) && !registry.isPaused(owner))
        requestStart(owner, now);
    }
  }

  /** The next write changes a subscription: the same write says that its app is to be told, if it is away. */
  expect(owner: string): void {
    if (!this.#options.isAttached(owner)) this.#note(owner, true);
  }

  /** What the old one was is not known any more. */
  handleAttached(owner: string): void {
    const { registry, emit } = this.#options;
    if (!registry.owner(owner).owesChange) return;
    this.#note(owner, false);
    const current = registry.find(owner, null);
    const newSubscription = current === null ? null : viewOf(current);
    emit({ type: "subscriptionChange", owner, oldSubscription: null, newSubscription });
  }

  #note(owner: string, owesChange: boolean): void {
    const { registry, persistence } = this.#options;
    const known = registry.owner(owner);
    if (known.owesChange !== owesChange) persistence.note({ ...known, owesChange });
  }
}
