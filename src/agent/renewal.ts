// SPDX-License-Identifier: MIT
/**
 * Subscriptions the push service lost: registered again with new keys, and their apps told (Push API, "refresh a push
 * subscription"). All of them together, since each time is a wake-up; what is spread out is devices, not subscriptions. Pure.
 */

import type { SubscriptionRecord } from "../journal/index.ts";
import { REREGISTER_IN_FLIGHT_MAX, REREGISTER_RETRY_MS_MAX, REREGISTER_SPREAD_MS } from "../limits.ts";
import type { CryptoProvider, RandomFill } from "../webpush/crypto.ts";
import { generateKeys } from "../webpush/keys.ts";
import type { Jitter } from "./backoff.ts";
import type { Changes } from "./changes.ts";
import type { Alarm, Emit, Instant, SubscriptionView } from "./events.ts";
import type { Persistence } from "./persistence.ts";
import { type Registry, viewOf } from "./registry.ts";
import { reported } from "./report.ts";
import { type Answer, isGranted, type Requests } from "./requests.ts";

export interface RenewalOptions {
  readonly registry: Registry;
  readonly persistence: Persistence;
  readonly requests: Requests;
  readonly provider: CryptoProvider;
  readonly randomFill: RandomFill;
  readonly jitter: Jitter;
  readonly emit: Emit;
  readonly changes: Changes;
  /** Messages of this subscription, by local id, wait for its app. */
  readonly hasWaiting: (subscriptionId: number) => boolean;
  /** A subscription of this owner has got a channel. */
  readonly handleChannel: (owner: string, now: Instant) => void;
  /** Ends a subscription that is stored and indexed, here and at the service. */
  readonly remove: (subscription: SubscriptionRecord, now: Instant) => void;
}

interface Lost {
  /** What the app still has; null when the loss is from an earlier run. */
  readonly oldView: SubscriptionView | null;
  isSent: boolean;
  isStoring?: boolean;
}

export class Renewal {
  readonly #options: RenewalOptions;
  /** By local id. */
  readonly #lost = new Map<number, Lost>();
  /** The first time to register what is lost now, by chance within the spread: a fleet comes at different times. */
  #firstAtMs = 0;
  /** When to register what is not registered yet. */
  #atMs = 0;
  /** From half to the whole of what comes after the next refusal. */
  #retryMs = 2 * REREGISTER_SPREAD_MS;

  constructor(options: RenewalOptions) {
    this.#options = options;
    for (const subscription of options.registry.subscriptions()) {
      if (subscription.channel === null) this.#lost.set(subscription.id, { isSent: false, oldView: null });
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
    if (this.#firstAtMs <= now.monotonicMs)
      this.#firstAtMs = now.monotonicMs + Math.floor(jitter() * REREGISTER_SPREAD_MS);
    this.#atMs = this.#firstAtMs;
    this.#lost.set(record.id, { isSent: false, oldView: viewOf(subscription) });
  }

  /** The app or a person ended it meanwhile. */
  forget(id: number): void {
    this.#lost.delete(id);
  }

  /** Sends what is due, as much of it as may be unanswered at a time. */
  sync(now: Instant): void {
    if (now.monotonicMs < this.#atMs) return;
    let free = REREGISTER_IN_FLIGHT_MAX;
    for (const { isSent } of this.#lost.values()) if (isSent) free--;
    for (const [id, lost] of this.#lost) {
      if (free <= 0) return;
      const subscription = this.#options.registry.byId(id);
      if (subscription === null || lost.isSent) continue;
      this.#register(subscription, lost, now);
      free--;
    }
  }

  /** The next link is an occasion that costs nothing; how long to wait after a refusal stays as it is, links may be many. */
  handleLinkLost(): void {
    this.#atMs = this.#firstAtMs;
    for (const lost of this.#lost.values()) if (lost.isStoring !== true) lost.isSent = false;
  }

  /** Asked for while there is a link. */
  nextDeadline(): Alarm | null {
    if (this.#lost.size === 0) return null;
    // An answer is awaited, which is an occasion as well.
    for (const { isSent } of this.#lost.values()) if (isSent) return null;
    return { atMs: this.#atMs, windowMs: REREGISTER_SPREAD_MS / 10 };
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
    const { persistence, registry, changes, provider, randomFill } = this.#options;
    // Ended meanwhile: the channel shows up as an orphan on the next link and is ended too.
    if (registry.byId(before.id) !== before) return;
    if (!isGranted(answer) || registry.byChannel(answer.channel) !== null) {
      // The others first next time.
      if (this.#lost.delete(before.id)) this.#lost.set(before.id, lost);
      return this.#postpone(lost, now);
    }
    const { channel, endpoint, expirationTime } = answer;
    // What waits here opens with the old keys only, also when it goes to the journal later.
    const keys = this.#options.hasWaiting(before.id) ? {} : generateKeys(randomFill, provider);
    const record = { ...before, ...keys, channel, endpoint, expirationTime };
    lost.isStoring = true;
    changes.expect(record.owner);
    persistence.store([record], (failure) => {
      lost.isStoring = false;
      if (failure !== null) return this.#postpone(lost, now);
      if (!this.#lost.delete(before.id)) {
        // Ended while it was being written: what the write brought back goes again.
        registry.handleStored(record, null);
        return this.#options.remove(record, now);
      }
      this.#retryMs = 2 * REREGISTER_SPREAD_MS;
      registry.handleStored(record, before);
      const { owner } = record;
      changes.tell(owner, lost.oldView, viewOf(record), now);
      this.#options.handleChannel(owner, now);
    });
  }

  /** The first refusal of those sent together sets the time for all that is left. */
  #postpone(lost: Lost, now: Instant): void {
    lost.isSent = false;
    if (this.#atMs > now.monotonicMs) return;
    this.#atMs = now.monotonicMs + Math.floor(((1 + this.#options.jitter()) / 2) * this.#retryMs);
    this.#retryMs = Math.min(2 * this.#retryMs, REREGISTER_RETRY_MS_MAX);
  }
}
