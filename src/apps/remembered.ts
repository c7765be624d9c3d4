// SPDX-License-Identifier: MIT
/**
 * The subscriptions an app knows of, so that it hears once of each change: from the agent's event, or from a look after the
 * connection was lost, whichever comes first.
 */

import type { SubscriptionView } from "../agent/events.ts";
import { SUBSCRIPTIONS_PER_OWNER_MAX } from "../limits.ts";

/** A subscription that was replaced or ended; `view` is null where only the endpoint was known. */
interface Known {
  endpoint: string | null;
  view: SubscriptionView | null;
}

export interface Change {
  readonly before: SubscriptionView | null;
  readonly after: SubscriptionView | null;
}

export class Remembered {
  /** By WAToken; null is the default subscription. */
  readonly #known = new Map<string | null, Known>();

  /** @param endpoint of the default subscription, as the app knows it from an earlier life, or null */
  constructor(endpoint: string | null) {
    if (endpoint !== null) this.#known.set(null, { endpoint, view: null });
  }

  get waTokens(): (string | null)[] {
    return [...this.#known.keys()];
  }

  /** The app has seen it. */
  note(waToken: string | null, view: SubscriptionView): void {
    this.#known.delete(waToken);
    this.#known.set(waToken, { endpoint: view.endpoint, view });
    if (this.#known.size > SUBSCRIPTIONS_PER_OWNER_MAX)
      for (const oldest of this.#known.keys()) return void this.#known.delete(oldest);
  }

  /** The app ended it itself. */
  forget(subscriptionId: number): void {
    for (const [waToken, { view }] of this.#known)
      if (view?.subscriptionId === subscriptionId) this.#known.delete(waToken);
  }

  /** What the app has to be told when this is its subscription now; null when it knows. */
  compare(waToken: string | null, after: SubscriptionView | null): Change | null {
    const known = this.#known.get(waToken);
    return known === undefined ? null : this.#settle(known, known.view, after);
  }

  /** The same for an event of the agent. It does not say the WAToken; without any subscription it is about the default one. */
  take(before: SubscriptionView | null, after: SubscriptionView | null): Change | null {
    const told = after ?? before;
    const known =
      told === null
        ? this.#known.get(null)
        : [...this.#known.values()].find(
            ({ endpoint, view }) =>
              view?.subscriptionId === told.subscriptionId ||
              endpoint === before?.endpoint ||
              endpoint === after?.endpoint,
          );
    return known === undefined ? { before, after } : this.#settle(known, before ?? known.view, after);
  }

  #settle(known: Known, before: SubscriptionView | null, after: SubscriptionView | null): Change | null {
    const endpoint = after?.endpoint ?? null;
    if (known.endpoint === endpoint) return null;
    known.endpoint = endpoint;
    known.view = after ?? known.view;
    return { before, after };
  }
}
