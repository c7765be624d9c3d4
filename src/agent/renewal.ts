// SPDX-License-Identifier: MIT
/**
 * Subscriptions the push service lost: registered again, spread out, with new keys, and their apps told (Push API,
 * "refresh a push subscription"). Pure.
 */

import type { JournalState, SubscriptionRecord } from "../journal/index.ts";
import { REREGISTER_SPREAD_MS } from "../limits.ts";
import type { CryptoProvider, RandomFill } from "../webpush/crypto.ts";
import { generateKeys } from "../webpush/keys.ts";
import type { Jitter } from "./backoff.ts";
import { earlier } from "./deadlines.ts";
import type { Alarm, Emit, Instant, SubscriptionView } from "./events.ts";
import type { Persistence } from "./persistence.ts";
import { type Registry, viewOf } from "./registry.ts";
import { reported } from "./report.ts";
import { type Answer, isGranted, type Requests } from "./requests.ts";

export interface RenewalOptions {
  readonly state: JournalState;
  readonly registry: Registry;
  readonly persistence: Persistence;
  readonly requests: Requests;
  readonly provider: CryptoProvider;
  readonly randomFill: RandomFill;
  readonly jitter: Jitter;
  readonly emit: Emit;
  /** Ends a subscription that is stored and indexed, here and at the service. */
  readonly remove: (subscription: SubscriptionRecord, now: Instant) => void;
}

interface Lost {
  /** When to register again. */
  atMs: number;
  /** What the app still has; null when the loss is from an earlier run. */
  readonly oldView: SubscriptionView | null;
  isSent: boolean;
  isStoring?: boolean;
}

export class Renewal {
  readonly #options: RenewalOptions;
  /** By local id. */
  readonly #lost = new Map<number, Lost>();

  constructor(options: RenewalOptions) {
    this.#options = options;
    for (const subscription of options.registry.subscriptions()) {
      if (subscription.channel === null)
        this.#lost.set(subscription.id, { atMs: 0, isSent: false, oldView: null });
    }
  }

  /** True while a subscription waits for its new channel. */
  get isNeeded(): boolean {
    return this.#lost.size > 0;
  }

  /** Channel and endpoint mean nothing any more; numbers may come again for others, so they are forgotten at once. */
  lose(subscription: SubscriptionRecord, now: Instant): void {
    const { emit, jitter, persistence, registry } = this.#options;
    if (this.#lost.has(subscription.id)) return;
    emit(reported({ type: "subscriptionLost", owner: subscription.owner }));
    const record = { ...subscription, channel: null, endpoint: null };
    persistence.note(record);
    registry.handleStored(record, subscription);
    const atMs = now.monotonicMs + Math.floor(jitter() * REREGISTER_SPREAD_MS);
    this.#lost.set(record.id, { atMs, isSent: false, oldView: viewOf(subscription) });
  }

  /** The app or a person ended it meanwhile. */
  forget(id: number): void {
    this.#lost.delete(id);
  }

  /** Sends what is due. */
  sync(now: Instant): void {
    for (const [id, lost] of this.#lost) {
      const subscription = this.#options.registry.byId(id);
      if (subscription !== null && !lost.isSent && now.monotonicMs >= lost.atMs)
        this.#register(subscription, lost, now);
    }
  }

  handleLinkLost(): void {
    for (const lost of this.#lost.values()) if (lost.isStoring !== true) lost.isSent = false;
  }

  /** Asked for while there is a link. */
  nextDeadline(): Alarm | null {
    let next: Alarm | null = null;
    for (const { isSent, atMs } of this.#lost.values()) {
      if (!isSent) next = earlier(next, { atMs, windowMs: REREGISTER_SPREAD_MS / 10 });
    }
    return next;
  }

  #register(subscription: SubscriptionRecord, lost: Lost, now: Instant): void {
    const { registrationId, applicationServerKey } = subscription;
    lost.isSent = this.#options.requests.send(
      { type: "registerWa", registrationId, applicationServerKey },
      (answer, at) => this.#handleRegistered(subscription, lost, answer, at),
      now,
    );
  }

  /** New keys, so that nothing made for the old endpoint opens. */
  #handleRegistered(before: SubscriptionRecord, lost: Lost, answer: Answer, now: Instant): void {
    const { persistence, registry, emit, provider, randomFill, jitter } = this.#options;
    // Ended meanwhile: the channel shows up as an orphan on the next link and is ended too.
    if (registry.byId(before.id) !== before) return;
    if (!isGranted(answer) || registry.byChannel(answer.channel) !== null) {
      lost.isSent = false;
      lost.atMs = now.monotonicMs + REREGISTER_SPREAD_MS + Math.floor(jitter() * REREGISTER_SPREAD_MS);
      return;
    }
    const { channel, endpoint, expirationTime } = answer;
    // What waits here, acknowledged, opens with the old keys only.
    const hasWaiting = [...this.#options.state.messages.values()].some((m) => m.subscriptionId === before.id);
    const keys = hasWaiting ? {} : generateKeys(randomFill, provider);
    const record = { ...before, ...keys, channel, endpoint, expirationTime };
    lost.isStoring = true;
    persistence.store([record], (failure) => {
      lost.isStoring = false;
      if (failure !== null) {
        lost.isSent = false;
        return;
      }
      if (!this.#lost.delete(before.id)) {
        // Ended while it was being written: what the write brought back goes again.
        registry.handleStored(record, null);
        return this.#options.remove(record, now);
      }
      registry.handleStored(record, before);
      const { owner } = record;
      emit({
        type: "subscriptionChange",
        owner,
        oldSubscription: lost.oldView,
        newSubscription: viewOf(record),
      });
    });
  }
}
