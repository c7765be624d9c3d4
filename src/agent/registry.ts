// SPDX-License-Identifier: MIT
/**
 * Owners and subscriptions as the agent looks them up: by channel, by owner and WAToken, by id. The truth is the
 * journal's state; this keeps the indexes beside it. Pure.
 */

import type { JournalState, OwnerRecord, SubscriptionRecord } from "../journal/index.ts";
import { FRESHNESS_MS } from "../limits.ts";
import { channelsDigest } from "../wire/digest.ts";
import type { Permission, SubscriptionView } from "./events.ts";

export class Registry {
  readonly #state: JournalState;
  readonly #idByChannel = new Map<number, number>();
  readonly #idsByOwner = new Map<string, Set<number>>();
  /** Worked out when a subscription or a pause came or went since it was last asked for. */
  #freshnessMs: number | null = null;
  /** Worked out when a channel came or went since it was last asked for. */
  #digest: Uint8Array | null = null;

  constructor(state: JournalState) {
    this.#state = state;
    for (const subscription of state.subscriptions.values()) this.#index(subscription);
  }

  get size(): number {
    return this.#state.subscriptions.size;
  }

  /** Longest a dead link may be taken for a live one, by the most urgent subscription that is not paused, ms. */
  get freshnessMs(): number {
    this.#freshnessMs ??= this.#leastFreshnessMs();
    return this.#freshnessMs;
  }

  /** All subscriptions, oldest first. */
  subscriptions(): IterableIterator<SubscriptionRecord> {
    return this.#state.subscriptions.values();
  }

  byId(id: number): SubscriptionRecord | null {
    return this.#state.subscriptions.get(id) ?? null;
  }

  byChannel(channel: number): SubscriptionRecord | null {
    const id = this.#idByChannel.get(channel);
    return id === undefined ? null : this.byId(id);
  }

  ofOwner(owner: string): SubscriptionRecord[] {
    const found: SubscriptionRecord[] = [];
    for (const id of this.#idsByOwner.get(owner) ?? []) {
      const subscription = this.byId(id);
      if (subscription !== null) found.push(subscription);
    }
    return found;
  }

  /** The owner's registration of that name; null asks for the default one, which the agent named. */
  find(owner: string, waToken: string | null): SubscriptionRecord | null {
    for (const subscription of this.ofOwner(owner)) {
      if (waToken === null ? subscription.generatedToken : subscription.waToken === waToken)
        return subscription;
    }
    return null;
  }

  /** Those with a subscription. */
  owners(): IterableIterator<string> {
    return this.#idsByOwner.keys();
  }

  /** Channels the service is expected to know of this device. */
  channels(): number[] {
    return [...this.#idByChannel.keys()];
  }

  /** 8 bytes, see {@link channelsDigest}. */
  channelsDigest(): Uint8Array {
    this.#digest ??= channelsDigest(this.channels());
    return this.#digest;
  }

  owner(owner: string): OwnerRecord {
    return (
      this.#state.owners.get(owner) ?? {
        type: "owner",
        owner,
        permission: "prompt",
        hasHandler: false,
        paused: false,
        optedOut: false,
        badge: null,
        owesChange: false,
      }
    );
  }

  /** What counts for an owner: who opted out is refused, whatever was granted before. */
  permissionOf(owner: string): Permission {
    const { permission, optedOut } = this.owner(owner);
    return optedOut || this.#state.choices.optedOut ? "denied" : permission;
  }

  /** Messages of this owner wait. */
  isPaused(owner: string): boolean {
    return this.#state.choices.paused || this.owner(owner).paused;
  }

  /** Somebody waits for messages. */
  get isAwaiting(): boolean {
    for (const owner of this.owners()) if (!this.isPaused(owner)) return true;
    return false;
  }

  /** Call after the state took over `subscription`; `before` is what it replaced. */
  handleStored(subscription: SubscriptionRecord, before: SubscriptionRecord | null): void {
    if (before !== null) this.#unindex(before);
    this.#index(subscription);
  }

  /** Call after the state dropped `subscription`. */
  handleRemoved(subscription: SubscriptionRecord): void {
    this.#unindex(subscription);
  }

  /** A pause began or ended. */
  handlePauses(): void {
    this.#freshnessMs = null;
  }

  #leastFreshnessMs(): number {
    let leastMs = Number.POSITIVE_INFINITY;
    for (const { owner, freshness } of this.subscriptions())
      if (!this.isPaused(owner)) leastMs = Math.min(leastMs, FRESHNESS_MS[freshness]);
    return leastMs === Number.POSITIVE_INFINITY ? FRESHNESS_MS.normal : leastMs;
  }

  #index(subscription: SubscriptionRecord): void {
    if (subscription.channel !== null) this.#idByChannel.set(subscription.channel, subscription.id);
    let ids = this.#idsByOwner.get(subscription.owner);
    if (ids === undefined) {
      ids = new Set();
      this.#idsByOwner.set(subscription.owner, ids);
    }
    ids.add(subscription.id);
    this.#digest = this.#freshnessMs = null;
  }

  #unindex(subscription: SubscriptionRecord): void {
    if (subscription.channel !== null) this.#idByChannel.delete(subscription.channel);
    const ids = this.#idsByOwner.get(subscription.owner);
    ids?.delete(subscription.id);
    if (ids?.size === 0) this.#idsByOwner.delete(subscription.owner);
    this.#digest = this.#freshnessMs = null;
  }
}

/** What the app may know of its subscription; null while it has no endpoint. Copies every byte array. */
export function viewOf(subscription: SubscriptionRecord): SubscriptionView | null {
  if (subscription.endpoint === null) return null;
  return {
    subscriptionId: subscription.id,
    endpoint: subscription.endpoint,
    expirationTime: subscription.expirationTime,
    p256dh: subscription.publicKey.slice(),
    auth: subscription.authSecret.slice(),
    applicationServerKey: subscription.applicationServerKey?.slice() ?? null,
    userVisibleOnly: subscription.userVisibleOnly,
  };
}
